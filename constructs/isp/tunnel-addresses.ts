import type { Cidr } from "../../lib/synth/cidr";
import { contains, formatCidr, networkOf, parseCidr } from "../../lib/synth/cidr";
import type { SubscriberFinding } from "./findings";
import { quoted, SubscribersError } from "./findings";
import { formatIpv6 } from "./ipv6";
import type { Subscriber } from "./model";
import type { Numbered, NumberLimit } from "./numbers";
import { numberSubscribers } from "./numbers";

/** Where the addresses inside the tunnels come from. */
export interface TunnelPools {
  /** IPv4 pool, such as `192.168.11.0/24`. @default - no IPv4 inside the tunnels */
  readonly ipv4?: string;
  /** Prefix length of each tunnel's IPv4 subnet; 31 is RFC 3021. @default 30 */
  readonly ipv4Length?: 30 | 31;
  /** IPv6 pool, such as `fd00:15b::/112`. @default - no IPv6 inside the tunnels */
  readonly ipv6?: string;
  /** Prefix length of each tunnel's IPv6 subnet; 127 is RFC 6164. @default 127 */
  readonly ipv6Length?: 126 | 127;
  /** What else has room for so many line numbers (see `PortBlocks.limit`). @default - nothing */
  readonly limits?: readonly NumberLimit[];
}

/** Both ends of one tunnel in one family. */
export interface TunnelSubnet {
  /** `192.168.11.0/30` */
  readonly subnet: string;
  /** The server's address with the prefix length: `192.168.11.1/30`. */
  readonly server: string;
  /** The client's address with the prefix length: `192.168.11.2/30`. */
  readonly client: string;
}

/** What one subscriber has got. */
export interface TunnelAddresses {
  /** The subscriber's line number: its slot of the pool, its class ids, its port block. */
  readonly number: number;
  readonly ipv4?: TunnelSubnet;
  readonly ipv6?: TunnelSubnet;
}

interface Pool {
  readonly text: string;
  readonly cidr: Cidr;
  readonly length: number;
  readonly slots: number;
}

/** More slots than line numbers; keeps a wide IPv6 pool within plain numbers. */
const MANY_SLOTS = 2 ** 31;

function readPool(text: string, family: 4 | 6, length: number): Pool {
  const fail = (message: string) =>
    new SubscribersError([{ path: `tunnelPool`, message }], "the tunnel pool");
  const cidr = parseCidr(text);
  if (cidr?.family !== family || !text.includes("/")) throw fail(`${quoted(text)} is no IPv${family} prefix`);
  if (networkOf(cidr) !== cidr.address) {
    throw fail(
      `${text} has bits set beyond its prefix; ${formatCidr({ ...cidr, address: networkOf(cidr) })} is the prefix`,
    );
  }
  if (cidr.prefix > length) throw fail(`${text} is smaller than one /${length} tunnel`);
  return { text, cidr, length, slots: Math.min(MANY_SLOTS, 2 ** (length - cidr.prefix)) };
}

function limitOf({ text, cidr, length, slots }: Pool): NumberLimit {
  return {
    what: `${text} in /${length} tunnels`,
    capacity: slots,
    enough: (wanted) => {
      const prefix = length - Math.ceil(Math.log2(wanted));
      return prefix < 1
        ? "use several pools"
        : `a /${prefix}${cidr.family === 4 && length === 30 ? " (or /31 tunnels in half of it)" : ""} would do`;
    },
  };
}

/** The general formatting costs tens of microseconds an address, which 10,000 tunnels notice. */
function textOf(family: 4 | 6, address: bigint): string {
  if (family === 6) {
    return formatIpv6(
      Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn)),
    );
  }
  const bits = Number(address);
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
}

function tunnelAt({ cidr: { family, address }, length }: Pool, number: number): TunnelSubnet {
  const free = BigInt((family === 4 ? 32 : 128) - length);
  const subnet = address + (BigInt(number - 1) << free);
  // In a subnet of four, the first address names the subnet; in one of two, both are hosts'.
  const first = subnet + (free === 1n ? 0n : 1n);
  const end = (one: bigint) => `${textOf(family, one)}/${length}`;
  return { subnet: end(subnet), server: end(first), client: end(first + 1n) };
}

