import type { ConfigMap, Stack } from "@pulumi/pulumi/automation";
import { openLocalStack } from "../../lib/cli/local-stack";
import type { Lab } from "../../lib/lab";
import { stackProgram } from "./program";

/** The machines of `stacks/netagg.ts`. */
export const pairNames = ["sender", "receiver"] as const;
export type PairName = (typeof pairNames)[number];

/** Both paths between them. */
export const pairLinks = [1, 2].map((nth) => ({
  a: ["sender", nth] as const,
  b: ["receiver", nth] as const,
}));

/** Opens `stacks/netagg.ts` for two machines of a lab; `config` without its prefix, values as JSON where not text. */
export function openPair(lab: Lab, folder: string, config: Readonly<Record<string, string>>): Promise<Stack> {
  const reach = (name: PairName) => {
    const { address, port, user, hostKey } = lab.host(name);
    return JSON.stringify({ address, port, user, hostKey, interfaces: ["eth1", "eth2"] });
  };
  const values = { sender: reach("sender"), receiver: reach("receiver"), ...config };
  const settings: ConfigMap = {
    ...Object.fromEntries(Object.entries(values).map(([name, value]) => [`netloom:${name}`, { value }])),
    "netloom:privateKey": { value: lab.host("sender").privateKey, secret: true },
  };
  return openLocalStack({
    project: "netagg",
    stack: "test",
    folder,
    program: stackProgram("netagg"),
    config: settings,
  });
}
