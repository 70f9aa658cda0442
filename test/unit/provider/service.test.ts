import { credentials, type ServiceError } from "@grpc/grpc-js";
import * as grpc from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { PluginAttach } from "@pulumi/pulumi/proto/plugin_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { messageLimits } from "../../../lib/provider/engine-log";
import { startPlugin, type Plugin } from "../../../lib/provider/server";
import { MemoryHost } from "../../support/memory-host";
import { noteKind } from "../../support/note-kind";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const secret = (value: unknown) => ({ [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270", value });
const urn = "urn:pulumi:dev::lab::netloom:test:Note::a";

type Unary<In, Out> = (request: In, done: (error: ServiceError | null, response: Out) => void) => unknown;
type Client = Record<string, Unary<never, never>>;

let host: MemoryHost;
let plugin: Plugin;
let client: { close(): void } & Client;

beforeEach(async () => {
  host = new MemoryHost();
  plugin = await startPlugin({ kinds: [noteKind("/notes")], openSession: () => host });
  const Service = (grpc as unknown as { ResourceProviderClient: new (...args: unknown[]) => typeof client })
    .ResourceProviderClient;
  client = new Service(`127.0.0.1:${plugin.port}`, credentials.createInsecure(), {
    ...messageLimits,
    "grpc.max_metadata_size": 16 << 20,
  });
});

afterEach(async () => {
  client.close();
  await plugin.stop();
});

function call<Out>(method: string, request: object): Promise<Out> {
  return new Promise((resolve, reject) =>
    client[method]!.call(client, request as never, (error, response) =>
      error ? reject(error) : resolve(response as Out),
    ),
  );
}

const struct = (value: object) => Struct.fromJavaScript(value as never);
const props = (values: object) => struct({ host: { name: "edge" }, name: "a", colour: "red", ...values });

function request<T extends object>(message: T, set: Partial<Record<string, unknown>>): T {
  for (const [name, value] of Object.entries(set))
    (message as Record<string, (v: unknown) => void>)[`set${name}`]!(value);
  return message;
}
const create = (values: object, more: object = {}) =>
  call<proto.CreateResponse>(
    "create",
    request(new proto.CreateRequest(), { Urn: urn, Properties: props(values), ...more }),
  );
const diff = (olds: object, news: object) =>
  call<proto.DiffResponse>(
    "diff",
    request(new proto.DiffRequest(), { Urn: urn, OldInputs: props(olds), News: props(news) }),
  );

describe("the plugin's methods", () => {
  test("say what the provider takes", async () => {
    const handshake = await call<proto.ProviderHandshakeResponse>(
      "handshake",
      new proto.ProviderHandshakeRequest(),
    );
    expect([
      handshake.getAcceptSecrets(),
      handshake.getAcceptResources(),
      handshake.getAcceptOutputs(),
    ]).toEqual([true, true, true]);
    const configured = await call<proto.ConfigureResponse>("configure", new proto.ConfigureRequest());
    expect(configured.toObject()).toMatchObject({
      acceptsecrets: true,
      supportspreview: true,
      acceptresources: true,
      acceptoutputs: true,
    });
    const info = await call<{ getVersion(): string }>("getPluginInfo", new Empty());
    expect(info.getVersion()).toMatch(/^\d+\.\d+\.\d+/);
  });

  test("give check failures by property path, and canonical inputs", async () => {
    const check = (values: object) =>
      call<proto.CheckResponse>(
        "check",
        request(new proto.CheckRequest(), { Urn: urn, News: struct(values) }),
      );
    const wrong = await check({
      host: { name: "edge" },
      name: "a",
      peer: { name: "p", addresses: ["10.1", "x"] },
    });
    expect(wrong.getFailuresList().map((failure) => failure.getProperty())).toEqual(["peer.addresses[1]"]);
    const right = await check({ host: { name: "edge" }, name: "a", key: secret(7), lines: ["2", "01"] });
    expect(right.getInputs()!.toJavaScript()).toEqual({
      host: { name: "edge" },
      name: "a",
      colour: "red",
      key: secret(7),
      lines: ["1", "2"],
    });
  });

  test("give a detailed diff", async () => {
    const response = await diff(
      { text: "x", lines: ["1"] },
      { colour: "blue", lines: ["1", "2"], text: UNKNOWN_TEXT },
    );
    expect(response.getChanges()).toBe(proto.DiffResponse.DiffChanges.DIFF_SOME);
    expect(response.getReplacesList()).toEqual(["colour"]);
    expect(response.getDeletebeforereplace()).toBe(true);
    const { Kind } = proto.PropertyDiff;
    const kinds = Object.fromEntries(
      response
        .getDetaileddiffMap()
        .toArray()
        .map(([path]) => [path, response.getDetaileddiffMap().get(path)!.getKind()]),
    );
    expect(kinds).toEqual({ colour: Kind.UPDATE_REPLACE, "lines[1]": Kind.ADD, text: Kind.UPDATE });
    expect((await diff({ key: 7 }, { key: secret(7) })).getChanges()).toBe(
      proto.DiffResponse.DiffChanges.DIFF_NONE,
    );
  });

  test("keep secrets secret from create to state", async () => {
    const response = await create({ key: secret(7) });
    expect(response.getId()).toBe("edge/notes/a");
    expect(response.getProperties()!.toJavaScript()).toMatchObject({
      key: secret(7),
      machineId: "machine-1",
    });
  });

  test("touch no host in a preview", async () => {
    const response = await create({ text: UNKNOWN_TEXT }, { Preview: true });
    expect(response.getProperties()!.toJavaScript()).toMatchObject({
      text: UNKNOWN_TEXT,
      machineId: UNKNOWN_TEXT,
    });
    expect(host.seen).toEqual([]);
  });

  test("tell the engine of a resource that is there in part", async () => {
    host.failing = { message: "the connection was lost", after: true };
    const text = "x".repeat(100);
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`label-${n}`, text]));
    const error = await create({ key: secret(7), labels }).then(
      () => undefined,
      (thrown: ServiceError) => thrown,
    );
    expect(error?.details).toBe("a on edge: the connection was lost");
    const [bytes] = error!.metadata.get("grpc-status-details-bin");
    const [detail] = Status.deserializeBinary(bytes as Buffer).getDetailsList();
    expect(detail!.getTypeName()).toBe("pulumirpc.ErrorResourceInitFailed");
    const failed = proto.ErrorResourceInitFailed.deserializeBinary(detail!.getValue_asU8());
    expect(failed.getId()).toBe("edge/notes/a");
    expect(failed.getReasonsList()).toEqual(["a on edge: the connection was lost"]);
    expect(failed.getInputs()!.toJavaScript()).toMatchObject({ key: secret(7), labels });
    expect(failed.getProperties()!.toJavaScript()).toMatchObject({ key: secret(7), schemaVersion: 1 });
  });

  test("give a plain error where nothing was touched, without a stack", async () => {
    host.unreachable = "cannot reach edge";
    const error = await create({}).then(
      () => undefined,
      (thrown: ServiceError) => thrown,
    );
    expect(error?.details).toBe("a: cannot reach edge");
    expect(error?.metadata.get("grpc-status-details-bin")).toEqual([]);
  });

  test("refuse a type that there is not, by its name", async () => {
    const bad = request(new proto.CheckRequest(), {
      Urn: "urn:pulumi:dev::lab::netloom:net:Lnk::a",
      News: struct({}),
    });
    await expect(call("check", bad)).rejects.toMatchObject({
      details: "the netloom provider has no resource type netloom:net:Lnk",
    });
  });

  test("decline politely what a provider of resources has not", async () => {
    for (const [name, message] of [
      ["invoke", new proto.InvokeRequest()],
      ["call", new proto.CallRequest()],
      ["construct", new proto.ConstructRequest()],
    ] as const) {
      await expect(call(name, message)).rejects.toMatchObject({
        code: 12,
        details: expect.stringContaining("the netloom provider has no "),
      });
    }
  });

  test("check the provider's configuration, of which nothing replaces a resource", async () => {
    const check = (values: object) =>
      call<proto.CheckResponse>("checkConfig", request(new proto.CheckRequest(), { News: struct(values) }));
    const failures = (
      await check({
        privateKey: secret("oops"),
        hosts: '{"a":"-o x"}',
        nope: "1",
        deleteUnreachable: "maybe",
      })
    ).getFailuresList();
    expect(failures.map((failure) => failure.getProperty()).sort()).toEqual([
      "",
      "deleteUnreachable",
      "hosts.a",
      "nope",
    ]);
    expect(JSON.stringify(failures.map((failure) => failure.getReason()))).not.toContain("oops");
    expect(
      (await check({ deleteUnreachable: "true", hosts: UNKNOWN_TEXT, version: "1.0.0" })).getFailuresList(),
    ).toEqual([]);
    const ofDefault = request(new proto.CheckRequest(), {
      Urn: "urn:pulumi:dev::netloom::pulumi:providers:netloom::default_0_1_0",
      News: struct({ address: "the project's own", hosts: '{"a":"-o x"}' }),
    });
    const checked = await call<proto.CheckResponse>("checkConfig", ofDefault);
    expect(checked.getFailuresList().map((failure) => failure.getProperty())).toEqual(["hosts.a"]);
    const changed = request(new proto.DiffRequest(), {
      Olds: struct({ hosts: '{"a":"b"}' }),
      News: struct({ hosts: '{"a":"c"}' }),
    });
    const response = await call<proto.DiffResponse>("diffConfig", changed);
    expect([response.getChanges(), response.getReplacesList()]).toEqual([
      proto.DiffResponse.DiffChanges.DIFF_SOME,
      [],
    ]);
  });

  test("serve the next engine after one has ended", async () => {
    await call("cancel", new Empty());
    await expect(create({})).rejects.toMatchObject({ details: expect.stringContaining("cancelled") });
    await call("attach", request(new PluginAttach(), { Address: "127.0.0.1:1" }));
    expect((await create({})).getId()).toBe("edge/notes/a");
    expect(host.closed).toBe(false);
  });

  test("end the sessions when the plugin stops", async () => {
    await create({});
    await plugin.stop();
    expect([host.cancelled, host.closed]).toEqual([true, true]);
  });
});
