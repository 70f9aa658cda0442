import { formatAddress, networkOf, parseCidr } from "../../lib/synth/cidr";
import type { SubscriberFinding } from "./findings";
import { quoted, SubscribersError } from "./findings";
import type { NumberLimit } from "./numbers";

/** How a carrier-grade NAT shares its public addresses. */
export interface PortBlockOptions {
  /** Public IPv4 addresses or prefixes, in order; more may be put at the end later without moving anybody. */
  readonly addresses: readonly string[];
  /** Ports of each subscriber, 64 to 64,512. @default 1024 */
  readonly portsPerSubscriber?: number;
  /** The first port that is given away; those below stay unused. @default 1024 */
  readonly firstPort?: number;
  /** The last port that is given away. @default 65535 */
  readonly lastPort?: number;
}

/** A subscriber's share of a public address. */
export interface PortBlock {
  /** Public IPv4 address. */
  readonly address: string;
  /** First port (for ICMP: query id). */
  readonly from: number;
  /** Last port. */
  readonly to: number;
}

/**
 * Deterministic port blocks (RFC 7422): the public address and ports follow from the subscriber's line number
 * and back, so nothing has to be logged to tell who had a port.
 */
export class PortBlocks {
  readonly #addresses: readonly string[];
  readonly #index: ReadonlyMap<string, number>;
  readonly #size: number;
  readonly #first: number;
  /** Blocks that one address has room for. */
  readonly perAddress: number;

  /** @throws SubscribersError for addresses that are none or there twice, or ports that leave no block */
  constructor(options: PortBlockOptions) {
    const { portsPerSubscriber: size = 1024, firstPort = 1024, lastPort = 65_535 } = options;
    const findings: SubscriberFinding[] = [];
    const whole = (path: string, value: number, least: number, most: number) => {
      if (Number.isInteger(value) && value >= least && value <= most) return;
      findings.push({ path, message: `${value} is not a whole number from ${least} to ${most}` });
    };
    whole("firstPort", firstPort, 1, 65_535);
    whole("lastPort", lastPort, 1, 65_535);
    whole("portsPerSubscriber", size, 64, 64_512);
    const perAddress = Math.floor((lastPort - firstPort + 1) / size);
    if (findings.length === 0 && perAddress < 1) {
      findings.push({
        path: "portsPerSubscriber",
        message: `no block of ${size} ports fits into ${firstPort}-${lastPort}`,
      });
    }
    this.#addresses = options.addresses.flatMap((text, index) =>
      expand(text, `addresses[${index}]`, findings),
    );
    this.#index = new Map(this.#addresses.map((address, index) => [address, index]));
    if (options.addresses.length === 0)
      findings.push({ path: "addresses", message: "a NAT has at least one public address" });
    if (this.#index.size < this.#addresses.length) {
      const twice = this.#addresses.find((address, index) => this.#index.get(address) !== index);
      findings.push({ path: "addresses", message: `${twice} is there twice` });
    }
    if (findings.length > 0) throw new SubscribersError(findings, "the NAT's port blocks");
    this.#size = size;
    this.#first = firstPort;
    this.perAddress = perAddress;
  }

  /** How many subscribers fit. */
  get capacity(): number {
    return this.#addresses.length * this.perAddress;
  }

  /** The room for line numbers, to be kept in mind when they are given (`TunnelPools.limits`). */
  get limit(): NumberLimit {
    return {
      what: `the NAT (${this.#addresses.length} public addresses of ${this.perAddress} blocks)`,
      capacity: this.capacity,
      enough: (wanted) => `${Math.ceil(wanted / this.perAddress)} public addresses would do`,
    };
  }

  /** @throws RangeError for a number that is not 1 to `capacity` */
  blockOf(number: number): PortBlock {
    const address = this.#addresses[Math.floor((number - 1) / this.perAddress)];
    if (address === undefined) throw new RangeError(`Number ${number} is not from 1 to ${this.capacity}.`);
    const from = this.#first + ((number - 1) % this.perAddress) * this.#size;
    return { address, from, to: from + this.#size - 1 };
  }

  /** Whose a public address and port are: the line number, or undefined for a port that is nobody's. */
  numberOf(address: string, port: number): number | undefined {
    const index = this.#index.get(address);
    const block = Math.floor((port - this.#first) / this.#size);
    if (index === undefined || block < 0 || block >= this.perAddress) return undefined;
    return index * this.perAddress + block + 1;
  }
}

/** More public addresses than anybody has; a typed `/8` is a mistake. */
const MOST_ADDRESSES = 65_536;

function expand(text: string, path: string, findings: SubscriberFinding[]): string[] {
  const cidr = parseCidr(text);
  if (cidr?.family !== 4) {
    findings.push({ path, message: `${quoted(text)} is not an IPv4 address or prefix` });
    return [];
  }
  const count = 2 ** (32 - cidr.prefix);
  if (networkOf(cidr) !== cidr.address || count > MOST_ADDRESSES) {
    findings.push({
      path,
      message:
        count > MOST_ADDRESSES
          ? `${text} is more than ${MOST_ADDRESSES} addresses`
          : `${text} has bits set beyond its prefix`,
    });
    return [];
  }
  return Array.from({ length: count }, (_, index) => formatAddress(4, cidr.address + BigInt(index)));
}
