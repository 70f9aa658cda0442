import { reasons, type Control, type Policy } from "../../support/bpf-l4lb";
import { le32 } from "../../support/bpf-mux";
import { ACK, addressOf, FIN, FlowRun, SYN, type At, type Sent } from "../../support/l4lb-flows";

/* Flows by the hundred thousand: which backend they are at, and that they stay there. */

let run: FlowRun;
afterEach(() => run.close());

const NEW = 5_000;

const hashed = (policy: Policy) => policy === "maglev" || policy === "twoChoices";

/** A ring for the policy: each backend once, or, for those that hash, in every place of a table. */
const ringOf = (policy: Policy, ids: readonly number[]): number[] =>
  hashed(policy) ? Array.from({ length: 1009 }, (_, index) => ids[(index * 7919) % ids.length]!) : [...ids];

async function start(
  policy: Policy,
  ids: readonly number[],
  protocol: "tcp" | "udp" = "tcp",
  control: Control = {},
): Promise<void> {
  run = await FlowRun.start(control);
  for (const id of ids) await run.backend(id);
  await run.service(0, { protocol, policy, ring: ringOf(policy, ids) });
}

const flowsAt = (sent: Sent, id: number) => sent.backends.get(id)?.flows ?? 0;

describe.each([
  ["roundRobin", 100_000],
  ["maglev", 20_000],
  ["leastFlows", 20_000],
  ["leastBytes", 20_000],
  ["twoChoices", 20_000],
] as const)("TCP flows by %s, %d of them", (policy, FLOWS) => {
  it("stay where they are, whatever is added, drained, removed or swapped", async () => {
    const ids = [0, 1, 2, 3, 4];
    await start(policy, ids);
    let fresh = FLOWS;
    /** Every flow sends a packet: none may be lost or anywhere else than before. */
    const stay = async () => {
      const sent = await run.send(ACK, 0, FLOWS);
      expect([sent.lost, sent.moved]).toEqual([0, 0]);
      return sent;
    };
    /** New flows; at how many backends' they are. */
    const begin = async () => {
      await run.forget();
      const sent = await run.send(SYN, fresh, NEW);
      fresh += NEW;
      expect(sent.lost).toBe(0);
      await run.forget();
      await run.send(ACK, 0, FLOWS);
      return sent;
    };
    const first = await run.send(SYN, 0, FLOWS);
    expect([first.lost, first.moved]).toEqual([0, 0]);
    for (const id of ids) expect(flowsAt(first, id)).toBeGreaterThan(FLOWS / 10);
    await stay();

    // one is added
    await run.backend(5);
    await run.service(0, { protocol: "tcp", policy, ring: ringOf(policy, [...ids, 5]) }, 100);
    await stay();
    expect(flowsAt(await begin(), 5)).toBeGreaterThan(0);
    await stay();

    // another weight, another policy
    await run.backend(0, { weight: 7 });
    const other = policy === "maglev" ? "roundRobin" : "maglev";
    await run.service(0, { protocol: "tcp", policy: other, ring: ringOf(other, [...ids, 5]) }, 200);
    await stay();
    await run.service(0, { protocol: "tcp", policy, ring: ringOf(policy, [...ids, 5]) }, 100);

    // one drains: it keeps what it has and gets no more
    await run.backend(1, { state: "draining" });
    await stay();
    expect(flowsAt(await begin(), 1)).toBe(0);
    const before = await stay();

    // the program is swapped
    await run.swap();
    await stay();

    // one is declared down: its flows and nobody else's go elsewhere, and stay there
    await run.backend(2, { state: "down" });
    const declared = await run.send(ACK, 0, FLOWS);
    expect([declared.lost, declared.moved]).toEqual([0, flowsAt(before, 2)]);
    expect(declared.backends.get(2)?.left).toBe(flowsAt(before, 2));
    const after = await stay();

    // one fails its health check, and recovers: nobody goes back
    await run.down(3, true);
    const failed = await run.send(ACK, 0, FLOWS);
    expect([failed.lost, failed.moved]).toEqual([0, flowsAt(after, 3)]);
    await run.down(3, false);
    expect(flowsAt(await stay(), 3)).toBe(0);

    // an index gets another backend: it does not get the flows of the one before
    const drained = flowsAt(after, 1);
    await run.backend(1, { generation: 1, address: addressOf(9) });
    const reused = await run.send(ACK, 0, FLOWS);
    expect([reused.lost, reused.moved]).toEqual([0, drained]);
    await stay();
  });
});

describe("a flood of SYNs", () => {
  it("puts out no established flow", async () => {
    const established = 20_000;
    const flood = 1_200_000;
    // none of them may end by time instead, however slow the machine
    await start("roundRobin", [0, 1, 2, 3], "tcp", { tcpNew: 3600 });
    await run.send(SYN, 0, established);
    await run.send(ACK, 0, established);
    const evicted = reasons.indexOf("FLOW_EVICTED");
    expect((await run.send(SYN, 1_000_000, flood)).lost).toBe(0);
    // more than the table holds: they put out each other
    expect(await run.count(evicted)).toBeGreaterThan(100_000);
    const sent = await run.send(ACK, 0, established);
    expect([sent.lost, sent.moved]).toEqual([0, 0]);
    // and a connection that begins in the middle of it gets through
    await run.send(SYN, 500_000, 1000);
    await run.send(SYN, 3_000_000, 10_000);
    const late = await run.send(ACK, 500_000, 1000);
    expect([late.lost, late.moved]).toEqual([0, 0]);
  });
});

