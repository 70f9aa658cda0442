import { execFileSync } from "node:child_process";
import { portBlocks } from "../../../lib/kinds/port-blocks";
import type { Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { portBlocksSpecs } from "../../support/specs/port-blocks";

const netns = scratchNetns("blocks");
const owner = { owner: "netloom:demo/dev" };

test("tables of port blocks converge from any to any other, also after an interruption", async () => {
  await converges({ kind: portBlocks, specs: portBlocksSpecs(netns), run, cases: 30 });
});

const spec = (blocks: Readonly<Record<string, string>>) =>
  portBlocks.schema.parse({ netns, table: "cgnat", outInterface: "w0", blocks });
const wanted = spec({ "10.0.0.1": "192.0.2.1:1024-2047", "10.0.1.0/24": "192.0.2.1:2048-3071" });
const observe = async () => portBlocks.observe(await run([], portBlocks.queries(wanted)), [wanted]);
const nft = (...commands: object[]): Step => ({ tool: "nft", netns, commands });

describe("a table changed behind our back", () => {
  beforeEach(async () => {
    await run(portBlocks.plan(await observe(), wanted, owner));
    expect(await observe()).toEqual(wanted);
  });

  const at = { family: "ip", table: "cgnat" };
  test.each([
    [
      "a rule",
      { add: { rule: { ...at, chain: "postrouting", expr: [{ accept: null }] } } },
      "rules of postrouting",
    ],
    ["a chain", { add: { chain: { ...at, name: "mine" } } }, "chain mine"],
    [
      "an address without ports",
      { add: { element: { ...at, name: "address", elem: [["10.9.9.9", "192.0.2.9"]] } } },
      "element 10.9.9.9 of address",
    ],
    ["a set", { add: { set: { ...at, name: "s", type: "ipv4_addr" } } }, "set s"],
    ["a chain emptied", { flush: { chain: { ...at, name: "host-1024-2047" } } }, "rules of host-1024-2047"],
  ])("shows %s, and puts it right in one transaction", async (_, command, told) => {
    await run([nft(command)]);
    expect((await observe())?.unrecognised).toEqual([told]);
    const steps = portBlocks.plan(await observe(), wanted, owner);
    expect(steps).toHaveLength(1);
    await run(steps);
    expect(await observe()).toEqual(wanted);
  });

  test("shows a subscriber that was taken out as missing, and puts it back with its two elements", async () => {
    await run([
      nft(
        { delete: { element: { ...at, name: "ports", elem: ["10.0.0.1"] } } },
        { delete: { element: { ...at, name: "address", elem: ["10.0.0.1"] } } },
      ),
    ]);
    const found = await observe();
    // Its chain is one that nothing leads to.
    expect(found?.blocks).toEqual({ "10.0.1.0/24": "192.0.2.1:2048-3071" });
    await run(portBlocks.plan(found, wanted, owner));
    expect(await observe()).toEqual(wanted);
  });
});

describe("ten thousand subscribers", () => {
  const address = (index: number) => `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const block = (index: number, shift = 0) => {
    const [nth, slot] = [Math.floor((index + shift) / 63), (index + shift) % 63];
    return `198.18.${nth >> 8}.${nth & 255}:${1024 + slot * 1024}-${2047 + slot * 1024}`;
  };
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [address(n), block(n)]));

  test("are one transaction that takes seconds at most, and one of them is four commands", async () => {
    const all = spec(many(10_000));
    const steps = portBlocks.plan(await observe(), all, owner);
    expect(steps).toHaveLength(1);
    const started = performance.now();
    await run(steps);
    const took = performance.now() - started;
    const found = await observe();
    expect(found).toEqual(all);
    expect(took).toBeLessThan(10_000);

    // One more, one that moves, one that goes: what is done does not grow with the number of the others.
    for (const changed of [
      { ...all.blocks, [address(10_000)]: block(10_000) },
      { ...all.blocks, [address(5_000)]: block(10_001) },
      Object.fromEntries(Object.entries(all.blocks).filter(([source]) => source !== address(77))),
    ]) {
      const [step, ...rest] = portBlocks.plan(all, spec(changed), owner);
      expect(rest).toEqual([]);
      const { commands } = step as Extract<Step, { tool: "nft" }>;
      expect(commands.length).toBeLessThanOrEqual(4);
      expect(JSON.stringify(commands).length).toBeLessThan(1000);
    }
    const grown = spec({ ...all.blocks, [address(10_000)]: block(10_000) });
    const begun = performance.now();
    await run(portBlocks.plan(all, grown, owner));
    const change = performance.now() - begun;
    console.info(`10,000 port blocks: ${Math.round(took)} ms; one more: ${Math.round(change)} ms`);
    expect(
      execFileSync(
        "ip",
        ["netns", "exec", netns, "nft", "get", "element", "ip", "cgnat", "address", `{ ${address(10_000)} }`],
        { encoding: "utf8" },
      ),
    ).toContain(address(10_000));
  });
});
