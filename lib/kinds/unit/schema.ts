import { z } from "zod";
import { recordError } from "../records";
import { quoted, text } from "../schemas";

/** Types of unit that a program may write and start; the rest (device, scope, snapshot) are systemd's own. */
const TYPES = "service|socket|timer|target|path|mount|automount|swap|slice";

const NAME = new RegExp(`^[A-Za-z0-9_:][A-Za-z0-9_:.-]*(@[A-Za-z0-9_:.-]+)?\\.(${TYPES})$`);

/** The name of a unit: systemd.unit(5), without escapes. */
export const unitName = text((name) => {
  if (name.length > 200) return `has ${name.length} characters, and a unit's name has at most 200 here`;
  if (NAME.test(name)) return undefined;
  return `${quoted(name)} is no name of a unit: letters, digits, "_", ":", ".", "-" and one "@", ending in .service, .timer, .socket or another type`;
});

const dropInName = text((name) =>
  /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\.conf$/.test(name)
    ? undefined
    : `${quoted(name)} is no name of a drop-in: letters, digits, "_", "." and "-", ending in .conf`,
);

const unitText = z.string({ error: "must be text" }).superRefine((content, context) => {
  if (/\0|\ufffd|\p{Surrogate}/u.test(content))
    context.addIssue({ code: "custom", message: "holds a NUL byte or is no UTF-8 text" });
});

const filled = unitText.refine((content) => content.trim() !== "", "is empty");

/** The entry that stands in the observed triggers while a definition is newer than the process that runs. */
export const PENDING = "unit file";

const sorted = <T>(entries: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));

const triggerName = text((name) =>
  /^[A-Za-z0-9_./][A-Za-z0-9_./-]{0,199}$/.test(name)
    ? undefined
    : `${quoted(name)} is no name of a trigger: letters, digits, "_", ".", "/" and "-"`,
);

const triggerValue = text((value) =>
  /^[A-Za-z0-9+/=:_.][A-Za-z0-9+/=:_.-]{0,199}$/.test(value)
    ? undefined
    : "must be a digest or a version: one plain word",
);

export const schema = z.strictObject({
  name: unitName.describe("The unit's name with its type, such as lqosd.service (systemd.unit(5))."),
  content: unitText
    .refine((content) => content === "" || content.trim() !== "", "is blank")
    .optional()
    .describe(
      "The whole unit file, /etc/systemd/system/NAME. None, or empty: the unit is brought by a package, and a file " +
        "of ours there goes.",
    ),
  dropIns: z
    .record(dropInName, filled, { error: recordError("must be an object of drop-ins by name") })
    .overwrite(sorted)
    .default({})
    .describe("Drop-ins by file name, in /etc/systemd/system/NAME.d. Others there stay as they are."),
  enabled: z
    .boolean({ error: "must be true or false" })
    .optional()
    .describe("Whether it is started with the host: systemctl enable. None: as it is."),
  state: z
    .enum(["running", "stopped"], { error: 'must be "running" or "stopped"' })
    .optional()
    .describe("Whether it runs now. None: as it is."),
  restartTriggers: z
    .record(triggerName, triggerValue, { error: recordError("must be an object of digests by name") })
    .overwrite(sorted)
    .default({})
    .describe(
      "Digests of what the unit reads when it starts, by name. One that changes restarts it, once, if it runs.",
    ),
});

export type Spec = z.output<typeof schema>;

/** The lines of a unit file that are neither comments nor blank, each with its section. */
function assignments(content: string): { section: string; key: string; value: string }[] {
  let section = "";
  return content.split("\n").flatMap((raw) => {
    const line = raw.trim();
    const header = /^\[(.+)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, key = "", value = ""] = /^([A-Za-z0-9-]+)\s*=\s*(.*)$/.exec(line) ?? [];
    return key === "" || /^[#;]/.test(line) ? [] : [{ section, key, value }];
  });
}

/** Whether a unit file says with what the unit is started: without it there is nothing to enable. */
export function isInstallable(content: string): boolean {
  return assignments(content).some(
    ({ section, key }) => section === "Install" && /^(WantedBy|RequiredBy|Alias|Also|UpheldBy)$/.test(key),
  );
}

/** Whether a service ends by itself and is not counted as running after that (systemd.service(5), oneshot). */
export function endsByItself(content: string): boolean {
  const last = (wanted: string) => assignments(content).findLast(({ key }) => key === wanted)?.value ?? "";
  return last("Type") === "oneshot" && !/^(1|yes|y|true|t|on)$/i.test(last("RemainAfterExit"));
}
