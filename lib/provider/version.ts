import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The version in the package's own package.json, which is above both the sources and what is built of them. */
export function version(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
  }
  return "0.0.0";
}
