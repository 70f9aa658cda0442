import {
  status,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
  type sendUnaryData,
} from "@grpc/grpc-js";
import type { PluginAttach } from "@pulumi/pulumi/proto/plugin_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import type { AnyKind } from "../kinds/kind";
import type { CheckFailure } from "./check";
import { readConfiguration } from "./configuration";
import { changedProperties, compare, type Difference, type PropertyChange } from "./diff";
import { packageSchema } from "./package-schema";
import { formatPath } from "./paths";
import { decode, decodeBytes, encodeBytes, type Properties } from "./properties";
import type { Provider } from "./provider";
import { statusOf } from "./status";
import { parseUrn } from "./urn";
import { version } from "./version";
import type { Carried, StructFields } from "./wire";

type Handler = (call: ServerUnaryCall<never, unknown>, done: sendUnaryData<unknown>) => void;

/** A method as a function of its request; what it throws becomes the status. */
function method<In, Out>(work: (request: In) => Out | Promise<Out>): Handler {
  return (call, done) => {
    const answer = async () => work(call.request);
    answer().then(
      (response) => done(null, response),
      (error: unknown) => done(statusOf(error)),
    );
  };
}

function unimplemented(what: string): Handler {
  return (_, done) => done({ code: status.UNIMPLEMENTED, details: `the netloom provider has no ${what}` });
}

/** What the plugin does besides serving one provider. */
export interface Surroundings {
  readonly kinds: readonly AnyKind[];
  /** The engine's address, when it asks us to connect to it. */
  attach(address: string): void;
}

/** The plugin's gRPC methods: messages in, plain values to the provider, messages out. */
export function serviceOf(provider: Provider, surroundings: Surroundings): UntypedServiceImplementation {
  return {
    ...lifecycle(provider),
    ...about(provider, surroundings),
    ...configuration(provider),
    invoke: unimplemented("functions"),
    call: unimplemented("methods"),
    construct: unimplemented("components"),
    parameterize: unimplemented("parameters"),
    getMapping: method(() => new proto.GetMappingResponse()),
    getMappings: method(() => new proto.GetMappingsResponse()),
  } as Record<string, Handler> as unknown as UntypedServiceImplementation;
}

/** Where the properties are in the messages of `pulumi/provider.proto`. */
const FIELDS = {
  check: { news: 3, inputs: 1 },
  diff: { olds: 3, news: 4, oldInputs: 6 },
  create: { properties: 2, state: 2 },
  update: { olds: 3, news: 4, oldInputs: 8, state: 1 },
  read: { properties: 3, inputs: 4, state: 2, seen: 3 },
  delete: { properties: 3, oldInputs: 5 },
} as const;

/** The methods whose properties are taken from the bytes and written to them without a message in between. */
export const STRUCTS: StructFields = {
  // `olds` are nobody's business: they are cut out and not read.
  check: { request: [2, FIELDS.check.news], response: [FIELDS.check.inputs] },
  diff: { request: [FIELDS.diff.olds, FIELDS.diff.news, FIELDS.diff.oldInputs], response: [] },
  create: { request: [FIELDS.create.properties], response: [FIELDS.create.state] },
  update: {
    request: [FIELDS.update.olds, FIELDS.update.news, FIELDS.update.oldInputs],
    response: [FIELDS.update.state],
  },
  read: {
    request: [FIELDS.read.properties, FIELDS.read.inputs],
    response: [FIELDS.read.state, FIELDS.read.seen],
  },
  delete: { request: [FIELDS.delete.properties, FIELDS.delete.oldInputs], response: [] },
};

/** A message with properties in some of its fields. */
function withProperties<Message>(
  message: Message,
  properties: Readonly<Record<number, Properties>> = {},
): Carried<Message> {
  const structs = Object.entries(properties).map(
    ([field, one]) => [Number(field), encodeBytes(one)] as const,
  );
  return { message, structs: new Map(structs) };
}

