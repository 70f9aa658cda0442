import type { z } from "zod";
import { App, Host, LibreQoSShaper, Subscribers, Testing, type PlannedResource } from "../../../../lib";
import { GreSubscriberTunnel } from "../../../../constructs/isp/gre-subscriber-tunnel";
import { ClientRouting } from "../../../../constructs/isp/client-routing";
import { IspInABox, type IspInABoxProps } from "../../../../constructs/isp/isp-in-a-box";
import type { SubscriberProps } from "../../../../constructs/isp";
import { Shaper } from "../../../../constructs/isp/shaper/native";
import { contains, parseCidr } from "../../../../lib/synth";
import type { AnySpec } from "../../../../lib/kinds/kind";
import { kindOf } from "../../../../lib/kinds/registry";
import type { Step } from "../../../../lib/kinds/step";
import { refusals } from "../../synth/support";

/** One test for each mistake of the shell scripts that this system began as. */

const POOL = "192.168.11.0/24";

const home = (number: number, more: Partial<SubscriberProps> = {}): SubscriberProps => ({
  id: `home-${number}`,
  plan: { downloadMax: 20, uploadMax: 5 },
  client: { address: `203.0.${Math.floor(number / 250)}.${(number % 250) + 1}` },
  ...more,
});

const homes = (count: number) => Array.from({ length: count }, (_, index) => home(index + 1));

function ispOf(subscribers: readonly SubscriberProps[] = homes(2), props: Partial<IspInABoxProps> = {}): App {
  const app = new App();
  const edge = new Host(app, "edge", {
    address: "192.0.2.1",
    hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0",
  });
  new IspInABox(edge, "isp", {
    uplink: "eno2",
    tunnelPool: POOL,
    subscribers: Subscribers.of(subscribers),
    shaper: Shaper.native(),
    bridge: "linux",
    nameservers: ["9.9.9.9"],
    ...props,
  });
  return app;
}

/** A subscriber's machine: its tunnel, and one use of it. */
function clientOf(): App {
  const app = new App();
  const pi = new Host(app, "pi", { address: "192.0.2.7" });
  const tunnel = GreSubscriberTunnel.client(pi, "gre1", {
    local: "198.51.100.7",
    remote: "192.0.2.1",
    key: 7,
    addresses: ["192.168.11.2/30"],
  });
  new ClientRouting(pi, "containers", { tunnel, mode: "docker", subnet: "172.30.0.0/16" });
  return app;
}

const planOf = (app: App) => Testing.synth(app);

/** What is done on a host to make a resource from nothing, as far as its spec alone says. */
function stepsOf(resource: PlannedResource): readonly Step[] {
  return kindFor(resource).plan(undefined, canonical(resource), { owner: "netloom:test/test" });
}

function kindFor({ token }: PlannedResource) {
  const kind = kindOf(token);
  if (kind === undefined) throw new Error(`no kind ${token}`);
  return kind;
}

const canonical = (resource: PlannedResource) =>
  (kindFor(resource).schema as z.ZodObject).parse(resource.spec) as AnySpec;

/** The words of every `ip` and `tc` line. */
const linesOf = (steps: readonly Step[]) =>
  steps.flatMap((step) => ("args" in step ? [step.args.join(" ")] : []));

const links = (plan: readonly PlannedResource[], kind: string) =>
  plan.filter(({ token, spec }) => token === "netloom:net:Link" && spec["kind"] === kind);

describe("return traffic", () => {
  // Tunnels were in 192.168.11.0/30 and the ways back for 192.168.1.0/24.
  test("finds its way to the very pool that the tunnels are numbered from, in every namespace on the way", () => {
    const plan = planOf(ispOf());
    const back = plan.flatMap(({ path, token, spec }) =>
      token === "netloom:net:Routes"
        ? (spec["routes"] as { destination: string; via?: string }[])
            .filter(({ destination, via }) => destination !== "default" && via !== undefined)
            .map(({ destination }) => [path, destination])
        : [],
    );
    expect(back).toEqual([
      ["edge/isp/internet/ways", POOL],
      ["edge/isp/to-subscribers", POOL],
    ]);
    const pool = parseCidr(POOL)!;
    for (const { spec } of links(plan, "gre")) {
      for (const address of spec["addresses"] as string[]) {
        expect(contains(pool, parseCidr(address.replace(/\/.*/, ""))!)).toBe(true);
      }
    }
  });
});

