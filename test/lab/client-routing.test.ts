import { App, ClientRouting, type ClientRoutingProps, GreTunnel, Host, Link, Namespace } from "../../lib";
import { openLocalStack } from "../../lib/cli/local-stack";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { temporaryFolder } from "../support/folder";
import { withLab } from "../support/lab";

/** A client with an uplink of its own to the server, which is the ISP and the rest of the world. */
const machines = withLab(["client", "server"], [{ a: ["client", 1], b: ["server", 1] }]);
const folder = temporaryFolder();

const [uplink, gateway, outside, elsewhere] = ["10.50.0.2", "10.50.0.1", "203.0.113.1", "203.0.113.77"];
const port = 7000;

const client = (...argv: string[]) => machines.lab.ssh("client", argv);
const server = (...argv: string[]) => machines.lab.ssh("server", argv);

/** Both ends of the link between them, a default route of the client's own, and the world, which tells whom it sees. */
async function prepare(): Promise<void> {
  const world = [
    "import socket",
    "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)",
    `s.bind(('0.0.0.0', ${port})); s.listen(16)`,
    "while True:",
    "  c, a = s.accept()",
    "  while c.recv(65536): pass",
    "  c.sendall((a[0] + '\\n').encode() + b'x' * 200000); c.close()",
  ].join("\n");
  for (const [run, address] of [[client, uplink] as const, [server, gateway] as const]) {
    await run("ip", "address", "add", `${address}/24`, "dev", "eth1");
    await run("ip", "link", "set", "eth1", "up");
    await run("modprobe", "ip_gre");
    await run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.eth1.rp_filter=1");
  }
  await client("ip", "route", "add", "default", "via", gateway, "metric", "100");
  for (const address of [outside, elsewhere, "198.51.100.9"])
    await server("ip", "address", "add", `${address}/32`, "dev", "lo");
  await server("systemd-run", "--unit=world", "python3", "-c", world);
}

/** The source address that the world sees, when 200 kB have gone there and back again. */
async function seen(prefix: readonly string[] = [], address = outside): Promise<string> {
  const ask = [
    "import socket",
    `s = socket.create_connection(('${address}', ${port}), 5)`,
    "s.sendall(b'y' * 200000); s.shutdown(socket.SHUT_WR)",
    "got = b''",
    "while True:",
    "  more = s.recv(65536)",
    "  if not more: break",
    "  got += more",
    "first = got.split(b'\\n')[0]",
    "print(first.decode() if len(got) == len(first) + 200001 else 'cut short')",
  ].join("\n");
  return (await client(...prefix, "python3", "-c", ask)).trim();
}

/** Key, name and addresses of the tunnel of each mode. */
const tunnels = ["networks", "application", "docker", "namespace", "default"] as const;
type Mode = (typeof tunnels)[number];
const own = (mode: Mode) => `192.168.${20 + tunnels.indexOf(mode)}.2`;

function program(modes: readonly Mode[]): () => Promise<Record<string, unknown>> {
  return () => {
    const app = new App();
    const [here, isp] = (["client", "server"] as const).map((name) => {
      const { address, port: sshPort, user, hostKey, privateKey } = machines.lab.host(name);
      return new Host(app, name, { address, port: sshPort, user, hostKey, privateKey });
    }) as [Host, Host];
    const inside = new Namespace(here, "inside");
    for (const mode of modes) {
      const index = tunnels.indexOf(mode);
      const ends = { key: index + 1, ttl: 64 };
      new GreTunnel(isp, `to-${mode}`, {
        name: `gre${index + 1}`,
        local: gateway,
        remote: uplink,
        ...ends,
        addresses: [`192.168.${20 + index}.1/30`],
      });
      const near = { local: uplink, remote: gateway, ...ends, addresses: [`${own(mode)}/30`] };
      const tunnel =
        mode === "namespace"
          ? new Link(inside, "tunnel", { kind: "gre", name: `gre${index + 1}`, linkNetns: "", ...near })
          : new GreTunnel(here, `tunnel-${mode}`, { name: `gre${index + 1}`, ...near });
      const how: Record<Mode, object> = {
        networks: { destinations: [`${elsewhere}/32`] },
        application: { users: 4242, slice: "lab-probes.slice" },
        docker: { subnet: "172.30.0.0/16", bridge: "br-lab" },
        namespace: {},
        default: { ownAddresses: [uplink] },
      };
      new ClientRouting(here, mode, { tunnel, mode, ...how[mode] } as unknown as ClientRoutingProps);
    }
    return Promise.resolve({ outputs: app.deploy() });
  };
}

