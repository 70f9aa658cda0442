import * as netloom from "netloom";
import { runProgram as run } from "../../support/stack-program";
import { nameOf, type Registered } from "../synth/mocks";

const specs = (resources: readonly Registered[], type: string) =>
  Object.fromEntries(
    resources
      .filter((resource) => resource.type === type)
      .map(({ name, inputs: { host: _host, ...spec } }) => [name, spec]),
  );

const links = (resources: readonly Registered[]) => specs(resources, "netloom:net:Link");

/** Every address by namespace and interface. */
function addresses(resources: readonly Registered[]): Record<string, unknown> {
  interface End {
    netns?: string;
    name: string;
    addresses: readonly string[];
    peer?: End;
  }
  const ends = Object.values(links(resources)).flatMap((link) => {
    const end = link as unknown as End;
    return end.peer === undefined ? [end] : [end, end.peer];
  });
  return Object.fromEntries(ends.map((end) => [`${end.netns ?? ""}/${end.name}`, end.addresses.join()]));
}

describe("stacks/gre-lab", () => {
  test("has the addresses of the reference topology", async () => {
    expect(addresses(await run("gre-lab"))).toEqual({
      "wan0/eth1": "10.100.0.254/16",
      "site1/eth0": "10.100.0.1/16",
      "wan0/eth2": "10.200.0.254/16",
      "site2/eth0": "10.200.0.1/16",
      "site1/eth1": "172.16.100.254/24",
      "lan1/eth0": "172.16.100.1/24",
      "site2/eth1": "172.16.200.254/24",
      "lan2/eth0": "172.16.200.1/24",
      "site1/gre1": "192.168.1.1/30",
      "site2/gre1": "192.168.1.2/30",
    });
  });

  test("has its tunnel, with the MTU that fits", async () => {
    const all = links(await run("gre-lab"));
    expect(all["edge/vpn/site1/site2"]).toEqual({
      netns: "site1",
      name: "gre1",
      kind: "gre",
      local: "10.100.0.1",
      remote: "10.200.0.1",
      ttl: 255,
      mtu: 1476,
      addresses: ["192.168.1.1/30"],
    });
    expect(all["edge/vpn/site2/site1"]).toMatchObject({
      local: "10.200.0.1",
      remote: "10.100.0.1",
      mtu: 1476,
    });
  });

  test("has its routes", async () => {
    const sets = Object.values(specs(await run("gre-lab"), "netloom:net:Routes"));
    const all = sets.flatMap(({ netns, routes }) =>
      (routes as Record<string, string>[]).map(
        ({ destination, via, dev }) =>
          `${String(netns)}: ${destination} via ${via}${dev === undefined ? "" : ` dev ${dev}`}`,
      ),
    );
    expect(all.sort()).toEqual([
      "lan1: default via 172.16.100.254",
      "lan2: default via 172.16.200.254",
      "site1: 172.16.200.0/24 via 192.168.1.2 dev gre1",
      "site1: default via 10.100.0.254",
      "site2: 172.16.100.0/24 via 192.168.1.1 dev gre1",
      "site2: default via 10.200.0.254",
    ]);
  });

  test("forwards on the WAN router and on both sites, and nowhere else", async () => {
    const namespaces = specs(await run("gre-lab"), "netloom:net:Namespace");
    const forwarding = Object.values(namespaces)
      .filter(
        ({ sysctls }) => (sysctls as Record<string, string> | undefined)?.["net/ipv4/ip_forward"] === "1",
      )
      .map(({ name }) => name);
    expect(forwarding.sort()).toEqual(["site1", "site2", "wan0"]);
    expect(
      Object.values(namespaces)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["lan1", "lan2", "site1", "site2", "wan0"]);
  });

  test("without the tunnel lacks the tunnel's things and nothing else", async () => {
    const [before, after] = [await run("gre-lab", { "netloom:tunnel": "false" }), await run("gre-lab")];
    const all = (resources: readonly Registered[]) =>
      resources.map(({ type, name, inputs }) => ({ type, name, inputs }));
    expect(all(after)).toEqual(expect.arrayContaining(all(before)));
    const more = after.filter(({ name }) => !before.some((resource) => resource.name === name));
    for (const { name } of more) expect(name).toMatch(/^edge\/vpn(\/|$)/);
  });

  test("deletes what is in a namespace with it, and makes links before the routes over them", async () => {
    const resources = await run("gre-lab");
    const told = (name: string) => resources.find((resource) => resource.name === name)?.request;
    expect(nameOf(told("edge/site1/wan")?.deletedWith ?? "")).toBe("edge/site1");
    expect(told("edge/site1/wan")?.dependencies.map(nameOf).sort()).toEqual([
      "edge/site1",
      "edge/wan0-site1",
    ]);
    expect(told("edge/vpn/site1/site2")?.dependencies.map(nameOf).sort()).toEqual([
      "edge/site1",
      "edge/wan0-site1",
    ]);
    expect(told("edge/vpn/site1/to-site2")?.dependencies.map(nameOf)).toContain("edge/vpn/site1/site2");
  });

  test("reaches its host as the configuration says, and keeps keys out of resources and secret", async () => {
    const resources = await run("gre-lab", {
      "netloom:host": "127.0.0.1",
      "netloom:port": "2222",
      "netloom:user": "root",
      "netloom:hostKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0",
      "netloom:privateKey": "PEM-OF-ALL",
      "netloom:greKey": "4711",
    });
    const wan0 = resources.find(({ name }) => name === "edge/wan0");
    expect(wan0?.inputs["host"]).toEqual({
      name: "edge",
      address: "127.0.0.1",
      port: 2222,
      user: "root",
      hostKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0",
    });
    const others = resources.filter(({ type }) => type !== "pulumi:providers:netloom");
    expect(JSON.stringify(others)).not.toContain("PEM-OF-ALL");
    const gre = links(resources)["edge/vpn/site1/site2"];
    expect(gre?.["key"]).toMatchObject({ value: 4711 });
  });

  test("with a hostile host name in the configuration registers nothing", async () => {
    await expect(run("gre-lab", { "netloom:host": "$(reboot)" })).rejects.toMatchObject({
      name: netloom.ValidationError.name,
      message: expect.stringContaining("[edge] address: must be a host name or an IP address") as string,
    });
  });
});

