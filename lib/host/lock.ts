import { quote, quoteAll } from "./quote";

/** Where the host keeps what is between sessions. */
export interface HostFolders {
  /** Ledgers: outlives a reboot. */
  readonly state: string;
  /** The lock: does not. */
  readonly run: string;
}

/** The folders of a host. */
export const hostFolders: HostFolders = { state: "/var/lib/netloom", run: "/run/netloom" };

/**
 * Shell functions of the lock and the ledger; sent once, when the shell starts. Almost all is done by the shell
 * itself: a process costs a millisecond on a fast host and sixty on an emulated one.
 *
 * - `nl_lock FOLDER SECONDS TOKEN` takes the lock (flock(1) on file descriptor 9, which the kernel gives back
 *   when the shell dies). The file's text says who holds it or, between two batches, who held it last: a TOKEN
 *   that is still there means that nobody has been here since (`nl_same`). Whoever finds nothing of ours left on
 *   the host removes the file, so the one that was locked is compared with the one that is there now.
 *   What a shell that was killed left of its batch goes.
 * - `nl_hold FOLDER TEXT` says who holds it, `nl_unlock FOLDER TOKEN` gives it back.
 * - `nl_read FILE FOLDER KNOWN` prints a ledger, or ends with status 3 when it is as this session left it.
 * - `nl_append FOLDER FILE LINE...`, `nl_rewrite FOLDER FILE LINE...` write it.
 *   Each waits for the disk: a power failure must not take the ledger and leave what it tells of.
 * - `nl_drop FILE FOLDER...` removes an empty ledger and its folders, innermost first.
 * - `nl_tidy STATE RUN` removes the lock's folder when no ledger is left.
 */
export const lockPreamble = `
nl_lock() {
  nl_same=0
  while :; do
    [ -d "$1" ] || mkdir -p -m 0700 -- "$1" || return
    command exec 9>>"$1/lock" || { [ -d "$1" ] && return 1; continue; }
    if ! flock -w "$2" 9; then
      nl_h=; IFS= read -r nl_h <"$1/lock"; exec 9>&-
      printf '%s' "$nl_h"; return 75
    fi
    [ /proc/self/fd/9 -ef "$1/lock" ] && break
    exec 9>&-
  done
  [ ! -s "$1/batch" ] || : >"$1/batch"
  nl_h=; IFS= read -r nl_h <"$1/lock"
  if [ -n "$nl_h" ] && [ "$nl_h" = "$3" ]; then nl_same=1; fi
}
nl_hold() { printf '%s (its shell here: pid %s)\\n' "$2" $$ >"$1/lock"; }
nl_unlock() { if [ -e "$1/lock" ]; then printf '%s\\n' "$2" >"$1/lock"; fi; exec 9>&-; }
nl_read() {
  nl_k=absent; [ -f "$1" ] && nl_k=present
  if [ $nl_same = 1 ] && [ $nl_k = "$3" ] && ! [ "$1" -nt "$2/lock" ]; then return 3; fi
  [ $nl_k = absent ] || cat -- "$1" </dev/null
}
nl_sync() { sync -- "$1" 2>/dev/null || sync; }
nl_append() {
  nl_d=$1 nl_p=$2; shift 2; umask 077
  { [ -d "$nl_d" ] || mkdir -p -- "$nl_d"; } && { printf '%s\\n' "$@" >>"$nl_p"; } && nl_sync "$nl_p"
  nl_r=$?; umask 022; return $nl_r
}
nl_rewrite() {
  nl_d=$1 nl_p=$2; shift 2; umask 077
  { printf '%s\\n' "$@" >"$nl_p.new"; } && mv -f -- "$nl_p.new" "$nl_p" && nl_sync "$nl_p"
  nl_r=$?; umask 022; return $nl_r
}
nl_drop() {
  nl_p=$1; shift; rm -f -- "$nl_p" "$nl_p.new" || return
  rmdir -- "$@" 2>/dev/null || :
  while nl_p=\${nl_p%/*}; [ -n "$nl_p" ] && ! [ -d "$nl_p" ]; do :; done
  nl_sync "\${nl_p:-/}"
}
nl_tidy() { [ -d "$1" ] || { rm -f -- "$2/lock" "$2/batch"; rmdir -- "$2" 2>/dev/null || :; }; }`;

/** Whoever names the lock's holder in a text file of one line. */
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").slice(0, 300);

/** Takes the host's lock; the answer has status 75 and the holder's text when somebody else keeps it. */
export function renderLock(folders: HostFolders, seconds: number, token: string): string {
  return `nl_lock ${quoteAll([folders.run, String(seconds), token])}`;
}

/** Says who holds the lock. */
export function renderHold(folders: HostFolders, holder: string): string {
  return `nl_hold ${quoteAll([folders.run, oneLine(holder)])}`;
}

/** Gives the lock back. `empty`: nothing of ours may be left, so look and tidy. */
export function renderUnlock(folders: HostFolders, token: string): string {
  return `nl_tidy ${quoteAll([folders.state, folders.run])}; nl_unlock ${quoteAll([folders.run, token])}`;
}

/** The folder and file of a stack's ledger. */
export function ledgerPlace(folders: HostFolders, stack: string): { folders: string[]; file: string } {
  const segments = stack.split("/").map(segment);
  const inner = segments.map((_, index) =>
    [folders.state, ...segments.slice(0, segments.length - index)].join("/"),
  );
  return { folders: [...inner, folders.state], file: `${inner[0]}/ledger.jsonl` };
}

/** A name as one path segment, reversible: two stacks never share a ledger. */
function segment(name: string): string {
  const safe = name.replaceAll(/[^A-Za-z0-9_.-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  );
  return /^\.*$/.test(safe) ? `%${safe}` : safe;
}

/** Prints a ledger unless it is as this session left it (status 3). */
export function renderLedgerRead(folders: HostFolders, stack: string, known: boolean | undefined): string {
  const state = known === undefined ? "unknown" : known ? "present" : "absent";
  return `nl_read ${quoteAll([ledgerPlace(folders, stack).file, folders.run, state])}`;
}

/** Adds lines to a ledger, or writes it anew. */
export function renderLedgerWrite(
  folders: HostFolders,
  stack: string,
  how: "append" | "rewrite",
  lines: readonly string[],
): string {
  const place = ledgerPlace(folders, stack);
  return `nl_${how} ${quote(place.folders[0]!)} ${quote(place.file)} \\\n${lines.map(quote).join(" \\\n")}`;
}

/** Removes an empty ledger and the folders it leaves empty. */
export function renderLedgerDrop(folders: HostFolders, stack: string): string {
  const place = ledgerPlace(folders, stack);
  return `nl_drop ${quoteAll([place.file, ...place.folders])}`;
}
