/** Runs a shell script on the machine that has all the namespaces, and returns what it printed. */
export type Shell = (script: string) => Promise<string>;

/** Where traffic goes from and to. */
export interface Path {
  /** Namespace of the clients. */
  readonly client: string;
  /** Namespace of the server. */
  readonly server: string;
  /** The server's address. */
  readonly address: string;
}

/** TCP of one line for some seconds. */
export interface Transfer {
  /** The line's own address, in the client's namespace. */
  readonly from: string;
  readonly direction: "download" | "upload";
}

/** What one line sends and asks for without regard to others, in both directions. */
export interface Flood {
  readonly from: string;
  /** Mbit/s of UDP that it sends, by several sockets: what one has sent and is still queued holds it back. */
  readonly udp: number;
  /** TCP connections that it downloads by. */
  readonly streams: number;
}

/** One measurement: everything at once. */
export interface Traffic {
  readonly transfers: readonly Transfer[];
  readonly flood?: Flood;
  /** The line that pings meanwhile, by its address. */
  readonly pings?: { readonly from: string; readonly count: number; readonly everyMs: number };
}

/** What was measured. */
export interface Measured {
  /** bit/s of each transfer on the wire, in their order. */
  readonly rates: readonly number[];
  /** Milliseconds of each ping; a lost one takes for ever. */
  readonly pings: readonly number[];
}

/** As much of iperf3's JSON as is looked at. */
interface Report {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

/** A segment of 1,448 bytes is a frame of 1,514: HTB counts Ethernet frames, iperf3 what the receiver gets. */
const ON_THE_WIRE = 1514 / 1448;

/** Seconds of each transfer, without its beginning. */
const SECONDS = { counted: 8, before: 2 } as const;
const SOCKETS = 4;
const PORTS = { first: 5201, flood: 5301, streams: 5302 } as const;
const SEPARATOR = "=====";

/** Sends datagrams, in Python, that nobody asks for: iperf3 sends none before one of its own was answered. */
const datagrams = ({ from, udp }: Flood, to: string, seconds: number) => `
import socket, time
family = socket.getaddrinfo("${from}", 0)[0][0]
sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(${SOCKETS})]
for one in sockets:
    one.bind(("${from}", 0))
due = time.monotonic()
end = due + ${seconds}
while time.monotonic() < end:
    for one in sockets:
        one.sendto(bytes(1400), ("${to}", ${PORTS.flood}))
        due += 1400 * 8 / ${Math.round(udp * 1e6)}
        time.sleep(max(0, due - time.monotonic()))
`;

/** Starts everything at once and waits for all of it. */
export async function traffic(
  run: Shell,
  path: Path,
  { transfers, flood, pings }: Traffic,
): Promise<Measured> {
  // A folder for each path: two may be measured at once.
  const folder = `/tmp/traffic.${path.client}`;
  const inClient = `ip netns exec ${path.client}`;
  const all = SECONDS.counted + SECONDS.before;
  const serve = (port: number) =>
    `ip netns exec ${path.server} iperf3 -s -1 -D -p ${port} --pidfile ${folder}/iperf.${port} >/dev/null`;
  const client = (from: string, port: number) =>
    `${inClient} iperf3 -c ${path.address} -B ${from} -p ${port}`;
  const ports = transfers.map((_, index) => PORTS.first + index);
  const flooding = flood === undefined ? [] : [PORTS.streams];
  const script = [
    `mkdir -p ${folder}`,
    `cd ${folder}`,
    ...[...ports, ...flooding].map(serve),
    "sleep 0.5",
    ...(flood === undefined
      ? []
      : [
          // They end by themselves; what is left of them afterwards would disturb what comes next.
          `${inClient} timeout ${all + 5} python3 -c '${datagrams(flood, path.address, all + 2)}' >flood.udp 2>&1 &`,
          `timeout ${all + 5} ${client(flood.from, PORTS.streams)} -P ${flood.streams} -R -t ${all + 2} >flood.tcp 2>&1 &`,
          "sleep 1",
        ]),
    ...transfers.map(
      ({ from, direction }, index) =>
        `${client(from, ports[index]!)} -t ${SECONDS.counted} -O ${SECONDS.before} -J ` +
        `${direction === "download" ? "-R" : ""} >rate.${index} &`,
    ),
    ...(pings === undefined
      ? []
      : [
          `sleep ${SECONDS.before}`,
          `${inClient} ping -I ${pings.from} -n -c ${pings.count} -i ${pings.everyMs / 1000} -W 3 ${path.address} >pings || :`,
        ]),
    "wait",
    ...[...ports, ...flooding].map((port) => `kill $(tr -d '\\0' <iperf.${port}) 2>/dev/null || :`),
    ...transfers.map((_, index) => `cat rate.${index}; echo ${SEPARATOR}`),
    ...(pings === undefined ? [] : ["cat pings"]),
  ].join("\n");
  const parts = (await run(script)).split(SEPARATOR);
  return {
    rates: transfers.map((_, index) => {
      const { end } = JSON.parse(parts[index] ?? "") as Report;
      return end.sum_received.bits_per_second * ON_THE_WIRE;
    }),
    pings: pings === undefined ? [] : pingTimes(parts.at(-1) ?? "", pings.count),
  };
}

/** Milliseconds of each ping, in ping(8)'s output; those that were lost are Infinity. */
export function pingTimes(text: string, sent: number): number[] {
  const times = [...text.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  return [...times, ...new Array<number>(Math.max(0, sent - times.length)).fill(Infinity)];
}

/** The value that a share of all are not above. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** One row of `tc -s -j qdisc show`. */
interface QdiscRow {
  readonly parent?: string;
  readonly bytes: number;
  readonly drops: number;
}

/** What the queue of a class of a link has sent and dropped. */
export async function leafCounters(
  run: Shell,
  netns: string,
  link: string,
  classid: string,
): Promise<Pick<QdiscRow, "bytes" | "drops">> {
  const rows = JSON.parse(
    await run(`ip netns exec ${netns} tc -s -j qdisc show dev ${link}`),
  ) as readonly QdiscRow[];
  const row = rows.find(({ parent }) => parent === classid);
  if (row === undefined) throw new Error(`${link} of ${netns} has no queue below ${classid}`);
  return row;
}
