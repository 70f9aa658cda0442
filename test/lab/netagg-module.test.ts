import { AggregationLab, type Received, type RuleState } from "../../bench/support/netagg";
import { labRelease } from "../support/lab-runner";
import { withLab } from "../support/lab";

// The module is built on the machine, which takes minutes on an emulated processor.
const suite = process.env.NETLOOM_MODULES === undefined ? describe.skip : describe;

suite("the module netagg", () => {
  const machines = withLab(["edge"], [], { release: labRelease });
  let lab: AggregationLab;
  let said: string;
  let slabs: Readonly<Record<string, number>>;

  /** Netlink messages of the fuzzer: ten thousand take a second. */
  const fuzzed = 100_000;
  /** How long rules come and go under traffic: `NETLOOM_NETAGG_CHURN=600` is ten minutes. */
  const churnSeconds = Number(process.env.NETLOOM_NETAGG_CHURN ?? 5);

  /** Objects in use of the caches that the module's own memory comes from. */
  async function slabsInUse(): Promise<Readonly<Record<string, number>>> {
    const lines = await lab.sh("grep -E '^(kmalloc-(1k|2k|4k|8k|16k)) ' /proc/slabinfo");
    return Object.fromEntries(
      lines.split("\n").map((line) => {
        const [name = "", active = ""] = line.split(/\s+/);
        return [name, Number(active)];
      }),
    );
  }

  /** What the kernel has complained of; loading a module from outside the kernel is worth a remark to it. */
  const complaints = () =>
    lab.sh(
      `dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|refcount|leaked|KASAN|lockup|RCU.*stall|general protection' || :`,
    );

  const sent = ([rule]: readonly RuleState[]) => rule!.paths.map(({ txBytes }) => txBytes);

  function expectWhole(received: Received, bytes: number): void {
    expect(received).toMatchObject({ bytes, intact: true, error: "" });
  }

  beforeAll(async () => {
    lab = new AggregationLab(machines.lab, "edge");
    said = await lab.install();
    await lab.sh("dmesg -C; topology 3");
    slabs = await slabsInUse();
  });

  test("it builds without a warning", () => {
    expect(said).not.toMatch(/(warning|error):/i);
  });

  test("bytes are shared out by weight within 1 %, whatever the weights", async () => {
    for (const weights of [
      [1, 1],
      [3, 1],
      [127, 1],
      [200, 1],
      [5, 3, 2],
    ]) {
      // Paths that are not judged by probes, which a machine that stands still for a while would lose.
      const port = await lab.aggregate(weights, { both: "--probe-port 0" });
      const bytes = 60_000_000;
      expectWhole(await lab.transfer({ amount: { bytes }, port }), bytes);
      const shares = sent(await lab.rules("a"));
      const [all, whole] = [shares, weights].map((of) => of.reduce((sum, one) => sum + one)) as [
        number,
        number,
      ];
      shares.forEach((share, index) => {
        const wanted = weights[index]! / whole;
        expect(Math.abs(share / all / wanted - 1)).toBeLessThan(0.01);
      });
      await lab.flush();
    }
  });

  test("unequal delays neither look like loss nor keep a connection from its speed", async () => {
    await lab.sh("wire 3");
    await lab.shape(1, { kbit: 4000, delayMs: 5 });
    await lab.shape(2, { kbit: 4000, delayMs: 40 });
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    const received = await lab.transfer({ amount: { ms: 4000 }, port });
    expect(received).toMatchObject({ intact: true, error: "" });
    const [b] = await lab.rules("b");
    expect(b!.held).toBeGreaterThan(100);
    const [a] = await lab.rules("a");
    const packets = a!.paths.reduce((sum, path) => sum + path.txPackets, 0);
    const again = a!.paths.reduce((sum, path) => sum + path.retransmits, 0);
    expect(again / packets).toBeLessThan(0.1);
    await lab.flush();
  });

  test("a path that is cut is left at once, and the connection does not notice", async () => {
    let gap = Infinity;
    await lab.shape(1, { kbit: 4000, delayMs: 5 });
    await lab.shape(2, { kbit: 4000, delayMs: 5 });
    // A machine that has to wait for its processor stands still for longer than the module: one good try is enough.
    for (let tries = 0; tries < 3 && gap >= 200; tries++) {
      const port = await lab.aggregate([1, 1]);
      await lab.alive(true, true);
      const received = await lab.transfer({
        amount: { ms: 3000 },
        port,
        meanwhile: () => lab.sh("sleep 1.5; cut 2").then(() => undefined),
      });
      expect(received).toMatchObject({ intact: true, error: "" });
      gap = received.gapMs;
      await lab.alive(true, false);
      await lab.shape(2, { kbit: 4000, delayMs: 5 });
      await lab.alive(true, true);
      await lab.flush();
    }
    expect(gap).toBeLessThan(200);
  });

  test("a path that is too narrow for a packet says so to the connection's socket", async () => {
    await lab.sh(
      "ip -n r2 link set dev down mtu 1300; for n in 1 2; do ip netns exec r$n tc qdisc del dev down root; done",
    );
    const port = await lab.aggregate([1, 1], { both: "--probe-port 0" });
    expectWhole(await lab.transfer({ amount: { bytes: 500_000 }, port }), 500_000);
    const [a] = await lab.rules("a");
    expect(a!.icmp).toBeGreaterThan(0);
    await lab.flush();
    await lab.sh("ip -n r2 link set dev down mtu 1500; ip -n a route flush cache");
  });

  test("IPv6 takes all of its paths, and the receiver answers over all of them", async () => {
    const port = await lab.aggregate([1, 1, 1], { ipv6: true });
    await lab.alive(true, true, true);
    expectWhole(
      await lab.transfer({ amount: { bytes: 3_000_000 }, address: "fd00:0:1::2", port }),
      3_000_000,
    );
    const [b] = await lab.rules("b");
    for (const { rxBytes } of b!.paths) expect(rxBytes).toBeGreaterThan(500_000);
    await lab.flush();
  });

  test("encapsulated, it passes a router that translates addresses", async () => {
    await lab.sh(`ip netns exec r2 nft -f - <<'END'
    table ip nat { chain post { type nat hook postrouting priority 100; oifname "down" masquerade; }; }
END`);
    const port = await lab.aggregate([1, 1], { both: "--encap" });
    await lab.alive(true, true);
    expectWhole(await lab.transfer({ amount: { bytes: 1_000_000 }, port }), 1_000_000);
    const [b] = await lab.rules("b");
    for (const { rxBytes } of b!.paths) expect(rxBytes).toBeGreaterThan(300_000);
    await lab.flush();
    await lab.sh("ip netns exec r2 nft delete table ip nat");
  });

  test("rules come and go under traffic, and the module with the last of them", async () => {
    for (const path of [1, 2, 3]) await lab.shape(path, { kbit: 10_000, delayMs: 2 });
    const port = await lab.aggregate([1, 1]);
    await expect(lab.sh("rmmod netagg")).rejects.toThrow(/in use/);
    const received = await lab.transfer({
      amount: { ms: (churnSeconds + 2) * 1000 },
      port,
      meanwhile: async () => {
        await lab.sh(`
        rule="-P 10.0.1.2:${port} -S 10.0.2.2:${port} -S 10.0.3.2:${port} -R 3:2:1"
        end=$(($(date +%s) + ${churnSeconds}))
        while [ $(date +%s) -lt $end ]; do
          ip netns exec b netagg -C receiver $rule
          ip netns exec a netagg -C sender $rule
          ip netns exec a netagg -L >/dev/null
          ip netns exec b netagg -L >/dev/null
          # The sender's goes first and comes last: what it sends over another path needs the receiver's.
          ip netns exec a netagg -D sender -P 10.0.1.2:${port}
          # What is still queued on that path arrives in less.
          sleep 1
          ip netns exec b netagg -F receiver
          ip netns exec b netagg -A receiver $rule
          ip netns exec a netagg -A sender $rule
        done
        ip netns exec a netagg -F
        sleep 1
        for ns in a b b; do ip netns exec $ns netagg -F; done
        rmmod netagg`);
        await lab.load();
      },
    });
    expect(received).toMatchObject({ intact: true, error: "" });
    expect(await complaints()).toBe("");
  });

  test("messages that make no sense change nothing and break nothing", async () => {
    const counts = JSON.parse(
      await lab.sh(`ip netns add fuzz; ip netns exec fuzz netagg-fuzz ${fuzzed} 7`),
    ) as { taken: number; refused: number };
    expect(counts.refused).toBeGreaterThan(fuzzed / 2);
    await lab.sh("ip netns exec fuzz netagg -L >/dev/null; ip netns exec fuzz netagg -F; ip netns del fuzz");
    expect(await complaints()).toBe("");
  });

  test("nothing is left of it once it is gone", async () => {
    await lab.sh("no_topology 3");
    // Namespaces are taken down in the background.
    await lab.sh(
      "for try in $(seq 100); do rmmod netagg 2>/dev/null && break; sleep 0.1; done; ! lsmod | grep -q '^netagg '",
    );
    expect(await complaints()).toBe("");
    const left = await slabsInUse();
    for (const [name, active] of Object.entries(slabs))
      expect({ name, more: left[name]! - active < 200 }).toEqual({ name, more: true });
  });
});
