import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "ipaddr.js";
import { BpfRun, bpfSources } from "./bpf";
import { le32 } from "./bpf-mux";
import { mac } from "./packets";

/* The load balancer's maps as user space fills them; bpf/l4lb/README.md has the layouts in words. */

const header = readFileSync(join(bpfSources, "l4lb", "lb.h"), "utf8");

/** The members of `enum lb_reason` in order, without those that name a border. */
export const reasons: readonly string[] = [
  ...(/enum lb_reason \{([^}]*)\}/.exec(header)?.[1] ?? "").matchAll(/^\tLB_R_(\w+)/gm),
]
  .map((match) => match[1]!)
  .filter((name) => !["SENT", "PASSED", "DROPPED", "MAX"].includes(name));

const firstEvent = reasons.indexOf("FLOW_NEW");

export const policies = {
  roundRobin: 1,
  maglev: 2,
  leastFlows: 3,
  leastBytes: 4,
  twoChoices: 5,
  legacy: 6,
} as const;
export type Policy = keyof typeof policies;

export const states = { unused: 0, up: 1, draining: 2, down: 3 } as const;
export const forms = { ipip: 1, gue: 2, mac: 3 } as const;
export const flags = {
  NEXT_MAC: 1,
  NEXT_BACK: 2,
  SOURCE_CLIENT: 4,
  SOURCE_FLOW: 8,
  TOS: 16,
  GUE_DIRECT: 32,
  CSUM_ZERO: 64,
} as const;

export interface Service {
  readonly vip: string;
  /** 0 is any. */
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly policy: Policy;
  readonly ring: readonly number[];
}

export interface Backend {
  readonly address: string;
  readonly source?: string;
  readonly service?: number;
  readonly weight?: number;
  readonly state?: keyof typeof states;
  readonly generation?: number;
  readonly form?: keyof typeof forms;
  readonly flags?: readonly (keyof typeof flags)[];
  readonly mac?: string;
  readonly port?: number;
  readonly mtu?: number;
  readonly ttl?: number;
  readonly tos?: number;
}

export interface Control {
  readonly seed?: bigint;
  readonly tcpNew?: number;
  readonly tcp?: number;
  readonly tcpClosing?: number;
  readonly udpNew?: number;
  readonly udp?: number;
  readonly fragment?: number;
  readonly hold?: number;
  readonly decay?: number;
}

/** 16 bytes, IPv4 mapped. */
export function wide(address: string): Buffer {
  const parsed = parse(address);
  const bytes = parsed.kind() === "ipv4" ? [...new Array(10).fill(0), 255, 255] : [];
  return Buffer.from([...(bytes as number[]), ...parsed.toByteArray()]);
}

const protocols = { tcp: 6, udp: 17 } as const;

export function encodeVip(vip: string, port: number, protocol: number): Buffer {
  const key = Buffer.alloc(20);
  wide(vip).copy(key, 0);
  key.writeUInt16BE(port, 16);
  key.writeUInt8(protocol, 18);
  return key;
}

export function encodeService(service: Service, ringAt: number): Buffer {
  const value = Buffer.alloc(32);
  wide(service.vip).copy(value, 0);
  value.writeUInt16BE(service.port, 16);
  value.writeUInt8(protocols[service.protocol], 18);
  value.writeUInt8(policies[service.policy], 19);
  value.writeUInt32LE(ringAt, 24);
  value.writeUInt32LE(service.ring.length, 28);
  return value;
}

export function encodeBackend(backend: Backend): Buffer {
  const value = Buffer.alloc(64);
  wide(backend.address).copy(value, 0);
  wide(backend.source ?? (backend.address.includes(":") ? "::" : "0.0.0.0")).copy(value, 16);
  value.writeUInt16LE(backend.service ?? 0, 32);
  value.writeUInt16LE(backend.weight ?? 1, 34);
  value.writeUInt8(states[backend.state ?? "up"], 36);
  value.writeUInt8(backend.generation ?? 0, 37);
  value.writeUInt8(forms[backend.form ?? "ipip"], 38);
  value.writeUInt8(
    (backend.flags ?? ["NEXT_BACK"]).reduce((sum, name) => sum | flags[name], 0),
    39,
  );
  mac(backend.mac ?? "00:00:00:00:00:00").copy(value, 40);
  value.writeUInt16BE(backend.port ?? 0, 46);
  value.writeUInt16LE(backend.mtu ?? 0, 48);
  value.writeUInt8(backend.ttl ?? 0, 50);
  value.writeUInt8(backend.tos ?? 0, 51);
  return value;
}

