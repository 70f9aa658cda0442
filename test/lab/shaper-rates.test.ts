import { openSession, type OpenSession } from "../../lib/host";
import { withLab } from "../support/lab";
import { LEAST_SHARE, MOST_SHARE } from "../support/rates";
import { addressOf, make, PLANS, shapedPath } from "../support/shaped-path";

const machines = withLab(["edge"]);
let session: OpenSession;

beforeAll(() => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
});
afterAll(() => session?.close());

/** As much of iperf3's JSON as is looked at. */
interface Report {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

/**
 * Sends TCP in one direction for some of the subscribers at once and says what of each arrived, in bit/s of the wire:
 * HTB counts Ethernet frames, so headers are added to what the receiver counts.
 */
async function goodput(
  where: { readonly client: string; readonly server: string },
  count: number,
  direction: "download" | "upload",
): Promise<number[]> {
  const seconds = 8;
  const script = [
    "set -e",
    ...Array.from(
      { length: count },
      (_, n) =>
        `ip netns exec ${where.server} iperf3 -s -1 -p ${5201 + n} -D --pidfile /tmp/iperf.${n} >/dev/null`,
    ),
    "sleep 0.5",
    ...Array.from(
      { length: count },
      (_, n) =>
        `ip netns exec ${where.client} iperf3 -c 10.1.1.1 -B ${addressOf(n)} -p ${5201 + n} -t ${seconds} -O 2 -J ` +
        `${direction === "download" ? "-R" : ""} >/tmp/rate.${n} &`,
    ),
    "wait",
    ...Array.from({ length: count }, (_, n) => `cat /tmp/rate.${n}; echo ===`),
  ].join("\n");
  const said = await machines.lab.ssh("edge", ["sh", "-c", script]);
  return said
    .split("===")
    .slice(0, count)
    .map((text) => (JSON.parse(text) as Report).end.sum_received.bits_per_second);
}

/** A segment of 1,448 bytes is a frame of 1,514. */
const ON_THE_WIRE = 1514 / 1448;

describe.each([
  ["cake", "flower"],
  ["fq_codel", "ebpf"],
] as const)("with %s leaves, classified by %s", (leaf, classifier) => {
  const made = shapedPath({ leaf, classifier });
  const where = { client: made.client, server: made.server };
  beforeAll(async () => {
    await make(session, made.plan);
    await machines.lab.ssh("edge", ["ip", "netns", "exec", where.client, "ping", "-c1", "-w5", "10.1.1.1"]);
  }, 120_000);

  test.each([1, 2, 8])(
    "%i at once have their plans and no more, in both directions",
    async (count) => {
      for (const direction of ["download", "upload"] as const) {
        const measured = await goodput(where, count, direction);
        const shares = measured.map(
          (bits, n) => (bits * ON_THE_WIRE) / (PLANS[n]![direction === "download" ? 0 : 1] * 1e6),
        );
        console.log(
          `${leaf}, ${count} at once, ${direction}: ${shares.map((share) => share.toFixed(3)).join(" ")}`,
        );
        for (const share of shares) {
          expect(share).toBeGreaterThan(LEAST_SHARE);
          expect(share).toBeLessThan(MOST_SHARE);
        }
      }
    },
    120_000,
  );
});
