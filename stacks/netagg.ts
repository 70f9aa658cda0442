/**
 * One TCP connection over two paths:
 *
 *             ┌─ first ── 10.10.1.0/24 ──┐
 *     sender ─┤                          ├─ receiver
 *             └─ second ─ 10.10.2.0/24 ──┘
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

/** What the configuration says of both paths: with one value or three of them a path would be without its own. */
function ofBoth<T>(name: string, value: T, like: T): T {
  const type = typeof (like as readonly unknown[])[0];
  if (Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === type)) return value;
  throw new pulumi.RunError(
    `netloom:${name} must be of two paths, such as ${JSON.stringify(like)}; found ${JSON.stringify(value)}`,
  );
}

function numbers(name: "rates" | "weights"): readonly [number, number] | undefined {
  const value = config.getObject<readonly [number, number]>(name);
  return value === undefined ? undefined : ofBoth(name, value, [7500, 2500]);
}

const rates = numbers("rates");
const weights = rates ?? numbers("weights") ?? [1, 1];
const app = new App();

/** A host with an address in each of the networks. */
function host(name: "sender" | "receiver", last: number) {
  const { interfaces: nics, ...reach } = config.requireObject<HostConfig>(name);
  const interfaces = ofBoth(`${name}.interfaces`, nics, ["eth1", "eth2"]);
  const made = new Host(app, name, reach);
  const addresses = interfaces.map((_, index) => `10.10.${index + 1}.${last}`);
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
        weight: weights[index] ?? 0,
      })),
    },
    port: config.getNumber("applicationPort") ?? 5201,
    // Whatever the text is: the pair says which there are.
    backend: config.get<"module" | "mptcp" | "auto">("backend") ?? "auto",
    mptcpSockets: config.getBoolean("mptcpSockets") ?? false,
  });
}

export const outputs = app.deploy();
