import { connect, type Socket } from "node:net";
import { createInterface, type Interface } from "node:readline";

import { LabError } from "./errors";

interface Reply {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** A conversation with a machine's monitor (QEMU machine protocol, one JSON object a line). */
export class Qmp {
  private readonly waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  private next = 1;

  private constructor(
    private readonly socket: Socket,
    lines: Interface,
  ) {
    lines.on("line", (line) => this.receive(JSON.parse(line) as Reply));
    const broken = () => {
      for (const { reject } of this.waiting.values()) reject(new LabError("the machine's monitor hung up"));
      this.waiting.clear();
    };
    socket.on("close", broken);
    socket.on("error", broken);
  }

  /** Opens a conversation, hands it to `work` and closes it. */
  static async with<T>(path: string, work: (qmp: Qmp) => Promise<T>): Promise<T> {
    const socket = await new Promise<Socket>((resolve, reject) => {
      const opening = connect(path);
      opening.once("connect", () => resolve(opening));
      opening.once("error", (error) =>
        reject(new LabError(`the machine's monitor does not answer: ${error.message}`)),
      );
    });
    const qmp = new Qmp(socket, createInterface(socket));
    try {
      await qmp.execute("qmp_capabilities");
      return await work(qmp);
    } finally {
      socket.destroy();
    }
  }

  /** Runs one command. */
  async execute(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const id = this.next++;
    if (this.socket.destroyed) throw new LabError("the machine's monitor hung up");
    const reply = new Promise<unknown>((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return reply;
  }

  /** Runs a command of the monitor for people; what it prints is a failure's text. */
  async monitor(line: string): Promise<void> {
    const printed = await this.execute("human-monitor-command", { "command-line": line });
    if (typeof printed === "string" && printed.trim() !== "")
      throw new LabError(`${line}: ${printed.trim()}`);
  }

  private receive(reply: Reply): void {
    // The greeting and events carry no id.
    const waiting = reply.id === undefined ? undefined : this.waiting.get(reply.id);
    if (!waiting || reply.id === undefined) return;
    this.waiting.delete(reply.id);
    if (reply.error) waiting.reject(new LabError(reply.error.desc));
    else waiting.resolve(reply.return);
  }
}
