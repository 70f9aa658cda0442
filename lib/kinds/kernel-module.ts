import { missingUnits } from "./build/sources";
import { defined } from "./found";
import { defineKind, inPlace, replace } from "./kind";
import { KBUILD } from "./kernel-module/files";
import { observe, queries } from "./kernel-module/observe";
import { change, removal } from "./kernel-module/plan";
import { schema } from "./kernel-module/schema";
import { quoted } from "./schemas";

/** What became of the module that was loaded before one that the kernel did not take. */
const BEFORE: Readonly<Record<string, string>> = {
  kept: ", and what was there before is in its place",
  lost: ", nor the one before it again: none is loaded",
};

const UNSIGNED =
  "The kernel loads signed modules only, and it is not signed: give sign, a key and a certificate on the host.";
const untrusted = ({ certificate }: { readonly certificate: string }) =>
  `The kernel does not trust the key it is signed with: enrol its certificate, ${certificate} (mokutil --import takes it in DER form), and start the host anew.`;

/** A kernel module: built for the kernel that runs, installed, and loaded. */
export const kernelModule = defineKind({
  token: "netloom:kernel:Module",
  description:
    "A kernel module, built on the host for the kernel that runs, installed for modprobe(8) and loaded; a new version " +
    "takes its place when it has been built.",
  schema,
  policy: {
    name: replace("a module is known by its name"),
    units: inPlace({ traffic: "brief" }),
    sources: inPlace({ traffic: "brief" }),
    flags: inPlace({ traffic: "brief" }),
    parameters: inPlace({ traffic: "brief" }),
    loadAtBoot: inPlace(),
    loaded: inPlace({ traffic: "brief" }),
    sign: inPlace({ traffic: "brief" }),
    dkms: inPlace(),
    keep: inPlace(),
    problems: inPlace(),
    reason: inPlace(),
    stale: inPlace(),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  // The sources are not on the host: there is nothing to import.
  locate: () => undefined,
  check({ name, units, sources, flags, sign, problems, reason, stale }) {
    const reported = Object.keys(defined({ problems, reason, stale }));
    const findings = [
      ...reported.map((property) => ({ path: [property], message: "is reported: it cannot be set" })),
      ...missingUnits("units", units, sources),
      ...units.flatMap((unit, index) =>
        unit.endsWith(".c") ? [] : [{ path: ["units", index], message: `${quoted(unit)} is no C source` }],
      ),
    ];
    if (KBUILD in sources) {
      if (flags.length > 0)
        findings.push({
          path: ["flags"],
          message: "the sources have a Kbuild file: write them there, in ccflags-y",
        });
    } else if (units.length > 1 && units.includes(`${name}.c`)) {
      findings.push({
        path: ["units", units.indexOf(`${name}.c`)],
        message: `the build makes ${name}.o of all the sources, so none of them can be ${name}.c: rename it`,
      });
    }
    if (sign !== undefined && sign.key === sign.certificate)
      findings.push({ path: ["sign"], message: "the key and the certificate are one file" });
    return findings;
  },
  queries,
  observe,
  plan(current, desired) {
    if (desired !== undefined) return change(current, desired);
    return current === undefined ? [] : removal(current);
  },
  explain(error, { name, sign }) {
    const headers = /nl-no-headers (\S+)/.exec(error)?.[1];
    if (headers !== undefined) {
      return (
        `the host has no headers of its kernel, ${headers}: install the package linux-headers-${headers} ` +
        "(or kernel-devel), or reboot into the kernel whose headers are there"
      );
    }
    const key = /nl-no-key (\S+)/.exec(error)?.[1];
    if (key !== undefined)
      return `the host has no file ${key}, or not one that can be read: sign names the key and the certificate there`;
    const unsigned = /nl-unsigned (.*)/.exec(error)?.[1];
    if (unsigned !== undefined) {
      return (
        `this kernel loads signed modules only (${unsigned}), and ${name} would not be signed: give sign, a key and a ` +
        "certificate on the host that the kernel trusts (mokutil --import enrols one)"
      );
    }
    const use = /nl-in-use (.*)/.exec(error)?.[1];
    if (use !== undefined)
      return `the kernel module ${name} is in use and stays loaded: ${use}. Remove what uses it first.`;
    const [, state = "", refused] = /nl-not-loaded (\w+) ([^]*)/.exec(error) ?? [];
    if (refused !== undefined) {
      const advice = /Key was rejected|Required key not available/.test(refused)
        ? `\n${sign === undefined ? UNSIGNED : untrusted(sign)}`
        : "";
      return `the kernel did not take the module ${name}${BEFORE[state] ?? ""}:\n${refused.trim()}${advice}`;
    }
    if (/: No such file or directory[^]*compilation terminated|fatal error: /.test(error))
      return `${error}\nA header in quotes must be among the sources, beside the file that includes it.`;
    return undefined;
  },
});
