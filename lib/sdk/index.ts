export { Provider, type ProviderArgs } from "./provider";
export {
  KernelResource,
  resourceOf,
  type CommonArgs,
  type DeepInput,
  type HostArgs,
  type KindArgs,
  type KindClass,
  type KindOutputs,
  type SpecArgs,
} from "./resource";
export * as bpf from "./bpf";
export * as kernel from "./kernel";
export * as l4lb from "./l4lb";
export * as netagg from "./netagg";
export * as net from "./net";
export * as system from "./system";
