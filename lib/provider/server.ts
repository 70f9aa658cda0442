import { Server, ServerCredentials } from "@grpc/grpc-js";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import type { AnyKind } from "../kinds/kind";
import { kinds as registered } from "../kinds/registry";
import { EngineLog, messageLimits } from "./engine-log";
import { Provider } from "./provider";
import { serviceOf, STRUCTS } from "./service";
import type { OpenSession } from "./sessions";
import { carryingStructs } from "./wire";

/** What a plugin serves, and how it reaches hosts. */
export interface PluginOptions {
  readonly openSession: OpenSession;
  /** Where the engine listens for what we have to say. */
  readonly engine?: string;
  /** @default - every kind of the registry */
  readonly kinds?: readonly AnyKind[];
}

/** A plugin that listens. */
export interface Plugin {
  readonly port: number;
  /** Ends what is under way between two batches, then every session and the server. */
  stop(): Promise<void>;
}

/** Starts the plugin on a free port of the loopback. */
export async function startPlugin({
  openSession,
  engine,
  kinds = registered,
}: PluginOptions): Promise<Plugin> {
  const log = new EngineLog();
  if (engine !== undefined) log.attach(engine);
  const byToken = new Map(kinds.map((kind) => [kind.token as string, kind]));
  const provider = new Provider(openSession, log.tell, (token) => byToken.get(token));
  const server = new Server(messageLimits);
  const service = serviceOf(provider, { kinds, attach: (address) => log.attach(address) });
  server.addService(carryingStructs(ResourceProviderService, STRUCTS), service);
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, listening: number) => (error ? reject(error) : resolve(listening));
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
  });
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    provider.cancel();
    await provider.close();
    await log.settled();
    log.close();
    server.forceShutdown();
  };
  return { port, stop: () => (stopping ??= stop()) };
}
