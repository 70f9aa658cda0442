import { Metadata, status } from "@grpc/grpc-js";
import { ErrorResourceInitFailed } from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { messageOf } from "./errors";
import { encode } from "./properties";
import { PartialResource } from "./provider";

/** What grpc-js makes an error response of. */
export interface ErrorStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata?: Metadata;
}

/** How the engine is told of an error; with a resource that is there in part, so that it keeps it. */
export function statusOf(error: unknown): ErrorStatus {
  const message = messageOf(error);
  if (!(error instanceof PartialResource)) return { code: status.UNKNOWN, details: message };
  const failed = new ErrorResourceInitFailed();
  failed.setId(error.kept.id);
  failed.setProperties(encode(error.kept.state));
  failed.setInputs(encode(error.kept.inputs));
  failed.setReasonsList([message]);
  const details = new Any();
  details.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const rich = new Status();
  rich.setCode(status.UNKNOWN);
  rich.setMessage(message);
  rich.addDetails(details);
  const metadata = new Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(rich.serializeBinary()));
  return { code: status.UNKNOWN, details: message, metadata };
}
