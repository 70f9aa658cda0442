import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Query } from "../../../lib/kinds/step";
import { localHost } from "../../support/host";

const prefix = `nlt-${process.pid}-s`;
const host = localHost();
const folder = mkdtempSync(join(tmpdir(), "nlt-files-"));

beforeAll(async () => {
  await host.apply([
    { tool: "ip", args: ["netns", "add", `${prefix}1`] },
    { tool: "ip", args: ["netns", "add", `${prefix}2`] },
  ]);
});

afterAll(async () => {
  await host.apply([
    { tool: "ip", args: ["netns", "del", `${prefix}1`] },
    { tool: "ip", args: ["netns", "del", `${prefix}2`] },
  ]);
  await host.close();
  rmSync(folder, { recursive: true });
});

describe("queries", () => {
  test("ip answers with parsed JSON from inside the namespace", async () => {
    const query: Query = { tool: "ip", netns: `${prefix}1`, args: ["-d", "link", "show"] };
    const fact = (await host.look([query])).get(query);
    expect(fact).toMatchObject({ ok: true, value: [{ ifname: "lo", promiscuity: 0 }] });
  });

  test("an empty answer is an empty list", async () => {
    const query: Query = { tool: "ip", netns: `${prefix}1`, args: ["route", "show"] };
    expect((await host.look([query])).get(query)).toEqual({ ok: true, value: [] });
  });

  test("a namespace that is not there is a fact", async () => {
    const queries: Query[] = [
      { tool: "ip", netns: `${prefix}9`, args: ["link", "show"] },
      { tool: "nft", netns: `${prefix}9`, args: ["list", "tables"] },
      { tool: "sysctl", netns: `${prefix}9`, keys: ["net/ipv4/ip_forward"] },
      { tool: "tc", netns: `${prefix}9`, args: ["qdisc", "show"] },
    ];
    const facts = await host.look(queries);
    for (const query of queries)
      expect(facts.get(query)).toEqual({
        ok: false,
        error: expect.stringContaining(`Cannot open network namespace "${prefix}9"`),
      });
  });

  test("settings are read whole, absent ones left out", async () => {
    const query: Query = {
      tool: "sysctl",
      netns: `${prefix}1`,
      keys: [
        "net/ipv4/ip_forward",
        "net/ipv4/no_such",
        "net/ipv4/tcp_rmem",
        "net/ipv4/ip_local_reserved_ports",
      ],
    };
    expect((await host.look([query])).get(query)).toEqual({
      ok: true,
      value: {
        "net/ipv4/ip_forward": "0",
        "net/ipv4/tcp_rmem": expect.stringMatching(/^\d+ \d+ \d+$/),
        "net/ipv4/ip_local_reserved_ports": "",
      },
    });
  });

  test("files are read as they are, absent ones and folders left out", async () => {
    const path = join(folder, "it's a 'file'\t$(x)");
    writeFileSync(path, "no newline at the end é", { mode: 0o640 });
    writeFileSync(join(folder, "empty"), "", { mode: 0o600 });
    const query: Query = { tool: "file", paths: [join(folder, "none"), path, folder, join(folder, "empty")] };
    expect((await host.look([query])).get(query)).toEqual({
      ok: true,
      value: {
        [path]: { content: "no newline at the end é", mode: "0640", owner: "root:root" },
        [join(folder, "empty")]: { content: "", mode: "0600", owner: "root:root" },
      },
    });
  });
});

