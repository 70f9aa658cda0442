import type { Fact, Query, Step } from "../kinds/step";
import type { Answer } from "./exchange";
import { HostError } from "./operation";
import { quoteAll } from "./quote";

/**
 * How a host's service manager and package manager are asked and told: systemctl(1), dpkg-query(1), apt-get(8) and
 * dpkg(1). Each takes an argument vector; none of them may ask anybody anything.
 */

type SystemQuery = Extract<Query, { tool: "systemctl" | "dpkg-query" }>;
type SystemStep = Extract<Step, { tool: "systemctl" | "apt-get" | "dpkg" }>;

/** A query of this sort as the shell runs it, and how its answer becomes a fact. */
export interface SystemQuestion {
  /** Programs that the host must have. */
  readonly needs: readonly string[];
  readonly script: string;
  readonly read: (answer: Answer) => Fact;
}

/** Renders a query. */
export function systemQuestion(query: SystemQuery): SystemQuestion {
  return query.tool === "systemctl" ? unitProperties(query.args) : packageStates(query.args);
}

/** `systemctl show` prints one `Property=value` a line; a value has no line end in it. */
function unitProperties(args: readonly string[]): SystemQuestion {
  return {
    needs: ["systemctl"],
    script: `systemctl --no-pager ${quoteAll(args)} </dev/null`,
    read: (answer) => {
      if (answer.status !== 0) return failed("systemctl", answer);
      const value: Record<string, string> = {};
      for (const line of linesOf(answer)) {
        const equals = line.indexOf("=");
        if (equals > 0) value[line.slice(0, equals)] = line.slice(equals + 1);
      }
      return { ok: true, value };
    },
  };
}

/** What dpkg is to be asked of a package: its name, two letters of state and perhaps an error mark, its version. */
const PACKAGE_FORMAT = "${Package}\\t${db:Status-Abbrev}\\t${Version}\\n";

/** dpkg-query ends with 1 when it knows nothing of one of the packages, after it told of the others. */
function packageStates(names: readonly string[]): SystemQuestion {
  return {
    // A host without it is one of another distribution: the kind says so, better than "install dpkg".
    needs: [],
    script:
      "if command -v dpkg-query >/dev/null; then " +
      `dpkg-query -W -f ${quoteAll([PACKAGE_FORMAT, "--", ...names])} </dev/null; ` +
      "else echo 'no dpkg on this host' >&2; (exit 127); fi",
    read: (answer) => {
      if (answer.status > 1) return failed("dpkg-query", answer);
      const value: Record<string, PackageFact> = {};
      for (const line of linesOf(answer)) {
        const [name = "", state = "", version = ""] = line.split("\t");
        value[name] = { state, version };
      }
      return { ok: true, value };
    },
  };
}

interface PackageFact {
  readonly state: string;
  readonly version: string;
}

/** What no argument of these tools may begin with or hold, so that none is taken for more than it is. */
const CONTROL = /[\0-\x1f\x7f]/; // eslint-disable-line no-control-regex -- they are what is refused

/**
 * Renders a step. Nobody is there to answer: apt-get and dpkg keep what an administrator changed in a package's
 * configuration files, wait a minute for another package manager to end, and restart no service besides.
 *
 * @throws HostError for an argument with a control character
 */
export function systemCommand({ tool, args }: SystemStep): { needs: readonly string[]; script: string } {
  if (args.some((arg) => CONTROL.test(arg)))
    throw new HostError(`an argument of ${tool} holds a control character, which is not passed on`);
  if (tool === "systemctl")
    return { needs: [tool], script: `systemctl --no-ask-password --no-pager ${quoteAll(args)} </dev/null` };
  const silent = "env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8";
  if (tool === "dpkg") return { needs: [tool], script: `${silent} dpkg ${quoteAll(args)} </dev/null` };
  const options = [
    "-q",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=60",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    // Else a name that is not known is taken for a pattern, and all that fits it is installed.
    "-o",
    "APT::Cmd::Pattern-Only=true",
  ];
  return { needs: [tool], script: `${silent} apt-get ${quoteAll([...options, ...args])} </dev/null` };
}

function linesOf({ stdout }: Answer): string[] {
  return stdout
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
}

function failed(tool: string, answer: Answer): Fact {
  return { ok: false, error: answer.stderr || `${tool} ended with status ${answer.status}` };
}
