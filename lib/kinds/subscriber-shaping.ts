import { defineKind, inPlace, replace, type Finding } from "./kind";
import { explainShaping } from "./shaping/explain";
import { observeSubscribers, subscriberQueries } from "./subscriber-shaping/observe";
import { planSubscribers } from "./subscriber-shaping/plan";
import { collisions } from "./subscriber-shaping/prefix-filters";
import { schema, type SubscriberShapingSpec } from "./subscriber-shaping/schema";

const SEGMENT = "subscriber-shaping";

function check({ download, upload, plans, subscribers, prefixes }: SubscriberShapingSpec): Finding[] {
  const findings: Finding[] = [];
  if (download === upload) {
    findings.push({ path: ["upload"], message: `${upload} carries downloads already: two links are needed` });
  }
  for (const [name, plan] of Object.entries(plans)) {
    for (const side of ["download", "upload"] as const) {
      const { rate, ceil } = plan[side];
      if (rate > ceil) {
        const message = `${rate} bit/s are held, and the class gets at most ${ceil} (ceil)`;
        findings.push({ path: ["plans", name, side, "rate"], message });
      }
    }
  }
  const owners = new Map<string, string>();
  for (const [id, { class: classid, plan }] of Object.entries(subscribers)) {
    const owner = owners.get(classid);
    if (owner !== undefined)
      findings.push({
        path: ["subscribers", id, "class"],
        message: `${classid} is the class of ${owner} already`,
      });
    owners.set(classid, id);
    if (!Object.hasOwn(plans, plan))
      findings.push({
        path: ["subscribers", id, "plan"],
        message: `there is no plan ${JSON.stringify(plan)}`,
      });
  }
  for (const [one, other] of collisions(Object.keys(prefixes))) {
    findings.push({
      path: ["prefixes", other],
      message: `has the same filter number as ${one}: use the eBPF classifier, or another address`,
    });
  }
  return findings;
}

/** Many subscribers' classes, leaves and filters on a pair of links. */
export const subscriberShaping = defineKind({
  token: "netloom:net:SubscriberShaping",
  description:
    "A set of subscribers of one shaping point: for each its two HTB classes with their queues, and its filters.",
  schema,
  policy: {
    netns: replace("classes belong to their links, which cannot move"),
    name: replace("the set is known by its name"),
    download: replace("classes belong to their link"),
    upload: replace("classes belong to their link"),
    plans: inPlace(),
    subscribers: inPlace(),
    prefixes: inPlace(),
  },
  ownership: "object",
  identity: ({ netns, download, name }) => [...(netns === undefined ? [] : [netns]), SEGMENT, download, name],
  // What a class is called on the host is its number: whose it is cannot be read.
  locate: () => undefined,
  check,
  queries: subscriberQueries,
  observe: observeSubscribers,
  plan: planSubscribers,
  explain: (error, { netns, download, upload }) =>
    explainShaping(error, { netns, link: `${download} or ${upload}` }),
});
