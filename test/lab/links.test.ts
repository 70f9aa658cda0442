import { openSession, type OpenSession } from "../../lib/host";
import { disagreements } from "../../lib/kinds/agree";
import { link, type LinkInput, type LinkKind, type LinkSpec } from "../../lib/kinds/link";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { linkSpecs, type Surroundings } from "../support/link-specs";

const machines = withLab(["edge"]);

/** Kinds that are changed into one another. */
const families: readonly (readonly LinkKind[])[] = [
  ["gre", "gretap"],
  ["ip6gre", "ip6gretap"],
  ["ipip", "sit"],
  ["geneve", "vxlan"],
  ["vlan", "dummy", "bridge"],
  ["gre", "ip6gre", "ipip", "geneve", "vlan", "dummy", "veth", "ifb"],
];

/** Each family has a namespace of its own: two tunnels of one kind between the same ends cannot share one. */
const around = (family: number): Surroundings => ({
  netns: `f${family}`,
  others: ["l1", "l2"],
  masters: ["br0", "br1"],
  otherMasters: ["br0"],
  below: "below",
  vlanFiltering: true,
});

let session: OpenSession;
let nth = 0;

async function run(steps: readonly Step[], queries: readonly Query[]): Promise<Facts> {
  const decide = () => ({ steps });
  return (await session.run({ label: `links/${++nth}`, stack: "test/lab", queries, decide })).facts;
}

const ip = (netns: string | undefined, ...args: string[]): Step => ({
  tool: "ip",
  ...(netns && { netns }),
  args,
});

beforeAll(async () => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 20 });
  const namespaces = [...families.keys()].map((family) => around(family).netns).concat("l0", "l1", "l2");
  await run(
    namespaces.map((netns) => ip(undefined, "netns", "add", netns)),
    [],
  );
  await run(
    namespaces.flatMap((netns) => [
      ip(netns, "link", "add", "name", "br0", "up", "type", "bridge"),
      ip(netns, "link", "add", "name", "br1", "up", "type", "bridge"),
      ip(netns, "link", "add", "name", "below", "up", "type", "dummy"),
    ]),
    [],
  );
});

afterAll(() => session?.close());

const context = { owner: "netloom:test/lab" };
const spec = (input: LinkInput): LinkSpec => link.schema.parse(input);

async function observe(...specs: readonly [LinkSpec, ...LinkSpec[]]): Promise<LinkSpec | undefined> {
  const queries = specs.flatMap((one) => link.queries(one));
  return link.observe(await run([], queries), specs);
}

/** Makes the link as it is wanted, and returns it as it then is. */
async function reach(wanted: LinkSpec): Promise<LinkSpec> {
  await run(link.plan(await observe(wanted), wanted, context), []);
  const found = await observe(wanted);
  expect(found).toBeDefined();
  expect(disagreements(wanted, found as LinkSpec)).toEqual([]);
  expect(link.plan(found, wanted, context)).toEqual([]);
  return found as LinkSpec;
}

async function remove(wanted: LinkSpec): Promise<void> {
  await run(link.plan(await observe(wanted), undefined, context), []);
  expect(await observe(wanted)).toBeUndefined();
}

describe("links on Debian's kernel converge, also after an interruption", () => {
  // All at once: a processor that is emulated is slow, and what arrives together is one batch.
  let all: Promise<unknown>[] = [];
  beforeAll(() => {
    all = families.map((kinds, family) => {
      const specs = linkSpecs(kinds, around(family));
      return converges({ kind: link, specs, run, cases: 4, interruptions: 1 }).catch(
        (error: unknown) => error,
      );
    });
  });

  test.each(families.map((kinds, family) => [kinds.join(", "), family] as const))(
    "from any of %s to any other",
    async (_, family) => {
      const failure = await all[family];
      if (failure !== undefined) throw failure as Error;
    },
    900_000,
  );
});