function lifecycle(provider: Provider) {
  return {
    check: method(({ message, structs }: Carried<proto.CheckRequest>) => {
      const news = decodeBytes(structs.get(FIELDS.check.news));
      const { inputs, failures } = provider.check(message.getUrn(), news);
      const response = new proto.CheckResponse();
      response.setFailuresList(failures.map(failureMessage));
      return withProperties(response, { [FIELDS.check.inputs]: inputs });
    }),
    diff: method(({ message, structs }: Carried<proto.DiffRequest>) => {
      const inputs = decodeBytes(structs.get(FIELDS.diff.oldInputs));
      const known =
        Object.keys(inputs.values).length > 0 ? inputs : decodeBytes(structs.get(FIELDS.diff.olds));
      const news = decodeBytes(structs.get(FIELDS.diff.news));
      const ignored = message.getIgnorechangesList();
      return withProperties(diffMessage(provider.diff(message.getUrn(), known, news, ignored)));
    }),
    create: method(async ({ message, structs }: Carried<proto.CreateRequest>) => {
      const kept = await provider.create({
        urn: message.getUrn(),
        inputs: decodeBytes(structs.get(FIELDS.create.properties)),
        preview: message.getPreview(),
        timeoutSeconds: message.getTimeout(),
      });
      const response = new proto.CreateResponse();
      response.setId(kept.id);
      return withProperties(response, { [FIELDS.create.state]: kept.state });
    }),
    update: method(async ({ message, structs }: Carried<proto.UpdateRequest>) => {
      const kept = await provider.update(
        {
          urn: message.getUrn(),
          inputs: decodeBytes(structs.get(FIELDS.update.news)),
          preview: message.getPreview(),
          timeoutSeconds: message.getTimeout(),
        },
        {
          id: message.getId(),
          state: decodeBytes(structs.get(FIELDS.update.olds)),
          inputs: decodeBytes(structs.get(FIELDS.update.oldInputs)),
        },
      );
      return withProperties(new proto.UpdateResponse(), { [FIELDS.update.state]: kept.state });
    }),
    read: method(async ({ message, structs }: Carried<proto.ReadRequest>) => {
      const olds = {
        state: decodeBytes(structs.get(FIELDS.read.properties)),
        inputs: decodeBytes(structs.get(FIELDS.read.inputs)),
      };
      const kept = await provider.read(message.getUrn(), message.getId(), olds, message.getTimeout());
      const response = new proto.ReadResponse();
      response.setId(kept.id);
      if (kept.id === "") return withProperties(response);
      return withProperties(response, { [FIELDS.read.state]: kept.state, [FIELDS.read.seen]: kept.inputs });
    }),
    delete: method(async ({ message, structs }: Carried<proto.DeleteRequest>) => {
      const olds = {
        state: decodeBytes(structs.get(FIELDS.delete.properties)),
        inputs: decodeBytes(structs.get(FIELDS.delete.oldInputs)),
      };
      await provider.delete(message.getUrn(), message.getId(), olds, message.getTimeout());
      return withProperties(new Empty());
    }),
    cancel: method(() => {
      provider.cancel();
      return new Empty();
    }),
  };
}

function configuration(provider: Provider) {
  return {
    checkConfig: method((request: proto.CheckRequest) => {
      const news = request.getNews();
      const response = new proto.CheckResponse();
      response.setInputs(news);
      const isDefault = /^default(_|$)/.test(parseUrn(request.getUrn()).name);
      response.setFailuresList(readConfiguration(decode(news), !isDefault).failures.map(failureMessage));
      return response;
    }),
    // Credentials and addresses change how hosts are reached, never what is on them: no resource is replaced.
    diffConfig: method((request: proto.DiffRequest) => {
      const olds = decode(request.getOldInputs() ?? request.getOlds()).values;
      const news = decode(request.getNews()).values;
      const changes = compare(olds, news, []).map((change) => ({ ...change, replace: false }));
      return diffMessage({ changes, deleteBeforeReplace: false });
    }),
    configure: method((request: proto.ConfigureRequest) => {
      provider.configure(decode(request.getArgs()));
      const response = new proto.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      response.setAcceptresources(true);
      response.setAcceptoutputs(true);
      return response;
    }),
  };
}

function about(provider: Provider, surroundings: Surroundings) {
  return {
    handshake: method((_: proto.ProviderHandshakeRequest) => {
      const response = new proto.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      response.setAcceptResources(true);
      response.setAcceptOutputs(true);
      return response;
    }),
    attach: method(async (request: PluginAttach) => {
      surroundings.attach(request.getAddress());
      await provider.renew();
      return new Empty();
    }),
    getPluginInfo: method(() => {
      const info = new PluginInfo();
      info.setVersion(version());
      return info;
    }),
    getSchema: method(() => {
      const response = new proto.GetSchemaResponse();
      response.setSchema(JSON.stringify(packageSchema(surroundings.kinds)));
      return response;
    }),
  };
}

function failureMessage({ property, reason }: CheckFailure): proto.CheckFailure {
  const message = new proto.CheckFailure();
  message.setProperty(property);
  message.setReason(reason);
  return message;
}

function diffMessage({ changes, deleteBeforeReplace }: Difference): proto.DiffResponse {
  const { DIFF_NONE, DIFF_SOME } = proto.DiffResponse.DiffChanges;
  const response = new proto.DiffResponse();
  response.setChanges(changes.length === 0 ? DIFF_NONE : DIFF_SOME);
  response.setDiffsList(changedProperties(changes));
  response.setReplacesList(changedProperties(changes.filter(({ replace }) => replace)));
  response.setDeletebeforereplace(deleteBeforeReplace);
  response.setHasdetaileddiff(true);
  for (const change of changes) {
    const detail = new proto.PropertyDiff();
    detail.setKind(kindOfChange(change));
    detail.setInputdiff(true);
    response.getDetaileddiffMap().set(formatPath(change.path), detail);
  }
  return response;
}

function kindOfChange({ change, replace }: PropertyChange) {
  const { Kind } = proto.PropertyDiff;
  const [plain, replacing] = {
    add: [Kind.ADD, Kind.ADD_REPLACE] as const,
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE] as const,
    delete: [Kind.DELETE, Kind.DELETE_REPLACE] as const,
  }[change];
  return replace ? replacing : plain;
}
