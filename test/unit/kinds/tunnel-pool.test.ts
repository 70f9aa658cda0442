import type { Step } from "../../../lib/kinds/step";
import { tunnelPool, type TunnelPoolInput } from "../../../lib/kinds/tunnel-pool";

type Tunnels = TunnelPoolInput["tunnels"];

const pool = (tunnels: Tunnels, more: Partial<TunnelPoolInput> = {}) =>
  tunnelPool.schema.parse({ netns: "isp", name: "p", device: "gre-isp", tunnels, ...more });
const words = (steps: readonly Step[]) =>
  steps.map((step) =>
    step.tool === "ip" || step.tool === "tc"
      ? [step.tool, ...("family" in step && step.family === 6 ? ["-6"] : []), ...step.args].join(" ")
      : step.tool,
  );
const plan = (current: ReturnType<typeof pool> | undefined, desired: ReturnType<typeof pool> | undefined) =>
  words(tunnelPool.plan(current, desired, { owner: "netloom:test" }));
const findings = (spec: ReturnType<typeof pool>) =>
  (tunnelPool.check?.(spec) ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);

const one = { remote: "203.0.113.1", prefixes: ["192.168.11.2"] };
const two = {
  remote: "203.0.113.2",
  key: 9,
  addresses: ["192.168.11.5"],
  prefixes: ["192.168.11.6", "fd00::6"],
};

describe("plans of tunnel pools", () => {
  test("a new pool closes the device first and lets in last", () => {
    expect(plan(undefined, pool({ "1": one, "2": two }))).toEqual([
      "tc qdisc replace dev gre-isp clsact",
      "tc filter replace dev gre-isp ingress protocol all pref 100 handle 0x1 flower action drop",
      "ip nexthop add id 1048578 encap ip id 1 dst 203.0.113.1 ttl 64 key dev gre-isp protocol 76",
      "ip nexthop add id 1048580 encap ip id 9 dst 203.0.113.2 ttl 64 key dev gre-isp protocol 76",
      "ip -6 nexthop add id 1048581 encap ip id 9 dst 203.0.113.2 ttl 64 key dev gre-isp protocol 76",
      "ip route add 192.168.11.2/32 nhid 1048578 proto 76",
      "ip route add 192.168.11.6/32 nhid 1048580 proto 76",
      "ip route add fd00::6/128 nhid 1048581 proto 76",
      "ip route add local 192.168.11.5 dev gre-isp table 254 proto 76",
      "tc filter replace dev gre-isp ingress protocol ip pref 10 handle 0x10 flower enc_key_id 1 enc_src_ip 203.0.113.1 src_ip 192.168.11.2/32 action ok",
      "tc filter replace dev gre-isp ingress protocol ip pref 10 handle 0x20 flower enc_key_id 9 enc_src_ip 203.0.113.2 src_ip 192.168.11.6/32 action ok",
      "tc filter replace dev gre-isp ingress protocol ipv6 pref 11 handle 0x21 flower enc_key_id 9 enc_src_ip 203.0.113.2 src_ip fd00::6/128 action ok",
    ]);
  });

  test("another address of one subscriber touches nothing of the other", () => {
    expect(
      plan(pool({ "1": one, "2": two }), pool({ "1": { ...one, remote: "198.51.100.7" }, "2": two })),
    ).toEqual([
      "ip nexthop replace id 1048578 encap ip id 1 dst 198.51.100.7 ttl 64 key dev gre-isp protocol 76",
      "tc filter replace dev gre-isp ingress protocol ip pref 10 handle 0x10 flower enc_key_id 1 enc_src_ip 198.51.100.7 src_ip 192.168.11.2/32 action ok",
    ]);
  });

  test("one that goes is no longer let in before its routes and nexthop go", () => {
    expect(plan(pool({ "1": one, "2": two }), pool({ "2": two }))).toEqual([
      "tc filter del dev gre-isp ingress protocol ip pref 10 handle 0x10 flower",
      "ip route del 192.168.11.2/32 nhid 1048578 proto 76",
      "ip nexthop del id 1048578",
    ]);
  });

  test("two that take each other's ends do not stand in each other's way", () => {
    const a = { remote: "203.0.113.1", key: 1, prefixes: ["10.0.0.0/8"] };
    const b = { remote: "203.0.113.2", key: 2, prefixes: ["10.1.0.0/16"] };
    const steps = plan(pool({ "1": a, "2": b }), pool({ "1": b, "2": a }));
    const firstComing = steps.findIndex((step) => step.includes("replace"));
    const lastGoing = steps.findLastIndex((step) => step.includes(" del "));
    expect(lastGoing).toBeLessThan(firstComing);
    expect(steps.filter((step) => step.startsWith("tc filter del"))).toHaveLength(2);
  });

  test("a filter that is to look at other bits goes before it comes again", () => {
    const wide = { ...one, prefixes: ["192.168.12.0/24"] };
    expect(plan(pool({ "1": one }), pool({ "1": wide })).filter((step) => step.startsWith("tc"))).toEqual([
      "tc filter del dev gre-isp ingress protocol ip pref 10 handle 0x10 flower",
      "tc filter replace dev gre-isp ingress protocol ip pref 10 handle 0x10 flower enc_key_id 1 enc_src_ip 203.0.113.1 src_ip 192.168.12.0/24 action ok",
    ]);
  });

  test("a check that is switched off opens the device and leaves no filter of a tunnel", () => {
    expect(plan(pool({ "1": one }), pool({ "1": one }, { checkSource: false }))).toEqual([
      "tc filter replace dev gre-isp ingress protocol all pref 100 handle 0x1 flower action ok",
      "tc filter del dev gre-isp ingress protocol ip pref 10 handle 0x10 flower",
    ]);
  });

  test("over IPv6 the other device carries it", () => {
    const spec = pool(
      { "3": { remote: "2001:db8::3", prefixes: ["192.168.11.10"] } },
      { device6: "gre6-isp" },
    );
    expect(plan(undefined, spec)).toContain(
      "ip nexthop add id 1048582 encap ip6 id 3 dst 2001:db8::3 hoplimit 64 key dev gre6-isp protocol 76",
    );
  });

  test("nothing is left to do of what is as it is wanted", () => {
    expect(plan(pool({ "1": one, "2": two }), pool({ "1": one, "2": two }))).toEqual([]);
  });
});

