import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Room for `/`, ssh's `%C` (40 digits) and the suffix of the socket's temporary name, of the 103 bytes a socket's path may have. */
const longest = 103 - 1 - 40 - 17;

const folders = new Set<string>();

process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const ours = `netloom-${process.pid}-`;
const hourMs = 3_600_000;

/**
 * Removes what processes left that were killed: a private key among it if it happened in a dial. Not at once, as a
 * process that looks dead may live in another container that shares the place.
 */
function sweep(place: string): void {
  for (const name of readdirSync(place)) {
    const pid = Number(/^netloom-(\d+)-[A-Za-z0-9]{6}$/.exec(name)?.[1]);
    if (!pid || alive(pid)) continue;
    const path = join(place, name);
    const { uid, mtimeMs } = statSync(path);
    if (uid === process.getuid?.() && Date.now() - mtimeMs > hourMs)
      rmSync(path, { recursive: true, force: true });
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

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
      if (!place || !existsSync(place) || join(place, `${ours}XXXXXX`).length > longest) continue;
      try {
        sweep(place);
        this.#path = mkdtempSync(join(place, ours));
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
