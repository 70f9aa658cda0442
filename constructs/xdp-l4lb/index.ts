export {
  LbForward,
  type LbEncapsulation,
  type LbForwardOptions,
  type LbForwardProps,
  type LbGueOptions,
  type LbNextHop,
} from "./forward";
export { LbPolicy, type LbPolicyProps, type LbRule } from "./policy";
export type { L4LbBackend, L4LbHealthCheck, L4LbService } from "./props";
export {
  XdpL4Lb,
  type L4LbCapacity,
  type L4LbTimeouts,
  type XdpL4LbBaseProps,
  type XdpL4LbFromYamlProps,
  type XdpL4LbProps,
} from "./xdp-l4lb";
