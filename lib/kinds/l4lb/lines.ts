import { decodeValue, encodeValue, hex, type Field } from "../bpf/fields";
import { canonicalAddress, familyOf } from "../schemas";
import type { Backend, Endpoint, Forward } from "./schema";

/**
 * The values of the program's maps (bpf/l4lb/lb.h) as hexadecimal digits, and back. Addresses are 16 bytes there, an
 * IPv4 address as ::ffff:a.b.c.d.
 */

const fields = (...members: readonly string[]): Field[] =>
  members.map((member) => {
    const [name = "", type = ""] = member.split(" ");
    return { name, type };
  });

const VIP = fields("address ipv6", "port be16", "protocol u8", "pad pad:1");
const SERVICE = fields(
  ...["vip ipv6", "port be16", "protocol u8", "policy u8", "reserved pad:4", "ring_at u32", "ring_len u32"],
);
const BACKEND = fields(
  ...["address ipv6", "source ipv6", "service u16", "weight u16", "state u8", "generation u8", "form u8"],
  ...["flags u8", "mac mac", "port be16", "mtu u16", "ttl u8", "tos u8", "reserved pad:12"],
);
const CONTROL = fields(
  ...["seed bytes:8", "reserved pad:4", "tcpNew u32", "tcp u32", "tcpClosing u32", "udpNew u32", "udp u32"],
  ...["fragment u32", "hold u32", "decay u32", "reserved2 pad:20"],
);

type Members = Record<string, string | number>;

const write = (all: readonly Field[], members: Readonly<Members>) =>
  encodeValue(all, members).map(hex).join("");
const read = (all: readonly Field[], digits: string) => decodeValue(all, bytesOf(digits)) as Members;

/** Hexadecimal digits as bytes. */
export const bytesOf = (digits: string): number[] =>
  (digits.match(/../g) ?? []).map((byte) => parseInt(byte, 16));

const wide = (address: string) => (familyOf(address) === 4 ? `::ffff:${address}` : address);
const narrow = (address: string | number | undefined) => String(address).replace(/^::ffff:(?=\d+\.)/, "");

/** Bytes of a value of each map. */
export const SIZES = {
  vip: 20,
  service: 32,
  backend: 64,
  control: 64,
  ringLine: 64,
  stat: 64,
  active: 16,
} as const;

const PROTOCOLS = { tcp: 6, udp: 17 } as const;

/** The key of `lb_vips` of a service; without a port and protocol that of the virtual address itself. */
export function vipKey({ vip, port = 0, protocol }: Pick<Endpoint, "vip"> & Partial<Endpoint>): string {
  return write(VIP, { address: wide(vip), port, protocol: protocol === undefined ? 0 : PROTOCOLS[protocol] });
}

/** A service's line. */
export interface ServiceLine {
  readonly endpoint: Endpoint;
  /** `enum lb_policy`. */
  readonly policy: number;
  /** First line of its ring, and entries in it. */
  readonly ringAt: number;
  readonly ringLength: number;
}

export function writeService({ endpoint, policy, ringAt, ringLength }: ServiceLine): string {
  const { vip, port, protocol } = endpoint;
  return write(SERVICE, {
    vip: wide(vip),
    port,
    protocol: PROTOCOLS[protocol],
    policy,
    ring_at: ringAt,
    ring_len: ringLength,
  });
}

/** A service's line; undefined where there is none. */
export function readService(digits: string): ServiceLine | undefined {
  const { vip, port, protocol, policy, ring_at, ring_len } = read(SERVICE, digits);
  if (protocol !== PROTOCOLS.tcp && protocol !== PROTOCOLS.udp) return undefined;
  return {
    endpoint: {
      vip: canonicalAddress(narrow(vip)),
      port: Number(port),
      protocol: protocol === PROTOCOLS.tcp ? "tcp" : "udp",
    },
    policy: Number(policy),
    ringAt: Number(ring_at),
    ringLength: Number(ring_len),
  };
}

/** A backend's line. */
export interface BackendLine {
  readonly address: string;
  /** Index of its service. */
  readonly service: number;
  readonly generation: number;
  readonly backend: Omit<Backend, "forward">;
  readonly forward: Forward;
}

const STATES = ["unused", "up", "draining", "down"] as const;
const FORMS = ["", "ipip", "gue", "mac"] as const;
const FLAG = {
  nextMac: 1,
  nextBack: 2,
  sourceClient: 4,
  sourceFlow: 8,
  tos: 16,
  direct: 32,
  noChecksum: 64,
} as const;
const NO_MAC = "00:00:00:00:00:00";
const GUE_PORT = 6080;

