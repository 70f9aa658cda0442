import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The distribution's package dkms as apt has it on this machine, in base64; or why it is not to be had. */
export function dkmsPackage(): { readonly base64: string } | { readonly why: string } {
  const folder = mkdtempSync(join(tmpdir(), "netloom-dkms-"));
  try {
    execFileSync("apt-get", ["download", "-q", "dkms"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    const [name] = readdirSync(folder).filter((one) => one.endsWith(".deb"));
    if (name === undefined) return { why: "apt-get download dkms brought no package" };
    return { base64: readFileSync(join(folder, name), "base64") };
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: Buffer };
    return { why: `apt-get download dkms: ${stderr?.toString().trim() || message}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
