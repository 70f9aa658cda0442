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
import { decode, encode } from "./properties";
import type { Provider } from "./provider";
import { statusOf } from "./status";
import { parseUrn } from "./urn";
import { version } from "./version";

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

function lifecycle(provider: Provider) {
  return {
    check: method((request: proto.CheckRequest) => {
      const { inputs, failures } = provider.check(request.getUrn(), decode(request.getNews()));
      const response = new proto.CheckResponse();
      response.setInputs(encode(inputs));
      response.setFailuresList(failures.map(failureMessage));
      return response;
    }),
    diff: method((request: proto.DiffRequest) => {
      const olds = decode(request.getOldInputs());
      const known = Object.keys(olds.values).length > 0 ? olds : decode(request.getOlds());
      const news = decode(request.getNews());
      return diffMessage(provider.diff(request.getUrn(), known, news, request.getIgnorechangesList()));
    }),
    create: method(async (request: proto.CreateRequest) => {
      const kept = await provider.create({
        urn: request.getUrn(),
        inputs: decode(request.getProperties()),
        preview: request.getPreview(),
        timeoutSeconds: request.getTimeout(),
      });
      const response = new proto.CreateResponse();
      response.setId(kept.id);
      response.setProperties(encode(kept.state));
      return response;
    }),
    update: method(async (request: proto.UpdateRequest) => {
      const kept = await provider.update(
        {
          urn: request.getUrn(),
          inputs: decode(request.getNews()),
          preview: request.getPreview(),
          timeoutSeconds: request.getTimeout(),
        },
        { id: request.getId(), state: decode(request.getOlds()), inputs: decode(request.getOldInputs()) },
      );
      const response = new proto.UpdateResponse();
      response.setProperties(encode(kept.state));
      return response;
    }),
    read: method(async (request: proto.ReadRequest) => {
      const olds = { state: decode(request.getProperties()), inputs: decode(request.getInputs()) };
      const kept = await provider.read(request.getUrn(), request.getId(), olds, request.getTimeout());
      const response = new proto.ReadResponse();
      response.setId(kept.id);
      if (kept.id === "") return response;
      response.setProperties(encode(kept.state));
      response.setInputs(encode(kept.inputs));
      return response;
    }),
    delete: method(async (request: proto.DeleteRequest) => {
      const olds = { state: decode(request.getProperties()), inputs: decode(request.getOldInputs()) };
      await provider.delete(request.getUrn(), request.getId(), olds, request.getTimeout());
      return new Empty();
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