export function writeBackend({ address, service, generation, backend, forward }: BackendLine): string {
  const { form, source, next, dscp } = forward;
  const flags =
    (next === "mac" ? FLAG.nextMac : next === "back" ? FLAG.nextBack : 0) |
    (form === "mac" ? 0 : source === "client" ? FLAG.sourceClient : source === "flow" ? FLAG.sourceFlow : 0) |
    (dscp === undefined ? 0 : FLAG.tos) |
    (forward.direct ? FLAG.direct : 0) |
    (forward.noChecksum ? FLAG.noChecksum : 0);
  return write(BACKEND, {
    address: wide(address),
    source: forward.address === undefined ? "::" : wide(forward.address),
    service,
    weight: backend.weight,
    state: STATES.indexOf(backend.state),
    generation,
    form: FORMS.indexOf(form),
    flags,
    mac: backend.mac ?? NO_MAC,
    port: form === "gue" ? (forward.port ?? GUE_PORT) : 0,
    mtu: forward.mtu ?? 0,
    ttl: forward.ttl ?? 0,
    tos: (dscp ?? 0) << 2,
  });
}

/** A backend's line; undefined where there is none. */
export function readBackend(digits: string): BackendLine | undefined {
  const line = read(BACKEND, digits);
  const [state, form] = [STATES[Number(line.state)], FORMS[Number(line.form)]];
  if (state === undefined || state === "unused" || !form) return undefined;
  const has = (flag: number) => (Number(line.flags) & flag) !== 0;
  const isSet = (value: unknown) => value !== 0 && value !== "::" && value !== NO_MAC;
  return {
    address: canonicalAddress(narrow(line.address)),
    service: Number(line.service),
    generation: Number(line.generation),
    backend: { weight: Number(line.weight), state, ...(isSet(line.mac) && { mac: String(line.mac) }) },
    forward: {
      form,
      source: has(FLAG.sourceClient) || form === "mac" ? "client" : has(FLAG.sourceFlow) ? "flow" : "own",
      ...(isSet(line.source) && { address: canonicalAddress(narrow(line.source)) }),
      next: has(FLAG.nextMac) ? "mac" : has(FLAG.nextBack) ? "back" : "route",
      ...(form === "gue" && line.port !== GUE_PORT && { port: Number(line.port) }),
      ...(has(FLAG.direct) && { direct: true }),
      ...(has(FLAG.noChecksum) && { noChecksum: true }),
      ...(isSet(line.mtu) && { mtu: Number(line.mtu) }),
      ...(isSet(line.ttl) && { ttl: Number(line.ttl) }),
      ...(has(FLAG.tos) && { dscp: Number(line.tos) >> 2 }),
    },
  };
}

/** The generation of an index that nobody uses. */
export const generationOf = (digits: string) => Number(read(BACKEND, digits).generation);

/** An index that nobody uses: what is left is the generation, so that the next is another. */
export const unusedBackend = (generation: number): string =>
  write(BACKEND, {
    ...{ address: "::", source: "::", service: 0, weight: 0, state: 0, generation, form: 0, flags: 0 },
    ...{ mac: NO_MAC, port: 0, mtu: 0, ttl: 0, tos: 0 },
  });

/** Timeouts and the like, as the program looks at them. */
export interface Control {
  /** 16 hexadecimal digits; all zero where there is none yet. */
  readonly seed: string;
  readonly timeouts: Readonly<Record<TimeoutName, number>>;
  readonly hold: number;
  readonly decay: number;
}

/** Seconds of idleness after which a flow ends. */
export const TIMEOUTS = { tcpNew: 10, tcp: 3600, tcpClosing: 60, udpNew: 10, udp: 60, fragment: 10 } as const;
export type TimeoutName = keyof typeof TIMEOUTS;

export const writeControl = ({ seed, timeouts, hold, decay }: Control): string =>
  write(CONTROL, { seed, ...timeouts, hold, decay });

export function readControl(digits: string): Control {
  const line = read(CONTROL, digits);
  const names = Object.keys(TIMEOUTS) as TimeoutName[];
  return {
    seed: String(line.seed),
    timeouts: Object.fromEntries(names.map((name) => [name, Number(line[name])])) as Record<
      TimeoutName,
      number
    >,
    hold: Number(line.hold),
    decay: Number(line.decay),
  };
}
