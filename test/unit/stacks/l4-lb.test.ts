import { runProgram } from "../../support/stack-program";

/** What stacks/l4-lb registers. */
const run = (config: Record<string, string> = {}) =>
  runProgram("l4-lb", {
    "netloom:edge": JSON.stringify({ address: "198.51.100.1", interface: "eth1" }),
    "netloom:client": JSON.stringify({ address: "198.51.100.2", interface: "eth1" }),
    ...config,
  });

test("four backends with the VIP and an ipip device each, and a balancer before them", async () => {
  const resources = await run({ "netloom:policy": "maglev" });
  const services = resources.find(({ type }) => type === "netloom:l4lb:Services");
  const backends = { "10.8.0.11": {}, "10.8.0.12": {}, "10.8.0.13": {}, "10.8.0.14": {} };
  expect(services?.inputs).toMatchObject({
    netns: "balancer",
    services: {
      "tcp 192.0.2.80:80": { policy: "maglev", forward: { form: "ipip" }, backends },
      "udp 192.0.2.80:80": { policy: "maglev", backends },
    },
  });
  const links = resources.filter(({ type }) => type === "netloom:net:Link").map(({ inputs }) => inputs);
  for (const nth of [1, 2, 3, 4]) {
    expect(links).toContainEqual(
      expect.objectContaining({ netns: `b${nth}`, kind: "ipip", local: `10.8.0.1${nth}`, remote: "any" }),
    );
    expect(links).toContainEqual(
      expect.objectContaining({ netns: `b${nth}`, name: "vip0", addresses: ["192.0.2.80/32"] }),
    );
  }
});

test("the health service asks the backends from the balancer's namespace", async () => {
  const resources = await run();
  const checks = resources.find(({ inputs }) => JSON.stringify(inputs).includes("/etc/netloom-l4lb"))?.inputs;
  expect(JSON.stringify(checks)).toContain("check tcp 192.0.2.80 80 10.8.0.11 http 80 1000 500 3 2 /");
  const unit = resources.find(({ inputs }) => inputs.name === "netloom-l4lb-lb.service")?.inputs;
  expect(unit?.content).toContain("NetworkNamespacePath=/run/netns/balancer");
});

test("a policy that is none is refused by name", async () => {
  await expect(run({ "netloom:policy": "fastest" })).rejects.toThrow(
    /netloom:policy is fastest: it is one of legacy, round-robin/,
  );
});
