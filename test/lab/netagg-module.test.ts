import { AggregationLab, type Received, type RuleState } from "../../bench/support/netagg";
import { labRelease } from "../support/lab-runner";
import { withLab } from "../support/lab";
import { strangerIn } from "../support/netagg-stranger";

describe("the module netagg", () => {
  const machines = withLab(["edge"], [], { release: labRelease });
  let lab: AggregationLab;
  let said: string;
  let slabs: Readonly<Record<string, number>>;

  /** Netlink messages of the fuzzer: ten thousand take a second. */
  const fuzzed = 100_000;
  /** How long rules come and go under traffic: `NETLOOM_NETAGG_CHURN=600` is ten minutes. */
  const churnSeconds = Number(process.env.NETLOOM_NETAGG_CHURN ?? 5);

  /** Objects in use of the caches that the module's own memory comes from; KASAN lets go of freed ones when they shrink. */
  async function slabsInUse(): Promise<Readonly<Record<string, number>>> {
    const lines = await lab.sh(`for cache in 1k 2k 4k 8k 16k; do
        echo 1 2>/dev/null >/sys/kernel/slab/kmalloc-$cache/shrink || :
      done
      grep -E '^(kmalloc-(1k|2k|4k|8k|16k)) ' /proc/slabinfo`);
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
      `dmesg | grep -E 'BUG|WARNING|Oops|Call Trace|refcount|leaked|KASAN|UBSAN|ODEBUG|INFO: |lockup|RCU.*stall|general protection' || :`,
    );

  /**
   * A kernel that watches (tools/debug-kernel) looks for memory that nothing points to any more. Twice, since what is
   * still in a register the first time is found the second. One that was not told to, by kmemleak=on, refuses.
   */
  const unreferenced = () =>
    lab.sh(`at=/sys/kernel/debug/kmemleak
      [ -e $at ] && echo scan 2>/dev/null >$at || exit 0
      for try in 1 2; do sleep 6; echo scan >$at; done
      cat $at`);

  const sent = ([rule]: readonly RuleState[]) => rule!.paths.map(({ txBytes }) => txBytes);

  function expectWhole(received: Received, bytes: number): void {
    expect(received).toMatchObject({ bytes, intact: true, error: "" });
  }

  beforeAll(async () => {
    lab = new AggregationLab(machines.lab, "edge");
    said = await lab.install();
    await lab.sh("dmesg -C; topology 3");
    // What the kernel's own start has left is not ours.
    await unreferenced();
    await lab.sh("at=/sys/kernel/debug/kmemleak; [ ! -e $at ] || echo clear 2>/dev/null >$at || :");
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

  test("encapsulated, it passes a router that translates addresses and both ends' stateful firewalls", async () => {
    await lab.sh(`ip netns exec r2 nft -f - <<'END'
    table ip nat { chain post { type nat hook postrouting priority 100; oifname "down" masquerade; }; }
END
    for ns in a b; do ip netns exec $ns nft -f - <<'END'
    table ip guard { chain inward { type filter hook input priority 0; policy drop;
      ct state established accept; udp dport 7481 accept; ip daddr 10.0.1.2 tcp flags & (syn|ack) == syn accept; }; }
END
    done`);
    const port = await lab.aggregate([1, 1], { both: "--encap" });
    await lab.alive(true, true);
    expectWhole(await lab.transfer({ amount: { bytes: 1_000_000 }, port }), 1_000_000);
    const [b] = await lab.rules("b");
    for (const { rxBytes } of b!.paths) expect(rxBytes).toBeGreaterThan(300_000);
    await lab.flush();
    await lab.sh(`ip netns exec r2 nft delete table ip nat
      for ns in a b; do ip netns exec $ns nft delete table ip guard; done`);
  });

  test("encapsulated, a connection that is older than the rules goes on over a path that is too narrow for it", async () => {
    for (const path of [1, 2]) await lab.shape(path, { kbit: 4000, delayMs: 5 });
    await lab.sh("ip -n r2 link set dev down mtu 1300");
    const port = lab.unusedPort();
    const meanwhile = async () => {
      await lab.sh(
        `until [ -n "$(ip netns exec a ss -Htn state established dport = :${port})" ]; do sleep 0.1; done`,
      );
      await lab.aggregate([1, 1], { both: "--encap", port });
      await lab.alive(true, true);
      await lab.sh("sleep 4; pkill -TERM -f '^stream send'");
    };
    const received = await lab.transfer({ amount: { ms: 600_000 }, port, meanwhile });
    expect(received).toMatchObject({ intact: true, error: "" });
    const [b] = await lab.rules("b");
    for (const { rxBytes } of b!.paths) expect(rxBytes).toBeGreaterThan(200_000);
    await lab.flush();
    await lab.sh("ip -n r2 link set dev down mtu 1500; ip -n a route flush cache");
  });

  test("a path that loses what is large without a word, and is the fastest, ends no connection", async () => {
    await lab.shape(1, { kbit: 4000, delayMs: 20 });
    await lab.shape(2, { kbit: 4000, delayMs: 2 });
    // What b sends is larger than r2's end of the wire takes, which says nothing.
    await lab.sh("ip -n r2 link set dev down mtu 1300; wire 2");
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    const got =
      await lab.sh(`ip netns exec b sh -c 'head -c 60000 /dev/zero | nc -N -l 10.0.1.2 ${port}' >/dev/null &
      until ip netns exec b ss -Hltn "sport = :${port}" | grep -q .; do sleep 0.1; done
      timeout 200 ip netns exec a nc 10.0.1.2 ${port} </dev/null | wc -c; wait`);
    expect(got).toBe("60000");
    await lab.flush();
    await lab.sh("ip -n r2 link set dev down mtu 1500");
  });

  test("another host is not believed to be the sender", async () => {
    const port = await lab.aggregate([1, 1], { both: "--encap" });
    await lab.alive(true, true);
    const stranger = strangerIn(lab, "r2");
    expect(await stranger.probe({ client: "10.1.1.1", port })).toBe("no answer");
    // Of an address that nobody else is heard of it may be the sender.
    expect(await stranger.probe({ client: "10.1.2.2", port })).toBe("an answer");
    const received = () => lab.sh("ip netns exec b nstat -asz TcpInSegs | awk '/InSegs/ { print $2 }'");
    const before = await received();
    await stranger.wrap({ from: "10.1.1.1", port });
    expect(await received()).toBe(before);
    await lab.flush();
  });

  test("connections from several addresses of the sender have all paths, each", async () => {
    for (const path of [1, 2]) await lab.shape(path, { kbit: 4000, delayMs: 5 });
    await lab.sh("ip -n r1 route add 10.1.2.1 via 10.1.1.1");
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    // What comes back to the one is shared out for as long as it is heard of, though the other has connected since.
    await lab.sh(`ip netns exec b sh -c 'head -c 5M /dev/zero | nc -N -l 10.0.1.2 ${port}' >/dev/null &
      until ip netns exec b ss -Hltn "sport = :${port}" | grep -q .; do sleep 0.1; done
      ip netns exec a nc -s 10.1.2.1 10.0.1.2 ${port} </dev/null | wc -c >/run/got &
      sleep 1
      ip netns exec a nc -w 1 -s 10.1.1.1 10.0.1.2 ${port} </dev/null || :
      wait
      [ $(cat /run/got) = ${5 << 20} ]; rm /run/got`);
    const [first = 0, second = 0] = ((await lab.rules("b"))[0]?.paths ?? []).map(({ txBytes }) => txBytes);
    expect(second / (first + second)).toBeGreaterThan(0.4);
    await lab.flush();
    await lab.sh(
      "ip -n r1 route del 10.1.2.1; for n in 1 2; do ip netns exec r$n tc qdisc del dev down root; ip netns exec r$n tc qdisc del dev up root; done",
    );
  });

  test("a path that a policy of IPsec closes is not taken, and nothing else happens", async () => {
    // A kernel of one's own may have no IPsec.
    const policy = "ip -n a xfrm policy add dir out dst 10.0.2.2/32 action block";
    if ((await lab.sh(`${policy} 2>/dev/null && echo there || :`)) === "") return;
    const port = await lab.aggregate([1, 1], { both: "--probe-port 0" });
    expectWhole(await lab.transfer({ amount: { bytes: 1_000_000 }, port }), 1_000_000);
    const [a] = await lab.rules("a");
    expect(a!.paths[1]!.txBytes).toBe(0);
    await lab.flush();
    await lab.sh("ip -n a xfrm policy flush");
    expect(await complaints()).toBe("");
  });

  test("checksums are right whoever makes them, with others who look at the packets", async () => {
    for (const [offload, both] of [
      ["on", "--probe-port 0"],
      ["off", "--probe-port 0"],
      ["off", "--encap"],
    ] as const) {
      await lab.sh(`for n in 1 2 3; do
        ip netns exec a ethtool -K a$n tx ${offload}; ip netns exec b ethtool -K b$n tx ${offload}
      done`);
      const port = await lab.aggregate([1, 1, 1], { both });
      if (both === "--encap") await lab.alive(true, true, true);
      const listen = "timeout 2 tcpdump --immediate-mode -qni any -w /dev/null 2>/dev/null || :";
      const meanwhile = () =>
        lab.sh(`ip netns exec a ${listen} & ip netns exec b ${listen} & wait`).then(() => undefined);
      expectWhole(await lab.transfer({ amount: { bytes: 2_000_000 }, port, meanwhile }), 2_000_000);
      await lab.flush();
    }
    const errors = "nstat -asz --json TcpInCsumErrors UdpInCsumErrors Udp6InCsumErrors";
    for (const namespace of ["a", "b"]) {
      const { kernel } = JSON.parse(await lab.sh(`ip netns exec ${namespace} ${errors}`)) as {
        kernel: Readonly<Record<string, number>>;
      };
      expect(Object.values(kernel).filter((count) => count > 0)).toEqual([]);
    }
    await lab.sh(`for n in 1 2 3; do
      ip netns exec a ethtool -K a$n tx on; ip netns exec b ethtool -K b$n tx on
    done; wire 3`);
  });

  test("what the receiver sends is shared out by its weights", async () => {
    const port = await lab.aggregate([3, 1], { both: "--probe-port 0" });
    const [sent, got] = (
      await lab.sh(`head -c 6M /dev/urandom >/run/answer; sha256sum </run/answer
        ip netns exec b nc -N -l 10.0.1.2 ${port} </run/answer >/dev/null &
        until ip netns exec b ss -Hltn "sport = :${port}" | grep -q .; do sleep 0.1; done
        ip netns exec a nc 10.0.1.2 ${port} </dev/null | sha256sum; wait; rm /run/answer`)
    ).split("\n");
    expect(got).toBe(sent);
    const [first = 0, second = 0] = ((await lab.rules("b"))[0]?.paths ?? []).map(({ txBytes }) => txBytes);
    expect(first + second).toBeGreaterThan(6 << 20);
    expect(Math.abs(first / (first + second) / 0.75 - 1)).toBeLessThan(0.01);
    await lab.flush();
  });

  test("rules are for who may administer the namespace, and are its own", async () => {
    const rule = "-P 192.0.2.1:80 -S 192.0.2.2:80 -R 1:1";
    const whoever = (command: string) => lab.sh(`su nobody -s /bin/sh -c '${command}' 2>&1`);
    for (const command of [`netagg -A sender ${rule}`, "netagg -F", "netagg -L"])
      await expect(whoever(command)).rejects.toThrow(/netagg: Operation not permitted$/);
    expect(await whoever(`unshare -Urn sh -c "netagg -A sender ${rule}; netagg -W"`)).toMatch(
      /^-A sender -P 192\.0\.2\.1:80 -S 192\.0\.2\.2:80 -R 1:1 /,
    );
    await lab.aggregate([1, 1]);
    expect(await lab.sh("netagg -W; netagg -L")).toBe("[]");
    await lab.flush();
  });

  test("who listens hears of rules and paths", async () => {
    for (const path of [1, 2]) await lab.shape(path, { kbit: 4000, delayMs: 2 });
    // It listens once it has heard of another rule.
    await lab.sh(`ip netns exec a sh -c 'netagg -M >/run/events 2>&1 </dev/null & echo $! >/run/events.pid'
      until [ -s /run/events ]; do
        ip netns exec a netagg -A sender -P 192.0.2.1:1 -S 192.0.2.2:1 -R 1:1 --probe-port 0
        ip netns exec a netagg -F
        sleep 0.2
      done`);
    const port = await lab.aggregate([1, 1]);
    await lab.alive(true, true);
    await lab.sh("cut 2");
    await lab.alive(true, false);
    await lab.shape(2, { kbit: 4000, delayMs: 2 });
    await lab.alive(true, true);
    await lab.flush();
    const events = (await lab.sh("sleep 0.5; kill $(cat /run/events.pid); cat /run/events"))
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; port: number; index?: number });
    const heard = events
      .filter((event) => event.port === port && event.index !== 0)
      .map(({ event, index }) => [event, index]);
    // A machine that stands still may lose the path once more.
    expect(heard.slice(0, 4)).toEqual([
      ["rule-added", undefined],
      ["path-up", 1],
      ["path-down", 1],
      ["path-up", 1],
    ]);
    expect(heard.at(-1)).toEqual(["rule-deleted", undefined]);
  });

  test("rules come and go under traffic on both processors, and the module with the last of them", async () => {
    // Paths of unequal delay fall silent one after the other when the sender's rule goes.
    for (const path of [1, 2, 3]) await lab.shape(path, { kbit: 10_000, delayMs: 4 * path });
    const plain = await lab.aggregate([3, 2, 1]);
    const wrapped = await lab.aggregate([3, 2, 1], { ipv6: true, both: "--encap" });
    await expect(lab.sh("rmmod netagg")).rejects.toThrow(/in use/);
    // Until they are told to end: a slow kernel may be late with the last round.
    const amount = { ms: 2 * (churnSeconds + 600) * 1000 };
    const address = (family: number, path: number, port: number) =>
      family === 4 ? `10.0.${path}.2:${port}` : `[fd00:0:${path}::2]:${port}`;
    /** One set of rules that is changed, listed, deleted and added again, by one processor. */
    const churn = (cpu: number, family: number, port: number, more = "") => {
      const [primary, ...secondary] = [1, 2, 3].map((path) => address(family, path, port));
      return `taskset -c ${cpu} bash -e <<'END' &
        rule="-P ${primary} ${secondary.map((one) => `-S ${one}`).join(" ")} -R 3:2:1 ${more}"
        end=$(($(date +%s) + ${churnSeconds}))
        times=0
        while [ $(date +%s) -lt $end ]; do
          ip netns exec b netagg -C receiver $rule
          ip netns exec a netagg -C sender $rule
          ip netns exec a netagg -L >/dev/null
          ip netns exec b netagg -L >/dev/null
          # The sender's goes first and comes last: what it sends over another path needs the receiver's.
          ip netns exec a netagg -D sender -P ${primary}
          # What is still queued on that path arrives in less.
          sleep 1
          ip netns exec b netagg -D receiver -P ${primary}
          ip netns exec b netagg -A receiver $rule
          ip netns exec a netagg -A sender $rule
          times=$((times + 1))
        done
        echo $times
END
      `;
    };
    await lab.alive(true, true, true);
    const traffic = [
      lab.transfer({ amount, port: plain }),
      lab.transfer({ amount, port: wrapped, address: "fd00:0:1::2" }),
    ];
    const rounds = await lab
      .sh(
        `${churn(0, 4, plain)} ${churn(1, 6, wrapped, "--encap")}
      for job in $(jobs -p); do wait $job; done
      ip netns exec a netagg -F
      sleep 1
      for ns in a b b; do ip netns exec $ns netagg -F; done
      rmmod netagg
      # Both connections are still there, and sending.
      [ "$(ip netns exec a ss -Htn state established | wc -l)" -ge 2 ]`,
      )
      .finally(() => lab.sh("pkill -TERM -f '^stream send' || :"));
    await lab.load();
    for (const received of await Promise.all(traffic))
      expect(received).toMatchObject({ intact: true, error: "" });
    const times = rounds.split("\n").map(Number);
    expect(times).toHaveLength(2);
    expect(Math.min(...times)).toBeGreaterThan(0);
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

  test("memory that cannot be had is no memory lost", async () => {
    // Only a kernel that watches lets its allocations fail; those that may wait are left out unless it is told.
    const counts = await lab.sh(`[ -e /sys/kernel/debug/failslab ] || exit 0
      cd /sys/kernel/debug/failslab; echo N >ignore-gfp-wait; echo 0 >verbose
      ip netns add starve; ip netns exec starve netagg-fuzz ${fuzzed / 10} 11 starve
      ip netns del starve`);
    if (counts !== "") expect((JSON.parse(counts) as { starved: number }).starved).toBeGreaterThan(20);
    expect(await complaints()).toBe("");
  });

  test("a namespace may go with its rules, its connections and what waits in them", async () => {
    const port = await lab.aggregate([1, 1, 1]);
    await lab.alive(true, true, true);
    await lab.sh(`
      # A socket without a process holds its namespace for as long as it tries to be heard.
      for ns in a b; do ip netns exec $ns sysctl -qw net.ipv4.tcp_orphan_retries=1; done
      ip netns exec b stream serve 10.0.1.2 ${port} 2>/dev/null & serve=$!
      sleep 1
      ip netns exec a stream send 10.0.1.2 ${port} 60000 2>/dev/null & send=$!
      sleep 2
      [ -n "$(ip netns exec a ss -Htn state established)" ]
      no_topology 3
      kill -9 $serve $send; wait || :`);
    expect(await complaints()).toBe("");
  });

  test("nothing is left of it once it is gone", async () => {
    // Namespaces are taken down in the background.
    await lab.sh(
      "for try in $(seq 120); do rmmod netagg 2>/dev/null && break; sleep 0.5; done; ! lsmod | grep -q '^netagg '",
    );
    expect(await complaints()).toBe("");
    expect(await unreferenced()).toBe("");
    const left = await slabsInUse();
    for (const [name, active] of Object.entries(slabs))
      expect({ name, more: left[name]! - active < 200 }).toEqual({ name, more: true });
  });
});
