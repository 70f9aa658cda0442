import { make, PLANS, addressOf, SERVER, shapedPath } from "../../bench/support/shaped-path";
import {
  leafCounters,
  percentile,
  pingTimes,
  traffic,
  type Measured,
  type Path,
} from "../../bench/support/traffic";
import type { SubscriberProps } from "../../constructs/isp/model";
import { openSession, type OpenSession } from "../../lib/host";
import { withLab } from "../support/lab";
import { LEAST_SHARE, MOST_SHARE } from "../support/rates";

const machines = withLab(["edge"]);
let session: OpenSession;

beforeAll(() => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
});
afterAll(() => session?.close());

const shell = (script: string) => machines.lab.ssh("edge", ["sh", "-c", script]);

/** Lines that something is done to on their way, beside those of `PLANS`. */
const far = {
  id: "far",
  number: 100,
  addresses: ["10.1.0.100"],
  plan: { downloadMax: 1, uploadMax: 1, latencyMs: 60 },
} as const satisfies SubscriberProps;
const lossy = {
  id: "lossy",
  number: 101,
  addresses: ["10.1.0.101"],
  plan: { downloadMax: 2, uploadMax: 2, lossPercent: 10 },
} as const satisfies SubscriberProps;

function expectPlans(rates: readonly number[], plans: readonly number[], what: string): void {
  const shares = rates.map((bits, index) => bits / (plans[index]! * 1e6));
  console.log(`${what}: ${shares.map((share) => share.toFixed(3)).join(" ")}`);
  for (const share of shares) {
    expect(share).toBeGreaterThan(LEAST_SHARE);
    expect(share).toBeLessThan(MOST_SHARE);
  }
}

const prepared = async (made: ReturnType<typeof shapedPath>) => {
  await make(session, made.plan);
  await shell(`ip netns exec ${made.client} ping -c1 -w5 ${SERVER}`);
};

const pathOf = ({ client, server }: ReturnType<typeof shapedPath>): Path => ({
  client,
  server,
  address: SERVER,
});

const paths = (
  [
    ["cake", "flower"],
    ["fq_codel", "ebpf"],
  ] as const
).map(([leaf, classifier]) => ({
  leaf,
  classifier,
  made: shapedPath({ leaf, classifier }, "", [far, lossy]),
}));

beforeAll(async () => {
  for (const { made } of paths) await prepared(made);
});

describe.each(paths)("with $leaf leaves, classified by $classifier", ({ leaf, made }) => {
  test.each([1, 2, 8])(
    "%i at once have their plans and no more, in both directions",
    async (count) => {
      for (const [side, direction] of (["download", "upload"] as const).entries()) {
        const transfers = Array.from({ length: count }, (_, n) => ({ from: addressOf(n), direction }));
        const { rates } = await traffic(shell, pathOf(made), { transfers });
        const plans = PLANS.map((plan) => plan[side]!);
        expectPlans(rates, plans, `${leaf}, ${count} at once, ${direction}`);
      }
    },
    120_000,
  );

  test("a flood by one is held to its plan, and the others keep theirs", async () => {
    const first = made.classOf(0);
    const transfers = [
      { from: addressOf(1), direction: "download" },
      { from: addressOf(2), direction: "download" },
      { from: addressOf(3), direction: "upload" },
    ] as const;
    const pings = { from: addressOf(1), count: 100, everyMs: 60 };
    const quiet = await traffic(shell, pathOf(made), { transfers, pings });
    const before = await leafCounters(shell, made.middle, "up", first);
    const began = Date.now();
    // Four times its upload, and as many downloads as a whole household.
    const flood = { from: addressOf(0), udp: 4 * PLANS[0][1], streams: 8 };
    const flooded = await traffic(shell, pathOf(made), { transfers, pings, flood });
    const seconds = (Date.now() - began) / 1000;
    const after = await leafCounters(shell, made.middle, "up", first);

    const sent = after.bytes - before.bytes;
    console.log(
      `${leaf}, the flood: ${(sent / 1e6).toFixed(2)} MB sent, ${after.drops - before.drops} dropped`,
    );
    // It was there, and no more of it came through than its plan lets through in all this time.
    expect(after.drops - before.drops).toBeGreaterThan(200);
    expect(sent * 8).toBeGreaterThan(LEAST_SHARE * 8 * PLANS[0][1] * 1e6);
    expect(sent * 8).toBeLessThan(MOST_SHARE * seconds * PLANS[0][1] * 1e6);
    const kept = flooded.rates.map((rate, index) => rate / quiet.rates[index]!);
    console.log(`${leaf}, the others in the flood: ${kept.map((share) => share.toFixed(3)).join(" ")}`);
    for (const share of kept) expect(share).toBeGreaterThan(LEAST_SHARE);
    expectPings(quiet, flooded);
  });

  // The emulated processor is what makes most of these times; a queue of the flood's would add seconds.
  function expectPings(quiet: Measured, flooded: Measured): void {
    const [calm, loud] = [quiet, flooded].map(({ pings }) => percentile(pings, 0.99)) as [number, number];
    console.log(
      `${leaf}, p99 of a loaded line's ping: ${calm.toFixed(1)} ms, in the flood ${loud.toFixed(1)} ms`,
    );
    expect(loud).toBeLessThan(3 * calm + 300);
  }
});

describe("a plan that does something to packets on their way", () => {
  const [{ made } = paths[0]!] = paths;

  test("makes a line long: it has its delay, and its plan in spite of it", async () => {
    const ping = async (from: string) =>
      pingTimes(
        await shell(`ip netns exec ${made.client} ping -I ${from} -n -c 20 -i 0.1 -W 5 ${SERVER}`),
        20,
      );
    const [here, there] = [await ping(addressOf(0)), await ping(far.addresses[0])];
    console.log(`pings at least ${Math.min(...here)} ms, of the long line ${Math.min(...there)} ms`);
    expect(Math.min(...there)).toBeGreaterThanOrEqual(2 * far.plan.latencyMs);
    expect(Math.min(...there)).toBeLessThan(2 * far.plan.latencyMs + 60);
    expect(Math.min(...here)).toBeLessThan(far.plan.latencyMs);
    const transfers = [{ from: far.addresses[0], direction: "download" }] as const;
    const { rates } = await traffic(shell, pathOf(made), { transfers });
    expectPlans(rates, [far.plan.downloadMax], "the long line");
  });

  test("loses packets, which are counted, and no other line's", async () => {
    const count = 300;
    const lost = async (from: string) => {
      const text = await shell(
        `ip netns exec ${made.client} ping -I ${from} -n -c ${count} -i 0.02 -W 3 -q ${SERVER} || :`,
      );
      const [, received = ""] = /(\d+) received/.exec(text) ?? [];
      return count - Number(received);
    };
    const counted = async () => {
      const id = made.classOf(lossy.id);
      const sides = [
        [made.server, "download"],
        [made.client, "upload"],
      ] as const;
      const drops = await Promise.all(
        sides.map(async ([netns]) => (await leafCounters(shell, netns, "eth0", id)).drops),
      );
      return drops.reduce((sum, one) => sum + one, 0);
    };
    const before = await counted();
    const gone = await lost(lossy.addresses[0]);
    console.log(`${gone} of ${count} pings lost at 10 % each way`);
    // 19 % are 57, with a deviation of 7.
    expect(gone).toBeGreaterThan(22);
    expect(gone).toBeLessThan(92);
    expect((await counted()) - before).toBe(gone);
    expect(await lost(addressOf(0))).toBe(0);
  });
});
