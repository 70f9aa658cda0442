import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { connectionOf } from "../../../lib/host/connection";
import { HostError } from "../../../lib/host/operation";
import { Session } from "../../../lib/host/session";
import { folderOf, mapPin } from "../../../lib/kinds/bpf/names";
import { object, objectDigest, objectPath } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";
import { tunnels } from "../../../lib/kinds/geneve-mux";
import { sizesOf } from "../../../lib/kinds/geneve-mux/layout";
import type { Tunnels } from "../../../lib/kinds/geneve-mux/schema";
import type { Facts, Query, Step } from "../../../lib/kinds/step";
import { packagedSources, readSources } from "../../../constructs/sources";
import { converges } from "../../support/converge";
import { temporaryFolder } from "../../support/folder";
import { tunnelsSpecs } from "../../support/specs/geneve-mux";

const name = `nlt-${process.pid}-mux`;
const netns = `nlt-${process.pid}-mux`;
const links = ["up0", "in0", "in1"];
const owner = { owner: "netloom:test" };
const folder = temporaryFolder();
const main = "geneve-mux/geneve-mux.bpf.c";
const capacity = 64;

/** A host whose initial namespace is the test's own: what the maps name are its interfaces. */
let session: Session;
const run = async (steps: readonly Step[], queries: readonly Query[] = []): Promise<Facts> => {
  const decide = steps.length > 0 ? { decide: () => ({ steps }) } : {};
  return (await session.run({ label: "test", stack: "test/test", queries, ...decide })).facts;
};
const ip = (...words: string[]) => execFileSync("ip", ["-n", netns, ...words], { encoding: "utf8" });

beforeAll(async () => {
  execFileSync("ip", ["netns", "add", netns]);
  for (const link of links) ip("link", "add", link, "type", "veth", "peer", "name", `${link}-far`);
  session = new Session(
    "here",
    {
      connect: () => connectionOf("nsenter", [`--net=/run/netns/${netns}`, "sh"]),
      explain: (_end, stderr) => Promise.resolve({ error: new HostError(stderr), retry: false }),
      dialled() {},
      close() {},
    },
    { folders: { state: `${folder.path}/state`, run: `${folder.path}/run` }, gatherMs: 1 },
  );
  const { files } = readSources(packagedSources(), main);
  const flags = Object.entries(sizesOf(capacity)).map(([size, value]) => `-D${size}=${value}`);
  const built = object.schema.parse({ name, main, sources: files, flags });
  const version = objectDigest(built);
  const loaded = program.schema.parse({ name, object: objectPath(name, version), version });
  await run([...object.plan(undefined, built, owner), ...program.plan(undefined, loaded, owner)]);
});

afterAll(async () => {
  await run([{ tool: "bpf-rm", path: folderOf(name) }]);
  await session.close();
  execFileSync("ip", ["netns", "del", netns]);
  const { files } = readSources(packagedSources(), main);
  const flags = Object.entries(sizesOf(capacity)).map(([size, value]) => `-D${size}=${value}`);
  rmSync(dirname(objectPath(name, objectDigest({ main, sources: files, flags }))), {
    recursive: true,
    force: true,
  });
});

const look = async (spec: Tunnels) => tunnels.observe(await run([], tunnels.queries(spec)), [spec]);
async function make(input: object): Promise<Tunnels> {
  const spec = tunnels.schema.parse(input);
  await run(tunnels.plan(await look(spec), spec, owner));
  return spec;
}
const bpftool = (...words: string[]) =>
  execFileSync("nsenter", [`--net=/run/netns/${netns}`, "bpftool", ...words], { encoding: "utf8" });

const one = (vni: number) => ({
  program: name,
  capacity,
  links: { up0: {}, in0: {} },
  ends: {
    "west.push": {
      ...{
        link: "in0",
        keys: ["host 10.1.2.3", "prefix 10.2.0.0/16"],
        direction: "push",
        protocol: "geneve",
      },
      ...{ flags: ["redirect", "dont-fragment"], vni, ttl: 64, mtu: 1500, destinationPort: 6081 },
      ...{ local: "192.0.2.1", remote: "192.0.2.2", hop: { hold: 50 } },
    },
    "west.pop": {
      ...{ link: "up0", keys: [`geneve ${vni} 192.0.2.1`], direction: "pop", protocol: "geneve" },
      ...{ flags: ["redirect"], local: "192.0.2.1", remote: "192.0.2.2", egress: "in0" },
    },
  },
});
const none = { program: name, capacity, links: {}, ends: {} };

