import * as fc from "fast-check";
import type { z } from "zod";
import type { portBlocks } from "../../../lib/kinds/port-blocks";

const sources = ["10.0.0.1", "10.0.0.2", "10.0.1.0/24", "10.0.2.0/30", "172.16.0.0/12", "10.0.0.3/32"];
const blocks = [
  "192.0.2.1:1024-2047",
  "192.0.2.1:2048-3071",
  "192.0.2.2:1024-2047",
  "198.51.100.255:64512-65535",
];

/** Tables of port blocks of one name; two sources may share a block, as those of one subscriber do. */
export const portBlocksSpecs = (netns: string): fc.Arbitrary<z.input<typeof portBlocks.schema>> =>
  fc.record({
    netns: fc.constant(netns),
    table: fc.constant("cgnat"),
    outInterface: fc.constantFrom("w0", "not-there"),
    blocks: fc.dictionary(fc.constantFrom(...sources), fc.constantFrom(...blocks), { maxKeys: 6 }),
  });