describe("another subscriber", () => {
  // The block for "more clients" took gre1 and the first one's address again.
  test("has an interface, an address and a key of its own", () => {
    const tunnels = links(planOf(ispOf(homes(40))), "gre");
    expect(tunnels).toHaveLength(40);
    for (const property of ["name", "addresses", "key"]) {
      expect(new Set(tunnels.map(({ spec }) => JSON.stringify(spec[property]))).size).toBe(40);
    }
  });

  // 61 of them was the most, all with one rate and IPv4 only.
  test("may be the 500th, with a rate of its own", () => {
    const many = homes(500).map((one, index) => ({ ...one, plan: { downloadMax: index + 1, uploadMax: 1 } }));
    const plan = planOf(ispOf(many, { tunnelPool: "10.64.0.0/16" }));
    const shaped = plan.filter(({ token }) => token === "netloom:net:SubscriberShaping");
    const ceilings = shaped.flatMap(({ spec }) =>
      Object.values(spec["plans"] as Record<string, { download: { ceil: number } }>).map(
        (p) => p.download.ceil,
      ),
    );
    expect(new Set(ceilings).size).toBe(500);
  });
});

describe("a client's machine", () => {
  test("may have IPv6, outside of its tunnel and inside", () => {
    const app = new App();
    const pi = new Host(app, "pi", { address: "192.0.2.7" });
    GreSubscriberTunnel.client(pi, "gre1", { remote: "2001:db8::1", addresses: ["fd00:15b::3/127"] });
    expect(planOf(app)[0]?.spec).toMatchObject({ kind: "ip6gre", addresses: ["fd00:15b::3/127"] });
  });

  // `ip route change` on a table that was empty: it has to be made where it is not.
  test("needs nothing to be there before: no route is changed that nobody made", () => {
    const steps = planOf(clientOf()).flatMap(stepsOf);
    expect(linesOf(steps).filter((line) => /^route/.test(line)).length).toBeGreaterThan(0);
    expect(linesOf(steps).filter((line) => /^(route|rule) change/.test(line))).toEqual([]);
  });

  // `docker exec -it` waited for a terminal, and what followed it ran on the host.
  test("is given argument vectors that no terminal and no shell takes part in", () => {
    const tools = new Set(
      planOf(clientOf())
        .flatMap(stepsOf)
        .map(({ tool }) => tool),
    );
    for (const tool of tools) expect(["ip", "tc", "nft", "sysctl", "write", "remove"]).toContain(tool);
    const routing = new App();
    const pi = new Host(routing, "pi", { address: "192.0.2.7" });
    const tunnel = GreSubscriberTunnel.client(pi, "gre1", {
      remote: "192.0.2.1",
      addresses: ["192.168.11.2/30"],
    });
    const { dockerNetwork = [] } = new ClientRouting(pi, "c", {
      tunnel,
      mode: "docker",
      subnet: "172.30.0.0/16",
    });
    expect(dockerNetwork[0]).toBe("network");
    expect(dockerNetwork).not.toContain("-it");
  });

  // The MTU was never set on either end.
  test("has the MTU that fits at both ends: 1500 less 20 of IPv4, 4 of GRE and 4 of its key", () => {
    for (const plan of [planOf(clientOf()), planOf(ispOf())]) {
      const tunnels = links(plan, "gre");
      expect(tunnels.length).toBeGreaterThan(0);
      for (const { spec } of tunnels) expect(spec["mtu"]).toBe(1472);
    }
  });

  // It had to have a public address.
  test("may be behind a NAT: GRE inside UDP", () => {
    const app = new App();
    const pi = new Host(app, "pi", { address: "192.0.2.7" });
    GreSubscriberTunnel.client(pi, "gre1", { remote: "192.0.2.1", addresses: ["192.168.11.2/30"], fou: {} });
    expect(refusals(app)).toEqual([]);
    expect(JSON.stringify(planOf(app))).toMatch(/5555/);
  });
});

describe("the machine itself", () => {
  const paths = (steps: readonly Step[]) =>
    steps.flatMap((step) => ("path" in step ? [step.path] : "paths" in step ? (step.paths as string[]) : []));

  // Each run appended to sysctl.conf and rt_tables, and put a name server into the host's own resolv.conf.
  test("keeps its resolv.conf, sysctl.conf and rt_tables: name servers are the namespaces' own", () => {
    const written = paths(
      planOf(ispOf())
        .filter(({ token }) => !token.includes("Shaping"))
        .flatMap(stepsOf),
    );
    expect(written.filter((path) => /^\/etc\/(resolv\.conf|sysctl|iproute2)/.test(path))).toEqual([]);
    expect(written).toContain("/etc/netns/isp-subscribers/resolv.conf");
  });

  // A second run failed or made everything twice, and nothing took it away.
  test("has nothing done to it by a second run, and loses what it was given when the stack goes", () => {
    const plan = planOf(ispOf()).filter(({ token }) => !/Shaping|Link$/.test(token));
    expect(plan.length).toBeGreaterThan(5);
    for (const resource of plan) {
      const [kind, spec] = [kindFor(resource), canonical(resource)];
      expect([resource.path, kind.plan(spec, spec, { owner: "netloom:test/test" })]).toEqual([
        resource.path,
        [],
      ]);
      if (kind.ownership === "setting") continue; // put back to what it was, which the ledger knows
      expect(kind.plan(spec, undefined, { owner: "netloom:test/test" }).length).toBeGreaterThan(0);
    }
  });

  // veth2 and veth4 had addresses, by which the host could be reached past everything.
  test("has no address on the two sides of the shaping point, in either family", () => {
    const sides = planOf(ispOf()).filter(({ path }) => /\/shaping\/(down|up|bridge)$/.test(path));
    expect(sides).toHaveLength(3);
    for (const { spec } of sides) {
      expect(spec["addresses"] ?? []).toEqual([]);
      expect((spec["sysctls"] as Record<string, string>)["ipv6/disable_ipv6"]).toBe("1");
    }
  });
});

