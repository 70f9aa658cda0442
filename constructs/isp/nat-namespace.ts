import type { Construct } from "constructs";
import { firewall } from "../../lib/kinds/firewall";
import { ipv4, prefix } from "../../lib/kinds/schemas";
import type { Finding } from "../../lib/kinds/kind";
import { portBlocks } from "../../lib/kinds/port-blocks";
import { addFindings, contains, KernelObject, parseCidr } from "../../lib/synth";
import { Firewall } from "../firewall";
import type { NamespaceProps } from "../namespace";
import { Namespace } from "../namespace";
import { StaticRoutes } from "../static-routes";
import { SubscribersError } from "./findings";
import { PortBlocks, type PortBlock, type PortBlockOptions } from "./port-blocks";

/** Whose connections go under a block of ports. */
export interface PortBlockSubscriber {
  /** Line number, from 1: the block follows from it alone (`TunnelAllocation` gives them). */
  readonly number: number;
  /** Inner addresses and networks of the subscriber; IPv6 ones need no block and are passed over. */
  readonly sources: readonly string[];
}

/** Carrier-grade NAT: every subscriber has a block of ports of a public address. */
export interface NatPortBlocks extends PortBlockOptions {
  /** Who has a block. Other sources are masqueraded. */
  readonly subscribers: readonly PortBlockSubscriber[];
}

/** A namespace that is the one NAT between subscribers and the Internet. */
export interface NatNamespaceProps extends Omit<NamespaceProps, "forwarding"> {
  /** The interface inside the namespace that leads to the Internet. It need not be there yet. */
  readonly uplink: string;
  /**
   * Networks whose packets are translated; others pass as they are.
   * @default - all
   */
  readonly sources?: readonly string[];
  /**
   * Public addresses that connections go under, one or a range `first-last` (snat). They are routed to the namespace.
   * @default - the uplink's own (masquerade)
   */
  readonly toAddresses?: string;
  /**
   * Port blocks by subscriber. The public addresses are routed to the namespace.
   * @default - none: all share the address, and ports are the kernel's choice
   */
  readonly portBlocks?: NatPortBlocks;
  /**
   * Translates a second time, on an interface of the host's initial namespace, as it was once done. For comparison: it
   * costs a lookup for each packet, hides one subscriber behind another and helps nobody.
   * @default - none
   */
  readonly legacy?: { readonly uplink: string };
}

/**
 * A network namespace that is the one NAT between subscribers and the Internet: under the uplink's own address, a pool,
 * or by blocks of ports that follow from the subscriber (RFC 7422), so that nothing has to be logged to tell later who
 * had a port. Its name servers are its own (`/etc/netns/<name>/resolv.conf`); no file of the host is changed.
 *
 * @example
 * new NatNamespace(edge, "internet", {
 *   uplink: "to-uplink",
 *   nameservers: ["9.9.9.9"],
 *   portBlocks: {
 *     addresses: ["203.0.113.0/28"],
 *     subscribers: [{ number: 1, sources: ["192.168.11.2"] }],
 *   },
 * });
 */
export class NatNamespace extends Namespace {
  /** The blocks by line number; undefined without `portBlocks`, or where their options are wrong. */
  readonly blocks: PortBlocks | undefined;

  constructor(scope: Construct, id: string, props: NatNamespaceProps) {
    const { uplink, sources, toAddresses, portBlocks: given, legacy, ...namespace } = props;
    super(scope, id, { ...namespace, forwarding: true });
    const findings: Finding[] = [];
    addFindings(this, () => findings);
    new Firewall(this, "nat", {
      masquerade: [
        {
          outInterface: uplink,
          ...(sources !== undefined && { source: sources }),
          ...(toAddresses !== undefined && { toAddresses }),
        },
      ],
    });
    if (legacy !== undefined) this.#legacy(legacy.uplink);
    this.blocks = given === undefined ? undefined : blocksOf(given, findings);
    if (given !== undefined && this.blocks !== undefined)
      this.#portBlocks(uplink, given, this.blocks, findings);
  }

  /** The block of a line number: what the outside sees of the subscriber. */
  blockOf(number: number): PortBlock | undefined {
    return this.blocks?.blockOf(number);
  }