describe("pools that cannot be", () => {
  test.each<[string, Tunnels, Partial<TunnelPoolInput>, string]>([
    [
      "two tunnels with one end and one key",
      { "1": { ...one, key: 2 }, "2": { ...one, prefixes: ["10.0.0.1"] } },
      {},
      "tunnels.2.remote: tunnel 1 goes to 203.0.113.1 with the same key: give one of them another key",
    ],
    [
      "one network behind two",
      { "1": one, "2": { ...one, key: 3 } },
      {},
      "tunnels.2.prefixes.0: 192.168.11.2/32 is behind tunnel 1: it can be behind one alone",
    ],
    [
      "IPv6 without a device for it",
      { "1": { ...one, remote: "2001:db8::1" } },
      {},
      "tunnels.1.remote: is IPv6, and there is no device6 (a link of type ip6gre with external) to carry it",
    ],
    [
      "an IPv6 address as that of IPv4",
      { "1": one },
      { local: "::1" },
      "local: ::1 is no IPv4 address: that is local6",
    ],
  ])("%s", (_, tunnels, more, message) => {
    expect(findings(pool(tunnels, more))).toEqual([message]);
  });

  test.each<[string, unknown, string]>([
    ["a number that is none", { "1x": one }, "must be the number of a tunnel, from 1 to 1000000"],
    ["a command for an address", { "1": { ...one, remote: "1.2.3.4; reboot" } }, "is not an IP address"],
    ["no networks", { "1": { ...one, prefixes: [] } }, "must hold at least the other end's address"],
    ["host bits", { "1": { ...one, prefixes: ["10.0.0.1/24"] } }, "has host bits set"],
  ])("%s", (_, tunnels, message) => {
    const parsed = tunnelPool.schema.safeParse({ name: "p", device: "g", tunnels });
    expect(parsed.error?.issues.map((issue) => issue.message).join()).toContain(message);
  });
});