describe("stacks/gre-two-hosts", () => {
  const host = (address: string) => JSON.stringify({ address, wanInterface: "eth1" });
  const config = { "netloom:west": host("198.51.100.1"), "netloom:east": host("198.51.100.2") };

  test("is one site on each host, in its initial namespace", async () => {
    const resources = await run("gre-two-hosts", config);
    expect(links(resources)["vpn/west/east"]).toMatchObject({
      name: "gre1",
      local: "192.0.2.1",
      remote: "192.0.2.2",
    });
    expect(links(resources)["vpn/west/east"]).not.toHaveProperty("netns");
    expect(links(resources)["west/wan"]).toEqual({
      adopt: true,
      kind: "physical",
      name: "eth1",
      addresses: ["192.0.2.1/24"],
    });
    const told = resources.find(({ name }) => name === "vpn/west/east");
    expect(told?.inputs["host"]).toEqual({ name: "west", address: "198.51.100.1" });
    expect(told?.request.dependencies.map(nameOf)).toEqual(["west/wan"]);
    expect(told?.request.deletedWith).toBe("");
  });

  test("lets both hosts forward", async () => {
    const sysctls = specs(await run("gre-two-hosts", config), "netloom:kernel:Sysctls");
    expect(Object.keys(sysctls).sort()).toEqual(["east/forwarding", "west/forwarding"]);
  });
});

describe("stacks/index", () => {
  test.each(["gre-lab", "gre-lab-dev"])("runs gre-lab for a stack named %s", async (stack) => {
    expect((await run("index", {}, stack)).map(({ name }) => name)).toContain("edge/vpn");
  });

  test("runs what the configuration names", async () => {
    const resources = await run("index", { "netloom:program": "gre-lab" }, "prod");
    expect(resources.map(({ name }) => name)).toContain("edge/vpn");
  });

  test("says which programs there are", async () => {
    await expect(run("index", {}, "gre-labour")).rejects.toThrow(
      "the stack gre-labour has the name of no program: name it gre-lab, gre-two-hosts",
    );
    await expect(run("index", { "netloom:program": "../../x" }, "gre-lab")).rejects.toThrow(
      "netloom:program is ../../x, and there is none of that name",
    );
  });
});
