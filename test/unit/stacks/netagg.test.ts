import { runProgram } from "../../support/stack-program";
import type { Registered } from "../synth/mocks";

const host = (address: string, interfaces: unknown = ["eth1", "eth2"]) =>
  JSON.stringify({ address, user: "root", interfaces });
const hosts = { "netloom:sender": host("192.0.2.10"), "netloom:receiver": host("192.0.2.20") };

/** What the program registers with a configuration. */
const run = (config: Record<string, string> = {}) => runProgram("netagg", { ...hosts, ...config });

const inputs = (resources: readonly Registered[], name: string) =>
  resources.find((resource) => resource.name === name)?.inputs;

test("the receiver's NICs end the paths, by the weights of the configuration", async () => {
  const resources = await run({ "netloom:weights": "[7500, 2500]", "netloom:applicationPort": "1234" });
  expect(inputs(resources, "agg/receiver")?.["rules"]).toMatchObject([
    {
      role: "receiver",
      paths: [
        { address: "10.10.1.11", port: 1234, weight: 7500, dev: "eth1" },
        { address: "10.10.2.11", port: 1234, weight: 2500, dev: "eth2" },
      ],
    },
  ]);
  expect(inputs(resources, "agg/routes")?.["routes"]).toContainEqual(
    expect.objectContaining({ destination: "default", via: "10.10.2.1", dev: "eth2" }),
  );
});

test("rates shape the NICs and are the weights", async () => {
  const resources = await run({ "netloom:rates": "[3000, 1000]" });
  expect(inputs(resources, "sender/rate2")).toMatchObject({ link: "eth2", root: { rate: 1_000_000 } });
  expect(inputs(resources, "agg/sender")?.["rules"]).toMatchObject([
    { paths: [{ weight: 3000 }, { weight: 1000 }] },
  ]);
});

test("by MPTCP there are endpoints and no module", async () => {
  const resources = await run({ "netloom:backend": "mptcp" });
  expect(inputs(resources, "receiver/netagg-mptcp")).toMatchObject({
    endpoints: { "10.10.2.11": { id: 1 } },
  });
  expect(resources.filter(({ type }) => /netagg:|:Module$/.test(type))).toEqual([]);
});

test("without the pair there are the links alone", async () => {
  const resources = await run({ "netloom:aggregate": "false" });
  expect(resources.filter(({ name }) => name.includes("agg"))).toEqual([]);
});

const wrong: [what: string, config: Record<string, string>, message: string][] = [
  [
    "one NIC",
    { "netloom:receiver": host("192.0.2.20", ["eth1"]) },
    'netloom:receiver.interfaces must be of two paths, such as ["eth1","eth2"]; found ["eth1"]',
  ],
  [
    "NICs as text",
    { "netloom:sender": host("192.0.2.10", "eth1,eth2") },
    'netloom:sender.interfaces must be of two paths, such as ["eth1","eth2"]; found "eth1,eth2"',
  ],
  [
    "three weights",
    { "netloom:weights": "[1, 2, 3]" },
    "netloom:weights must be of two paths, such as [7500,2500]; found [1,2,3]",
  ],
  [
    "another backend",
    { "netloom:backend": "best" },
    '[agg] backend: must be "module", "mptcp" or "auto"; found "best"',
  ],
  [
    "a weight of 0",
    { "netloom:weights": "[1, 0]" },
    "[agg] receiver.paths[1].weight: must be a whole number from 1",
  ],
];
test.each(wrong)(
  "%s in the configuration is told before anything is registered",
  async (_, config, message) => {
    await expect(run(config)).rejects.toThrow(message);
  },
);
