import type { IConstruct } from "constructs";
import { mptcp } from "../../lib/kinds/mptcp";
import { sysctls } from "../../lib/kinds/sysctls";
import { KernelObject } from "../../lib/synth";
import type { Host } from "../host";
import { endpointsOf } from "./clashes";
import type { PairEnd, Wish } from "./ends";
import { NetAggInstallation } from "./installation";

// Symbol.for and not a class: two copies of this package in one program share what is on a host.
const SHARED = Symbol.for("netloom.netagg.Shared");

/**
 * What all the pairs of a host have in common. A setting has one owner: two would each put back what it was before, one
 * of them the other's value.
 */
export class Shared {
  /** What the pairs of a host share; nothing is made as yet. */
  static on(host: Host): Shared {
    const known = (host as Host & { [SHARED]?: Shared })[SHARED];
    if (known !== undefined) return known;
    const made = new Shared(host);
    Object.defineProperty(host, SHARED, { value: made, enumerable: false });
    return made;
  }

  readonly #ends: PairEnd[] = [];
  #settings: KernelObject | undefined;
  #mptcp: KernelObject | undefined;
  #installation: NetAggInstallation | undefined;

  private constructor(private readonly host: Host) {}

  /** The ends of pairs on this host, in the order of the program. */
  get ends(): readonly PairEnd[] {
    return this.#ends;
  }

  join(end: PairEnd): void {
    this.#ends.push(end);
  }

  /** The settings of the links that paths end at, once what is given is there. */
  settings(...after: readonly IConstruct[]): IConstruct {
    this.#settings ??= new KernelObject(this.host, "netagg-settings", {
      kind: sysctls,
      intent: () => ({ name: "netagg", values: this.#settingValues() }),
    });
    this.#settings.node.addDependency(...after);
    return this.#settings;
  }

  /** The module and its tool, as all the pairs of the host together want them. */
  installation(...after: readonly IConstruct[]): NetAggInstallation {
    this.#installation ??= new NetAggInstallation(this.host, "netagg");
    const wishes = this.#ends.flatMap(({ module }) => (module === undefined ? [] : [module]));
    this.#installation.make({
      packages: said(wishes.map(({ packages }) => packages)),
      sign: said(wishes.map(({ sign }) => sign)),
      timeouts: said(wishes.map(({ timeouts }) => timeouts)),
      adopt: wishes.some(({ adopt }) => adopt),
      protect: wishes.some(({ protect }) => protect),
    });
    this.#installation.node.addDependency(...after);
    return this.#installation;
  }

  /** Multipath TCP: that it is on, the endpoints and the limits. */
  mptcp(...after: readonly IConstruct[]): IConstruct {
    if (this.#mptcp === undefined) {
      const enabled = new KernelObject(this.host, "netagg-mptcp-enabled", {
        kind: sysctls,
        intent: { name: "netagg-mptcp", values: { "net/mptcp/enabled": "1" } },
      });
      this.#mptcp = new KernelObject(this.host, "netagg-mptcp", {
        kind: mptcp,
        intent: () => ({ name: "netagg", endpoints: this.#endpoints(), limits: this.#limits() }),
      });
      this.#mptcp.node.addDependency(enabled);
    }
    this.#mptcp.node.addDependency(...after);
    return this.#mptcp;
  }

  #settingValues(): Readonly<Record<string, string>> {
    const receiving = this.#ends.filter(({ role }) => role === "receiver");
    const links = new Set(receiving.flatMap(({ paths }) => paths.map((path) => path.interface)));
    return Object.fromEntries(
      ["all", ...links].flatMap((link) => [
        // One answers ARP only for the addresses of the link that is asked on, and takes packets that the table of
        // another link would answer to.
        [`net/ipv4/conf/${link}/arp_filter`, "1"],
        [`net/ipv4/conf/${link}/rp_filter`, "2"],
      ]),
    );
  }

  /** Numbers are the host's, in the order of the program: a later pair's come after. */
  #endpoints() {
    return Object.fromEntries(
      [...endpointsOf(this.#ends)].map(([address, dev], index) => [
        address,
        { id: index + 1, flags: ["signal"], dev },
      ]),
    );
  }

  /** A receiver tells every connection of all its endpoints, so room for one pair's alone might be taken by another's. */
  #limits() {
    const counts = this.#ends
      .filter(({ module }) => module === undefined)
      .map(({ host, peer }) => endpointsOf(Shared.on(peer ?? host).ends).size);
    const most = Math.max(0, ...counts);
    return { subflows: most, addAddrAccepted: most };
  }
}

/** What is wished for, by whoever does: those who do are of one mind. */
function said<T>(wishes: readonly (Wish<T> | undefined)[]): T | undefined {
  return wishes.find((wish) => wish !== undefined)?.value;
}
