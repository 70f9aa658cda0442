import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Room for `/`, ssh's `%C` (40 digits) and the suffix of the socket's temporary name, of the 103 bytes a socket's path may have. */
const longest = 103 - 1 - 40 - 17;

const folders = new Set<string>();

process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/**
 * A folder of this process alone (0700), in memory where the machine has such a place, and gone with the
 * process.
 */
export class PrivateFolder {
  #path: string | undefined;

  /** Makes the folder on first use. */
  get path(): string {
    if (this.#path !== undefined) return this.#path;
    const places = [process.env["XDG_RUNTIME_DIR"], "/dev/shm", tmpdir(), "/tmp"];
    for (const place of places) {
      if (!place || !existsSync(place) || join(place, "netloom-XXXXXX").length > longest) continue;
      try {
        this.#path = mkdtempSync(join(place, "netloom-"));
        folders.add(this.#path);
        return this.#path;
      } catch {
        // Not writable for us: the next one.
      }
    }
    throw new Error(
      `no folder for temporary files: none of ${places.filter(Boolean).join(", ")} can be written`,
    );
  }

  /** Writes a file that only this user can read; returns its path. */
  write(name: string, content: string): string {
    const path = join(this.path, name);
    rmSync(path, { force: true });
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
    return path;
  }

  /** Removes a file, or the folder. */
  remove(name?: string): void {
    if (this.#path === undefined) return;
    rmSync(name === undefined ? this.#path : join(this.#path, name), { recursive: true, force: true });
    if (name !== undefined) return;
    folders.delete(this.#path);
    this.#path = undefined;
  }
}