describe("two processors that meet the same new flows at the same time", () => {
  it.each(["roundRobin", "leastFlows"] as const)("agree on their backends (%s)", async (policy) => {
    await start(policy, [0, 1, 2, 3, 4, 5, 6]);
    const sent = await run.race(SYN, 0, 20_000);
    expect([sent.lost, sent.moved]).toEqual([0, 0]);
    const again = await run.race(ACK, 0, 20_000);
    expect([again.lost, again.moved]).toEqual([0, 0]);
    let active = 0;
    for (let id = 0; id < 7; id++) active += await run.active(id);
    expect(active).toBe(20_000);
  });
});

describe("active flows", () => {
  it("are counted as they begin and end", async () => {
    await start("leastFlows", [0, 1]);
    await run.send(SYN, 0, 1000);
    await run.send(ACK, 0, 1000);
    expect([await run.active(0), await run.active(1)]).toEqual([500, 500]);
    // all of one backend's end: new ones go there until both have as many
    const sent = await run.send(ACK, 0, 1000);
    expect(sent.backends.get(0)?.flows).toBe(500);
    for (let flow = 0; flow < 1000; flow += 2) await run.send(FIN, flow, 1);
    expect([await run.active(0), await run.active(1)]).toEqual([0, 500]);
    await run.forget();
    expect(flowsAt(await run.send(SYN, 5000, 500), 0)).toBe(500);
  });

  it("are shared out by weight", async () => {
    run = await FlowRun.start();
    await run.backend(0, { weight: 1 });
    await run.backend(1, { weight: 3 });
    await run.service(0, { protocol: "tcp", policy: "leastFlows", ring: [0, 1] });
    const sent = await run.send(SYN, 0, 4000);
    expect(flowsAt(sent, 0)).toBeGreaterThan(990);
    expect(flowsAt(sent, 0)).toBeLessThan(1010);
  });
});

/** The same numbers every time: mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const COUNT = 1000;
/** Of those whose Pareto trace has as many packets as the one the original's rule was published with: 4,916. */
const SEED = 161;
const sizes: Readonly<Record<string, (seed: number) => number[]>> = {
  "1 packet": () => new Array<number>(COUNT).fill(1),
  "10 packets": () => new Array<number>(COUNT).fill(10),
  "1 to 10 packets": (seed) => {
    const next = random(seed);
    return Array.from({ length: COUNT }, () => 1 + Math.floor(next() * 10));
  },
  "Pareto 1.1": (seed) => {
    const next = random(seed);
    return Array.from({ length: COUNT }, () => Math.floor((1 - next()) ** (-1 / 1.1)));
  },
};

const most = (values: readonly number[]) =>
  Math.max(...values) / (values.reduce((sum, value) => sum + value, 0) / values.length);

describe("1,000 UDP flows one after the other over 4 backends", () => {
  const ids = [0, 1, 2, 3];

  async function spread(policy: Policy, lengths: readonly number[]): Promise<Record<keyof At, number[]>> {
    await start(policy, ids, "udp");
    const sent = await run.burst("udp", 0, lengths);
    expect([sent.lost, sent.moved]).toEqual([0, 0]);
    const of = (what: keyof At) => ids.map((id) => sent.backends.get(id)?.[what] ?? 0);
    return { flows: of("flows"), packets: of("packets"), left: of("left") };
  }

  it.each(Object.keys(sizes))("of %s each are spread as the policies promise", async (name) => {
    const lengths = sizes[name]!(SEED);
    const table: string[] = [];
    const shares: Partial<Record<Policy, Record<keyof At, number[]>>> = {};
    for (const policy of [
      "legacy",
      "roundRobin",
      "maglev",
      "leastFlows",
      "leastBytes",
      "twoChoices",
    ] as const) {
      const share = await spread(policy, lengths);
      shares[policy] = share;
      table.push(
        [
          policy.padEnd(11),
          share.flows.join("/").padEnd(18),
          most(share.flows).toFixed(2),
          share.packets.join("/").padEnd(20),
          most(share.packets).toFixed(2),
        ].join("  "),
      );
      if (policy !== "twoChoices") await run.close();
    }
    process.stderr.write(`flows of ${name}: flows, max/mean, packets, max/mean\n${table.join("\n")}\n`);
    // the original's rule: nearly all of them at one backend
    if (name === "1 packet" || name === "10 packets") expect(shares.legacy!.flows).toEqual([997, 1, 1, 1]);
    expect(most(shares.legacy!.flows)).toBeGreaterThan(3);
    expect(most(shares.roundRobin!.flows)).toBeLessThanOrEqual(1.05);
    expect(most(shares.leastFlows!.flows)).toBeLessThanOrEqual(1.05);
    expect(most(shares.twoChoices!.flows)).toBeLessThanOrEqual(1.05);
    expect(most(shares.leastBytes!.packets)).toBeLessThanOrEqual(1.15);
  });
});

describe("what backends report", () => {
  it("decides between two choices", async () => {
    await start("twoChoices", [0, 1, 2, 3]);
    for (const [id, load] of [90, 10, 10, 10].entries()) await run.set("lb_reported", le32(id), le32(load));
    const sent = await run.send(SYN, 0, 4000);
    // the loaded one is never the less loaded of two
    expect(flowsAt(sent, 0)).toBe(0);
    for (const id of [1, 2, 3]) expect(flowsAt(sent, id)).toBeGreaterThan(1000);
  });
});
