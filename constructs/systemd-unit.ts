import type { Construct } from "constructs";
import { unit } from "../lib/kinds/unit";
import type { Input } from "../lib/synth";
import { KernelObject } from "../lib/synth";
import type { InNamespaceProps } from "./common";
import { leafProps } from "./common";

/** A systemd unit. */
export interface SystemdUnitProps extends InNamespaceProps {
  /**
   * The unit's name with its type: `lqosd.service`, `backup.timer` (systemd.unit(5)).
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * The whole unit file, which becomes `/etc/systemd/system/NAME`. May be a secret.
   * @default - none: a package brings the unit, and what it was before is put back when the resource goes
   */
  readonly content?: Input<string>;
  /**
   * Drop-ins by file name (`netloom.conf`), in `/etc/systemd/system/NAME.d`. Others there stay as they are.
   * @default - none
   */
  readonly dropIns?: Readonly<Record<string, Input<string>>>;
  /**
   * Whether the unit is started with the host (`systemctl enable`); needs an `[Install]` section.
   * @default - as it is
   */
  readonly enabled?: boolean;
  /**
   * Whether the unit runs. A oneshot runs only with `RemainAfterExit=yes` (systemd.service(5)).
   * @default - as it is
   */
  readonly state?: "running" | "stopped";
  /**
   * Digests of what the unit reads when it starts, by name. When one changes, or the unit's own file or a drop-in
   * does, a unit that runs is restarted, once.
   * @default - none
   */
  readonly restartTriggers?: Readonly<Record<string, Input<string>>>;
  /**
   * Takes over a unit that is already there. What it was before is put back when the resource goes.
   * @default - true for a unit without content, else false
   */
  readonly adopt?: boolean;
}

/**
 * A unit of the host's systemd: a package's or the program's own, enabled or not, running or not. systemd is told of
 * changed files (`daemon-reload`) before anything is started with them. Units are the host's, whatever the namespace.
 *
 * @example
 * new SystemdUnit(edge, "chrony.service", { enabled: true, state: "running" });
 */
export class SystemdUnit extends KernelObject {
  constructor(scope: Construct, id: string, props: SystemdUnitProps = {}) {
    const { name = id, content, dropIns, enabled, state, restartTriggers } = props;
    super(scope, id, {
      ...leafProps(props),
      adopt: props.adopt ?? content === undefined,
      kind: unit,
      intent: { name, content, dropIns, enabled, state, restartTriggers },
    });
  }
}