describe("a client's tunnels to its ISP", () => {
  it("carry what each mode says and nothing else, and leave the client as it was", async () => {
    await prepare();
    const state = () => hostState((argv) => machines.lab.ssh("client", argv));
    const before = await state();
    expect(await seen()).toBe(uplink);
    const four = tunnels.filter((mode) => mode !== "default");
    const stack = await openLocalStack({
      project: "client-routing",
      stack: "test",
      folder: folder.path,
      program: program(four),
    });
    await stack.up();

    const container = ["ip", "netns", "exec", "container"];
    await client("ip", "netns", "add", "container");
    await client(
      ...["ip", "link", "add", "c0", "type", "veth", "peer", "name", "eth0", "netns", "container"],
    );
    await client("ip", "link", "set", "c0", "master", "br-lab", "up");
    await client("ip", "-n", "container", "address", "add", "172.30.0.5/16", "dev", "eth0");
    await client("ip", "-n", "container", "link", "set", "eth0", "up");
    await client("ip", "-n", "container", "route", "add", "default", "via", "172.30.0.1");

    const user = ["setpriv", "--reuid", "4242", "--clear-groups"];
    const slice = ["systemd-run", "--quiet", "--scope", "--slice=lab-probes.slice"];
    const inNamespace = ["ip", "netns", "exec", "inside"];
    const others = async () => ({
      networks: await seen([], elsewhere),
      "application by user": await seen(user),
      "application by slice": await seen(slice),
      docker: await seen(container),
      namespace: await seen(inNamespace),
    });
    const expected = {
      networks: own("networks"),
      "application by user": own("application"),
      "application by slice": own("application"),
      docker: own("docker"),
      namespace: own("namespace"),
    };
    expect({ ...(await others()), "everything else": await seen() }).toEqual({
      ...expected,
      "everything else": uplink,
    });
    expect(await client("ping", "-c", "2", "-I", "gre2", outside)).toContain(" 0% packet loss");

    // The slice's control group is another one after it was stopped and started again; its rules go with it.
    await client("systemctl", "stop", "lab-probes.slice");
    expect(await client("nft", "list", "tables")).not.toContain("slice_");
    expect(await seen(slice)).toBe(own("application"));

    // The default route on top: what is more particular keeps its own way, everything else changes.
    await stack.up({ program: program(tunnels) });
    expect({ ...(await others()), "everything else": await seen() }).toEqual({
      ...expected,
      "everything else": own("default"),
    });
    // The client is still reached under its own address by whoever comes from far away: by its ssh server, for one.
    const banner = [
      "import socket",
      `s = socket.create_connection(('${uplink}', 22), 5, ('198.51.100.9', 0))`,
      "print(s.recv(64).decode())",
    ].join("\n");
    expect(await server("python3", "-c", banner)).toContain("SSH-2.0");
    await stack.up({ program: program(tunnels), expectNoChanges: true, refresh: true });

    // Without the default route's tunnel the one that was there all the time is in force again.
    await stack.up({ program: program(four) });
    expect(await seen()).toBe(uplink);
    await client("ip", "netns", "del", "container");
    await stack.destroy();
    expect(stateDifferences(before, await state())).toEqual([]);
    expect(await seen()).toBe(uplink);
  });
});