describe("the tunnels of a GeneveMux", () => {
  test("converge from any to any others, also after an interruption", async () => {
    // Tables of 64 lines: many keys fall on each other's places.
    await converges({
      kind: tunnels,
      specs: tunnelsSpecs(name, links, capacity),
      run,
      cases: 5,
      interruptions: 1,
    });
    await make(none);
  });

  test("are written where they change and nowhere else", async () => {
    await make(one(7));
    const spec = tunnels.schema.parse(one(7));
    const other = { ...spec, ends: { ...spec.ends, "west.push": { ...spec.ends["west.push"]!, vni: 8 } } };
    const steps = tunnels.plan(await look(other), other, owner);
    expect(steps).toHaveLength(1);
    expect(steps).toMatchObject([{ tool: "bpftool" }]);
    expect(JSON.stringify(steps)).toContain(mapPin(name, "mux_ends"));
  });

  test("that were changed behind their back show as drift by property, and are repaired", async () => {
    const spec = await make(one(7));
    // The line of the end that pops, with VNI 7 for its key: its flags become zero.
    const line = Object.entries((await look(spec))!.tables!.mux_ends!).find(([, value]) =>
      value.startsWith("07000000"),
    )!;
    const words = (digits: string) => digits.match(/../g)!;
    const changed = line[1].slice(0, 24) + "0000" + line[1].slice(28);
    bpftool(
      "map",
      "update",
      "pinned",
      mapPin(name, "mux_ends"),
      ..."key hex".split(" "),
      ...words(line[0]),
      "value",
      "hex",
      ...words(changed),
    );
    const drifted = (await look(spec))!;
    expect(drifted.ends["west.pop"]).toEqual({ ...spec.ends["west.pop"], flags: [] });
    expect(drifted.ends["west.push"]).toEqual(spec.ends["west.push"]);
    await make(one(7));
    expect((await look(spec))!.ends).toEqual(spec.ends);

    bpftool(
      "map",
      "delete",
      "pinned",
      mapPin(name, "mux_prefix4"),
      ...`key hex 30 00 00 00 ${words(prefixTable()).join(" ")} 0a 02 00 00`.split(" "),
    );
    expect((await look(spec))!.ends["west.push"]!.keys).toEqual(["host 10.1.2.3"]);
    await make(one(7));
    expect((await look(spec))!.ends).toEqual(spec.ends);
  });

  test("of a link that is not there are refused with the links that are", async () => {
    const spec = { ...one(7), links: { up0: {}, in9: {} } };
    spec.ends["west.push"].link = "in9";
    await expect(make(spec)).rejects.toThrow(/There is no link in9: there are .*in0.*up0/);
  });

  test("tell what they have carried and dropped, by the names of their ends", async () => {
    const spec = await make(one(7));
    const words = (digits: string) => digits.match(/../g)!;
    const tables = (await look(spec))!.tables!.mux_ends!;
    const [key, value] = Object.entries(tables).find(([, one]) => one.startsWith("07000000"))!;
    const counted = value.slice(0, 96) + "0500000000000000" + "f401000000000000";
    const update = (map: string, ...what: string[]) =>
      bpftool("map", "update", "pinned", mapPin(name, map), ...what.join(" ").split(" "));
    update("mux_ends", "key hex", ...words(key), "value hex", ...words(counted));
    update("mux_drops", "key hex", ...words(key), "10 00 00 00", "value hex 03 00 00 00 00 00 00 00");
    const rows = await Promise.all(
      tunnels.statistics!(spec).map(async (table) => table.read(await run([], table.queries))),
    );
    expect(rows).toEqual([
      [
        { of: { end: "west.push" }, counters: { packets: 0, bytes: 0 } },
        { of: { end: "west.pop" }, counters: { packets: 5, bytes: 500 } },
      ],
      [{ of: { end: "west.pop", reason: "wrong source" }, counters: { packets: 3 } }],
    ]);
    // Counting changes no state.
    expect((await look(spec))!.ends).toEqual(spec.ends);
  });

  test("leave the maps empty when they go", async () => {
    await make(one(7));
    await make(none);
    expect((await look(tunnels.schema.parse(none)))!.tables).toEqual(
      Object.fromEntries(
        ["hops", "more", "devs", "ends", "sources", "v6", "prefix4", "prefix6", "ports"].map((map) => [
          `mux_${map}`,
          {},
        ]),
      ),
    );
  });
});

/** The number of in0, as the table of its prefixes has it. */
function prefixTable(): string {
  const [{ ifindex }] = JSON.parse(ip("-j", "link", "show", "in0")) as [{ ifindex: number }];
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(ifindex);
  return bytes.toString("hex");
}
