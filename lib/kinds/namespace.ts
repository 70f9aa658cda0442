import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { defined, found } from "./found";
import { defineKind, inPlace, replace, type Located } from "./kind";
import { ip, netnsName, text } from "./schemas";
import { explainSetting, observeSettings, settingQueries, settingSteps } from "./settings";
import type { Facts, FileFact, Query, Step } from "./step";
import { settingsSchema } from "./sysctls";

/** A domain name of resolv.conf(5). */
const domain = text((value) =>
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/.test(
    value,
  )
    ? undefined
    : "must be a domain name such as lan.example.org",
);

const resolvConf = z.strictObject({
  nameservers: z
    .array(ip, { error: "must be a list of addresses" })
    .describe("Addresses of name servers, most wanted first; glibc asks the first three."),
  search: z
    .array(domain, { error: "must be a list of domain names" })
    .default([])
    .describe("Domains that are tried after a short name, in order."),
});

/** Name resolution of a namespace. Both lists empty: it has no file of its own. */
type ResolvConf = z.output<typeof resolvConf>;

const NO_RESOLV_CONF: ResolvConf = { nameservers: [], search: [] };

const schema = z.strictObject({
  name: netnsName.describe(
    "Its name in ip-netns(8), and that of its file in /run/netns. At most 64 characters.",
  ),
  loopback: z
    .boolean({ error: "must be true or false" })
    .default(true)
    .describe("Whether its `lo` is up. The kernel makes it down, and nothing then reaches 127.0.0.1 or ::1."),
  sysctls: settingsSchema
    .optional()
    .describe(
      "Kernel settings inside it, by key below /proc/sys. One that is taken out of the program keeps its value.",
    ),
  resolvConf: resolvConf
    .optional()
    .describe(
      "Name servers of programs that `ip netns exec` starts in it: /etc/netns/NAME/resolv.conf. Two empty lists " +
        "mean no such file. Default: the file is not looked at.",
    ),
});

type Spec = Located<typeof schema>;

const NETNS_LIST: Query = { tool: "ip", args: ["netns", "list"] };
const loopbackQuery = (netns: string): Query => ({ tool: "ip", netns, args: ["link", "show", "dev", "lo"] });

const folderOf = (name: string) => `/etc/netns/${name}`;
const resolvConfPath = (name: string) => `${folderOf(name)}/resolv.conf`;
const resolvConfQuery = (name: string): Query => ({ tool: "file", paths: [resolvConfPath(name)] });

/** Whether the file is this resource's business: asked for, or an import that looks at all there is. */
const looksAtResolvConf = (spec: Spec) => spec.resolvConf !== undefined || spec.loopback === undefined;

const MODE = "0644";
const OWNER = "root:root";

function renderResolvConf({ nameservers, search }: ResolvConf): FileFact {
  const lines = [
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...nameservers.map((address) => `nameserver ${address}`),
  ];
  return { content: lines.map((line) => `${line}\n`).join(""), mode: MODE, owner: OWNER };
}

