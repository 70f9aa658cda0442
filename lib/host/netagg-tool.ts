import type { Fact } from "../kinds/step";
import type { Answer } from "./exchange";
import { netnsName, quote, quoteAll } from "./quote";

/**
 * How a host's netagg module is asked and told: by the tool that comes with it, which was built on the host
 * (`/var/lib/netloom/executables/DIGEST/netagg`), else the one on the path.
 */

/** The words before a command that is to run in a namespace. */
const within = (netns: string | undefined) =>
  netns === undefined ? "" : `ip netns exec ${quote(netnsName(netns))} `;

/** The tool's exit status where the module is not loaded. */
const NOT_LOADED = 3;

/** Renders the question for the rules of a namespace. */
export function netaggQuestion(netns: string | undefined) {
  return {
    needs: netns === undefined ? [] : ["ip"],
    // Without the module there are no rules, whether or not its tool is there.
    script: `[ ! -e /sys/module/netagg/initstate ] || { nl_netagg && ${within(netns)}"$nl_t" -L </dev/null; }`,
    read: (answer: Answer): Fact => {
      if (answer.status === NOT_LOADED) return { ok: true, value: [] };
      if (answer.status !== 0)
        return { ok: false, error: answer.stderr || `netagg ended with status ${answer.status}` };
      const text = answer.stdout.toString("utf8").trim();
      try {
        return { ok: true, value: text === "" ? [] : (JSON.parse(text) as unknown) };
      } catch {
        return { ok: false, error: "netagg printed something that is not JSON" };
      }
    },
  };
}

/** Renders a change of the rules of a namespace. */
export function netaggCommand(netns: string | undefined, args: readonly string[]) {
  return {
    needs: netns === undefined ? [] : ["ip"],
    script: `nl_netagg && ${within(netns)}"$nl_t" ${quoteAll(args)} </dev/null`,
  };
}

/** Shell functions that these use; sent once, when the shell starts. */
export const netaggPreamble = `
nl_netagg() {
  for nl_t in /var/lib/netloom/executables/*/netagg "$(command -v netagg)"; do [ ! -x "$nl_t" ] || return 0; done
  echo "no netagg tool on this host" >&2; return 1
}`;
