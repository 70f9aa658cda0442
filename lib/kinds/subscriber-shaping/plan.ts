import { isDeepStrictEqual } from "node:util";
import { filterWords, nameWords } from "../shaping/filters";
import { tcSteps, type Placed } from "../shaping/plan";
import type { Step } from "../step";
import { leafHandle, sidesOf, SIDES } from "./observe";
import { prefixFilter, type Side } from "./prefix-filters";
import type { Service, SubscriberShapingSpec } from "./schema";

/** One class of one link. */
interface Member {
  readonly classid: string;
  readonly parent: string;
  readonly service: Service & { readonly handle?: string };
}

/**
 * The steps from one set of subscribers to another: their number is that of the changes, however many subscribers
 * there are. A change of a plan is a `class change`, and a `qdisc change` of its leaf where that differs.
 */
export function planSubscribers(
  current: SubscriberShapingSpec | undefined,
  desired: SubscriberShapingSpec | undefined,
): Step[] {
  const spec = desired ?? current;
  if (spec === undefined) return [];
  const prefixes = planPrefixes(spec, current?.prefixes ?? {}, desired?.prefixes ?? {});
  const classes = SIDES.flatMap((side) =>
    planClasses(spec, side, membersOf(current, side), membersOf(desired, side)),
  );
  return [...prefixes.before, ...classes, ...prefixes.after];
}

function membersOf(spec: SubscriberShapingSpec | undefined, side: Side): Map<string, Member> {
  const members = new Map<string, Member>();
  for (const { class: classid, parent, plan } of Object.values(spec?.subscribers ?? {})) {
    // Of what was found, one direction may be missing.
    const service = spec?.plans[plan]?.[side];
    if (service !== undefined) members.set(classid, { classid, parent, service });
  }
  return members;
}

function planClasses(
  spec: SubscriberShapingSpec,
  side: Side,
  there: ReadonlyMap<string, Member>,
  wanted: ReadonlyMap<string, Member>,
): Step[] {
  const tc = tcSteps(spec.netns, spec[side]);
  const steps: Step[] = [];
  for (const { classid } of there.values()) if (!wanted.has(classid)) steps.push(tc.deleteClass(classid));
  for (const to of wanted.values()) {
    const from = there.get(to.classid);
    if (isDeepStrictEqual(from, to)) continue;
    // HTB cannot move a class.
    const moves = from !== undefined && from.parent !== to.parent;
    const now = moves ? undefined : from;
    const one = { classid: to.classid, parent: to.parent, ...ratesOf(to.service), prio: 0 };
    if (moves) steps.push(tc.deleteClass(to.classid));
    if (now === undefined) steps.push(tc.addClass(one));
    else if (!isDeepStrictEqual(ratesOf(now.service), ratesOf(to.service))) steps.push(tc.changeClass(one));
    steps.push(...tc.qdisc(["parent", to.classid], now && leafOf(now), leafOf(to)));
  }
  return steps;
}

const ratesOf = ({ rate, ceil, burst, cburst, quantum }: Service) => ({ rate, ceil, burst, cburst, quantum });

const leafOf = ({ classid, service: { leaf, handle } }: Member): Placed | undefined =>
  leaf && { ...leaf, handle: handle ?? leafHandle(classid) };

/** Filters that go, then those that come or lead elsewhere; the latter change where they stand. */
function planPrefixes(
  { netns, download, upload }: SubscriberShapingSpec,
  there: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
) {
  const links = { download: tcSteps(netns, download), upload: tcSteps(netns, upload) };
  const before = Object.entries(there)
    .filter(([prefix]) => !(prefix in wanted))
    .flatMap(([prefix, found]) =>
      sidesOf(found).map((side) =>
        links[side].raw("filter", "del", ...nameWords(prefixFilter(prefix, "1:1", side))),
      ),
    );
  const after = Object.entries(wanted)
    .filter(([prefix, classid]) => there[prefix] !== classid)
    .flatMap(([prefix, classid]) =>
      SIDES.map((side) =>
        links[side].raw("filter", "replace", ...filterWords(prefixFilter(prefix, classid, side))),
      ),
    );
  return { before, after };
}
