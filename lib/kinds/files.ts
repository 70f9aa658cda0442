import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { foldersOf, stays } from "./files/folders";
import { found } from "./found";
import { defineKind, inPlace, replace, type Located } from "./kind";
import { recordError } from "./records";
import { quoted, safeName, text } from "./schemas";
import type { Facts, FileFact, Query, Step } from "./step";

/** Longest path that the kernel takes, with room for the name of the file while it is written. */
const LONGEST = 3900;

/** Why a part of a path is none; undefined when it is one. */
function partProblem(part: string): string | undefined {
  if (part === "") return "has an empty part: write single slashes, and none at the end";
  if (part === "." || part === "..") return `has ${quoted(part)} in it: write the path as it really is`;
  if (Buffer.byteLength(part) > 240) return "has a part of more than 240 bytes";
  // eslint-disable-next-line no-control-regex -- they are what is refused
  return /[\x00-\x1f\x7f]/.test(part) ? "has a control character in it" : undefined;
}

function pathProblem(path: string): string | undefined {
  if (path.length > LONGEST) return `is longer than ${LONGEST} characters`;
  return path.split("/").map(partProblem).find(Boolean);
}

const directory = text((path) => {
  if (!path.startsWith("/")) return `${quoted(path)} is not an absolute path such as /etc/libreqos`;
  if (path === "/") return "is the root of the file system: name the folder that the files are in";
  if (/^\/(proc|sys|dev)(\/|$)/.test(path))
    return `${quoted(path)} holds no regular files: settings are for Sysctls`;
  return pathProblem(path.slice(1));
});

const relativePath = text((path) => {
  if (path.startsWith("/")) return `${quoted(path)} is absolute: paths are below the directory`;
  return pathProblem(path);
});

const file = z.strictObject({
  content: z
    .string({ error: "must be text" })
    .superRefine((content, context) => {
      if (content.includes("\0"))
        context.addIssue({ code: "custom", message: "holds a NUL byte: only text files are written" });
      else if (/\ufffd|\p{Surrogate}/u.test(content)) {
        context.addIssue({ code: "custom", message: "is no UTF-8 text: only text files are written" });
      }
    })
    .describe("The whole of its text, UTF-8. End it with a line end: nothing is added."),
  mode: text(
    (mode) => (/^0?[0-7]{3}$|^[0-7]{4}$/.test(mode) ? undefined : 'must be an octal mode such as "0644"'),
    (mode) => mode.padStart(4, "0"),
  )
    .default("0644")
    .describe("Permissions in octal, such as 0600."),
  owner: text((owner) =>
    /^[A-Za-z_][A-Za-z0-9_.-]{0,31}:[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(owner)
      ? undefined
      : 'must be a user and a group by name, such as "root:root"',
  )
    .default("root:root")
    .describe("User and group by name, both known to the host."),
});

const schema = z.strictObject({
  directory: directory.describe(
    "Absolute path of the folder that the files are in; it is made where it is missing.",
  ),
  name: safeName
    .default("files")
    .describe("Tells sets of files in one directory apart in their ids; it does not show up on the host."),
  files: z
    .record(relativePath, file, { error: recordError("must be an object of files by relative path") })
    .superRefine((files, context) => {
      const paths = Object.keys(files);
      if (paths.length === 0)
        context.addIssue({ code: "custom", message: "holds no file: leave the whole set out" });
      const folders = new Set(paths.flatMap(foldersOf));
      for (const path of paths.filter((one) => folders.has(one))) {
        context.addIssue({ code: "custom", path: [path], message: "is a folder of another file's path" });
      }
    })
    .overwrite((files) => Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1))))
    .describe("Files by path below the directory. Other files there stay as they are."),
});

type Spec = z.output<typeof schema>;

const query = (path: string): Query => ({ tool: "file", paths: [path] });

/** Paths of the files of a spec; relative ones are unique, and asked for one by one: see `settingQueries`. */
const pathsOf = ({
  directory: folder = "",
  files = {},
}: Located<typeof schema>): [relative: string, path: string][] =>
  Object.keys(files).map((relative) => [relative, `${folder}/${relative}`]);

function observeFiles(facts: Facts, specs: readonly Located<typeof schema>[]): Spec["files"] {
  const there: Record<string, FileFact> = {};
  for (const [relative, path] of specs.flatMap(pathsOf)) {
    const fact = (found(facts, query(path)) as Record<string, FileFact>)[path];
    if (fact !== undefined) there[relative] = { content: fact.content, mode: fact.mode, owner: fact.owner };
  }
  return Object.fromEntries(Object.entries(there).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Text files of one directory. */
export const files = defineKind({
  token: "netloom:system:Files",
  description: "Text files below one directory of a host, each with its mode and owner.",
  schema,
  policy: {
    directory: replace("the files of another directory are other files"),
    name: replace("the set is known by its name"),
    files: inPlace(),
  },
  ownership: "object",
  identity: ({ directory: folder, name }) => [...folder.slice(1).split("/"), name],
  // Which files of the directory belong together is written nowhere: adopt them instead.
  locate: () => undefined,
  queries: (spec) => pathsOf(spec).map(([, path]) => query(path)),
  observe(facts, specs) {
    const there = observeFiles(facts, specs);
    if (Object.keys(there).length === 0) return undefined;
    return { directory: specs[0].directory ?? "", name: specs[0].name ?? "", files: there };
  },
  plan(current, desired) {
    const folder = desired?.directory ?? current?.directory ?? "";
    const [now, wanted] = [current?.files ?? {}, desired?.files ?? {}];
    const writes = Object.entries(wanted)
      .filter(([relative, one]) => !isDeepStrictEqual(now[relative], one))
      .map(([relative, one]): Step => ({ tool: "write", path: `${folder}/${relative}`, file: one }));
    const gone = Object.keys(now).filter((relative) => !(relative in wanted));
    // A file that becomes a folder, or the other way round, makes room first.
    const isInTheWay = (relative: string) =>
      Object.keys(wanted).some((one) => one.startsWith(`${relative}/`) || relative.startsWith(`${one}/`));
    const remove = (relative: string): Step => {
      const folders = foldersOf(relative).map((path) => `${folder}/${path}`);
      const prune = [...folders, folder].filter((path) => !stays(path));
      return { tool: "remove", path: `${folder}/${relative}`, ...(prune.length > 0 && { prune }) };
    };
    return [
      ...gone.filter(isInTheWay).map(remove),
      ...writes,
      ...gone.filter((relative) => !isInTheWay(relative)).map(remove),
    ];
  },
  explain(error, { directory: folder }) {
    if (/invalid (user|group)/.test(error)) {
      return `${error}. The owner must be a user and a group that the host knows: make them first, or leave owner out.`;
    }
    if (/Read-only file system/.test(error))
      return `${error}. ${folder} is on a file system that is mounted read-only.`;
    if (/No space left/.test(error)) return `${error}. The file system of ${folder} is full.`;
    if (/Not a directory|File exists/.test(error))
      return `${error}. Something on the way to the file is no folder.`;
    if (/a folder is in its place/.test(error)) return `${error}. Remove it, or give the file another name.`;
    return undefined;
  },
});