interface Rule {
  readonly action: string;
  readonly inInterface?: string;
  readonly outInterface?: string;
  readonly notSource?: readonly string[];
  readonly counter?: boolean;
}

describe("subscribers", () => {
  const policy = (app = ispOf()) => {
    const spec = planOf(app).find(({ path }) => path.endsWith("tunnels/policy"))?.spec ?? {};
    return spec as { clampMss?: unknown[]; forward: { rules: readonly Rule[] } };
  };

  // Whoever was behind one tunnel reached those behind the others, past the shaper.
  test("do not reach each other, and what they try is counted", () => {
    const isolated = (app: App) =>
      policy(app).forward.rules.some(
        ({ action, inInterface, outInterface, counter }) =>
          action === "drop" && inInterface === "sub-*" && outInterface === "sub-*" && counter === true,
      );
    expect(isolated(ispOf())).toBe(true);
    expect(isolated(ispOf(homes(2), { subscribersReachEachOther: true }))).toBe(false);
  });

  // Any source address came through any tunnel.
  test("send from their own addresses only", () => {
    const plan = planOf(ispOf());
    for (const { spec } of links(plan, "gre")) {
      const own = (spec["addresses"] as string[])[0]?.replace(/\/.*/, "") ?? "";
      const check = policy().forward.rules.find(
        ({ action, inInterface, notSource }) =>
          action === "drop" && inInterface === spec["name"] && notSource?.some((one) => /^192\./.test(one)),
      );
      // The client's end is the address after the server's.
      expect(check?.notSource).toEqual([own.replace(/\d+$/, (last) => String(Number(last) + 1))]);
    }
  });

  // Large segments were lost where path MTU discovery did not work.
  test("have their TCP segments made to fit the tunnels", () => {
    expect(policy().clampMss).toEqual([{ mss: "pmtu", outInterface: "sub-*" }]);
  });
});

describe("NAT", () => {
  const masquerades = (app: App) =>
    planOf(app).flatMap(({ path, spec }) => (JSON.stringify(spec).includes('"masquerade":[{') ? [path] : []));

  // It was done in the second namespace and again on the uplink, there by two equal rules.
  test("is done once, and twice only for whoever asks for a comparison", () => {
    expect(masquerades(ispOf())).toEqual(["edge/isp/nat"]);
    expect(masquerades(ispOf(homes(2), { nat: { legacy: true } }))).toHaveLength(2);
  });
});

describe("the shaping point", () => {
  // LibreQoS refused interfaces with one queue; they were made with 8 in one script and by ethtool in another.
  test("has the queues that LibreQoS needs, and too few are refused", () => {
    for (const { spec } of planOf(ispOf()).filter(({ path }) => /\/shaping\/(down|up)$/.test(path))) {
      expect([spec["txQueues"], spec["rxQueues"]]).toEqual([8, 8]);
    }
    const shaper = new LibreQoSShaper();
    expect(refusals(ispOf(homes(2), { shaper, queues: 1 })).join("\n")).toMatch(/queue/);
  });

  // LibreQoS' default ignored 192.168.0.0/16, which all the tunnels are in.
  test("does not ignore the tunnels: LibreQoS is told to shape their pool", () => {
    const shaper = new LibreQoSShaper();
    expect(refusals(ispOf(homes(2), { shaper }))).toEqual([]);
    const hidden = new LibreQoSShaper({ settings: { ignoreSubnets: ["192.168.0.0/16"] } });
    expect(refusals(ispOf(homes(2), { shaper: hidden })).join("\n")).toMatch(/hides 192\.168\.11\.0\/24/);
  });

  // A Linux bridge and LibreQoS' own, both at once: every frame twice, and a loop.
  test("has one bridge: with the XDP program there is no Linux bridge, and LibreQoS is told the same", () => {
    for (const bridge of ["linux", "xdp"] as const) {
      const plan = planOf(ispOf(homes(2), { shaper: new LibreQoSShaper(), bridge }));
      expect(links(plan, "bridge")).toHaveLength(bridge === "linux" ? 1 : 0);
      const files = plan.find(({ path }) => path.endsWith("libreqos/settings"))?.spec["files"];
      expect(JSON.stringify(files)).toContain(`use_xdp_bridge = ${bridge === "xdp"}`);
    }
  });
});
