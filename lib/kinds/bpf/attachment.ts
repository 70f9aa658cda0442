import { z } from "zod";
import { found } from "../found";
import { defineKind, inPlace, replace, type Located } from "../kind";
import * as s from "../schemas";
import type { Facts, Query, Step } from "../step";
import { PINS, version } from "./names";

const pin = s.text((path) =>
  /^\/sys\/fs\/bpf\/netloom(\/[A-Za-z0-9_-]+)+$/.test(path)
    ? undefined
    : `${s.quoted(path)} is not a pin such as ${PINS}/NAME/current/programs/PROGRAM`,
);

const schema = z.strictObject({
  netns: s.netnsName.optional().describe("Namespace of the link; the host's initial one when absent."),
  link: s.interfaceName.describe("The interface that the program is attached to."),
  hook: z
    .enum(["xdp", "ingress", "egress"], { error: "must be xdp, ingress or egress" })
    .describe("`xdp`, or one of the two sides of a clsact qdisc (tc-bpf(8))."),
  program: pin.describe("Pin of the program."),
  version: version
    .optional()
    .describe("What the program's version is told apart by: a change of it attaches what is pinned now."),
  mode: z
    .enum(["native", "generic"], { error: "must be native or generic" })
    .optional()
    .describe(
      "xdp: in the driver or in the kernel's core. @default native where the driver can, and reported",
    ),
  preference: s
    .whole(1, 65535)
    .optional()
    .describe("ingress, egress: order among the link's filters, the lowest first. @default 1"),
});

type Spec = z.output<typeof schema>;
type Part = Located<typeof schema>;

const at = ({ netns }: Part) => (netns === undefined ? {} : { netns });

const linksQuery = (spec: Part): Query => ({ tool: "ip", ...at(spec), args: ["-d", "address", "show"] });
const filtersQuery = (spec: Part): Query => ({
  tool: "tc",
  ...at(spec),
  args: ["filter", "show", "dev", spec.link ?? "", spec.hook ?? ""],
});
const pinQuery = (path: string): Query => ({ tool: "bpftool", args: ["prog", "show", "pinned", path] });

interface Program {
  readonly id: number;
  readonly name?: string;
}
interface Link {
  readonly ifname: string;
  readonly xdp?: { readonly attached?: readonly { readonly mode: number; readonly prog: Program }[] };
}
interface Filter {
  readonly pref?: number;
  readonly options?: { readonly handle?: string; readonly prog?: Program };
}

/** `XDP_ATTACHED_DRV` and `XDP_ATTACHED_SKB` of linux/if_link.h; what the card runs itself is neither. */
const MODES: Readonly<Record<number, "native" | "generic" | undefined>> = { 1: "native", 2: "generic" };
/** What `ip link set` calls them. */
const WORDS = { native: "xdpdrv", generic: "xdpgeneric" } as const;

const HANDLE = 1;
const preferenceOf = ({ preference = 1 }: Part) => preference;

interface There {
  readonly program: Program;
  readonly mode?: "native" | "generic";
}

/** What is attached where the spec wants its program. */
function attached(facts: Facts, spec: Part): There | undefined {
  if (spec.hook === "xdp") {
    const links = found(facts, linksQuery(spec)) as readonly Link[] | undefined;
    const [first] = links?.find(({ ifname }) => ifname === spec.link)?.xdp?.attached ?? [];
    return first && { program: first.prog, ...(MODES[first.mode] && { mode: MODES[first.mode] }) };
  }
  const filters = found(facts, filtersQuery(spec), /Cannot find device|Cannot find specified qdisc/);
  const filter = ((filters ?? []) as readonly Filter[]).find(
    ({ pref, options }) => pref === preferenceOf(spec) && Number(options?.handle) === HANDLE,
  );
  return filter?.options?.prog && { program: filter.options.prog };
}

/** Where a program that is not pinned by us is kept while ours is in its place. */
const keptPin = ({ id, name = "" }: Program) =>
  `${PINS}/replaced/${id}_${name.replaceAll(/[^A-Za-z0-9_-]/g, "_")}`;
const KEPT = /\/replaced\/(\d+)_(.*)$/;

/** The kernel keeps 15 bytes of a program's name. */
const kernelName = (path: string) => path.slice(path.lastIndexOf("/") + 1).slice(0, 15);

function detach(spec: Spec): Step[] {
  const { link, hook, mode = "native" } = spec;
  if (hook === "xdp")
    return [{ tool: "ip", ...at(spec), args: ["link", "set", "dev", link, WORDS[mode], "off"] }];
  const where = ["dev", link, hook, "protocol", "all", "pref", String(preferenceOf(spec))];
  return [
    { tool: "tc", ...at(spec), args: ["filter", "del", ...where, "handle", String(HANDLE), "bpf"] },
    { tool: "clsact-del", ...at(spec), link },
  ];
}

function attach(spec: Spec): Step[] {
  const { link, hook, program, mode } = spec;
  if (hook === "xdp") {
    const word = mode === undefined ? "xdp" : WORDS[mode];
    return [
      { tool: "ip", ...at(spec), force: true, args: ["link", "set", "dev", link, word, "pinned", program] },
    ];
  }
  const where = ["dev", link, hook, "protocol", "all", "pref", String(preferenceOf(spec))];
  const what = ["handle", String(HANDLE), "bpf", "direct-action", "object-pinned", program];
  return [
    // Without options, an existing one is left as it is.
    { tool: "tc", ...at(spec), args: ["qdisc", "replace", "dev", link, "clsact"] },
    { tool: "tc", ...at(spec), args: ["filter", "replace", ...where, ...what] },
  ];
}

