/**
 * How the answers of one long-lived shell are told apart. After every command the shell prints the same marker
 * on standard output and on standard error; its nonce was drawn for this connection, so nothing that a command
 * prints can be taken for it. The two streams are cut at the markers: no temporary files, no pseudo terminal.
 */

/** One command of an exchange. */
export interface Command {
  /** Shell text whose exit status counts. It must not read standard input. */
  readonly script: string;
  /** Skipped when an earlier {@link Command.vital} command of the exchange failed. */
  readonly guarded?: boolean;
  /** Its failure makes the shell skip the guarded commands after it. */
  readonly vital?: boolean;
}

/** What one command gave; undefined for a command that was skipped. */
export interface Answer {
  readonly status: number;
  readonly stdout: Buffer;
  /** As text, without blank ends. */
  readonly stderr: string;
}

/** The marker function that every exchange uses; sent once, when the shell starts. */
export function framingPreamble(nonce: string): string {
  return [
    `nl_framed_by=${nonce} nl_exchange=0 nl_status=0 nl_failed=0`,
    `nl_mark() { nl_status=$?; printf '\\n%s %s %s %s\\n' $nl_framed_by $nl_exchange "$1" $nl_status; ` +
      `printf '\\n%s %s %s %s\\n' $nl_framed_by $nl_exchange "$1" $nl_status >&2; }`,
  ].join("\n");
}

/**
 * The text of an exchange. It is one compound command, which a shell reads whole before it runs any of it: a
 * connection that breaks while the text is on its way leaves a syntax error and not half a command.
 */
export function renderExchange(exchange: number, commands: readonly Command[]): string {
  const body = commands.map(({ script, guarded, vital }, index) =>
    [
      ...(guarded ? ["if [ $nl_failed = 0 ]; then"] : []),
      script,
      `nl_mark ${index}`,
      ...(vital ? ["[ $nl_status = 0 ] || nl_failed=1"] : []),
      ...(guarded ? ["fi"] : []),
    ].join("\n"),
  );
  return ["{", `nl_exchange=${exchange} nl_failed=0`, "nl_mark begin", ...body, "nl_mark end", "}", ""].join(
    "\n",
  );
}

/** Collects one stream of the shell and cuts it at an exchange's markers. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #tail = Buffer.alloc(0);
  readonly #end: string;
  #ended = false;

  constructor(
    private readonly nonce: string,
    private readonly exchange: number,
  ) {
    this.#end = `\n${nonce} ${exchange} end `;
  }

  /** Takes what has arrived; true once, when the exchange's last marker is there. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    if (this.#ended) return false;
    // Only the new bytes, and as many old ones as a marker cut in two could need, are searched.
    const seen = Buffer.concat([this.#tail, chunk]);
    const at = seen.indexOf(this.#end);
    if (at >= 0 && seen.indexOf("\n", at + this.#end.length) >= 0) this.#ended = true;
    this.#tail = seen.subarray(Math.max(0, seen.length - this.#end.length - 16));
    return this.#ended;
  }

  /** What came after the last marker: in a connection that broke, what ssh itself had to say. */
  unframed(): string {
    const text = Buffer.concat(this.#chunks).toString("utf8");
    const last = text.lastIndexOf(`\n${this.nonce} `);
    return last < 0 ? text : text.slice(text.indexOf("\n", last + 1) + 1);
  }

  /** The frames by index. Skipped commands have none. */
  frames(): Map<number, { status: number; bytes: Buffer }> {
    const all = Buffer.concat(this.#chunks);
    const start = `\n${this.nonce} ${this.exchange} `;
    const found = new Map<number, { status: number; bytes: Buffer }>();
    let from = 0;
    for (let at = all.indexOf(start); at >= 0; at = all.indexOf(start, from)) {
      const lineEnd = all.indexOf("\n", at + start.length);
      if (lineEnd < 0) break;
      const [index, status] = all.toString("latin1", at + start.length, lineEnd).split(" ");
      if (index !== undefined && /^\d+$/.test(index))
        found.set(Number(index), { status: Number(status), bytes: all.subarray(from, at) });
      from = lineEnd + 1;
    }
    return found;
  }
}

/** Puts the two streams of an exchange together again, by command. */
export function answers(stdout: FrameReader, stderr: FrameReader, count: number): (Answer | undefined)[] {
  const out = stdout.frames();
  const err = stderr.frames();
  return Array.from({ length: count }, (_, index) => {
    const frame = out.get(index);
    if (!frame) return undefined;
    return {
      status: frame.status,
      stdout: frame.bytes,
      stderr: (err.get(index)?.bytes.toString("utf8") ?? "").trim(),
    };
  });
}
