import { z } from "zod";
import { recordError } from "../records";
import { canonicalCidr, interfaceName, ipv4, netnsName, prefix, quoted, safeName, text } from "../schemas";

/** Most sources of one table: as many as fit into a map that is read and written whole within seconds. */
export const MOST_SOURCES = 131_072;

const isPrefix = (value: string) => value.includes("/");

/** An IPv4 address, or a network in CIDR form; a network of one address is that address. */
const source = text(
  (value) => {
    const problem = (isPrefix(value) ? prefix : ipv4).safeParse(value).error?.issues[0]?.message;
    if (problem !== undefined) return problem;
    return value.includes(":") ? `${quoted(value)} is IPv6, which needs no shared addresses` : undefined;
  },
  (value) => (isPrefix(value) ? canonicalCidr(value).replace(/\/32$/, "") : value),
);

const BLOCK = /^(\d+\.\d+\.\d+\.\d+):([1-9]\d{0,4})-([1-9]\d{0,4})$/;

/** A public address with the ports that belong to one subscriber. */
export interface Block {
  readonly address: string;
  /** First port (for ICMP: query id). */
  readonly from: number;
  /** Last port. */
  readonly to: number;
}

/** A block out of its spelling `192.0.2.1:1024-2047`. */
export function readBlock(value: string): Block | undefined {
  const [, address = "", from, to] = BLOCK.exec(value) ?? [];
  return from === undefined || to === undefined ? undefined : { address, from: Number(from), to: Number(to) };
}

/** The spelling of a block. */
export const writeBlock = ({ address, from, to }: Block) => `${address}:${from}-${to}`;

const block = text((value) => {
  const read = readBlock(value);
  const ok =
    read !== undefined && ipv4.safeParse(read.address).success && read.from < read.to && read.to <= 65_535;
  return ok ? undefined : `${quoted(value)} is no block of ports such as 192.0.2.1:1024-2047`;
});

const blocks = z
  .record(source, block, {
    error: recordError("must be an object of blocks of ports by source address"),
  })
  .superRefine((given, context) => {
    if (Object.keys(given).length > MOST_SOURCES) {
      context.addIssue({ code: "custom", message: `are more than ${MOST_SOURCES}: use several tables` });
    }
  })
  .overwrite((given) =>
    Object.fromEntries(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))),
  );

/** The spec of a table of port blocks. */
export const schema = z.strictObject({
  netns: netnsName.optional().describe("Network namespace that it is in. Default: the host's initial one."),
  table: safeName.describe("Name of the nftables table (family ip). All that is in it is ours."),
  outInterface: interfaceName.describe("Interface that leads to the Internet. It need not be there yet."),
  blocks: blocks.describe(
    "By source, an IPv4 address or network: the public address and ports that its connections go under, such as " +
      "192.0.2.1:1024-2047. Sources that are not listed are left to other tables.",
  ),
  unrecognised: z
    .array(z.string(), { error: "must be a list of texts" })
    .max(0, "is what others have put into the table, and is not written")
    .default([])
    .describe(
      "What is in the table and has no words here, as it is found. The next update takes it away; leave it out.",
    ),
});

/** The spec in its canonical form. */
export type PortBlocksSpec = z.output<typeof schema>;