/** The slot that a subscriber's own addresses are in: files that list the tunnel's address keep it. */
function fixedSlot(subscriber: Subscriber, pools: readonly Pool[], findings: SubscriberFinding[]): Numbered {
  const path = `subscriber ${quoted(subscriber.id)}`;
  let number = subscriber.number;
  for (const text of subscriber.devices.flatMap(({ ipv4, ipv6 }) => [...ipv4, ...ipv6])) {
    const cidr = parseCidr(text);
    const pool =
      cidr && pools.find((candidate) => contains(candidate.cidr, cidr) || contains(cidr, candidate.cidr));
    if (cidr === undefined || pool === undefined) continue;
    if (cidr.prefix < pool.length) {
      findings.push({ path, message: `${text} covers several tunnels of the pool ${pool.text}` });
      continue;
    }
    const bits = BigInt((cidr.family === 4 ? 32 : 128) - pool.length);
    const slot = Number((cidr.address - pool.cidr.address) >> bits) + 1;
    const tunnel = tunnelAt(pool, slot);
    const [client = ""] = tunnel.client.split("/");
    if (textOf(cidr.family, cidr.address) !== client && text !== tunnel.subnet) {
      findings.push({
        path,
        message: `${text} is in the tunnel pool and not a client's address; ${client} is, in ${tunnel.subnet}`,
      });
    } else if (number !== undefined && number !== slot) {
      findings.push({
        path,
        message: `${text} is tunnel ${slot} of the pool ${pool.text} and the subscriber's number is ${number}`,
      });
    } else number = slot;
  }
  return { id: subscriber.id, ...(number !== undefined && { number }) };
}

/** The addresses of every subscriber's tunnel. */
export class TunnelAllocation {
  private constructor(
    /** By subscriber id. */
    readonly tunnels: ReadonlyMap<string, TunnelAddresses>,
    /** The pools, as they were given. */
    readonly pools: readonly string[],
  ) {}

  /**
   * Gives every subscriber a subnet of the pools, by its line number: who else is there has no say in it. An
   * address of the pool that a subscriber lists as its own fixes its number.
   * @throws SubscribersError when a pool is no pool or too small (it says how many fit), or two want one number
   */
  static of(subscribers: readonly Subscriber[], options: TunnelPools): TunnelAllocation {
    const pools = [
      ...(options.ipv4 === undefined ? [] : [readPool(options.ipv4, 4, options.ipv4Length ?? 30)]),
      ...(options.ipv6 === undefined ? [] : [readPool(options.ipv6, 6, options.ipv6Length ?? 127)]),
    ];
    const findings: SubscriberFinding[] = [];
    const wanted = subscribers.map((subscriber) => fixedSlot(subscriber, pools, findings));
    const numbering = numberSubscribers(wanted, [...pools.map(limitOf), ...(options.limits ?? [])]);
    findings.push(...numbering.findings);
    if (findings.length > 0) throw new SubscribersError(findings, "the tunnel addresses");
    const tunnels = [...numbering.numbers].map(([id, number]): [string, TunnelAddresses] => {
      const ends = pools.map((pool): [string, TunnelSubnet] => [
        `ipv${pool.cidr.family}`,
        tunnelAt(pool, number),
      ]);
      return [id, { number, ...Object.fromEntries(ends) }];
    });
    return new TunnelAllocation(
      new Map(tunnels),
      pools.map(({ text }) => text),
    );
  }

  /** Line numbers by subscriber id. */
  get numbers(): ReadonlyMap<string, number> {
    return new Map([...this.tunnels].map(([id, { number }]) => [id, number]));
  }

  /**
   * What a subscriber's traffic is known by: the addresses that its devices list, else the client's end of its
   * tunnel.
   */
  addressesOf(subscriber: Subscriber): readonly string[] {
    const listed = subscriber.devices.flatMap(({ ipv4, ipv6 }) => [...ipv4, ...ipv6]);
    if (listed.length > 0) return listed;
    const { ipv4, ipv6 } = this.tunnels.get(subscriber.id) ?? {};
    return [ipv4, ipv6].flatMap((tunnel) =>
      tunnel === undefined ? [] : [tunnel.client.replace(/\/.*/, "")],
    );
  }
}
