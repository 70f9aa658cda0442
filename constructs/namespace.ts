import type { Construct, IConstruct } from "constructs";
import { namespace } from "../lib/kinds/namespace";
import type { HostRef, IPlace, LifecycleProps, Place } from "../lib/synth";
import { addFindings, Composite, definePlace, KernelObject, placeOf, renamed } from "../lib/synth";
import { FORWARDING, forwardingOf } from "./host";

/** A network namespace of a host. */
export interface NamespaceProps extends LifecycleProps {
  /**
   * Its name as of `ip netns`, and that of its file in `/run/netns`.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Lets packets be forwarded in it, IPv4 and IPv6: `net.ipv4.ip_forward` and `net.ipv6.conf.all.forwarding`.
   * @default false
   */
  readonly forwarding?: boolean;
  /**
   * Kernel settings inside it, by `/`-separated key: `{ "net/ipv4/conf/all/rp_filter": "2" }`.
   * @default - the kernel's
   */
  readonly sysctls?: Readonly<Record<string, string>>;
  /**
   * Name servers for programs started by `ip netns exec`, in `/etc/netns/<name>/resolv.conf`, most wanted first.
   * @default - the host's resolv.conf
   */
  readonly nameservers?: readonly string[];
  /**
   * Search domains for the same file.
   * @default - none
   */
  readonly searchDomains?: readonly string[];
}

/**
 * A network namespace with its loopback up, its sysctls and its resolv.conf: the place of everything made inside
 * it. When it is deleted the kernel takes all that is in it along.
 *
 * @example
 * const site1 = new Namespace(edge, "site1", { forwarding: true });
 */
export class Namespace extends KernelObject implements IPlace {
  /**
   * A namespace that is somebody else's and is there already: objects are made inside it, and it stays.
   *
   * @example
   * const tenant = Namespace.existing(edge, "tenant");
   */
  static existing(scope: Construct, id: string, props: { readonly name?: string } = {}): IPlace {
    return new ExistingNamespace(scope, id, props.name ?? id);
  }

  readonly place: Place;
  readonly #forwarding: { on: boolean };

  constructor(scope: Construct, id: string, props: NamespaceProps = {}) {
    const { name = id, forwarding, sysctls, nameservers, searchDomains, ...lifecycle } = props;
    const state = { on: forwarding === true };
    const around = placeOf(scope);
    super(scope, id, {
      ...lifecycle,
      kind: namespace,
      ...(around !== undefined && { place: { host: around.host } }),
      intent: () => ({
        name,
        sysctls:
          state.on || sysctls !== undefined
            ? { ...(state.on && { ...FORWARDING.forwarding, ...FORWARDING["forwarding-ipv6"] }), ...sysctls }
            : undefined,
        resolvConf:
          nameservers === undefined && searchDomains === undefined
            ? undefined
            : { nameservers: nameservers ?? [], search: searchDomains },
      }),
      origin: renamed({ "resolvConf.nameservers": ["nameservers"], "resolvConf.search": ["searchDomains"] }),
    });
    this.#forwarding = state;
    this.place = inside(around, name);
    definePlace(this, this.place);
  }

  /** Lets packets be forwarded in it, IPv4 and IPv6. */
  enableForwarding(): void {
    this.#forwarding.on = true;
  }

  /** The same: a namespace of the program's own forwards both families or none. */
  enableIpv6Forwarding(): void {
    this.enableForwarding();
  }
}

class ExistingNamespace extends Composite implements IPlace {
  readonly place: Place;

  constructor(scope: Construct, id: string, name: string) {
    super(scope, id);
    const around = placeOf(scope);
    this.place = { ...inside(around, name), existing: true };
    definePlace(this, this.place);
    addFindings(this, () => (around === undefined ? [{ path: [], message: NO_HOST }] : []));
  }

  enableForwarding(...after: readonly IConstruct[]): void {
    forwardingOf(this, "forwarding").node.addDependency(...after);
  }

  enableIpv6Forwarding(...after: readonly IConstruct[]): void {
    forwardingOf(this, "forwarding-ipv6").node.addDependency(...after);
  }
}

const NO_HOST = "is on no host: create it inside a Host";
const NOWHERE: HostRef = { name: "" };

function inside(around: Place | undefined, netns: string): Place {
  return { host: around?.host ?? NOWHERE, netns };
}
