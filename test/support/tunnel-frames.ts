/** Frames that a machine has captured, and what is left of a tunnel's headers without what may differ by rule. */

/** Frames of a pcap file (pcap-savefile(5), little-endian, Ethernet). */
export function framesOf(pcap: Buffer): readonly Buffer[] {
  if (pcap.readUInt32LE(0) !== 0xa1b2c3d4 || pcap.readUInt32LE(20) !== 1)
    throw new Error("not a pcap of Ethernet");
  const frames: Buffer[] = [];
  for (let at = 24; at + 16 <= pcap.length;) {
    const length = pcap.readUInt32LE(at + 8);
    frames.push(pcap.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}

/** A tunnel's frame, taken apart. */
export interface TunnelFrame {
  /** Outer source and destination, as hexadecimal digits. */
  readonly source: string;
  readonly destination: string;
  /** Every byte before the payload but those that are named here, which are zero in it. */
  readonly headers: string;
  /** The payload: a frame, or an IP packet. */
  readonly payload: Buffer;
  /** What may differ: identification, flow label, source port, checksums. */
  readonly free: Readonly<Record<string, number>>;
}

/** Takes a frame apart whose payload is carried by IP; `dissect` is given no frame that is not the tunnel's. */
export function dissect(frame: Buffer): TunnelFrame {
  const copy = Buffer.from(frame);
  const free: Record<string, number> = {};
  const take = (name: string, at: number, mask = 0xffff) => {
    free[name] = copy.readUInt16BE(at) & mask;
    copy.writeUInt16BE(copy.readUInt16BE(at) & ~mask & 0xffff, at);
  };
  const wide = copy.readUInt16BE(12) === 0x86dd;
  const [from, to, size] = wide ? [22, 38, 16] : [26, 30, 4];
  const [source, destination] = [from, to].map((at) => copy.subarray(at, at + size).toString("hex")) as [
    string,
    string,
  ];
  copy.fill(0, 0, 12);
  copy.fill(0, from, to + size);
  let at = wide ? 54 : 34;
  const protocol = copy[wide ? 20 : 23]!;
  if (wide) {
    take("flow label, upper bits", 14, 0xf);
    take("flow label", 16);
  } else {
    take("identification", 18);
    take("header checksum", 24);
  }
  if (protocol === 17) {
    take("source port", at);
    take("UDP checksum", at + 6);
    const isGeneve = copy.readUInt16BE(at + 2) === 6081;
    at += 16 + (isGeneve ? (copy[at + 8]! & 0x3f) * 4 : 0);
  } else if (protocol === 47) {
    const flags = copy.readUInt16BE(at);
    if ((flags & 0x8000) !== 0) take("GRE checksum", at + 4);
    at += 4 + ((flags & 0x8000) !== 0 ? 4 : 0) + ((flags & 0x2000) !== 0 ? 4 : 0);
  }
  return {
    source,
    destination,
    headers: copy.subarray(0, at).toString("hex"),
    payload: frame.subarray(at),
    free,
  };
}

/** The same of tags: everything between the MAC addresses and the inner EtherType. */
export function dissectTags(frame: Buffer): TunnelFrame {
  let at = 12;
  while ([0x8100, 0x88a8].includes(frame.readUInt16BE(at))) at += 4;
  return {
    ...{ source: "", destination: "", free: {} },
    headers: frame.subarray(12, at).toString("hex"),
    payload: Buffer.concat([frame.subarray(0, 12), frame.subarray(at)]),
  };
}

/** The IP packet in a frame; an IP packet as it is. */
export const packetIn = (payload: Buffer, isFrame: boolean) => (isFrame ? payload.subarray(14) : payload);
