import { Host, NatNamespace, type NatNamespaceProps, Testing } from "../../../../lib";
import { refusals } from "../../synth/support";

function nat(props: Partial<NatNamespaceProps> = {}) {
  const app = Testing.app();
  const edge = new Host(app, "edge");
  const internet = new NatNamespace(edge, "internet", { uplink: "up", ...props });
  return { app, internet };
}

const subscribers = [
  { number: 1, sources: ["192.168.11.2", "2001:db8::/64"] },
  { number: 64, sources: ["192.168.11.6", "10.20.0.0/24"] },
];
const addresses = ["203.0.113.0/31"];
const planned = (props?: Partial<NatNamespaceProps>) =>
  Testing.synth(nat(props).app).map(({ path, spec }) => [path, spec] as const);

describe("A NAT's namespace", () => {
  test("forwards, has its own name servers, and translates once", () => {
    const plan = planned({ nameservers: ["9.9.9.9"], sources: ["192.168.11.0/24"] });
    expect(plan.map(([path]) => path)).toEqual(["edge/internet", "edge/internet/nat"]);
    expect(plan[0]?.[1]).toMatchObject({ resolvConf: { nameservers: ["9.9.9.9"] } });
    expect(plan[1]?.[1]).toMatchObject({
      netns: "internet",
      masquerade: [{ outInterface: "up", source: ["192.168.11.0/24"] }],
    });
  });

  test("translates a second time in the host's initial namespace where that is asked for", () => {
    const second = planned({ legacy: { uplink: "eno2" } }).find(
      ([path]) => path === "edge/internet/legacy",
    )?.[1];
    expect(second).toMatchObject({ masquerade: [{ outInterface: "eno2" }] });
    expect(second).not.toHaveProperty("netns");
  });

  test("gives each source the block of its subscriber's number, IPv6 none", () => {
    const blocks = planned({ portBlocks: { addresses, subscribers } }).find(([path]) =>
      path.endsWith("port-blocks"),
    );
    expect(blocks?.[1]).toEqual({
      netns: "internet",
      table: "port-blocks",
      outInterface: "up",
      blocks: {
        "192.168.11.2": "203.0.113.0:1024-2047",
        "192.168.11.6": "203.0.113.1:1024-2047",
        "10.20.0.0/24": "203.0.113.1:1024-2047",
      },
    });
  });

  test("lets nobody's block move when another subscriber comes", () => {
    const before = nat({ portBlocks: { addresses, subscribers } }).internet.blockOf(64);
    const more = [{ number: 2, sources: ["192.168.11.10"] }, ...subscribers];
    expect(nat({ portBlocks: { addresses, subscribers: more } }).internet.blockOf(64)).toEqual(before);
  });

  test.each<[string, object, string]>([
    [
      "a number twice",
      { subscribers: [...subscribers, { number: 1, sources: [] }] },
      "subscribers[2].number: 1 is that of subscribers[0], too",
    ],
    [
      "a number too large",
      { subscribers: [{ number: 127, sources: [] }] },
      "subscribers[0].number: 127 is not from 1 to 126: 3 public addresses would do",
    ],
    [
      "a source of two",
      { subscribers: [subscribers[0], { number: 2, sources: ["192.168.11.2"] }] },
      "subscribers[1].sources[0]: 192.168.11.2 is subscribers[0]'s, too",
    ],
    [
      "a network inside another's",
      { subscribers: [...subscribers, { number: 3, sources: ["10.20.0.128/25"] }] },
      "subscribers[2].sources[0]: 10.20.0.128/25 is inside 10.20.0.0/24 of another block",
    ],
    [
      "a source that is none",
      { subscribers: [{ number: 1, sources: ["x; reboot"] }] },
      "subscribers[0].sources[0]: ",
    ],
    ["no public address", { subscribers, addresses: [] }, "addresses: a NAT has at least one public address"],
    [
      "no room for a block",
      { subscribers, firstPort: 65_000, portsPerSubscriber: 1024 },
      "portsPerSubscriber: no block of 1024 ports fits",
    ],
  ])("is refused with %s", (_, wrong, message) => {
    const portBlocks = { addresses, subscribers, ...wrong };
    expect(refusals(nat({ portBlocks }).app)).toContainEqual(
      expect.stringContaining(`[edge/internet] portBlocks.${message}`),
    );
  });
});