describe("steps", () => {
  test("every tool does what it is told, and the queries see it", async () => {
    const netns = `${prefix}1`;
    const path = join(folder, "new/deep/file");
    const queries: Query[] = [
      { tool: "ip", netns, args: ["addr", "show", "dev", "v1"] },
      { tool: "tc", netns, args: ["qdisc", "show", "dev", "v1"] },
      { tool: "nft", netns, args: ["list", "table", "inet", "t1"] },
      { tool: "sysctl", netns, keys: ["net/ipv4/conf/v1/forwarding", "net/ipv4/ping_group_range"] },
      { tool: "file", paths: [path] },
    ];
    const content = "a 'quoted' $(word)\n\\n `x` é\u0001\u007f\n\n";
    const facts = await host.apply(
      [
        { tool: "ip", netns, args: ["link", "add", "v1", "type", "veth", "peer", "name", "v2"] },
        { tool: "ip", netns, args: ["addr", "add", "10.9.0.1/24", "dev", "v1"] },
        { tool: "tc", netns, args: ["qdisc", "add", "dev", "v1", "root", "handle", "1:", "htb"] },
        {
          tool: "nft",
          netns,
          commands: [{ add: { table: { family: "inet", name: "t1", comment: "it's; $(x)" } } }],
        },
        {
          tool: "sysctl",
          netns,
          values: { "net/ipv4/conf/v1/forwarding": "1", "net/ipv4/ping_group_range": "5 6" },
        },
        { tool: "write", path, file: { content, mode: "0750", owner: "daemon:root" } },
      ],
      queries,
    );
    const [addr, qdisc, nft, sysctl, file] = queries.map((query) => facts.get(query));
    expect(addr).toMatchObject({ ok: true, value: [{ addr_info: [{ local: "10.9.0.1" }] }] });
    expect(qdisc).toMatchObject({ ok: true, value: [{ kind: "htb", handle: "1:" }] });
    expect(nft).toMatchObject({ ok: true, value: { nftables: [{}, { table: { name: "t1" } }] } });
    expect(sysctl).toEqual({
      ok: true,
      value: { "net/ipv4/conf/v1/forwarding": "1", "net/ipv4/ping_group_range": "5 6" },
    });
    expect(file).toEqual({ ok: true, value: { [path]: { content, mode: "0750", owner: "daemon:root" } } });
  });

  test("a file is removed with the folders named, and only if they are empty", async () => {
    const paths = ["a/b/c", "a/keep"].map((path) => join(folder, path));
    const file = { content: "x", mode: "0644", owner: "root:root" };
    await host.apply(paths.map((path) => ({ tool: "write", path, file })));
    expect(statSync(paths[0]!).mode & 0o7777).toBe(0o644);
    expect(statSync(join(folder, "a/b")).mode & 0o7777).toBe(0o755);
    const prune = [join(folder, "a/b"), join(folder, "a")];
    await host.apply([{ tool: "remove", path: paths[0]!, prune }]);
    expect(() => statSync(join(folder, "a/b"))).toThrow("ENOENT");
    expect(readFileSync(paths[1]!, "utf8")).toBe("x");
    // A second time is no failure: it is gone already.
    await host.apply([{ tool: "remove", path: paths[0]!, prune }]);
  });

  test("a folder in the place of a file is left alone", async () => {
    const file = { content: "x", mode: "0644", owner: "root:root" };
    await expect(host.apply([{ tool: "write", path: folder, file }])).rejects.toThrow(
      `writing ${folder} failed: a folder is in its place`,
    );
  });

  test("a setting that is refused is named with the kernel's reason", async () => {
    const write = (values: Record<string, string>) =>
      host.apply([{ tool: "sysctl", netns: `${prefix}2`, values }]);
    await expect(write({ "net/ipv4/ip_forward": "zz" })).rejects.toThrow(
      /^host "here": setting net\/ipv4\/ip_forward in netns nlt-\S+ failed: cat: write error: Invalid argument$/,
    );
    await expect(write({ "net/ipv4/none": "1" })).rejects.toThrow("no such kernel setting");
  });

  test("a tool's failure carries its own words", async () => {
    await expect(host.apply([{ tool: "ip", args: ["link", "set", "nlt-none", "up"] }])).rejects.toMatchObject(
      {
        name: "StepError",
        touched: false,
        message: expect.stringMatching(
          /^host "here": ip link set failed: Cannot find device "nlt-none" \(there are .*\blo\b/,
        ) as unknown,
      },
    );
    await expect(
      host.apply([{ tool: "nft", commands: [{ delete: { table: { family: "inet", name: "nlt-none" } } }] }]),
    ).rejects.toThrow(/nft failed: .*No such file or directory/);
  });
});
