import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, type AppProps, Host } from "../../lib";
import { Lab } from "../../lib/lab";

/** A machine to measure on. */
export interface Ground {
  readonly app: AppProps;
  readonly host: (app: App) => Host;
  /** MemAvailable of the machine, kB; absent where others work on it, too. */
  readonly available?: () => Promise<number>;
  /** What is left on it when the measurement fails stays there: it is to be removed. */
  readonly lasts: boolean;
  readonly close: () => Promise<void>;
}

/** MemAvailable of a lab's machine, kB. */
export async function available(lab: Lab): Promise<number> {
  const text = await lab.ssh("isp", ["cat", "/proc/meminfo"]);
  return Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN);
}

/** A virtual machine that has just been restored. */
export async function inLab(): Promise<Ground> {
  const lab = await Lab.up({ names: ["isp"], lab: `bench-${process.pid}`, ephemeral: true });
  const { address, port, user, hostKey, privateKey } = lab.host("isp");
  return {
    app: {},
    host: (app) => new Host(app, "isp", { address, port, user, hostKey, privateKey }),
    available: () => available(lab),
    lasts: false,
    close: () => lab.down(),
  };
}

/** This machine, with a ledger of its own; what is made must be inside namespaces. */
export function here(): Promise<Ground> {
  const stateDirectory = mkdtempSync(join(tmpdir(), "netloom-bench-ledger-"));
  return Promise.resolve({
    app: { stateDirectory },
    host: (app) => new Host(app, "here"),
    lasts: true,
    close: () => Promise.resolve(rmSync(stateDirectory, { recursive: true, force: true })),
  });
}