describe("a veth pair with one end in the initial namespace", () => {
  const inside = (peer: LinkInput["peer"]) => spec({ netns: "l0", name: "in0", kind: "veth", peer });

  test("is made from there, and its other end is found, changed and renamed", async () => {
    await reach(inside({ name: "out0", addresses: ["192.0.2.1/31"], mtu: 1400 }));
    await reach(inside({ name: "out0", addresses: ["192.0.2.3/31"], mtu: 1500 }));
    await reach(inside({ name: "out1", addresses: ["192.0.2.3/31"] }));
    await reach(inside({ netns: "l1", name: "out1", addresses: ["192.0.2.3/31"] }));
    await reach(inside({ name: "out2" }));
    await remove(inside({ name: "out2" }));
    expect(await machines.lab.ssh("edge", ["ip", "link"])).not.toContain("out2");
  });

  test("can be named from the other side", async () => {
    const wanted = spec({
      name: "out3",
      kind: "veth",
      rxQueues: 2,
      txQueues: 2,
      peer: { netns: "l0", name: "in3" },
    });
    await reach(wanted);
    await remove(wanted);
  });
});

describe("a physical link", () => {
  const nic = (more: Partial<LinkInput> = {}) => spec({ name: "eth1", kind: "physical", ...more });

  test("is configured as it is, and put back", async () => {
    const before = await observe(nic());
    expect(before).toMatchObject({ kind: "physical", mtu: 1500, addresses: [], master: "" });
    await reach(nic({ mtu: 1400, addresses: ["192.0.2.9/24"], sysctls: { "ipv4/rp_filter": "2" } }));
    await reach(nic({ mtu: 1500, addresses: [], up: before?.up ?? false }));
    expect(link.plan(before, undefined, context)).toEqual([]);
  });

  test("that is not there cannot be made", async () => {
    const wanted = spec({ name: "eth77", kind: "physical" });
    const found = await observe(wanted);
    expect(() => link.plan(found, wanted, context)).toThrow(
      /no link eth77: a physical link is configured and never made/,
    );
  });
});

describe("what the kernel refuses is explained", () => {
  const tunnel = (more: Partial<LinkInput>) =>
    spec({ netns: "l0", name: "x0", kind: "gre", local: "10.0.0.1", remote: "10.0.0.2", key: 7, ...more });

  async function refusal(wanted: LinkSpec): Promise<string | undefined> {
    try {
      await run(link.plan(await observe(wanted), wanted, context), []);
    } catch (error) {
      return link.explain?.((error as Error).message, wanted);
    }
    throw new Error("the kernel took it");
  }

  beforeAll(() => reach(tunnel({})));
  afterAll(() => remove(tunnel({})));

  test.each<[string, LinkInput, RegExp]>([
    [
      "the same ends and key",
      tunnel({ name: "x1" }),
      /another gre tunnel between 10\.0\.0\.1 and 10\.0\.0\.2/,
    ],
    [
      "no such link below",
      spec({ netns: "l0", name: "x2", kind: "vlan", link: "nope", vlanId: 3 }),
      /there is no nope in the namespace of x2/,
    ],
    ["no such bridge", spec({ netns: "l0", name: "x3", kind: "dummy", master: "nobr" }), /there is no nobr/],
    ["a tunnel in a bridge", tunnel({ name: "x4", key: 8, master: "br0" }), /use gretap/],
    [
      "no such namespace for the other end",
      spec({ netns: "l0", name: "x5", kind: "veth", peer: { netns: "gone", name: "y5" } }),
      /there is no network namespace gone/,
    ],
    [
      "no such namespace",
      spec({ netns: "gone", name: "x6", kind: "dummy" }),
      /there is no network namespace gone/,
    ],
    [
      "a VLAN wider than its link",
      spec({ netns: "l0", name: "x7", kind: "vlan", link: "below", vlanId: 4, mtu: 9000 }),
      /cannot have an MTU of 9000/,
    ],
  ])("%s", async (_, wanted, message) => {
    expect(await refusal(spec(wanted))).toMatch(message);
    const left = await observe(spec(wanted));
    if (left !== undefined) await remove(left);
  });

  test("a kernel without the driver", async () => {
    await machines.lab.ssh("edge", [
      "sh",
      "-c",
      "rmmod geneve && echo install geneve /bin/false >/etc/modprobe.d/x.conf",
    ]);
    const wanted = spec({ netns: "l0", name: "x8", kind: "geneve", vni: 1, remote: "10.0.0.9" });
    expect(await refusal(wanted)).toMatch(/needs the module geneve \(modprobe geneve; CONFIG_GENEVE\)/);
  });
});