/** What a file says in our words. A line that has none makes it differ from anything that is wanted. */
function parseResolvConf(file: FileFact | undefined): ResolvConf {
  if (file === undefined) return NO_RESOLV_CONF;
  const nameservers: string[] = [];
  const unrecognised: string[] = [];
  let search: string[] = [];
  for (const line of file.content.split("\n")) {
    const [keyword = "", ...words] = line.trim().split(/\s+/);
    if (keyword === "" || /^[#;]/.test(keyword)) continue;
    else if (keyword === "nameserver" && words.length === 1) nameservers.push(...words);
    // The last of several lines counts (resolv.conf(5)).
    else if (keyword === "search") search = words;
    else unrecognised.push(line.trim());
  }
  if (file.mode !== MODE) unrecognised.push(`mode ${file.mode}`);
  if (file.owner !== OWNER) unrecognised.push(`owner ${file.owner}`);
  if (nameservers.length === 0 && search.length === 0 && unrecognised.length === 0)
    unrecognised.push("an empty file");
  return { nameservers, search, ...(unrecognised.length > 0 && { unrecognised }) };
}

const isNone = (conf: ResolvConf | undefined) =>
  conf === undefined || isDeepStrictEqual(conf, NO_RESOLV_CONF);

function resolvConfSteps(name: string, current: ResolvConf, desired: ResolvConf): readonly Step[] {
  if (isDeepStrictEqual(current, desired)) return [];
  const path = resolvConfPath(name);
  if (isNone(desired)) return [{ tool: "remove", path, prune: [folderOf(name), "/etc/netns"] }];
  return [{ tool: "write", path, file: renderResolvConf(desired) }];
}

interface ListedNetns {
  readonly name?: string;
}

interface ListedLink {
  readonly flags?: readonly string[];
}

/** Whether `lo` is up; undefined when there is no such namespace. */
function observeLoopback(facts: Facts, name: string): boolean | undefined {
  const listed = (found(facts, NETNS_LIST) ?? []) as readonly ListedNetns[];
  if (!listed.some((netns) => netns.name === name)) return undefined;
  const fact = facts.get(loopbackQuery(name));
  if (!fact.ok) {
    throw new Error(
      `netns ${name} is there and cannot be entered (${fact.error}): what is left of a namespace is removed by ` +
        `"ip netns del ${name}"`,
    );
  }
  const [lo] = fact.value as readonly ListedLink[];
  return lo?.flags?.includes("UP") === true;
}

/** A network namespace with its `lo`, its settings and its resolv.conf. All that is in it goes with it. */
export const namespace = defineKind({
  token: "netloom:net:Namespace",
  description:
    "A network namespace (ip-netns(8)) with its loopback up, its kernel settings and its resolv.conf.",
  schema,
  policy: {
    name: replace("a namespace cannot be renamed: programs and links hold on to the old one"),
    loopback: inPlace({ traffic: "brief" }),
    sysctls: inPlace({ traffic: "brief" }),
    resolvConf: inPlace({ unset: NO_RESOLV_CONF }),
  },
  ownership: "object",
  identity: ({ name }) => [name],
  locate: (identity) => (identity.length === 1 ? { name: identity[0] ?? "" } : undefined),
  queries: (spec) => {
    const { name = "" } = spec;
    return [
      NETNS_LIST,
      loopbackQuery(name),
      ...settingQueries(spec.sysctls, name),
      ...(looksAtResolvConf(spec) ? [resolvConfQuery(name)] : []),
    ];
  },
  observe(facts, specs) {
    const { name = "" } = specs[0];
    const loopback = observeLoopback(facts, name);
    const files = specs.some(looksAtResolvConf)
      ? (found(facts, resolvConfQuery(name)) as Record<string, FileFact>)
      : undefined;
    const conf = files && parseResolvConf(files[resolvConfPath(name)]);
    // After a reboot the file is all that is left: it still is ours to remove, and shows as `lo` missing.
    if (loopback === undefined && isNone(conf)) return undefined;
    const asked = specs.map((spec) => spec.sysctls);
    const sysctls =
      loopback === undefined || asked.every((set) => set === undefined)
        ? undefined
        : observeSettings(facts, asked, name);
    return defined({
      name,
      loopback: loopback as boolean,
      sysctls: sysctls && { ...sysctls },
      resolvConf: conf,
    });
  },
  plan(current, desired) {
    const name = desired?.name ?? current?.name ?? "";
    const isThere = current !== undefined && (current.loopback as boolean | undefined) !== undefined;
    const conf = current?.resolvConf ?? NO_RESOLV_CONF;
    if (desired === undefined) {
      // The file first: it is found by its namespace's resource only while one of the two is there.
      return [
        ...resolvConfSteps(name, conf, NO_RESOLV_CONF),
        ...(isThere ? [{ tool: "ip" as const, args: ["netns", "del", name] }] : []),
      ];
    }
    const up = isThere && current.loopback;
    return [
      ...(isThere ? [] : [{ tool: "ip" as const, args: ["netns", "add", name] }]),
      ...(up === desired.loopback
        ? []
        : [
            {
              tool: "ip" as const,
              netns: name,
              args: ["link", "set", "dev", "lo", desired.loopback ? "up" : "down"],
            },
          ]),
      ...settingSteps(current?.sysctls ?? {}, desired.sysctls ?? {}, name),
      ...(desired.resolvConf === undefined ? [] : resolvConfSteps(name, conf, desired.resolvConf)),
    ];
  },
  claims: ({ name }) => [{ claim: "netns", netns: name }],
  explain(error, { name }) {
    if (/Cannot create namespace file .* File exists/.test(error)) {
      return `${error}. /run/netns/${name} was made meanwhile: run the update again`;
    }
    if (/unshare|Operation not permitted|CLONE_NEWNET/.test(error)) {
      return `${error}. The host does not let us make network namespaces: the kernel needs CONFIG_NET_NS, and a container CAP_SYS_ADMIN`;
    }
    return explainSetting(error);
  },
});
