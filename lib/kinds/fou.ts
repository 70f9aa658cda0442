import { z } from "zod";
import { found } from "./found";
import { defineKind, replace } from "./kind";
import { netnsName, port, whole } from "./schemas";
import type { Query, Step } from "./step";

const SEGMENT = "fou";

const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace that the UDP packets come to. Default: the host's initial one."),
  port: port.describe("UDP port that it receives on, 1 to 65535."),
  family: z
    .union([z.literal(4), z.literal(6)], { error: "must be 4 or 6" })
    .default(4)
    .describe("Version of IP that the UDP packets come by."),
  protocol: whole(1, 255)
    .default(47)
    .describe("IP protocol of what is inside, 1 to 255: 47 is GRE, 4 and 41 are IP itself."),
});

type Spec = z.output<typeof schema>;

/** One member of `ip -j fou show`. */
interface FouRow {
  readonly port?: number;
  readonly ipproto?: number;
  readonly gue?: null;
  readonly family?: string;
  readonly local?: string;
  readonly peer?: string;
}

const query = (netns: string | undefined): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: ["fou", "show"],
});

/** The kernel has no FOU, as long as nobody asked for it: there is none, then. */
const NO_MODULE = /genl family|Error talking to the kernel|No such file or directory/;

/** The other end of `encap: fou`: a UDP port whose packets are taken for those of another protocol. */
export const fou = defineKind({
  token: "netloom:net:Fou",
  description: "A UDP port that receives packets of another protocol: foo-over-UDP (ip-fou(8)).",
  schema,
  policy: {
    netns: replace("a port of another namespace is another port"),
    port: replace("another port is another receiver"),
    family: replace("a receiver of another family is another receiver"),
    protocol: replace("what is inside is fixed when it is made"),
  },
  ownership: "object",
  identity: ({ netns, port: number, family }) => [
    ...(netns === undefined ? [] : [netns]),
    SEGMENT,
    family === 6 ? "ipv6" : "ipv4",
    String(number),
  ],
  locate(identity) {
    const [number = "", family = "", segment, netns, ...rest] = [...identity].reverse();
    if (segment !== SEGMENT || rest.length > 0 || !/^[1-9]\d{0,4}$/.test(number)) return undefined;
    if (family !== "ipv4" && family !== "ipv6") return undefined;
    const version: 4 | 6 = family === "ipv6" ? 6 : 4;
    return { ...(netns !== undefined && { netns }), port: Number(number), family: version };
  },
  queries: ({ netns }) => [query(netns)],
  observe(facts, [{ netns, port: number, family = 4 }]): Spec | undefined {
    const rows = (found(facts, query(netns), NO_MODULE) ?? []) as readonly FouRow[];
    const inet = family === 6 ? "inet6" : "inet";
    const row = rows.find((one) => one.port === number && (one.family ?? "inet") === inet);
    if (row === undefined || number === undefined) return undefined;
    // One of Generic UDP Encapsulation names no protocol; 0 differs from any that is wanted.
    const protocol = row.ipproto ?? 0;
    return { ...(netns !== undefined && { netns }), port: number, family, protocol };
  },
  plan(current, desired) {
    const step = ({ netns, family }: Spec, ...args: string[]): Step => ({
      tool: "ip",
      ...(netns !== undefined && { netns }),
      ...(family === 6 && { family }),
      args: ["fou", ...args],
    });
    const gone = (spec: Spec) => step(spec, "del", "port", String(spec.port));
    if (desired === undefined) return current === undefined ? [] : [gone(current)];
    if (current?.protocol === desired.protocol) return [];
    const { port: number, protocol } = desired;
    const made = step(desired, "add", "port", String(number), "ipproto", String(protocol));
    return current === undefined ? [made] : [gone(current), made];
  },
  explain(error, { port: number }) {
    if (/genl family|Error talking to the kernel|Operation not supported/.test(error)) {
      return `${error}. The kernel has no foo-over-UDP: load the module fou (CONFIG_NET_FOU)`;
    }
    if (/Address (already )?in use/.test(error)) {
      return `${error}. Something else receives on UDP port ${number}: choose another port (ss -lun shows it)`;
    }
    return undefined;
  },
});
