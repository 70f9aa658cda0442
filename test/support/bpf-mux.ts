import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BpfRun, bpfSources } from "./bpf";
import { ip, mac } from "./packets";

/* GeneveMux's maps as user space fills them; bpf/geneve-mux/README.md has the layouts in words. */

const header = readFileSync(join(bpfSources, "geneve-mux", "mux.h"), "utf8");

function flag(name: string): number {
  const found = new RegExp(`#define ${name}\\s+\\(1 << (\\d+)\\)`).exec(header);
  if (!found) throw new Error(`mux.h has no flag ${name}`);
  return 2 ** Number(found[1]);
}

/** The members of `enum mux_reason` in order, without the two that name a border. */
export const reasons: readonly string[] = [
  ...(/enum mux_reason \{([^}]*)\}/.exec(header)?.[1] ?? "").matchAll(/^\tMUX_R_(\w+)/gm),
]
  .map((match) => match[1]!)
  .filter((name) => !["TUNNELLED", "PASSED", "MAX"].includes(name));

export const protocols = { geneve: 1, vxlan: 2, gre: 3, ipip: 4, vlan: 5, qinq: 6 } as const;
export type Protocol = keyof typeof protocols;

/** Scopes of the two tables. */
export const scopes = {
  host: 1,
  pair: 2,
  geneve: 3,
  vxlan: 4,
  gre: 5,
  greKey: 6,
  ipip: 7,
  vlan: 8,
  qinq: 9,
} as const;
export type Scope = keyof typeof scopes;

export interface End {
  readonly protocol: Protocol;
  /** Names as in mux.h without `MUX_`: `L3`, `REDIRECT`. `V6` is set where an address says so. */
  readonly flags?: readonly string[];
  readonly ttl?: number;
  readonly tos?: number;
  readonly ecnCompat?: boolean;
  readonly mtu?: number;
  readonly vni?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly egress?: number;
  readonly dmac?: string;
  readonly smac?: string;
  readonly innerDmac?: string;
  readonly innerSmac?: string;
  readonly options?: Buffer;
}

const zeroMac = "00:00:00:00:00:00";
const ports: Partial<Record<Protocol, number>> = { geneve: 6081, vxlan: 4789 };

export function encodeEnd(end: End, more: number): Buffer {
  const line = Buffer.alloc(64);
  const wide = end.remote?.includes(":") ?? false;
  const flags = [...(end.flags ?? []), ...(wide ? ["V6"] : [])].reduce(
    (sum, name) => sum | flag(`MUX_${name}`),
    0,
  );
  line.writeUInt16LE(flags, 0);
  line.writeUInt8(protocols[end.protocol], 2);
  line.writeUInt8(end.ttl ?? 0, 3);
  line.writeUInt8(end.tos ?? 0, 4);
  line.writeUInt8(end.ecnCompat ? flag("MUX_ECN_COMPAT") : 0, 5);
  line.writeUInt16LE(end.mtu ?? 0, 6);
  line.writeUInt32LE(end.vni ?? 0, 8);
  if (!wide) {
    ip(end.local ?? "0.0.0.0").copy(line, 12);
    ip(end.remote ?? "0.0.0.0").copy(line, 16);
  }
  line.writeUInt16BE(end.sport ?? 0, 20);
  line.writeUInt16BE(end.dport ?? ports[end.protocol] ?? 0, 22);
  line.writeUInt32LE(end.egress ?? 0, 24);
  line.writeUInt32LE(more, 28);
  mac(end.dmac ?? zeroMac).copy(line, 32);
  mac(end.smac ?? zeroMac).copy(line, 38);
  return line;
}

export function encodeMore(end: End): Buffer | undefined {
  const wide = end.remote?.includes(":") ?? false;
  if (!wide && !end.innerDmac && !end.innerSmac && !end.options) return undefined;
  const more = Buffer.alloc(128);
  if (wide) {
    ip(end.local ?? "::").copy(more, 0);
    ip(end.remote ?? "::").copy(more, 16);
  }
  mac(end.innerDmac ?? zeroMac).copy(more, 32);
  mac(end.innerSmac ?? zeroMac).copy(more, 38);
  more.writeUInt8(end.options?.length ?? 0, 44);
  end.options?.copy(more, 48);
  return more;
}

