import { z } from "zod";
import { defineKind, inPlace, replace } from "./kind";
import { recordError } from "./records";
import { netnsName, safeName, sysctlKey, sysctlValue } from "./schemas";
import {
  explainSetting,
  observeSettings,
  settingProblem,
  settingQueries,
  settingSteps,
  type Settings,
} from "./settings";

const SEGMENT = "sysctls";

/** Settings by key, in the order of the keys. */
const sorted = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Kernel settings by key: `{ "net/ipv4/ip_forward": "1" }`. */
export const settingsSchema = z
  .record(sysctlKey, sysctlValue, {
    error: recordError('must be an object of settings, such as { "net/ipv4/ip_forward": "1" }'),
  })
  .superRefine((values, context) => {
    const message = settingProblem(values);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  })
  .overwrite(sorted);

const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace whose settings they are. Default: the host's initial one."),
  name: safeName.describe("Names the set in its id; it does not show up on the host."),
  values: settingsSchema.describe(
    "Values by key below /proc/sys, separated by `/` or by dots, as sysctl(8) has them. What each was before is " +
      "put back when it leaves the set. See Documentation/networking/ip-sysctl.rst of the kernel.",
  ),
});

/** Kernel settings of a host or of one network namespace. What they were before is put back at the end. */
export const sysctls = defineKind({
  token: "netloom:kernel:Sysctls",
  description: "Kernel settings (sysctl) of a host or of a network namespace.",
  schema,
  policy: {
    netns: replace("the settings of another namespace are other settings"),
    name: replace("the set is known by its name"),
    values: inPlace({ traffic: "brief" }),
  },
  ownership: "setting",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  // Which settings a set holds is written nowhere on the host, and a setting needs no import to be taken over.
  locate: () => undefined,
  queries: ({ netns, values }) => settingQueries(values, netns),
  observe(facts, specs) {
    const { netns, name = "" } = specs[0];
    const values = observeSettings(
      facts,
      specs.map((spec) => spec.values),
      netns,
    );
    if (values === undefined) return undefined;
    return { ...(netns !== undefined && { netns }), name, values: { ...values } };
  },
  plan(current, desired) {
    if (desired === undefined) return [];
    const now: Settings = current?.values ?? {};
    return settingSteps(now, desired.values, desired.netns);
  },
  explain: explainSetting,
});
