export { diffNetwork, diffShaping, diffSubscribers } from "./changes";
export type { Change, ClassChange, NodeChange, SubscriberChange } from "./changes";
export type { SubscriberFinding } from "./findings";
export { formatSubscriberFinding, SubscribersError } from "./findings";
export type { CakeLeaf, FqCodelLeaf, LeafQdisc, Netem } from "./leaf-qdiscs";
export { allowShaped, checkLibreQoS } from "./libreqos/check";
export type { LibreQoSFinding, LibreQoSSurroundings } from "./libreqos/check";
export type { Capacity, LibreQoSConfig, LibreQoSPath, LibreQoSTuning } from "./libreqos/config";
export { parseIspConfigPy, renderIspConfigPy } from "./libreqos/isp-config-py";
export type { IspConfigPy } from "./libreqos/isp-config-py";
export { parseLqosConf, renderLqosConf } from "./libreqos/lqos-conf";
export type { LqosConf } from "./libreqos/lqos-conf";
export { renderNetworkJson } from "./libreqos/network-json";
export { readLibreQoS } from "./libreqos/read";
export type { LibreQoSSources, ReadLibreQoS } from "./libreqos/read";
export { renderShapedDevices } from "./libreqos/shaped-devices";
export type { ShapedDevicesOptions } from "./libreqos/shaped-devices";
export { LibreQoSShaper } from "./libreqos/shaper";
export type { LibreQoSSettings, LibreQoSShaperProps } from "./libreqos/shaper";
export type {
  ClientEndpoint,
  Device,
  Direction,
  LeafQueue,
  NetworkNode,
  Plan,
  Subscriber,
  SubscriberDevice,
  SubscriberProps,
} from "./model";
export type { NetworkTree } from "./network-tree";
export { assignNumbers } from "./numbers";
export type { Numbered, NumberLimit } from "./numbers";
export { PortBlocks } from "./port-blocks";
export type { PortBlock, PortBlockOptions } from "./port-blocks";
export type { ReadFile } from "./read-file";
export { shapingTree } from "./shaping-tree";
export type {
  Classification,
  ClassOwner,
  HtbClass,
  ShapingOptions,
  ShapingSide,
  ShapingTree,
} from "./shaping-tree";
export { Subscribers } from "./subscribers";
export type { FromCsvOptions, SubscribersOptions } from "./subscribers";
export { renderSubscribersCsv, SUBSCRIBER_COLUMNS } from "./subscribers-csv";
export { TunnelAllocation } from "./tunnel-addresses";
export type { TunnelAddresses, TunnelPools, TunnelSubnet } from "./tunnel-addresses";