const mask64 = (1n << 64n) - 1n;
const k1 = 0x9e3779b97f4a7c15n;
const k2 = 0xd6e8feb86659fd93n;
const mix = (h: bigint) => {
  const product = (h * k2) & mask64;
  return product ^ (product >> 32n);
};

/** `mux_hash4`: `a` and `b` are 4 bytes each, as they lie in the slot. */
export function hash4(scope: number, a: Buffer, b: Buffer): number {
  const key = (BigInt(b.readUInt32LE()) << 32n) | BigInt(a.readUInt32LE());
  const h = mix(mix(key ^ ((BigInt(scope) * k1) & mask64)));
  return Number(((h * k1) & mask64) >> 32n);
}

/** `mux_hash6`: `a` and `b` are 16 bytes each. */
export function hash6(scope: number, vni: number, a: Buffer, b: Buffer): number {
  let h = (((BigInt(vni) << 32n) | BigInt(scope)) * k1) & mask64;
  for (const word of [
    a.readBigUInt64LE(0),
    a.readBigUInt64LE(8),
    b.readBigUInt64LE(0),
    b.readBigUInt64LE(8),
  ]) {
    h = mix(h ^ word);
  }
  return Number(((h * k1) & mask64) >> 32n);
}

/** `mux_hash_port`. */
export const hashPort = (ifindex: number): number => Math.imul(ifindex, 0x9e3779b1) >>> 16;

export const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

const window = 32;

/** Where the next entry goes: the first slot from its hash on that holds no other. */
export function place(used: ReadonlySet<number>, hash: number, slots: number): number {
  for (let i = 0; i < window; i++) {
    const at = (hash + i) % slots;
    if (!used.has(at)) return at;
  }
  throw new Error(`no room within ${window} slots of ${hash % slots}; the table of ${slots} is too small`);
}

export interface Port {
  readonly ifindex: number;
  /** Names as in mux.h without `MUX_PORT_`. */
  readonly flags: readonly ("PAIR" | "HOST" | "PREFIX" | "ALL" | "POP")[];
  readonly table?: number;
  readonly end?: number;
  readonly addr4?: string;
  readonly addr6?: string;
}

export interface Settings {
  readonly stride?: number;
  readonly cpus?: number;
  readonly fibJiffies?: number;
}

/** The key of a slot: of either family by its addresses. */
export interface Key {
  readonly scope: Scope;
  readonly table?: number;
  /** Source of a pair, outer source of a tunnel without a key. */
  readonly a?: string;
  /** Inner, or outer, destination. */
  readonly b?: string;
  readonly vni?: number;
}

const sizes = { mux_v4: 1024, mux_v6: 1024, mux_ports: 64, mux_ends: 256, mux_more: 64 };

/** The program with its maps, in a namespace of its own. */
export class Mux {
  private readonly used4 = new Set<number>();
  private readonly used6 = new Set<number>();
  private readonly usedPorts = new Set<number>();
  private mores = 0;

  private constructor(readonly run: BpfRun) {}

  static async start(devices: readonly string[] = []): Promise<Mux> {
    const mux = new Mux(await BpfRun.start(devices));
    await mux.run.load("geneve-mux", sizes);
    await mux.reset();
    return mux;
  }

  /** Empties the maps. */
  async reset(settings: Settings = {}): Promise<void> {
    await this.run.clear();
    for (const used of [this.used4, this.used6, this.usedPorts]) used.clear();
    this.mores = 0;
    await this.configure(settings);
  }

  async configure({ stride, cpus, fibJiffies }: Settings = {}): Promise<void> {
    const config = Buffer.alloc(64);
    config.writeUInt32LE(sizes.mux_v4 - 1, 0);
    config.writeUInt32LE(sizes.mux_v6 - 1, 4);
    config.writeUInt32LE(sizes.mux_ports - 1, 8);
    config.writeUInt32LE(stride ?? 0, 12);
    config.writeUInt32LE(fibJiffies ?? 0, 16);
    config.writeUInt16BE(6081, 20);
    config.writeUInt16BE(4789, 22);
    config.writeUInt32LE(cpus ?? 0, 24);
    await this.run.set("mux_config", le32(0), config);
  }

