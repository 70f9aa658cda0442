export type { ChosenBackend } from "./backend";
export { NetAggPair } from "./pair";
export type { NetAggEnd, NetAggPairProps, NetAggPath, NetAggProbes, NetAggReceiver } from "./props";
