import type { Construct } from "constructs";
import type { BridgeMode, IShaper, ShapedSubscribers, ShapingPoint } from "../shaper";
import type { LibreQoSConfig, LibreQoSPath } from "./config";
import type { IspConfigPy } from "./isp-config-py";
import type { LqosConf } from "./lqos-conf";
import { LibreQoS } from "./libreqos";

/** What a LibreQoS shaper is set to, as far as it does not follow from the place it stands at. */
export type LibreQoSSettings = Omit<Partial<LibreQoSConfig>, "path" | "directory">;

/** A shaper that is LibreQoS, installed on the host already or by its packages. */
export interface LibreQoSShaperProps {
  /**
   * Which LibreQoS it is. `"1.5"` (and later): `/etc/lqos.conf` and 15 columns. `"1.4"`: `ispConfig.py`, 13 columns
   * and whole Mbit/s.
   * @default "1.5"
   */
  readonly version?: "1.5" | "1.4";
  /**
   * Its folder, where ShapedDevices.csv and network.json are: an absolute path.
   * @default "/opt/libreqos/src"
   */
  readonly directory?: string;
  /**
   * Settings, such as `sqm` or `queues`.
   * @default - LibreQoS' own; the uplink of the ISP; what is shaped is allowed, nothing is ignored
   */
  readonly settings?: LibreQoSSettings;
  /**
   * Where it stands in the path.
   * @default - a bridge between the two links of the shaping point
   */
  readonly path?: LibreQoSPath;
  /**
   * What else its settings file holds, as `parseLqosConf` or `parseIspConfigPy` gives it: CRM integrations. Taken for
   * a secret: only root reads the file then.
   * @default - nothing
   */
  readonly rest?: LqosConf["rest"] | IspConfigPy["rest"];
  /**
   * How it is told of changed files. `"unit"` restarts its services. `"command"` runs its own command, by
   * `HostCommand`; its services are restarted only for changed settings. Either happens once when, and only when,
   * a file changed.
   * @default "unit"
   */
  readonly reload?: "unit" | "command";
  /**
   * Its services, in the order in which they start.
   * @default ["lqosd.service", "lqos_scheduler.service"]
   */
  readonly units?: readonly string[];
  /**
   * The command that has it read its files anew, run in its folder.
   * @default ["python3", "LibreQoS.py"]
   */
  readonly reloadCommand?: readonly string[];
  /**
   * Distribution packages to install before.
   * @default - none: LibreQoS is there
   */
  readonly packages?: readonly string[];
  /**
   * Takes over files that are there already: they are put back when the stack goes.
   * @default false - a file that is not ours is refused by name
   */
  readonly adopt?: boolean;
}

/**
 * Holds subscribers to their plans by LibreQoS: writes its files, keeps its services running, and has it reload when,
 * and only when, one of its files changed.
 *
 * @example
 * new IspInABox(edge, "isp", { shaper: new LibreQoSShaper({ settings: { sqm: "cake diffserv4" } }), ... });
 */
export class LibreQoSShaper implements IShaper {
  constructor(readonly props: LibreQoSShaperProps = {}) {}

  refuses(bridge: BridgeMode): string | undefined {
    const { version = "1.5", path } = this.props;
    if (path?.mode === "bridge" && path.bridge !== bridge) {
      return `LibreQoS is told that a ${path.bridge} bridge joins its two sides, and the ISP has bridge: "${bridge}"; with both, every packet would be forwarded twice`;
    }
    if (path === undefined && version === "1.4" && bridge === "xdp") {
      return 'LibreQoS 1.4 keeps its XDP bridge in an lqos.conf of another form, which is not written: use bridge: "linux", or LibreQoS 1.5';
    }
    return undefined;
  }

  attach(scope: Construct, point: ShapingPoint, shaped: ShapedSubscribers): void {
    new LibreQoS(scope, "libreqos", this.props, point, shaped);
  }
}
