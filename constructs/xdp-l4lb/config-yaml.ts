import { isMap, isScalar, isSeq, LineCounter, parseDocument, type Node } from "yaml";
import { z } from "zod";
import type { Finding } from "../../lib/kinds/kind";
import { ip } from "../../lib/kinds/schemas";

/** What a `config.yaml` says: one virtual address and the servers behind it. */
export interface L4LbConfig {
  /** The virtual address. */
  readonly vip: string;
  /** The servers. */
  readonly backends: readonly {
    /** The server's own address. */
    readonly ip: string;
  }[];
}

/** A file as it was read, or why it could not be. */
export interface ReadConfig {
  readonly config: L4LbConfig | undefined;
  /** What is wrong, each with its line where there is text. */
  readonly findings: readonly Finding[];
}

const schema = z.strictObject(
  {
    vip: ip,
    backends: z
      .array(z.strictObject({ ip }, { error: "must be an entry such as `- ip: 10.0.1.1`" }), {
        error: "must be a list of entries such as `- ip: 10.0.1.1`",
      })
      .min(1, "names no backend: write at least one `- ip: …`"),
  },
  { error: "must be vip and backends" },
);

/**
 * Reads a `config.yaml` (YAML 1.2) of this form, from its text or from what a parser made of it:
 *
 *     vip: 123.168.9.8
 *     backends:
 *       - ip: 10.0.1.1
 *       - ip: 10.0.2.2
 */
export function readConfigYaml(source: unknown): ReadConfig {
  if (typeof source !== "string") return checked(source, () => "");
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const findings = document.errors.map(({ message, pos }) => {
      const { line, col } = lines.linePos(pos[0]);
      return { path: [], message: `line ${line}, column ${col}: ${message}` };
    });
    return { config: undefined, findings };
  }
  return checked(document.toJS({ maxAliasCount: 0 }), (path) => {
    const node = nearest(document.contents, path);
    return node?.range ? `line ${lines.linePos(node.range[0]).line}: ` : "";
  });
}

function checked(value: unknown, where: (path: readonly PropertyKey[]) => string): ReadConfig {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { config: parsed.data, findings: [] };
  const findings = parsed.error.issues.flatMap((issue): Finding[] => {
    const at = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: [...at, key],
        message: `${where([...at, key])}there is no such entry: a config.yaml has vip and backends[].ip`,
      }));
    }
    const isMissing = at.length > 0 && (valueAt(value, at) ?? undefined) === undefined;
    return [{ path: at, message: `${where(at)}${isMissing ? "is missing" : issue.message}` }];
  });
  return { config: undefined, findings };
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((inner, part) => (inner as Record<string | number, unknown>)[part], value);
}

/** The node of a path, or the innermost that is there. */
function nearest(node: Node | null | undefined, path: readonly PropertyKey[]): Node | undefined {
  const [first, ...rest] = path;
  if (!node || first === undefined) return node ?? undefined;
  const pair = isMap(node)
    ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(first))
    : undefined;
  const inner = isSeq(node) ? node.items[Number(first)] : pair?.value;
  // An entry without a value is where its name is.
  return nearest(inner as Node | undefined, rest) ?? (pair?.key as Node | undefined) ?? node;
}
