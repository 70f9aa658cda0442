interface Named {
  readonly netns?: string | undefined;
  readonly link?: string | undefined;
}

type Meaning = readonly [said: RegExp, means: (spec: Named) => string];

const meanings: readonly Meaning[] = [
  [
    /Cannot find device/,
    ({ netns, link }) => `there is no link ${link}${netns === undefined ? "" : ` in netns ${netns}`}`,
  ],
  [
    /Unknown qdisc|qdisc kind is unknown|Specified qdisc kind is unknown/,
    () =>
      "the host's kernel lacks the queueing discipline: load its module (sch_htb, sch_cake, sch_fq_codel, sch_netem; on " +
      "Debian they come with the kernel's own package)",
  ],
  [
    /TC classifier not found|Failed to load TC action module/,
    () => "the host's kernel lacks a classifier or action: load the modules cls_flower and act_skbedit",
  ],
  [
    /Device or resource busy|is in use/,
    () =>
      "a class that is to go is still used: by classes of another resource below it, or by a filter of somebody else",
  ],
  [
    /Failed to find specified qdisc|Specified class not found|Failed to find qdisc|Parent Qdisc doesn't exist|Invalid handle|Cannot find specified/,
    ({ link }) =>
      `the tree on ${link} is not as it was: a refresh (pulumi refresh) shows what is missing, and the next update makes it again`,
  ],
];

/** What tc's words about a failed step mean for the user; undefined when nobody knows better. */
export function explainShaping(error: string, spec: Named): string | undefined {
  const meaning = meanings.find(([said]) => said.test(error));
  return meaning === undefined ? undefined : `${meaning[1](spec)} (${error.trim()})`;
}
