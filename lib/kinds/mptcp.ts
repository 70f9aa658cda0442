import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { found } from "./found";
import { defineKind, inPlace, replace } from "./kind";
import { recordError } from "./records";
import { canonicalAddress, interfaceName, ip, netnsName, port, safeName, whole } from "./schemas";
import type { Facts, Query, Step } from "./step";

const SEGMENT = "mptcp";

const FLAGS = ["signal", "subflow", "backup", "fullmesh"] as const;

const endpoint = z.strictObject(
  {
    id: whole(1, 255).describe("Its number in the namespace, 1 to 255."),
    flags: z
      .array(z.enum(FLAGS, { error: `must be among ${FLAGS.join(", ")}` }), {
        error: "must be a list of flags",
      })
      .overwrite((flags) => FLAGS.filter((flag) => flags.includes(flag)))
      .describe(
        "`signal` tells the other end of it, `subflow` has connections opened from it (ip-mptcp(8)).",
      ),
    dev: interfaceName.optional().describe("The link that has the address."),
    port: port.optional().describe("TCP port that the other end is told of, with `signal`."),
  },
  { error: "must be an object such as { id: 1, flags: ['signal'] }" },
);

type Endpoint = z.output<typeof endpoint>;

const most = whole(0, 8);

const schema = z.strictObject({
  netns: netnsName
    .optional()
    .describe("Network namespace that they belong to. Default: the host's initial one."),
  name: safeName.describe("Names the set in its id; it does not show up on the host."),
  endpoints: z
    .record(ip, endpoint, { error: recordError("must be an object of endpoints by address") })
    .overwrite((endpoints) =>
      Object.fromEntries(Object.entries(endpoints).sort(([a], [b]) => (a < b ? -1 : 1))),
    )
    .default({})
    .describe("Endpoints of the kernel's path manager, by address."),
  limits: z
    .strictObject(
      {
        subflows: most.describe("Subflows of one connection besides its first, 0 to 8."),
        addAddrAccepted: most.describe("Addresses of the other end that are taken up, 0 to 8."),
      },
      { error: "must be an object of subflows and addAddrAccepted" },
    )
    .optional()
    .describe("What one connection may take. What they were before is put back at the end."),
});

type Limits = NonNullable<z.output<typeof schema>["limits"]>;

const query = (netns: string | undefined, what: "endpoint" | "limits"): Query => ({
  tool: "ip",
  ...(netns !== undefined && { netns }),
  args: ["mptcp", what, "show"],
});

type Row = {
  readonly address: string;
  readonly id: number;
  readonly dev?: string;
  readonly port?: number;
} & Partial<Record<(typeof FLAGS)[number], true>>;

function observeEndpoints(facts: Facts, netns: string | undefined): Map<string, Endpoint> | undefined {
  const rows = found(facts, query(netns, "endpoint")) as readonly Row[] | undefined;
  if (rows === undefined) return undefined;
  return new Map(
    rows.map(({ address, id, dev, port, ...rest }) => [
      canonicalAddress(address),
      {
        id,
        flags: FLAGS.filter((flag) => rest[flag] === true),
        ...(dev !== undefined && { dev }),
        ...(port !== undefined && { port }),
      },
    ]),
  );
}

/** Limits as ip-mptcp(8) prints them, which is text even where JSON is asked for (iproute2 6.1). */
function observeLimits(facts: Facts, netns: string | undefined): Limits | undefined {
  const fact = found(facts, query(netns, "limits"));
  const text = typeof fact === "string" ? fact : JSON.stringify(fact ?? "");
  const read = (name: string) => Number(new RegExp(`${name}[": ]+(\\d+)`).exec(text)?.[1] ?? NaN);
  const [subflows, addAddrAccepted] = [read("subflows"), read("add_addr_accepted")];
  return Number.isNaN(subflows) || Number.isNaN(addAddrAccepted) ? undefined : { subflows, addAddrAccepted };
}

const words = (address: string, { id, flags, dev, port }: Endpoint) => [
  address,
  ...(dev === undefined ? [] : ["dev", dev]),
  ...["id", String(id)],
  ...(port === undefined ? [] : ["port", String(port)]),
  ...flags,
];

/** Endpoints and limits of Multipath TCP's in-kernel path manager. What was there before is put back at the end. */
export const mptcp = defineKind({
  token: "netloom:net:Mptcp",
  description: "Endpoints and limits of Multipath TCP (RFC 8684) in one network namespace (ip-mptcp(8)).",
  schema,
  policy: {
    netns: replace("an endpoint cannot move to another namespace"),
    name: replace("the set is known by its name"),
    endpoints: inPlace(),
    limits: inPlace(),
  },
  ownership: "setting",
  identity: ({ netns, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, name],
  locate: () => undefined,
  check({ endpoints }) {
    const owners = new Map<number, string>();
    return Object.entries(endpoints).flatMap(([address, { id, flags, port }]) => {
      const owner = owners.get(id);
      owners.set(id, address);
      return [
        ...(owner === undefined
          ? []
          : [{ path: ["endpoints", address, "id"], message: `is that of ${owner}, too` }]),
        ...(port !== undefined && !flags.includes("signal")
          ? [{ path: ["endpoints", address, "port"], message: "is for an endpoint with the flag signal" }]
          : []),
      ];
    });
  },
  queries: ({ netns }) => [query(netns, "endpoint"), query(netns, "limits")],
  observe(facts, specs) {
    const { netns, name = "" } = specs[0];
    const there = observeEndpoints(facts, netns);
    if (there === undefined) return undefined;
    const limits = observeLimits(facts, netns);
    const asked = [...new Set(specs.flatMap((spec) => Object.keys(spec.endpoints ?? {})))].sort();
    return {
      ...(netns !== undefined && { netns }),
      name,
      endpoints: Object.fromEntries(
        asked.flatMap((address) => {
          const endpoint = there.get(address);
          return endpoint === undefined ? [] : [[address, endpoint] as const];
        }),
      ),
      ...(limits && { limits }),
    };
  },
  plan(current, desired) {
    if (desired === undefined) return [];
    const { netns, endpoints, limits } = desired;
    const step = (...args: string[]): Step => ({
      tool: "ip",
      ...(netns !== undefined && { netns }),
      args: ["mptcp", ...args],
    });
    const now = current?.endpoints ?? {};
    const isRight = (address: string) => isDeepStrictEqual(now[address], endpoints[address]);
    const gone = Object.entries(now).filter(([address]) => !isRight(address));
    const added = Object.entries(endpoints).filter(([address]) => !isRight(address));
    return [
      ...gone.map(([, { id }]) => step("endpoint", "delete", "id", String(id))),
      ...added.map(([address, wanted]) => step("endpoint", "add", ...words(address, wanted))),
      ...(limits === undefined || isDeepStrictEqual(limits, current?.limits)
        ? []
        : [
            step(
              ...["limits", "set", "subflows", String(limits.subflows)],
              ...["add_addr_accepted", String(limits.addAddrAccepted)],
            ),
          ]),
    ];
  },
  explain(error, { name }) {
    if (
      /mptcp[^]*(Operation not supported|No such file or directory|Protocol not available|not found)/.test(
        error,
      )
    )
      return `${error}. The kernel has no MPTCP (CONFIG_MPTCP), or none before 5.10 (set ${name}).`;
    if (/File exists|Device or resource busy/.test(error))
      return `${error}. Another endpoint has the number or the address: ip mptcp endpoint show lists them (set ${name}).`;
    return undefined;
  },
});
