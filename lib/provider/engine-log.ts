import { credentials } from "@grpc/grpc-js";
import { EngineClient } from "@pulumi/pulumi/proto/engine_grpc_pb";
import { LogRequest, LogSeverity } from "@pulumi/pulumi/proto/engine_pb";
import type { Tell } from "./provider";

/** The engine's limits for one message: 400 MiB. */
export const messageLimits = {
  "grpc.max_receive_message_length": 400 * 1024 * 1024,
  "grpc.max_send_message_length": 400 * 1024 * 1024,
};

const severities = { debug: LogSeverity.DEBUG, status: LogSeverity.INFO, warning: LogSeverity.WARNING };

/** Hands what is to be told to the engine, which shows it with the resource. */
export class EngineLog {
  #client: EngineClient | undefined;
  readonly #sending = new Set<Promise<void>>();

  /** Where the engine listens. */
  attach(address: string): void {
    this.#client?.close();
    this.#client = new EngineClient(address, credentials.createInsecure(), messageLimits);
  }

  readonly tell: Tell = (severity, message, urn) => {
    const client = this.#client;
    if (client === undefined) return;
    const request = new LogRequest();
    request.setSeverity(severities[severity]);
    request.setMessage(message);
    request.setUrn(urn);
    // Shown beside the resource until there is another, and forgotten with the run.
    request.setEphemeral(severity === "status");
    // An engine that has ended hears nothing more; that is no failure of ours.
    const sent = new Promise<void>((resolve) => client.log(request, () => resolve()));
    this.#sending.add(sent);
    void sent.then(() => this.#sending.delete(sent));
  };

  /** When everything that was told has arrived. */
  async settled(): Promise<void> {
    await Promise.all(this.#sending);
  }

  close(): void {
    this.#client?.close();
  }
}
