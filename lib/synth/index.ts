export { App, type AppProps } from "./app";
export {
  contains,
  formatAddress,
  formatCidr,
  networkOf,
  overlaps,
  parseCidr,
  subnetAt,
  subnetCount,
  type Cidr,
} from "./cidr";
export { addFindings, Composite } from "./composite";
export { formatProperty, ValidationError, type PropertyPath, type TreeFinding } from "./finding";
export { isDeferred, type Input, type Inputs, type Intent } from "./intent";
export {
  KernelObject,
  lifecycleOf,
  renamed,
  type KernelObjectProps,
  type LeafKind,
  type LifecycleProps,
} from "./kernel-object";
export { hash8, hash32, interfaceName, MAX_INTERFACE_NAME } from "./names";
export type { HostAccess, OtherResource } from "./other-plugin";
export { definePlace, enclosing, placeOf, type HostRef, type IPlace, type Place } from "./place";
export type { Deployed } from "./register";
export { Testing, type PlannedResource } from "./testing";
export { checkProps } from "./spec";
export type { TreeView } from "./view";
