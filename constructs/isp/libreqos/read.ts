import type { ReadFile } from "../read-file";
import { readLocalFile } from "../read-file";
import { Subscribers } from "../subscribers";
import { decodeUtf8 } from "../utf8";
import type { LibreQoSConfig } from "./config";
import { parseIspConfigPy, type IspConfigPy } from "./isp-config-py";
import { parseLqosConf, type LqosConf } from "./lqos-conf";

/** Where the files of a LibreQoS are, on the machine that runs the program: copies of the host's. */
export interface LibreQoSSources {
  /** Folder of ShapedDevices.csv and network.json, and of ispConfig.py for 1.4. */
  readonly directory: string;
  /**
   * Path of lqos.conf.
   * @default - `lqos.conf` in the folder; none for 1.4
   */
  readonly lqosConf?: string;
  /**
   * Which LibreQoS wrote them.
   * @default "1.5"
   */
  readonly version?: "1.5" | "1.4";
  /** Gives the bytes of a file; for tests, or for files that are elsewhere. @default - this machine's files */
  readonly read?: ReadFile;
}

/** A LibreQoS that was read: what `LibreQoSShaper` and `IspInABox` take. */
export interface ReadLibreQoS {
  readonly subscribers: Subscribers;
  readonly config: LibreQoSConfig;
  /** What else the settings file holds; a secret. */
  readonly rest: LqosConf["rest"] | IspConfigPy["rest"];
}

/**
 * Reads an existing LibreQoS, so that a program can go on from it.
 * @throws SubscribersError with everything that is wrong, each with its file, row and column
 */
export function readLibreQoS(sources: LibreQoSSources): ReadLibreQoS {
  const { directory, version = "1.5", read = readLocalFile } = sources;
  const at = (name: string) => `${directory}/${name}`;
  const text = (path: string) => decodeUtf8(read(path), path);
  const subscribers = Subscribers.fromCsv(at("ShapedDevices.csv"), {
    networkJson: at("network.json"),
    read,
  });
  if (version === "1.4") {
    const path = at("ispConfig.py");
    const { config, rest } = parseIspConfigPy(text(path), "linux", path);
    return { subscribers, config, rest };
  }
  const path = sources.lqosConf ?? at("lqos.conf");
  const { config, rest } = parseLqosConf(text(path), path);
  return { subscribers, config, rest };
}
