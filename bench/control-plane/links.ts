import { link } from "../../lib/kinds/link";
import type { AnySpec } from "../../lib/kinds/kind";

/** Veth pairs with an address at one end, all in one namespace. */
export function linkSpecs(count: number, netns: string): AnySpec[] {
  return Array.from({ length: count }, (_, index) =>
    link.schema.parse({
      netns,
      name: `v${index}`,
      kind: "veth",
      peer: { netns, name: `p${index}` },
      addresses: [`10.${index >> 6}.${(index & 63) * 4}.1/30`],
    }),
  );
}

/** The `ip -batch` lines that make one: what every side runs, so that none does less. */
export function batchLines(spec: AnySpec): string[] {
  return link
    .plan(undefined, spec as Parameters<typeof link.plan>[1], { owner: "bench" })
    .map((step) => ("args" in step ? step.args.join(" ") : fail(step.tool)));
}

function fail(tool: string): never {
  throw new Error(`the benchmark's links need ${tool}, which ip -batch does not have`);
}
