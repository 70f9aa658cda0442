import { defineKind, inPlace, replace } from "./kind";
import { observe, queries } from "./unit/observe";
import { change, removal } from "./unit/plan";
import { endsByItself, isInstallable, schema } from "./unit/schema";

/** A systemd unit: its files, whether it is started with the host, whether it runs. */
export const unit = defineKind({
  token: "netloom:system:Unit",
  description: "A systemd unit of a host: unit file or drop-ins, enabled or not, running or not.",
  schema,
  policy: {
    name: replace("a unit is known by its name"),
    content: inPlace({ traffic: "brief", unset: "" }),
    dropIns: inPlace({ traffic: "brief", unset: {} }),
    enabled: inPlace(),
    state: inPlace({ traffic: "brief" }),
    restartTriggers: inPlace({ traffic: "brief", unset: {} }),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  locate: ([name, ...rest]) => (name === undefined || rest.length > 0 ? undefined : { name }),
  check({ content = "", enabled, state }) {
    const findings = [];
    if (content !== "" && enabled === true && !isInstallable(content)) {
      findings.push({
        path: ["enabled"],
        message: "its content has no [Install] section with WantedBy=: add one, or leave enabled out",
      });
    }
    if (content !== "" && state === "running" && endsByItself(content)) {
      findings.push({
        path: ["state"],
        message:
          "a oneshot ends by itself and is not running after that: add RemainAfterExit=yes, or leave state out",
      });
    }
    return findings;
  },
  queries,
  observe,
  plan(current, desired) {
    if (desired !== undefined) return change(current, desired);
    return current === undefined ? [] : removal(current);
  },
  explain(error, { name }) {
    const log = `journalctl -u ${name} -n 20`;
    if (/not been booted with systemd|Failed to connect to bus|systemctl missing/.test(error))
      return `${error}. Units are systemd's, and this host is not run by it.`;
    if (/is masked/.test(error)) return `${error}. Unmask it first: systemctl unmask ${name}`;
    if (/not found|does not exist/.test(error))
      return `${error}. Install the package that brings ${name} first (Packages), or give its content.`;
    if (/bad unit file setting|Invalid argument/.test(error))
      return `${error}. systemd does not take the unit's file: systemd-analyze verify ${name} says why, and ${log}.`;
    if (/systemctl (re)?start failed/.test(error))
      return `${error}. It was asked to start and did not: ${log} on the host says why.`;
    return undefined;
  },
});
