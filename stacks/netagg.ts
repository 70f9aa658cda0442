/**
 * One TCP connection over two paths:
 *
 *             ┌─ first ── 10.0.1.0/24 ──┐
 *     sender ─┤                         ├─ receiver
 *             └─ second ─ 10.0.2.0/24 ──┘
 *
 * The sender's applications connect to the receiver's address on the first path. `sender` and `receiver` in the
 * configuration say how each host is reached and which of its NICs lead to the two networks. With `rates` the paths are
 * held to so many kbit/s in both directions, and these are the weights; without, `weights` are.
 */
import * as pulumi from "@pulumi/pulumi";
import { App, Host, Link, NetAggPair, Shaping } from "netloom";
import type { Reach } from "./support/reach";

/** One host in the configuration. */
interface HostConfig extends Reach {
  /** The NICs that lead to the two networks. */
  readonly interfaces: readonly [string, string];
}

const config = new pulumi.Config("netloom");
const rates = config.getObject<readonly [number, number]>("rates");
const weights = rates ?? config.getObject<readonly [number, number]>("weights") ?? [1, 1];
const app = new App();

/** A host with an address in each of the networks. */
function host(name: "sender" | "receiver", last: number) {
  const { interfaces, ...reach } = config.requireObject<HostConfig>(name);
  const made = new Host(app, name, reach);
  const addresses = interfaces.map((_, index) => `10.0.${index + 1}.${last}`);
  interfaces.forEach((nic, index) => {
    new Link(made, `path${index + 1}`, {
      name: nic,
      kind: "physical",
      adopt: true,
      addresses: [`${addresses[index]}/24`],
    });
    const rate = rates?.[index];
    if (rate === undefined) return;
    new Shaping(made, `rate${index + 1}`, {
      link: nic,
      root: { kind: "tbf", rate: rate * 1000, burstBytes: 4000, latencyUs: 60_000 },
    });
  });
  return { host: made, interfaces, addresses };
}

const sender = host("sender", 1);
const receiver = host("receiver", 11);

if (config.getBoolean("aggregate") ?? true) {
  new NetAggPair(app, "agg", {
    sender: { host: sender.host },
    receiver: {
      host: receiver.host,
      paths: receiver.interfaces.map((nic, index) => ({
        interface: nic,
        address: `${receiver.addresses[index]}/24`,
        gateway: sender.addresses[index] ?? "",
        weight: weights[index] ?? 1,
      })),
    },
    port: config.getNumber("applicationPort") ?? 5201,
    backend: config.get<"module" | "mptcp" | "auto">("backend") ?? "auto",
    mptcpSockets: config.getBoolean("mptcpSockets") ?? false,
  });
}

export const outputs = app.deploy();
