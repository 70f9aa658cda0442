import { Host, LbForward, Link, Namespace, Testing, XdpL4Lb, type L4LbService } from "../../../../lib";

const service = (props: object = {}) =>
  ({
    vip: "192.0.2.80",
    port: 80,
    protocol: "tcp",
    backends: [{ address: "10.0.1.1", weight: 2 }, { address: "10.0.2.2" }],
    ...props,
  }) as L4LbService;

function planned(services: readonly L4LbService[], more: (host: Host) => void = () => undefined) {
  const app = Testing.app();
  const host = new Host(app, "edge", { address: "198.51.100.7" });
  new XdpL4Lb(host, "lb", { interface: "eth1", services });
  more(host);
  return Testing.synth(app);
}

const refusal = (make: () => unknown) => {
  try {
    make();
  } catch (error) {
    return (error as Error).message
      .split("\n")
      .slice(1)
      .map((line) => line.trim());
  }
  throw new Error("was accepted");
};

test("services are filled in before the program is attached, and after it is loaded", () => {
  const plan = planned([service()]);
  const [object, program, services, attachment] = plan;
  expect(plan.map(({ token }) => token.replace("netloom:", ""))).toEqual(
    expect.arrayContaining([
      "bpf:Object",
      "bpf:Program",
      "l4lb:Services",
      "bpf:Attachment",
      "kernel:Sysctls",
    ]),
  );
  expect(object?.token).toBe("netloom:bpf:Object");
  expect(services?.dependsOn).toContain(program?.path);
  expect(attachment?.dependsOn).toContain(services?.path);
  expect(services?.spec).toMatchObject({
    services: {
      "tcp 192.0.2.80:80": {
        policy: "least-load",
        forward: { form: "ipip" },
        backends: { "10.0.1.1": { weight: 2 }, "10.0.2.2": {} },
      },
    },
  });
});

test("a change of services is a change of one resource", () => {
  const of = (services: readonly L4LbService[]) =>
    new Map(planned(services).map(({ path, spec }) => [path, JSON.stringify(spec)]));
  const [before, after] = [of([service()]), of([service(), service({ port: 443 })])];
  expect([...before].filter(([path, spec]) => after.get(path) !== spec).map(([path]) => path)).toEqual([
    "edge/lb/services",
  ]);
});

test("a config.yaml makes the balancer that it was for: UDP on every port, back to the router", () => {
  const app = Testing.app();
  const config = "vip: 123.168.9.8\nbackends:\n  - ip: 10.0.1.1\n  - ip: 10.0.2.2\n";
  XdpL4Lb.fromYaml(new Host(app, "edge"), "lb", { interface: "veth1_", config });
  const services = Testing.synth(app).find(({ token }) => token === "netloom:l4lb:Services");
  expect(services?.spec).toMatchObject({
    services: {
      "udp 123.168.9.8:0": {
        forward: { form: "ipip", next: "back" },
        backends: { "10.0.1.1": {}, "10.0.2.2": {} },
      },
    },
  });
});

describe("one clear line refuses", () => {
  test.each<[string, L4LbService[], string]>([
    [
      "a port out of range",
      [service({ port: 70_000 })],
      "[edge/lb] services[0].port: must be a whole number from 0 to 65535",
    ],
    [
      "no backends",
      [service({ backends: [] })],
      "[edge/lb] services[0].backends: names no backend: a service has at least one",
    ],
    ["no services", [], "[edge/lb] services: names no service: a balancer has at least one"],
    [
      "a VIP that is none",
      [service({ vip: "192.0.2.256" })],
      '[edge/lb] services[0].vip: "192.0.2.256" is not an IP address such as 192.0.2.1 or 2001:db8::1',
    ],
    [
      "a weight of 0",
      [service({ backends: [{ address: "10.0.0.1", weight: 0 }] })],
      "[edge/lb] services[0].backends[0].weight: must be a whole number from 1 to 256",
    ],
    [
      "a service twice",
      [service(), service({ vip: "192.0.2.80" })],
      "[edge/lb] services[1].port: tcp 192.0.2.80:80 is services[0], too: give one of them another port or address",
    ],
    [
      "a backend twice",
      [
        service({
          vip: "2001:db8::80",
          backends: [{ address: "2001:db8::1" }, { address: "2001:db8:0::1" }],
        }),
      ],
      "[edge/lb] services[0].backends[1].address: 2001:db8::1 is backends[0], too: a weight says how much it gets",
    ],
    [
      "families that do not go together",
      [service({ backends: [{ address: "2001:db8::1" }] })],
      "[edge/lb] services[0].backends[0].address: 2001:db8::1 is IPv6 and the VIP 192.0.2.80 IPv4: give forward a source, LbForward.ipip({ source: … })",
    ],
    [
      "a time to drain for a backend that is up",
      [service({ backends: [{ address: "10.0.0.1", drainSeconds: 5 }] })],
      '[edge/lb] services[0].backends[0].drainSeconds: is for a backend whose state is "draining"',
    ],
    [
      "the address that the host is reached by",
      [service({ vip: "198.51.100.7" })],
      "[edge/lb] services[0].vip: 198.51.100.7 is the address that edge is reached by: what is sent to the host itself would go to the backends. Take an address of its own for the service",
    ],
    [
      "a MAC that is missing",
      [service({ forward: LbForward.direct({ next: "mac" }), backends: [{ address: "10.0.0.1" }] })],
      '[edge/lb] services[0].backends[0].mac: is missing: packets go to a MAC address (next is "mac")',
    ],
  ])("%s", (_, services, message) => {
    expect(refusal(() => planned(services))).toContain(message);
  });

  test("more backends than it is built for", () => {
    const backends = Array.from({ length: 257 }, (_, nth) => ({ address: `10.0.${nth >> 8}.${nth & 255}` }));
    expect(refusal(() => planned([service({ backends })]))).toContain(
      "[edge/lb] services: have 257 backends together, and the balancer is built for 256",
    );
  });

  test("a VIP that a link of the host has, and not one that a link elsewhere has", () => {
    const link = (where: "host" | "namespace") => (host: Host) => {
      const scope = where === "host" ? host : new Namespace(host, "ns");
      new Link(scope, "lan", { name: "dummy0", kind: "dummy", addresses: ["192.0.2.80/24"] });
    };
    expect(refusal(() => planned([service()], link("host")))).toEqual([
      expect.stringMatching(
        /^\[edge\/lb\] services\[0\]\.vip: 192\.0\.2\.80 is an address of dummy0 \(edge\/lan\): /,
      ),
    ]);
    expect(() => planned([service()], link("namespace"))).not.toThrow();
  });

  test("a config.yaml that is broken, by its line", () => {
    const app = Testing.app();
    const config = "vip: 123.168.9.8\nbackends:\n  - ip: 10.0.1.1\n  - ip: 10.0.2\n";
    XdpL4Lb.fromYaml(new Host(app, "edge"), "lb", { interface: "veth1_", config });
    expect(refusal(() => Testing.synth(app))).toEqual([
      expect.stringMatching(
        /^\[edge\/lb\] config\.backends\[1\]\.ip: line 4: must be text|"10\.0\.2" is not/,
      ),
    ]);
  });
});