  async port(port: Port): Promise<void> {
    const value = Buffer.alloc(64);
    value.writeUInt32LE(port.ifindex, 0);
    value.writeUInt32LE(
      port.flags.reduce((sum, name) => sum | flag(`MUX_PORT_${name}`), 0),
      4,
    );
    value.writeUInt32LE(port.table ?? 0, 8);
    value.writeUInt32LE(port.end === undefined ? 0 : port.end + 1, 12);
    if (port.addr4) ip(port.addr4).copy(value, 16);
    if (port.addr6) ip(port.addr6).copy(value, 24);
    const at = place(this.usedPorts, hashPort(port.ifindex), sizes.mux_ports);
    this.usedPorts.add(at);
    await this.run.set("mux_ports", le32(at), value);
  }

  async end(id: number, end: End): Promise<void> {
    const more = encodeMore(end);
    if (more) await this.run.set("mux_more", le32(this.mores++), more);
    await this.run.set("mux_ends", le32(id), encodeEnd(end, more ? this.mores : 0));
  }

  /** Points a key at an end; returns the slot. */
  async slot(key: Key, end: number): Promise<number> {
    const scope = scopes[key.scope] * 2 ** 24 + (key.table ?? 0);
    if (key.a?.includes(":") || key.b?.includes(":")) {
      const a = ip(key.a ?? "::");
      const b = ip(key.b ?? "::");
      const at = place(this.used6, hash6(scope, key.vni ?? 0, a, b), sizes.mux_v6);
      this.used6.add(at);
      const slot = Buffer.concat([
        le32(scope),
        le32(end + 1),
        le32(key.vni ?? 0),
        le32(0),
        a,
        b,
        Buffer.alloc(16),
      ]);
      await this.run.set("mux_v6", le32(at), slot);
      return at;
    }
    const a = key.vni === undefined ? ip(key.a ?? "0.0.0.0") : le32(key.vni);
    const b = ip(key.b ?? "0.0.0.0");
    const at = place(this.used4, hash4(scope, a, b), sizes.mux_v4);
    this.used4.add(at);
    await this.run.set("mux_v4", le32(at), Buffer.concat([a, b, le32(scope), le32(end + 1)]));
    return at;
  }

  async prefix(prefix: string, end: number, table = 0): Promise<void> {
    const [address, length] = prefix.split("/");
    const map = address!.includes(":") ? "mux_prefix6" : "mux_prefix4";
    const key = Buffer.concat([le32(32 + Number(length)), le32(table), ip(address!)]);
    await this.run.set(map, key, le32(end + 1));
  }

  /** Allows further outer sources for an end. */
  async source(end: number, prefix: string): Promise<void> {
    const [address, length] = prefix.split("/");
    const wide = address!.includes(":");
    const bytes = wide
      ? ip(address!)
      : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), ip(address!)]);
    const key = Buffer.concat([le32(32 + (wide ? 0 : 96) + Number(length)), le32(end), bytes]);
    await this.run.set("mux_sources", key, le32(1));
  }

  async device(egress: number, ifindex: number): Promise<void> {
    await this.run.set("mux_devs", le32(egress), le32(ifindex));
  }

  /** Packets and bytes of an end, its line for one CPU where there are several. */
  async counted(end: number): Promise<{ packets: bigint; bytes: bigint }> {
    const line = await this.run.get("mux_ends", le32(end));
    return { packets: line.readBigUInt64LE(48), bytes: line.readBigUInt64LE(56) };
  }

  /** Packets of every reason that has any, all CPUs together. */
  async stats(): Promise<Record<string, number>> {
    const values = await this.run.dump("mux_stats");
    const each = values.length / reasons.length;
    const result: Record<string, number> = {};
    for (const [index, name] of reasons.entries()) {
      let sum = 0n;
      for (let at = 0; at < each; at += 16) sum += values.readBigUInt64LE(index * each + at);
      if (sum > 0n) result[name] = Number(sum);
    }
    return result;
  }

  /** How often an end dropped for a reason. */
  async drops(end: number, reason: string): Promise<number> {
    const value = await this.run.get("mux_drops", Buffer.concat([le32(end), le32(reasons.indexOf(reason))]));
    return Number(value.readBigUInt64LE());
  }

  /** Runs a packet through and tells what became of it and why. */
  async send(
    program: string,
    packet: Buffer,
    ifindex = 1,
  ): Promise<{ verdict: number; packet: Buffer; reason: string }> {
    const before = await this.stats();
    const result = await this.run.run(program, ifindex, packet);
    const after = await this.stats();
    const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
    return { ...result, reason: changed.join("+") };
  }

  close(): Promise<void> {
    return this.run.close();
  }
}
