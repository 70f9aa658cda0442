import {
  GeneveMux,
  type GeneveMuxProps,
  Host,
  Link,
  type MuxTunnel,
  Namespace,
  Testing,
  VethPair,
} from "../../../../lib";
import { keyProblem, parseKey } from "../../../../lib/kinds/geneve-mux/keys";
import type { End } from "../../../../lib/kinds/geneve-mux/schema";
import { REASONS } from "../../../../lib/kinds/geneve-mux/reasons";
import { reasons } from "../../../support/bpf-mux";
import { refusals } from "../../synth/support";

/** What a test says of a tunnel besides the cable that it is on. */
type Said = MuxTunnel extends infer One ? (One extends MuxTunnel ? Omit<One, "interface"> : never) : never;

const between = { local: "192.0.2.1", remote: "192.0.2.2" };
const wide = { local: "2001:db8::1", remote: "2001:db8::2" };

/** A host with an uplink and a namespace behind a cable, from which the tunnels lead. */
function programOf(tunnels: readonly Said[], rest: Partial<GeneveMuxProps> = {}) {
  const app = Testing.app();
  const host = new Host(app, "node");
  const uplink = new Link(host, "uplink", { name: "eth1", kind: "physical", adopt: true });
  const cable = new VethPair(host, "cable", {
    a: { namespace: host, name: "in0" },
    b: { namespace: new Namespace(host, "inside"), name: "eth0" },
  });
  new GeneveMux(host, "mux", {
    uplink: uplink.link,
    tunnels: tunnels.map((tunnel) => ({ interface: cable.a, ...tunnel })),
    ...rest,
  });
  return app;
}

const planOf = (...args: Parameters<typeof programOf>) => Testing.synth(programOf(...args));
const specOf = (plan: ReturnType<typeof planOf>, path: string) => {
  const found = plan.find((resource) => resource.path === path);
  if (found === undefined) throw new Error(`no ${path} in ${plan.map((one) => one.path).join(", ")}`);
  return found.spec;
};
const endsOf = (...args: Parameters<typeof programOf>) =>
  specOf(planOf(...args), "node/mux/tunnels")["ends"] as Record<string, End>;
const wrong = (...args: Parameters<typeof programOf>) => refusals(programOf(...args));

const geneve = { name: "a", protocol: "geneve", vni: 7, ...between } as const;
const select = { destinations: ["10.2.0.0/16"] };