  #portBlocks(uplink: string, given: NatPortBlocks, blocks: PortBlocks, findings: Finding[]): void {
    const holders = new Map<string, number>();
    const numbers = new Map<number, number>();
    const table: Record<string, string> = {};
    given.subscribers.forEach(({ number, sources }, index) => {
      const at = ["portBlocks", "subscribers", index];
      const twin = numbers.get(number);
      if (twin !== undefined) {
        findings.push({ path: [...at, "number"], message: `${number} is that of subscribers[${twin}], too` });
        return;
      }
      numbers.set(number, index);
      if (!Number.isInteger(number) || number < 1 || number > blocks.capacity) {
        const { enough = (wanted: number) => `there are ${wanted}` } = blocks.limit;
        const message = `${number} is not from 1 to ${blocks.capacity}: ${enough(Math.max(1, Math.ceil(number)))}`;
        findings.push({ path: [...at, "number"], message });
        return;
      }
      const { address, from, to } = blocks.blockOf(number);
      sources.forEach((source, nth) => {
        if (source.includes(":")) return;
        const path = [...at, "sources", nth];
        const problem = (source.includes("/") ? prefix : ipv4).safeParse(source).error?.issues[0]?.message;
        const holder = holders.get(source);
        if (problem !== undefined) findings.push({ path, message: problem });
        else if (holder !== undefined)
          findings.push({ path, message: `${source} is subscribers[${holder}]'s, too` });
        else table[source] = `${address}:${from}-${to}`;
        holders.set(source, index);
      });
    });
    findings.push(...nested(given.subscribers));
    const declared = new KernelObject(this, "port-blocks", {
      kind: portBlocks,
      intent: { table: "port-blocks", outInterface: uplink, blocks: table },
      onBehalfOf: this,
      origin: (path) => (path[0] === "outInterface" ? ["uplink"] : ["portBlocks"]),
    });
    // What comes for a public address and belongs to no connection ends here, rather than go back to whence it came.
    new StaticRoutes(this, "public", {
      routes: given.addresses.map((address) => ({
        destination: address.includes("/") ? address : `${address}/32`,
        type: "blackhole",
      })),
    }).node.addDependency(declared);
  }

  /** The second NAT, in the host's initial namespace. */
  #legacy(uplink: string): void {
    const { host, privateKey } = this.place;
    new KernelObject(this, "legacy", {
      kind: firewall,
      place: { host, ...(privateKey !== undefined && { privateKey }) },
      intent: {
        table: `${this.node.path.replace(/[^A-Za-z0-9_.-]+/g, "-")}-legacy`,
        masquerade: [{ outInterface: uplink }],
      },
      onBehalfOf: this,
      origin: (path) => (path[0] === "masquerade" ? ["legacy", "uplink"] : path),
    });
  }
}

function blocksOf(given: NatPortBlocks, findings: Finding[]): PortBlocks | undefined {
  try {
    return new PortBlocks(given);
  } catch (error) {
    if (!(error instanceof SubscribersError)) throw error;
    for (const { path, message } of error.findings)
      findings.push({ path: ["portBlocks", ...(path === undefined ? [] : [path])], message });
    return undefined;
  }
}

/** A network inside another one's: the kernel takes no two intervals that overlap. */
function nested(subscribers: readonly PortBlockSubscriber[]): Finding[] {
  const networks = subscribers
    .flatMap(({ sources }, index) =>
      sources.map((source, nth) => ({
        source,
        cidr: parseCidr(source),
        path: ["portBlocks", "subscribers", index, "sources", nth],
      })),
    )
    .filter(({ source }) => source.includes("/") && !source.includes(":"))
    .flatMap(({ cidr, ...rest }) => (cidr === undefined ? [] : [{ cidr, ...rest }]))
    .sort((a, b) =>
      a.cidr.address < b.cidr.address
        ? -1
        : a.cidr.address > b.cidr.address
          ? 1
          : a.cidr.prefix - b.cidr.prefix,
    );
  return networks.flatMap(({ cidr, source, path }, index): Finding[] => {
    const before = networks[index - 1];
    if (before === undefined || before.source === source || !contains(before.cidr, cidr)) return [];
    return [{ path, message: `${source} is inside ${before.source} of another block` }];
  });
}