export function encodeControl(control: Control): Buffer {
  const value = Buffer.alloc(64);
  value.writeBigUInt64LE(control.seed ?? 0x0123456789abcdefn, 0);
  const { tcpNew = 10, tcp = 3600, tcpClosing = 60, udpNew = 10, udp = 60, fragment = 10 } = control;
  [0, tcpNew, tcp, tcpClosing, udpNew, udp, fragment, control.hold ?? 0, control.decay ?? 0].forEach(
    (word, index) => value.writeUInt32LE(word, 8 + 4 * index),
  );
  return value;
}

/** Lines of `lb_ring`: 32 entries each. */
export function encodeRing(ring: readonly number[]): Buffer[] {
  const lines = Array.from({ length: Math.ceil(ring.length / 32) }, () => Buffer.alloc(64, 0xff));
  ring.forEach((backend, index) => lines[index >> 5]!.writeUInt16LE(backend, 2 * (index & 31)));
  return lines;
}

/** A map's entries as its encoder and the runner take them. */
export type Write = (map: string, key: Buffer, value: Buffer) => Promise<void>;

/** Writes a service as the README says: ring, service, then what leads to it. */
export async function writeService(
  write: Write,
  id: number,
  service: Service,
  ringAt: number,
  vipFlags = 0,
): Promise<void> {
  for (const [index, line] of encodeRing(service.ring).entries())
    await write("lb_ring", le32(ringAt + index), line);
  await write("lb_services", le32(id), encodeService(service, ringAt));
  await write("lb_vips", encodeVip(service.vip, service.port, protocols[service.protocol]), le32(id));
  await write("lb_vips", encodeVip(service.vip, 0, 0), le32(vipFlags));
}

/** The program with its maps, in a namespace of its own. */
export class Balancer {
  private ringAt = 0;

  private constructor(readonly run: BpfRun) {}

  static async start(devices: readonly string[] = []): Promise<Balancer> {
    const balancer = new Balancer(await BpfRun.start(devices));
    await balancer.run.load("l4lb");
    return balancer;
  }

  /** Empties the maps. */
  async reset(control: Control = {}): Promise<void> {
    await this.run.clear();
    this.ringAt = 0;
    await this.run.set("lb_control", le32(0), encodeControl(control));
  }

  async service(id: number, service: Service, vipFlags = 0): Promise<void> {
    await writeService((...entry) => this.run.set(...entry), id, service, this.ringAt, vipFlags);
    this.ringAt += Math.ceil(service.ring.length / 32);
  }

  async backend(id: number, backend: Backend): Promise<void> {
    await this.run.set("lb_backends", le32(id), encodeBackend(backend));
  }

  async down(id: number, down: boolean): Promise<void> {
    await this.run.set("lb_health", le32(id), le32(down ? 1 : 0));
  }

  /** What `lb_stats` has counted so far, by reason, of all CPUs. */
  async counts(): Promise<Map<string, number>> {
    const bytes = await this.run.dump("lb_stats");
    const each = bytes.length / reasons.length;
    return new Map(
      reasons.map((reason, index) => {
        let packets = 0;
        for (let at = index * each; at < (index + 1) * each; at += 16)
          packets += Number(bytes.readBigUInt64LE(at));
        return [reason, packets];
      }),
    );
  }

  /** Sends a packet in and says what was counted for it; `events` are those of flows. */
  async send(
    packet: Buffer,
    ifindex = 1,
  ): Promise<{ verdict: number; packet: Buffer; reason: string; events: string[] }> {
    const before = await this.counts();
    const out = await this.run.run("xdp_l4lb", ifindex, packet);
    const after = await this.counts();
    const counted = reasons.filter((reason) => after.get(reason)! > before.get(reason)!);
    const isEvent = (reason: string) => reasons.indexOf(reason) >= firstEvent;
    return {
      ...out,
      reason: counted.filter((reason) => !isEvent(reason)).join(" "),
      events: counted.filter(isEvent),
    };
  }

  /** Counters of a service or a backend, of all CPUs. */
  async stat(map: "lb_service_stats" | "lb_backend_stats", id: number) {
    const bytes = await this.run.get(map, le32(id));
    const sum = { packets: 0, bytes: 0, flows: 0, dropped: 0 };
    for (let at = 0; at < bytes.length; at += 64) {
      sum.packets += Number(bytes.readBigUInt64LE(at));
      sum.bytes += Number(bytes.readBigUInt64LE(at + 8));
      sum.flows += Number(bytes.readBigUInt64LE(at + 16));
      sum.dropped += Number(bytes.readBigUInt64LE(at + 24));
    }
    return sum;
  }

  /** Active flows of a backend. */
  async active(id: number): Promise<number> {
    return Number((await this.run.get("lb_active", le32(id))).readBigUInt64LE(0));
  }

  close(): Promise<void> {
    return this.run.close();
  }
}
