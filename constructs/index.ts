export {
  BpfMap,
  BpfObject,
  TcProgram,
  XdpProgram,
  type AttachedProps,
  type BpfFields,
  type BpfFieldType,
  type BpfMapProps,
  type BpfObjectProps,
  type BpfStatistics,
  type TcProgramProps,
  type XdpProgramProps,
} from "./bpf";
export { Bridge, type BridgeProps } from "./bridge";
export type { InNamespaceProps, LinkSysctls } from "./common";
export { sha256 } from "./digest";
export { Executable, type ExecutableProps } from "./executable";
export { Files, type FileProps, type FilesProps } from "./files";
export {
  Firewall,
  type FilterChain,
  type FilterRule,
  type FirewallProps,
  type MasqueradeRule,
  type MssClamp,
  type OneOrMany,
  type PacketMatch,
  type PortForward,
  type RuleRemarks,
} from "./firewall";
export {
  GeneveMux,
  type GeneveMuxProps,
  type GeneveOption,
  type MuxGeneveTunnel,
  type MuxGreTunnel,
  type MuxIpipTunnel,
  type MuxIpTunnelBase,
  type MuxMacs,
  type MuxQinqTunnel,
  type MuxSelection,
  type MuxTunnel,
  type MuxTunnelBase,
  type MuxUdpTunnelBase,
  type MuxVlanTunnel,
  type MuxVxlanTunnel,
} from "./geneve-mux";
export { GreSiteToSite, type GreSite, type GreSitePair, type GreSiteToSiteProps } from "./gre-site-to-site";
export { GreTunnel, type GreTunnelProps } from "./gre-tunnel";
export { Host, type HostProps } from "./host";
export { HostCommand, type HostCommandProps } from "./host-command";
export { KernelModule, type KernelModuleProps, type ModuleKeeper, type ModuleSigning } from "./kernel-module";
export { Link, type LinkProps } from "./link";
export { LinkHandle, type ILink } from "./link-handle";
export { Namespace, type NamespaceProps } from "./namespace";
export {
  NetAggPair,
  type ChosenBackend,
  type NetAggEnd,
  type NetAggPairProps,
  type NetAggPath,
  type NetAggProbes,
  type NetAggReceiver,
} from "./netagg";
export { Packages, type PackagesProps } from "./packages";
export { PolicyRules, type PolicyRule, type PolicyRulesProps } from "./policy-rules";
export { Router, type RouterProps } from "./router";
export { StaticRoutes, type NextHop, type StaticRoute, type StaticRoutesProps } from "./static-routes";
export {
  Shaping,
  type ShapingClass,
  type ShapingFilter,
  type ShapingProps,
  type ShapingQueue,
} from "./shaping";
export { IspInABox, type IspInABoxProps, type IspNat, type Rates } from "./isp/isp-in-a-box";
export type { OnAStick } from "./isp/shaping-path";
export { NativeShaper, Shaper, type NativeShaperOptions } from "./isp/shaper/native";
export { Sysctls, type SysctlsProps } from "./sysctls";
export { SystemdUnit, type SystemdUnitProps } from "./systemd-unit";
export {
  LbForward,
  LbPolicy,
  XdpL4Lb,
  type L4LbBackend,
  type L4LbCapacity,
  type L4LbHealthCheck,
  type L4LbService,
  type L4LbTimeouts,
  type LbEncapsulation,
  type LbForwardOptions,
  type LbForwardProps,
  type LbGueOptions,
  type LbNextHop,
  type LbPolicyProps,
  type LbRule,
  type XdpL4LbBaseProps,
  type XdpL4LbFromYamlProps,
  type XdpL4LbProps,
} from "./xdp-l4lb";
export { VethPair, type VethEnd, type VethPairProps } from "./veth-pair";
export {
  ClientRouting,
  type ApplicationProps,
  type ClientRoutingProps,
  type DefaultRouteProps,
  type DockerProps,
  type NamespaceModeProps,
  type NetworksProps,
  type TunnelUseProps,
  type UserIds,
} from "./isp/client-routing";
export {
  GreSubscriberTunnel,
  type FouProps,
  type GreSubscriberServerProps,
  type GreSubscriberTunnelProps,
} from "./isp/gre-subscriber-tunnel";
export { TunnelPool, type TunnelPoolMode, type TunnelPoolProps } from "./isp/tunnel-pool";
export {
  LibreQoSShaper,
  readLibreQoS,
  Subscribers,
  TunnelAllocation,
  type ClientEndpoint,
  type LibreQoSConfig,
  type LibreQoSPath,
  type LibreQoSSettings,
  type LibreQoSShaperProps,
  type LibreQoSSources,
  type NetworkNode,
  type Plan,
  type ReadLibreQoS,
  type SubscriberProps,
  type SubscribersOptions,
  type TunnelAddresses,
  type TunnelPools,
} from "./isp";
export {
  NatNamespace,
  type NatNamespaceProps,
  type NatPortBlocks,
  type PortBlockSubscriber,
} from "./isp/nat-namespace";
