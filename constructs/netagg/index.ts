export { NetAggPair } from "./pair";
export type { NetAggPairProps, NetAggPath, NetAggProbes } from "./props";
