import { z } from "zod";
import { compilerFlags, sourceTexts, translationUnits } from "../build/sources";
import { EXECUTABLES } from "../executable";
import { recordError } from "../records";
import { quoted, text } from "../schemas";

/** Longest name of a module: MODULE_NAME_LEN of `linux/module.h` on a machine of 64 bits, without the closing NUL. */
const LONGEST = 55;

const moduleName = text((name) =>
  new RegExp(`^[A-Za-z][A-Za-z0-9_]{0,${LONGEST - 1}}$`).test(name)
    ? undefined
    : `${quoted(name)} is no name of a kernel module: 1 to ${LONGEST} letters, digits and "_"`,
);

const FLAG =
  /^-([DU][A-Za-z_][A-Za-z0-9_]*(=[A-Za-z0-9_.-]*)?|g|W[a-z][a-z0-9=-]*|I[A-Za-z0-9_][A-Za-z0-9_./-]*)$/;

const parameterName = text((name) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)
    ? undefined
    : `${quoted(name)} is no name of a module's parameter`,
);

const parameterValue = text((value) =>
  /^[A-Za-z0-9_.,:/+-]{1,256}$/.test(value)
    ? undefined
    : 'must be 1 to 256 letters, digits and characters among "_.,:/+-"',
);

const hostFile = text((path) =>
  /^\/[A-Za-z0-9_./@+-]+[^/]$/.test(path) && !path.split("/").includes("..")
    ? undefined
    : `${quoted(path)} is not the absolute path of a file`,
);

const word = text((value) =>
  /^-{0,2}[A-Za-z0-9][A-Za-z0-9-]{0,31}$/.test(value)
    ? undefined
    : `${quoted(value)} is not a plain word or option`,
);

const words = z.array(word, { error: "must be a list of words" }).min(1, "names no word");

const keep = z.strictObject(
  {
    executable: text((path) =>
      path.startsWith(`${EXECUTABLES}/`) && /^[A-Za-z0-9_./-]+$/.test(path) && !path.includes("..")
        ? undefined
        : `${quoted(path)} is not below ${EXECUTABLES}: an Executable's path`,
    ).describe("An executable that system:Executable has built."),
    save: words.describe("Its arguments to write what the module knows to standard output."),
    clear: words.describe("Its arguments to make the module forget it."),
    restore: words.describe("Its arguments to read it from standard input."),
  },
  { error: "must be an object of executable, save, clear and restore" },
);

/** What can be the matter with a module that was built. */
const PROBLEMS = ["build", "load"] as const;

export const schema = z.strictObject({
  name: moduleName.describe("The module's name, as lsmod(8) shows it."),
  units: translationUnits.describe("Paths of the sources that are compiled, among `sources`."),
  sources: sourceTexts.describe(
    "Text of each source, header and, where there is one, of the Kbuild file, by path. Without a Kbuild file the units " +
      "and flags make one.",
  ),
  flags: compilerFlags(FLAG, "the module's build: -D, -U, -g, -W and -I with a folder of the sources")
    .default([])
    .describe("Flags of the compiler after the kernel's own, where the sources have no Kbuild file."),
  parameters: z
    .record(parameterName, parameterValue, { error: recordError("must be an object of values by parameter") })
    .overwrite((values) => Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))))
    .default({})
    .describe("Parameters that it is loaded with, by name: modprobe.d(5)."),
  loadAtBoot: z
    .boolean({ error: "must be true or false" })
    .default(true)
    .describe("Whether it is loaded when the host starts: modules-load.d(5)."),
  loaded: z.boolean({ error: "must be true or false" }).default(true).describe("Whether it is loaded now."),
  sign: z
    .strictObject(
      {
        key: hostFile.describe("The private key in PEM form, a file on the host."),
        certificate: hostFile.describe("Its X.509 certificate, a file on the host that the kernel trusts."),
      },
      { error: "must be an object of key and certificate" },
    )
    .optional()
    .describe("What the module is signed with, for a kernel that loads signed ones only."),
  dkms: z
    .boolean({ error: "must be true or false" })
    .default(true)
    .describe("Whether DKMS, where the host has it, builds the module again for each new kernel."),
  keep: keep.optional().describe("How what the module knows is carried over to a new version of it."),
  problems: z
    .array(z.enum(PROBLEMS))
    .optional()
    .describe(
      "Reported, not set: `build` where it has to be built again, `load` where another one is loaded.",
    ),
  reason: z.string().optional().describe("Reported, not set: what the matter is."),
  stale: z.array(z.string()).optional().describe("Reported, not set: what is there of other sources."),
});

export type Spec = z.output<typeof schema>;
export type Part = Partial<Spec>;
