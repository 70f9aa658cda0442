import { createHash } from "node:crypto";

/**
 * SHA-256 of a text, in hex: what a `SystemdUnit` is restarted for, or a `HostCommand` run again, when it changes.
 *
 * @example
 * new HostCommand(edge, "reload", { command: ["nsd-control", "reload"], triggers: { zone: sha256(zone) } });
 */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
