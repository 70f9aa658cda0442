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

export const protocols = { geneve: 2, vxlan: 3, gre: 4, ipip: 5, vlan: 6, qinq: 7 } as const;
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
  readonly mtu?: number;
  readonly vni?: number;
  readonly local?: string;
  readonly remote?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly innerDmac?: string;
  readonly innerSmac?: string;
  readonly options?: Buffer;
  /** Of what it hands on: the outer MACs of a push, the inner ones of a pop. */
  readonly dmac?: string;
  readonly smac?: string;
  readonly egress?: number;
  /** Asks the routing table instead, again after so many jiffies. */
  readonly hold?: number;
}

const zeroMac = "00:00:00:00:00:00";
const ports: Partial<Record<Protocol, number>> = { geneve: 6081, vxlan: 4789 };

const wide = (end: End) => end.remote?.includes(":") ?? false;

/** A line without the key it is found by. */
export function encodeEnd(end: End, hop: number, more: number): Buffer {
  const line = Buffer.alloc(64);
  const flags = [...(end.flags ?? []), ...(wide(end) ? ["V6"] : [])].reduce(
    (sum, name) => sum | flag(`MUX_${name}`),
    0,
  );
  line.writeUInt16LE(flags, 12);
  line.writeUInt8(protocols[end.protocol], 14);
  line.writeUInt8(end.ttl ?? 0, 15);
  line.writeUInt32LE(end.vni ?? 0, 16);
  line.writeUInt16BE(end.sport ?? 0, 20);
  line.writeUInt16BE(end.dport ?? ports[end.protocol] ?? 0, 22);
  if (!wide(end)) {
    ip(end.local ?? "0.0.0.0").copy(line, 24);
    ip(end.remote ?? "0.0.0.0").copy(line, 28);
  }
  line.writeUInt16LE(end.mtu ?? 0, 32);
  line.writeUInt8(end.tos ?? 0, 34);
  line.writeUInt32LE(hop, 36);
  line.writeUInt32LE(end.egress ?? 0, 40);
  line.writeUInt32LE(more, 44);
  return line;
}

/** What several ends may share; undefined where an end does without. */
export function encodeHop(end: End): Buffer | undefined {
  if (!wide(end) && !end.dmac && !end.smac && end.hold === undefined) return undefined;
  const hop = Buffer.alloc(64);
  if (end.local) ip(end.local).copy(hop, 0);
  if (end.remote) ip(end.remote).copy(hop, 16);
  mac(end.dmac ?? zeroMac).copy(hop, 32);
  mac(end.smac ?? zeroMac).copy(hop, 38);
  hop.writeUInt32LE(end.egress ?? 0, 44);
  hop.writeUInt32LE(end.hold === undefined ? 0xffffffff : 0, 52);
  hop.writeUInt32LE(end.hold ?? 0xffffffff, 56);
  hop.writeUInt32LE(wide(end) ? 10 : 2, 60);
  return hop;
}

export function encodeMore(end: End): Buffer | undefined {
  if (!end.innerDmac && !end.innerSmac && !end.options) return undefined;
  const more = Buffer.alloc(96);
  mac(end.innerDmac ?? zeroMac).copy(more, 0);
  mac(end.innerSmac ?? zeroMac).copy(more, 6);
  more.writeUInt8(end.options?.length ?? 0, 12);
  end.options?.copy(more, 16);
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
  const h = mix(key ^ ((BigInt(scope) * k1) & mask64));
  return Number(((h * k1) & mask64) >> 32n);
}

/** `mux_hash6`: `a` and `b` are 16 bytes each. */
export function hash6(scope: number, a: Buffer, b: Buffer): number {
  let h = (BigInt(scope) * k1) & mask64;
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
  readonly flags: readonly ("PAIR" | "HOST" | "PREFIX" | "ALL" | "POP" | "FILL" | "ASK")[];
  readonly table?: number;
  readonly end?: number;
  readonly addr4?: string;
  readonly addr6?: string;
}

/** Lines of `mux_ends` that are the hash table; those behind are free for ends without an IPv4 key. */
export const tableLines = 1024;

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

const sizes = { mux_ends: 4 * tableLines, mux_v6: 1024, mux_hops: 64, mux_more: 64 };

const tombstone = 0xffffffff;

/** The program with its maps, in a namespace of its own. Ends are numbered from 0; line `tableLines + n` has end `n`. */
export class Mux {
  private readonly used4 = new Set<number>();
  private readonly used6 = new Set<number>();
  private hops = 1;
  private mores = 1;

  private constructor(readonly run: BpfRun) {}

  static async start(devices: readonly string[] = []): Promise<Mux> {
    const mux = new Mux(await BpfRun.start(devices));
    await mux.run.load("geneve-mux", sizes);
    return mux;
  }

  /** Empties the maps. */
  async reset(): Promise<void> {
    await this.run.clear();
    for (const used of [this.used4, this.used6]) used.clear();
    this.hops = 1;
    this.mores = 1;
  }

