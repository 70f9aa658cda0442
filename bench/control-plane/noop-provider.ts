import * as grpc from "@grpc/grpc-js";
import * as emptyproto from "google-protobuf/google/protobuf/empty_pb";
import type { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as proto from "@pulumi/pulumi/proto/provider_pb";

/** A provider that does nothing, at once: what is left of an `up` is the engine itself. */
type Unary<In, Out> = (call: grpc.ServerUnaryCall<In, Out>, done: grpc.sendUnaryData<Out>) => void;

const options = { "grpc.max_receive_message_length": 400 << 20, "grpc.max_send_message_length": 400 << 20 };
const empty: Unary<unknown, emptyproto.Empty> = (_, done) => done(null, new emptyproto.Empty());
let count = 0;

const methods: Record<string, Unary<never, unknown>> = {
  getPluginInfo: (_, done) => {
    const info = new PluginInfo();
    info.setVersion("0.0.1");
    done(null, info);
  },
  checkConfig: (call: grpc.ServerUnaryCall<proto.CheckRequest, proto.CheckResponse>, done) =>
    done(null, checked(call.request)),
  diffConfig: (_, done) => done(null, new proto.DiffResponse()),
  configure: (_, done) => {
    const response = new proto.ConfigureResponse();
    response.setSupportspreview(true);
    done(null, response);
  },
  check: (call: grpc.ServerUnaryCall<proto.CheckRequest, proto.CheckResponse>, done) =>
    done(null, checked(call.request)),
  diff: (call: grpc.ServerUnaryCall<proto.DiffRequest, proto.DiffResponse>, done) => {
    const same = text(call.request.getOldInputs()) === text(call.request.getNews());
    const response = new proto.DiffResponse();
    response.setChanges(
      same ? proto.DiffResponse.DiffChanges.DIFF_NONE : proto.DiffResponse.DiffChanges.DIFF_SOME,
    );
    done(null, response);
  },
  create: (call: grpc.ServerUnaryCall<proto.CreateRequest, proto.CreateResponse>, done) => {
    const response = new proto.CreateResponse();
    response.setId(`noop-${++count}`);
    response.setProperties(call.request.getProperties());
    done(null, response);
  },
  update: (call: grpc.ServerUnaryCall<proto.UpdateRequest, proto.UpdateResponse>, done) => {
    const response = new proto.UpdateResponse();
    response.setProperties(call.request.getNews());
    done(null, response);
  },
  delete: empty,
  cancel: empty,
};

function checked(request: proto.CheckRequest): proto.CheckResponse {
  const response = new proto.CheckResponse();
  response.setInputs(request.getNews());
  return response;
}

function text(struct: Struct | undefined): string {
  return JSON.stringify(struct?.toJavaScript());
}

const server = new grpc.Server(options);
server.addService(ResourceProviderService, methods as unknown as grpc.UntypedServiceImplementation);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  console.log(port);
});
