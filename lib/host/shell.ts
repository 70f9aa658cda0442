import { randomBytes } from "node:crypto";
import { bpfPreamble } from "./bpf-tools";
import { buildPreamble } from "./build-tools";
import { type Capabilities, probes, readCapabilities } from "./capabilities";
import { type Answer, answers, type Command, FrameReader, framingPreamble, renderExchange } from "./exchange";
import { lockPreamble } from "./lock";
import { linkPreamble } from "./link-tools";
import { netaggPreamble } from "./netagg-tool";
import { modulePreamble } from "./module-tools";
import { HostError } from "./operation";
import { stepPreamble } from "./render-step";
import type { Connection, ConnectionEnd, DialFailure, Transport } from "./transport";

/** The shell ended in the middle of an exchange; how far the exchange got is not known. */
export class ShellLost extends Error {
  override readonly name = "ShellLost";
}

/** A dial that ended without a shell. */
export class DialError extends Error {
  override readonly name = "DialError";
  constructor(readonly failure: DialFailure) {
    super(failure.error.message);
  }
}

const preamble = (nonce: string) => `
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
export PATH LC_ALL
unset CDPATH GREP_OPTIONS TMPDIR
umask 022
cd /
${framingPreamble(nonce)}
${stepPreamble}
${bpfPreamble}
${buildPreamble}
${linkPreamble}
${modulePreamble}
${netaggPreamble}
${lockPreamble}
`;

interface Pending {
  readonly number: number;
  readonly count: number;
  readonly stdout: FrameReader;
  readonly stderr: FrameReader;
  left: number;
  resolve(answers: (Answer | undefined)[]): void;
  reject(error: Error): void;
}

/** One long-lived root `sh` on a host, which runs exchanges one after the other. */
export class Shell {
  readonly nonce = `nl${randomBytes(12).toString("hex")}`;
  capabilities!: Capabilities;
  #exchanges = 0;
  #pending: Pending | undefined;
  #end: ConnectionEnd | undefined;
  /** The last words outside every frame: ssh's own. */
  #lastWords = "";

  private constructor(private readonly connection: Connection) {
    connection.stdout.on("data", (chunk: Buffer) => this.#arrived("stdout", chunk));
    connection.stderr.on("data", (chunk: Buffer) => this.#arrived("stderr", chunk));
    void connection.ended.then((end) => {
      this.#end = end;
      this.#fail();
    });
  }

  /**
   * Dials, and looks at the host.
   *
   * @param withinMs how long the shell may take until it speaks.
   * @throws DialError when there is no shell, and HostError when it is of no use.
   */
  static async start(transport: Transport, withinMs: number): Promise<Shell> {
    const connection = transport.connect();
    const shell = new Shell(connection);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      connection.kill();
    }, withinMs);
    try {
      connection.stdin.write(preamble(shell.nonce));
      const found = await shell.exchange(probes.map((script) => ({ script })));
      shell.capabilities = readCapabilities(found);
      return shell;
    } catch (error) {
      connection.kill();
      if (!(error instanceof ShellLost)) throw error;
      const end = await connection.ended;
      if (late) {
        const said = shell.#lastWords.trim().split("\n").at(-1) ?? "";
        const message = `no shell answered within ${withinMs / 1000} s${said && ` (${said})`}`;
        throw new DialError({ error: new HostError(message), retry: false });
      }
      throw new DialError(await transport.explain(end, shell.#lastWords));
    } finally {
      clearTimeout(timer);
      transport.dialled();
    }
  }

  get alive(): boolean {
    return this.#end === undefined;
  }

  /** What an exchange's number will be: names what the exchange leaves on the host. */
  get nextExchange(): number {
    return this.#exchanges + 1;
  }

  /**
   * Runs commands in one round trip.
   *
   * @returns an answer for each, undefined for those that were skipped.
   * @throws ShellLost when the shell ends before it has answered all of them.
   */
  exchange(commands: readonly Command[]): Promise<(Answer | undefined)[]> {
    if (this.#pending) throw new Error("one exchange at a time");
    const number = ++this.#exchanges;
    return new Promise((resolve, reject) => {
      this.#pending = {
        number,
        count: commands.length,
        stdout: new FrameReader(this.nonce, number),
        stderr: new FrameReader(this.nonce, number),
        left: 2,
        resolve,
        reject,
      };
      if (this.#end) this.#fail();
      else this.connection.stdin.write(renderExchange(number, commands));
    });
  }

  /** Ends the shell: it finishes what it was told, reads the end of its input and is gone. */
  async close(graceMs: number): Promise<void> {
    this.connection.stdin.end();
    const timer = setTimeout(() => this.connection.kill(), graceMs);
    await this.connection.ended;
    clearTimeout(timer);
  }

  #arrived(stream: "stdout" | "stderr", chunk: Buffer): void {
    const pending = this.#pending;
    if (!pending) {
      if (stream === "stderr") this.#lastWords = (this.#lastWords + chunk.toString("utf8")).slice(-4096);
      return;
    }
    if (!pending[stream].push(chunk) || --pending.left > 0) return;
    this.#pending = undefined;
    pending.resolve(answers(pending.stdout, pending.stderr, pending.count));
  }

  #fail(): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    this.#lastWords += pending.stderr.unframed();
    const { exitCode, signal } = this.#end ?? {};
    const said = this.#lastWords.trim().split("\n").at(-1)?.trim();
    pending.reject(
      new ShellLost(said || (signal ? `ended by ${signal}` : `ended with status ${exitCode ?? "?"}`)),
    );
  }
}