  /** With `cpus`, each CPU has lines of its own, `stride` apart. */
  async port(port: Port, lines: { stride?: number; cpus?: number } = {}): Promise<void> {
    const value = Buffer.alloc(64);
    const table = port.table ?? 0;
    value.writeUInt32LE(port.ifindex, 0);
    value.writeUInt32LE(
      port.flags.reduce((sum, name) => sum | flag(`MUX_PORT_${name}`), 0),
      4,
    );
    value.writeUInt32LE(table, 8);
    value.writeUInt32LE(tableLines + (port.end ?? 0), 12);
    value.writeUInt32LE(tableLines - 1, 16);
    value.writeUInt32LE(sizes.mux_v6 - 1, 20);
    value.writeUInt32LE(lines.stride ?? 0, 24);
    value.writeUInt32LE(lines.cpus ?? 0, 28);
    value.writeUInt16BE(6081, 32);
    value.writeUInt16BE(4789, 34);
    if (port.addr4) ip(port.addr4).copy(value, 36);
    if (port.addr6) ip(port.addr6).copy(value, 40);
    value.writeBigUInt64LE((BigInt(table) * k1) & mask64, 56);
    await this.run.set("mux_ports", le32(port.ifindex), value);
  }

  private async encode(end: End): Promise<Buffer> {
    const hop = encodeHop(end);
    if (hop) await this.run.set("mux_hops", le32(this.hops), hop);
    const more = encodeMore(end);
    if (more) await this.run.set("mux_more", le32(this.mores), more);
    return encodeEnd(end, hop ? this.hops++ : 0, more ? this.mores++ : 0);
  }

  /** An end that is found by prefix, interface, alias or IPv6 key; `cpu` with lines of their own. */
  async end(id: number, end: End, cpu = { nth: 0, stride: 0 }): Promise<void> {
    await this.run.set("mux_ends", le32(tableLines + id + cpu.nth * cpu.stride), await this.encode(end));
  }

  /** Points a key at an end by an alias (IPv4) or a slot (IPv6); returns where. */
  async slot(key: Key, end: number): Promise<number> {
    const alias = Buffer.alloc(64);
    alias.writeUInt8(255, 14);
    alias.writeUInt32LE(tableLines + end, 44);
    return this.write(key, alias, tableLines + end);
  }

  /** Puts an end where its IPv4 key leads at once; returns its line. */
  async keyed(key: Key, end: End): Promise<number> {
    return this.write(key, await this.encode(end), 0);
  }

  private async write(key: Key, line: Buffer, end: number): Promise<number> {
    const scope = scopes[key.scope] * 2 ** 24 + (key.table ?? 0);
    if (key.a?.includes(":") || key.b?.includes(":")) {
      const a = key.vni === undefined ? ip(key.a ?? "::") : Buffer.concat([le32(key.vni), Buffer.alloc(12)]);
      const b = ip(key.b ?? "::");
      const at = place(this.used6, hash6(scope, a, b), sizes.mux_v6);
      this.used6.add(at);
      await this.run.set("mux_v6", le32(at), Buffer.concat([le32(scope), le32(end), a, b, Buffer.alloc(24)]));
      return at;
    }
    const a = key.vni === undefined ? ip(key.a ?? "0.0.0.0") : le32(key.vni);
    const b = ip(key.b ?? "0.0.0.0");
    const at = place(this.used4, hash4(scope, a, b), tableLines);
    this.used4.add(at);
    a.copy(line, 0);
    b.copy(line, 4);
    // In two steps, the scope last, so that nobody sees half a line.
    line.writeUInt32LE(tombstone, 8);
    await this.run.set("mux_ends", le32(at), line);
    line.writeUInt32LE(scope, 8);
    await this.run.set("mux_ends", le32(at), line);
    return at;
  }

  /** Takes a line out of the table; searches go on behind it. */
  async remove(line: number): Promise<void> {
    const gone = Buffer.alloc(64);
    gone.writeUInt32LE(tombstone, 8);
    await this.run.set("mux_ends", le32(line), gone);
  }

  async prefix(prefix: string, end: number, table = 0): Promise<void> {
    const [address, length] = prefix.split("/");
    const map = address!.includes(":") ? "mux_prefix6" : "mux_prefix4";
    const key = Buffer.concat([le32(32 + Number(length)), le32(table), ip(address!)]);
    await this.run.set(map, key, le32(tableLines + end));
  }

  /** Allows further outer sources for an end. */
  async source(end: number, prefix: string): Promise<void> {
    const [address, length] = prefix.split("/");
    const v6 = address!.includes(":");
    const bytes = v6
      ? ip(address!)
      : Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), ip(address!)]);
    const key = Buffer.concat([le32(32 + (v6 ? 0 : 96) + Number(length)), le32(tableLines + end), bytes]);
    await this.run.set("mux_sources", key, le32(1));
  }

  async device(egress: number, ifindex: number): Promise<void> {
    await this.run.set("mux_devs", le32(egress), le32(ifindex));
  }

  /** Packets and bytes of an end, or of a line of the table. */
  async counted(end: number, line = tableLines + end): Promise<{ packets: bigint; bytes: bigint }> {
    const value = await this.run.get("mux_ends", le32(line));
    return { packets: value.readBigUInt64LE(48), bytes: value.readBigUInt64LE(56) };
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
    const key = Buffer.concat([le32(tableLines + end), le32(reasons.indexOf(reason))]);
    return Number((await this.run.get("mux_drops", key)).readBigUInt64LE());
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