describe("GeneveMux", () => {
  test("attaches a program to each of its links, stubs to veths' other ends, after the tunnels are written", () => {
    const plan = planOf([{ ...geneve, select }]);
    const attached = plan
      .filter(({ token }) => token === "netloom:bpf:Attachment")
      .map(({ spec }) => [spec["netns"], spec["link"], String(spec["program"]).split("/").at(-1)]);
    expect(attached).toEqual([
      [undefined, "eth1", "mux_pop"],
      ["inside", "eth0", "xdp_pass"],
      [undefined, "in0", "mux_push"],
    ]);
    const push = plan.find(({ path }) => path === "node/mux/xdp-in0/attachment");
    expect(push?.dependsOn).toContain("node/mux/tunnels");
    expect(plan.find(({ path }) => path === "node/forwarding")?.spec).toMatchObject({
      values: { "net/ipv4/ip_forward": "1" },
    });
  });

  test("gives both ends of a cable the MTU that its tunnels leave, and keeps one that is named", () => {
    const mtus = (tunnels: readonly Said[], rest?: Partial<GeneveMuxProps>) => {
      const { mtu, peer } = specOf(planOf(tunnels, rest), "node/cable") as {
        mtu: number;
        peer: { mtu: number };
      };
      expect(peer.mtu).toBe(mtu);
      return mtu;
    };
    expect(mtus([geneve])).toBe(1450);
    expect(mtus([{ ...geneve, ...wide }])).toBe(1430);
    expect(mtus([{ ...geneve, options: [{ class: 1, type: 2, data: "00112233" }] }])).toBe(1442);
    expect(mtus([{ ...geneve, payload: "ip" }])).toBe(1464);
    expect(mtus([{ name: "g", protocol: "gre", ...between }])).toBe(1476);
    expect(
      mtus([{ name: "g", protocol: "gre", key: 1, checksum: true, payload: "ethernet", ...between }]),
    ).toBe(1454);
    expect(mtus([{ name: "i", protocol: "ipip", ...wide }], { underlayMtu: 9000 })).toBe(8960);
    expect(mtus([{ name: "v", protocol: "vlan", vlanId: 10 }])).toBe(1500);
    // The smallest of several.
    expect(
      mtus([
        { name: "i", protocol: "ipip", ...between },
        { ...geneve, select },
      ]),
    ).toBe(1450);
  });

  test("asks the routing table unless a next hop is named, and delivers to the veth's other end", () => {
    const ends = endsOf([{ ...geneve, select }]);
    expect(ends["a.push"]).toMatchObject({
      link: "in0",
      keys: ["prefix 10.2.0.0/16"],
      flags: ["dont-fragment", "redirect"],
      ...{ vni: 7, ttl: 64, mtu: 1500, sourcePort: 0, destinationPort: 6081, hop: { hold: 50 }, ...between },
    });
    expect(ends["a.pop"]).toMatchObject({
      link: "eth1",
      keys: ["geneve 7 192.0.2.1"],
      flags: ["destination-mac", "redirect", "source-mac"],
      egress: "in0",
      hop: { dmac: { netns: "inside", link: "eth0" }, smac: { link: "in0" } },
    });
    const named = endsOf([{ ...geneve, macs: { outerDestination: "02:00:00:00:00:01" } }]);
    expect(named["a.push"]!.hop).toEqual({ link: "eth1", dmac: "02:00:00:00:00:01", smac: { link: "eth1" } });
    // Whole frames, selected by nothing but where they come in, are somebody's network: they stay as they are.
    expect(named["a.pop"]!.hop).toBeUndefined();
  });

  test("hands frames to the host's own stack where they are not redirected", () => {
    const plan = planOf([{ ...geneve, select, redirect: false }]);
    const ends = specOf(plan, "node/mux/tunnels")["ends"] as Record<string, End>;
    expect(ends["a.push"]).toMatchObject({
      flags: ["dont-fragment"],
      hop: { dmac: { link: "in0" }, smac: { link: "in0" } },
    });
    expect(ends["a.pop"]).toMatchObject({ hop: { dmac: { link: "eth1" }, smac: { link: "eth1" } } });
    expect(ends["a.pop"]!.egress).toBeUndefined();
    expect(specOf(plan, "node/mux/own-addresses")["values"]).toEqual({
      "net/ipv4/conf/in0/accept_local": "1",
      "net/ipv4/conf/in0/rp_filter": "2",
    });
  });

  test("has a form for every knob", () => {
    const ends = endsOf([
      {
        ...{
          ...geneve,
          ttl: "inherit",
          dscp: 46,
          deliverDscp: true,
          ecn: "compatible",
          dontFragment: "inherit",
        },
        ...{
          checksum: true,
          verifyChecksum: false,
          sourcePort: 51234,
          sources: ["198.51.100.0/24", "203.0.113.1"],
        },
        ...{ options: [{ class: 0x102, type: 3, critical: true, data: "DEADBEEF" }], debug: true, mtu: 1400 },
        ...{ macs: { innerDestination: "02:00:00:00:00:05", innerSource: "02:00:00:00:00:06" } },
        select: {
          destinations: ["10.2.0.9", "fd00:2::/32"],
          pairs: [{ source: "10.1.0.1", destination: "10.2.0.8" }],
        },
      },
      { name: "q", protocol: "qinq", outerVlanId: 100, vlanId: 10, priority: 5, direction: "pop" },
      { name: "k", protocol: "gre", key: 0xdead, ...wide, direction: "pop" },
      { name: "i", protocol: "ipip", ...wide, sources: "any", direction: "pop" },
      { name: "x", protocol: "vxlan", vni: 9, ...wide, checksum: false, direction: "pop" },
    ]);
    expect(ends["a.push"]).toMatchObject({
      keys: ["host 10.2.0.9", "pair 10.1.0.1 10.2.0.8", "prefix fd00:2::/32"],
      flags: [
        ...["checksum", "debug", "destination-mac", "dscp", "ecn-compatible"],
        ...["inherit-dont-fragment", "redirect", "source-mac"],
      ],
      ...{ ttl: 0, tos: 184, mtu: 1400, sourcePort: 51234 },
      inner: { dmac: "02:00:00:00:00:05", smac: "02:00:00:00:00:06", options: "01028301deadbeef" },
    });
    expect(ends["a.pop"]).toMatchObject({
      flags: ["debug", "destination-mac", "dscp", "redirect", "source-mac", "trust-checksum"],
      sources: ["198.51.100.0/24", "203.0.113.1/32"],
    });
    expect(ends["q.pop"]!.keys).toEqual(["qinq 100 10"]);
    expect(ends["k.pop"]!.keys).toEqual(["gre-key 57005 2001:db8::1"]);
    expect(ends["i.pop"]).toMatchObject({
      keys: ["ipip any 2001:db8::1"],
      flags: ["any-source", "ip", "redirect"],
    });
    expect(ends["x.pop"]!.flags).toContain("zero-checksum");
  });

  test("refuses what cannot be, each with the property that it is about", () => {
    expect(wrong([{ ...geneve, vni: 0x1_000_000 }])).toEqual([
      "[node/mux] tunnels[0].vni: must be a whole number from 0 to 16777215",
    ]);
    expect(
      wrong([
        { ...geneve, select },
        { ...geneve, name: "b", remote: "192.0.2.3", select: { destinations: ["10.2.0.0/16"] } },
      ]),
    ).toEqual([
      "[node/mux] tunnels[1].select: prefix 10.2.0.0/16 on in0 is selected by a already",
      "[node/mux] tunnels[1].vni: geneve 7 192.0.2.1 is what a is known by already",
    ]);
    const inside = { ...geneve, name: "b", vni: 8, select: { destinations: ["10.2.3.0/24"] } };
    expect(wrong([{ ...geneve, select }, inside])).toEqual([
      "[node/mux] tunnels[1].select.destinations[0]: 10.2.3.0/24 lies inside 10.2.0.0/16 of a: set nestedPrefixes if " +
        "the longer is meant to win",
    ]);
    expect(() => planOf([{ ...geneve, select }, inside], { nestedPrefixes: true })).not.toThrow();
    expect(wrong([{ ...geneve, remote: "2001:db8::2" }])).toEqual([
      "[node/mux] tunnels[0].remote: 2001:db8::2 is not of the family of local 192.0.2.1",
    ]);
    expect(wrong([{ ...geneve, interface: "eth9", select } as Said])).toEqual([
      "[node/mux] tunnels[0].interface: is eth9, of which the program does not know whose MAC address frames are " +
        "delivered to: give an end of a VethPair, peer, or macs.delivered",
    ]);
    expect(
      wrong([
        { ...geneve, name: "x" },
        { ...geneve, name: "y", vni: 8 },
      ]),
    ).toEqual([
      "[node/mux] tunnels[1].select: takes everything of in0, and x does, too: say what each selects",
    ]);
    expect(
      wrong([{ ...geneve, options: Array(3).fill({ class: 1, type: 1, data: "00".repeat(28) }) as never }]),
    ).toEqual(["[node/mux] tunnels[0].options: have 96 bytes with their headers, and there is room for 64"]);
  });
});

