import * as pulumi from "@pulumi/pulumi";
import { kinds } from "../../../lib/kinds/registry";
import { KernelResource, Provider, bpf, kernel, l4lb, net, netagg, system } from "../../../lib/sdk";

/** What the engine is told, by mocks: the classes hold nothing of their own. */

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const registered: pulumi.runtime.MockResourceArgs[] = [];

beforeAll(async () => {
  await pulumi.runtime.setMocks({
    newResource(args) {
      registered.push(args);
      return { id: `edge/${args.name}`, state: { ...args.inputs, machineId: "m" } };
    },
    call: () => ({}),
  });
});
beforeEach(() => registered.splice(0));

const valueOf = <T>(output: pulumi.Output<T>): Promise<T> =>
  new Promise((resolve) => void output.apply((value) => (resolve(value), value)));
const host = { name: "edge", address: "192.0.2.1" };

describe("the resource classes", () => {
  test("register a kind's token with its inputs and nothing that was left out", async () => {
    const link = new net.Link("gre1", {
      host,
      name: "gre1",
      kind: "gre",
      remote: pulumi.output("192.0.2.2"),
      adopt: true,
    });
    expect(await valueOf(link.id)).toBe("edge/gre1");
    expect(await valueOf(link.remote)).toBe("192.0.2.2");
    expect(await valueOf(link.machineId)).toBe("m");
    expect(await valueOf(link.mtu)).toBeUndefined();
    expect(registered).toMatchObject([
      {
        type: "netloom:net:Link",
        name: "gre1",
        inputs: { host, name: "gre1", kind: "gre", remote: "192.0.2.2", adopt: true },
      },
    ]);
    expect(Object.keys(registered[0]!.inputs as object).sort()).toEqual([
      "adopt",
      "host",
      "kind",
      "name",
      "remote",
    ]);
  });

  test("read what is there by its id", async () => {
    const found = net.Namespace.get("ns", "edge/site1");
    await valueOf(found.urn);
    expect(registered).toMatchObject([{ type: "netloom:net:Namespace", id: "edge/site1", inputs: {} }]);
  });

  test("are there for every kind of the registry", () => {
    const classes: Record<string, object>[] = [bpf, net, kernel, l4lb, netagg, system].map((module) => ({
      ...module,
    }));
    const tokens = classes.flatMap((module) =>
      Object.values(module).map((one) => (one as { token: string }).token),
    );
    expect(tokens.sort()).toEqual(kinds.map(({ token }) => token as string).sort());
  });

  test("need their arguments, unless they are read", () => {
    expect(() => new net.Routes("r", undefined as never)).toThrow("netloom:net:Routes r needs its arguments");
  });

  test("serve a kind that has no class by its token", async () => {
    const resource = new KernelResource("netloom:net:Other", "x", { host, name: "x" });
    await valueOf(resource.urn);
    expect(registered).toMatchObject([{ type: "netloom:net:Other", inputs: { host, name: "x" } }]);
  });
});

describe("the provider", () => {
  test("marks its credentials as secrets and sends what is no text as JSON", async () => {
    const provider = new Provider("p", {
      privateKey: "PEM",
      hostPrivateKeys: { edge: pulumi.output("KEY") },
      hosts: { edge: "local" },
      deleteUnreachable: true,
    });
    await valueOf(provider.urn);
    const secret = (value: string) => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", value });
    expect(registered).toMatchObject([
      {
        type: "pulumi:providers:netloom",
        inputs: {
          privateKey: secret("PEM"),
          hostPrivateKeys: secret('{"edge":"KEY"}'),
          hosts: '{"edge":"local"}',
          deleteUnreachable: "true",
        },
      },
    ]);
  });
});
