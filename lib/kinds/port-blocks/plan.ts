import type { Step } from "../step";
import {
  rulesOf,
  chainsOf,
  elements,
  entriesOf,
  wholeTable,
  within,
  withoutElements,
  type Json,
} from "./render";
import type { PortBlocksSpec } from "./schema";

/**
 * One transaction from one state of a table to the other: the elements of the sources that differ, the chains that
 * come and go with them, and nothing else. What others have put in, or another interface, makes the table anew;
 * connections that are there keep the address that they have (conntrack).
 */
export function planBlocks(
  current: PortBlocksSpec | undefined,
  desired: PortBlocksSpec | undefined,
  owner: string,
): readonly Step[] {
  const spec = desired ?? current;
  if (spec === undefined) return [];
  const { netns, table } = spec;
  const step = (commands: readonly Json[]): readonly Step[] =>
    commands.length === 0 ? [] : [{ tool: "nft", ...(netns !== undefined && { netns }), commands }];
  if (desired === undefined) return step([{ delete: { table: { family: "ip", name: table } } }]);
  const asItIs =
    current !== undefined &&
    current.unrecognised.length === 0 &&
    current.outInterface === desired.outInterface;
  return step(asItIs ? difference(current, desired) : wholeTable(desired, owner));
}

function difference(current: PortBlocksSpec, desired: PortBlocksSpec): Json[] {
  const { table } = desired;
  const [was, will] = [entriesOf(current.blocks), entriesOf(desired.blocks)];
  const going = was.filter(({ source }) => desired.blocks[source] !== current.blocks[source]);
  const coming = will.filter(({ source }) => desired.blocks[source] !== current.blocks[source]);
  if (going.length + coming.length === 0) return [];
  const [chainsBefore, chainsAfter] = [chainsOf(was), chainsOf(will)];
  const gone = [...chainsBefore.keys()].filter((name) => !chainsAfter.has(name));
  const added = [...chainsAfter].filter(([name]) => !chainsBefore.has(name));
  const { add, flush, remove } = within(table);
  return [
    ...withoutElements(table, going),
    ...gone.flatMap((name) => [flush(name), remove("chain", { name })]),
    ...added.map(([name]) => add("chain", { name })),
    ...rulesOf(table, added),
    ...elements(table, coming),
  ];
}
