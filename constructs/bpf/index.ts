export type { AttachedProps } from "./attach";
export { BpfMap, type BpfFields, type BpfFieldType, type BpfMapProps } from "./bpf-map";
export { BpfObject, type BpfObjectProps } from "./bpf-object";
export { TcProgram, type TcProgramProps } from "./tc-program";
export { XdpProgram, type XdpProgramProps } from "./xdp-program";