/** A program attached to a link, by XDP or to a clsact qdisc. */
export const attachment = defineKind({
  token: "netloom:bpf:Attachment",
  description:
    "A pinned eBPF program attached to a link: XDP (ip-link(8)), or tc ingress or egress (tc-bpf(8)).",
  schema,
  policy: {
    netns: replace("a link in another namespace is another link"),
    link: replace("an attachment cannot move to another link"),
    hook: replace("an attachment cannot move to another hook"),
    program: inPlace(),
    version: inPlace(),
    mode: inPlace({ traffic: "brief" }),
    preference: replace("a filter is known by its preference"),
  },
  ownership: "object",
  reported: ["mode"],
  identity: ({ netns, link, hook, preference }) => [
    ...(netns === undefined ? [] : [netns]),
    link,
    ...(preference === undefined || preference === 1 ? [hook] : [hook, String(preference)]),
  ],
  locate(identity) {
    const parts = [...identity].reverse();
    const preference = /^\d+$/.test(parts[0] ?? "") ? Number(parts.shift()) : undefined;
    const [hook, link, netns, ...more] = parts;
    const known = schema.shape.hook.safeParse(hook);
    if (!known.success || link === undefined || more.length > 0) return undefined;
    return {
      ...(netns !== undefined && { netns }),
      link,
      hook: known.data,
      ...(preference !== undefined && { preference }),
    };
  },
  check({ hook, mode, preference }) {
    if (hook === "xdp" && preference !== undefined)
      return [{ path: ["preference"], message: "is for ingress and egress: a link has one XDP program" }];
    if (hook !== "xdp" && mode !== undefined)
      return [{ path: ["mode"], message: "is for xdp: tc has one way to attach" }];
    return [];
  },
  queries: (spec) => [
    linksQuery(spec),
    ...(spec.hook === "xdp" ? [] : [filtersQuery(spec)]),
    ...(spec.program === undefined || KEPT.test(spec.program) ? [] : [pinQuery(spec.program)]),
  ],
  observe(facts, specs) {
    const [wanted] = specs;
    const there = attached(facts, wanted);
    if (there === undefined) return undefined;
    // The name of a kept pin says which program it is of, also when the pin itself is gone.
    const idAt = (path: string) =>
      Number(KEPT.exec(path)?.[1]) ||
      (found(facts, pinQuery(path), /No such file/) as Program | undefined)?.id;
    const isPinned = (path: string) => idAt(path) === there.program.id;
    const known = specs.find((spec) => spec.program !== undefined && isPinned(spec.program));
    const { netns, link = "", hook = "xdp", preference } = wanted;
    return {
      ...(netns !== undefined && { netns }),
      link,
      hook,
      ...(preference !== undefined && { preference }),
      ...(there.mode && { mode: there.mode }),
      // One that is pinned nowhere we know is told by where it is kept when ours takes its place.
      program: known?.program ?? keptPin(there.program),
      ...(known?.version !== undefined && { version: known.version }),
    };
  },
  plan(current, desired) {
    if (desired === undefined) return current === undefined ? [] : detach(current);
    const wrongMode = desired.mode !== undefined && current?.mode !== desired.mode;
    if (current?.program === desired.program && current.version === desired.version && !wrongMode) return [];
    const [, id, name] = KEPT.exec(current?.program ?? "") ?? [];
    const isForeign = id !== undefined && name !== kernelName(desired.program);
    const keep: Step[] =
      isForeign && current !== undefined
        ? [
            { tool: "bpf-mkdir", path: `${PINS}/replaced` },
            { tool: "bpf-rm", path: current.program },
            { tool: "bpftool", args: ["prog", "pin", "id", id, current.program] },
          ]
        : [];
    // Both modes at once are refused by the kernel: the one has to go first.
    const first = wrongMode && current !== undefined && desired.hook === "xdp" ? detach(current) : [];
    const after: Step[] = KEPT.test(desired.program) ? [{ tool: "bpf-rm", path: desired.program }] : [];
    return [...keep, ...first, ...attach(desired), ...after];
  },
  explain(error, { netns, link, hook, mode, program }) {
    const where = netns === undefined ? "" : ` in netns ${netns}`;
    if (/Cannot find device/.test(error)) {
      const there = /\(there are ([^)]*)\)/.exec(error)?.[1] ?? 'see "ip link"';
      return `There is no link ${link}${where}: there are ${there}.`;
    }
    if (/Couldn't retrieve pinned program|bpf obj get|No such file/.test(error))
      return `${error}. ${program} is not pinned: the Program that it is of must be loaded first.`;
    if (
      hook === "xdp" &&
      /Operation not supported|not supported by|Invalid argument|Out of range|larger than|MTU/i.test(error)
    )
      return mode === "native"
        ? `${error}. The driver of ${link}${where} does not run this program: a link's MTU must leave it a page's room ` +
            '(3506 bytes with veth, unless the program is "xdp.frags"), or use mode: "generic".'
        : `${error}. The program is not one for XDP, or ${link}${where} is a kind of link that XDP does not work on.`;
    return undefined;
  },
});
