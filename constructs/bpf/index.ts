export type { AttachedProps } from "./attach";
export { BpfMap, type BpfMapProps } from "./bpf-map";
export { BpfObject, type BpfObjectProps } from "./bpf-object";
export type { BpfFields, BpfFieldType } from "./fields";
export type { BpfStatistics } from "./statistics";
export { TcProgram, type TcProgramProps } from "./tc-program";
export { XdpProgram, type XdpProgramProps } from "./xdp-program";