describe("reasons", () => {
  test("are those of mux.h, in its order", () => {
    const words = reasons.map((name) => name.replaceAll("_", " ").toLowerCase());
    expect(REASONS.map((reason) => reason.toLowerCase())).toEqual(words);
  });
});

describe("a key", () => {
  test("is known by its words and refused by them", () => {
    expect(keyProblem("geneve 16777216 192.0.2.1")).toContain("0 to 16777215");
    expect(keyProblem("prefix 10.0.0.1/8")).toContain("names no network");
    expect(keyProblem("pair 10.0.0.1 fd00::1")).toContain("both families");
    expect(keyProblem("host 010.0.0.1")).toContain("no address");
    expect(keyProblem("vlan 1; reboot")).toBeDefined();
    expect(keyProblem("qinq 100 10")).toBeUndefined();
  });

  test("has a number in the host's order, and an address as it is sent", () => {
    expect(parseKey("geneve 7 192.0.2.1")).toEqual({
      by: "slot",
      family: 4,
      scope: 3,
      a: "07000000",
      b: "c0000201",
    });
    expect(parseKey("qinq 100 10")).toMatchObject({ scope: 9, a: "0a006400", b: "00000000" });
    expect(parseKey("gre-key 7 2001:db8::1")).toMatchObject({
      family: 6,
      a: "07000000000000000000000000000000",
      b: "20010db8000000000000000000000001",
    });
  });
});
