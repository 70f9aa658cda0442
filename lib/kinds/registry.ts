import type { AnyKind } from "./kind";
import { attachment } from "./bpf/attachment";
import { mapEntries } from "./bpf/map-entries";
import { object } from "./bpf/object";
import { program } from "./bpf/program";
import { executable } from "./executable";
import { files } from "./files";
import { firewall } from "./firewall";
import { fou } from "./fou";
import { tunnels } from "./geneve-mux";
import { kernelModule } from "./kernel-module";
import { l4lbServices } from "./l4lb-services";
import { link } from "./link";
import { mptcp } from "./mptcp";
import { namespace } from "./namespace";
import { netaggRules } from "./netagg-rules";
import { packages } from "./packages";
import { portBlocks } from "./port-blocks";
import { routes } from "./routes";
import { rules } from "./rules";
import { shaping } from "./shaping";
import { subscriberShaping } from "./subscriber-shaping";
import { sysctls } from "./sysctls";
import { tunnelPool } from "./tunnel-pool";
import { unit } from "./unit";

/** Every kind that the provider serves. Adding one is its file, its fixtures and its line here. */
export const kinds: readonly AnyKind[] = [
  attachment,
  executable,
  files,
  firewall,
  fou,
  kernelModule,
  l4lbServices,
  link,
  mapEntries,
  mptcp,
  namespace,
  netaggRules,
  object,
  packages,
  program,
  portBlocks,
  routes,
  rules,
  shaping,
  subscriberShaping,
  sysctls,
  unit,
  tunnelPool,
  tunnels,
];

/** The kind of a type token. */
export function kindOf(token: string): AnyKind | undefined {
  return kinds.find((kind) => kind.token === token);
}
