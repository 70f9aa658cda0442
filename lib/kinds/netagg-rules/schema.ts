import { z } from "zod";
import { interfaceName, ip, netnsName, port, safeName, whole } from "../schemas";

/** Limits of the module: `kmod/netagg/netagg.h`. */
const MOST_PATHS = 8;
const MOST_WEIGHT = 1_000_000;

const flag = (what: string) => z.boolean({ error: "must be true or false" }).default(false).describe(what);

const path = z.strictObject(
  {
    address: ip.describe("The receiver's address on this path."),
    port: port.describe("The receiver's TCP port on this path, 1 to 65535."),
    weight: whole(1, MOST_WEIGHT).describe("Its share of the bytes among the paths, 1 to 1000000."),
    dev: interfaceName
      .optional()
      .describe("The receiver's link that has the address, for a rule of the receiver. Default: any."),
  },
  { error: "must be an object of address, port and weight" },
);

const rule = z.strictObject(
  {
    role: z
      .enum(["sender", "receiver"], { error: 'must be "sender" or "receiver"' })
      .describe(
        "Which end of the connections the host is: the one that connects, or the one that has the addresses.",
      ),
    paths: z
      .array(path, { error: "must be a list of paths" })
      .min(2, "has fewer than two paths")
      .max(MOST_PATHS, `has more than ${MOST_PATHS} paths`)
      .describe("The paths; the first has the address and port that the application connects to."),
    mode: z
      .enum(["packet", "flowlet"], { error: 'must be "packet" or "flowlet"' })
      .default("packet")
      .describe("Whether each packet is put on the path that is due, or a path is left only after a pause."),
    flowletUs: whole(100, 10_000_000).default(20_000).describe("That pause, in microseconds."),
    maxHoldUs: whole(0, 2_000_000)
      .default(300_000)
      .describe("The longest that a packet waits for an earlier one, in microseconds; 0: never."),
    probePort: whole(0, 65535)
      .default(7481)
      .describe(
        "UDP port of the probes, the same on both ends; 0 sends none, and every path counts as alive.",
      ),
    probeUs: whole(5_000, 1_000_000).default(25_000).describe("Microseconds between the probes of a path."),
    deadUs: whole(10_000, 10_000_000)
      .default(125_000)
      .describe("Microseconds of silence after which a path is left."),
    adapt: flag("Whether the weights follow what the paths turn out to carry."),
    encap: flag("Whether packets travel inside UDP, past NAT and stateful firewalls."),
  },
  { error: "must be an object such as { role, paths }" },
);

export type Rule = z.output<typeof rule>;

/** What makes it the same rule: which end it is of, and its primary path. */
export const ruleKey = ({ role, paths: [first] }: Rule): string =>
  `${role} ${first?.address ?? ""} ${first?.port ?? ""}`;

const byKey = (a: Rule, b: Rule) => (ruleKey(a) < ruleKey(b) ? -1 : 1);

/** Rules in the order of their keys. */
export const sortRules = (rules: readonly Rule[]): Rule[] => [...rules].sort(byKey);

export const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace that the rules are in. Default: the host's initial one."),
  name: safeName.describe("Names the set in its id; it does not show up on the host."),
  rules: z
    .array(rule, { error: "must be a list of rules" })
    .min(1, "names no rule: leave the whole set out")
    .overwrite(sortRules)
    .describe("The rules."),
  module: z
    .string({ error: "must be text" })
    .regex(/^[A-Za-z0-9]{1,40}$/, "must be 1 to 40 letters and digits")
    .optional()
    .describe("Version of the module: one that changes has the rules looked at again."),
});

export type Spec = z.output<typeof schema>;

/** A place in a rule, and what is wrong there. */
interface RuleProblem {
  readonly path: (string | number)[];
  readonly message: string;
}

/** What is wrong with rules that a schema of one property cannot see. */
export function ruleProblems(rules: readonly Rule[]): RuleProblem[] {
  const owners = new Map<string, number>();
  return rules.flatMap(({ role, paths, probeUs, deadUs, adapt, encap, probePort }, index) => {
    const found: RuleProblem[] = [];
    const at = (...path: (string | number)[]) => ["rules", index, ...path];
    const family = (address: string) => (address.includes(":") ? "IPv6" : "IPv4");
    const [first] = paths;
    for (const [nth, { address, port: number, dev }] of paths.entries()) {
      if (role === "sender" && dev !== undefined)
        found.push({
          path: at("paths", nth, "dev"),
          message: "is a link of the receiver: leave it out here",
        });
      const key = `${role} ${address} ${number}`;
      const owner = owners.get(key);
      if (owner !== undefined) {
        const where = owner === index ? "another path of the rule" : "a path of another rule";
        found.push({
          path: at("paths", nth, "address"),
          message: `${address} port ${number} is ${where}, too`,
        });
      }
      owners.set(key, index);
      if (first !== undefined && family(address) !== family(first.address)) {
        found.push({
          path: at("paths", nth, "address"),
          message: `is an ${family(address)} address, and the first path's is an ${family(first.address)} one`,
        });
      }
    }
    if (deadUs < 2 * probeUs)
      found.push({ path: at("deadUs"), message: `must be at least twice probeUs, which is ${probeUs}` });
    if (encap && probePort === 0)
      found.push({ path: at("encap"), message: "travels by the port of the probes, which is 0" });
    if (adapt && probePort === 0)
      found.push({ path: at("adapt"), message: "goes by what the probes measure, and their port is 0" });
    return found;
  });
}
