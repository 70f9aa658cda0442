import type { SubscriberCandidate } from "./check";
import { checkSubscribers } from "./check";
import { parseCsv } from "./csv";
import type { SubscriberFinding } from "./findings";
import { quoted, SubscribersError } from "./findings";
import { readNetworkJson } from "./libreqos/network-json";
import { isShapedDevicesHeader, readShapedDevices, SHAPED_DEVICE_COLUMNS } from "./libreqos/shaped-devices";
import type { NetworkNode, Subscriber, SubscriberProps } from "./model";
import type { NodeCandidate, Where } from "./network-tree";
import { checkNetwork, NetworkTree } from "./network-tree";
import type { ReadFile } from "./read-file";
import { readLocalFile } from "./read-file";
import { networkNodeSchema, subscriberSchema } from "./schema";
import { isSubscribersHeader, NEEDED_COLUMNS, readSubscribersCsv } from "./subscribers-csv";
import { decodeUtf8 } from "./utf8";

/** How subscribers are read. */
export interface SubscribersOptions {
  /** The access network that the subscribers' `parent` names. @default - none: all hang on the uplink */
  readonly network?: readonly NetworkNode[];
  /**
   * What becomes of a plan or node that promises more than the node above carries. `refuse`: an error. `cap`: as
   * LibreQoS does, the shaper gives it what is there.
   * @default "refuse" - and "cap" for ShapedDevices.csv
   */
  readonly overcommit?: "refuse" | "cap";
}

/** How subscribers are read from a file. */
export interface FromCsvOptions extends SubscribersOptions {
  /** Path of a LibreQoS network.json to take the access network from. @default - `network` */
  readonly networkJson?: string;
  /** Gives the bytes of a file; for tests, or for files that are elsewhere. @default - this machine's files */
  readonly read?: ReadFile;
}

type Overcommit = "refuse" | "cap";

const byId = (a: Subscriber, b: Subscriber) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/**
 * The subscribers of an ISP and the access network they hang on: checked, in canonical form, sorted by id. Both
 * the native shaper and LibreQoS work from it.
 */
export class Subscribers {
  readonly #byId: ReadonlyMap<string, Subscriber>;

  private constructor(
    /** Every subscriber, sorted by id. */
    readonly all: readonly Subscriber[],
    /** The access network. */
    readonly tree: NetworkTree,
    /** What becomes of promises above what a node carries. */
    readonly overcommit: Overcommit,
  ) {
    this.#byId = new Map(all.map((subscriber) => [subscriber.id, subscriber]));
  }

  /**
   * Subscribers written in the program.
   * @throws SubscribersError with everything that is wrong, each with the property it is about
   */
  static of(subscribers: readonly SubscriberProps[], options: SubscribersOptions = {}): Subscribers {
    const findings: SubscriberFinding[] = [];
    const candidates = subscribers.flatMap((props, index): SubscriberCandidate[] => {
      const root = `subscribers[${index}]`;
      const where: Where = (field) => ({ path: `${root}.${field}` });
      const shape = shapeFindings(subscriberSchema.safeParse(props), root);
      findings.push(...shape);
      if (shape.length > 0) return [];
      const deviceWhere = props.devices?.map((_, at): Where => (field) => ({
        path: `${root}.devices[${at}]${field.replace(/^device/, "")}`,
      }));
      // A subscriber without devices lists its addresses itself.
      const own: Where = (field) =>
        where(/^device\.ipv[46]$/.test(field) ? "addresses" : field.replace(/^device\./, ""));
      return [{ props, where, deviceWhere: deviceWhere ?? [own] }];
    });
    return build(candidates, nodesOf(options, findings), options.overcommit ?? "refuse", findings);
  }

  /**
   * Subscribers of a CSV file: our own `subscribers.csv` (see SUBSCRIBER_COLUMNS) or LibreQoS' ShapedDevices.csv;
   * the header tells which.
   * @param path - of the file on the machine that runs the program
   * @throws SubscribersError with everything that is wrong, each with its row and column
   */
  static fromCsv(path: string, options: FromCsvOptions = {}): Subscribers {
    const read = options.read ?? readLocalFile;
    const text = decodeUtf8(read(path), path);
    const { networkJson } = options;
    return parse(
      text,
      path,
      options,
      networkJson === undefined ? undefined : [decodeUtf8(read(networkJson), networkJson), networkJson],
    );
  }

  /**
   * Subscribers in the text of a CSV file of either format.
   * @param source - what to call the text in errors
   * @throws SubscribersError with everything that is wrong, each with its row and column
   */
  static parse(text: string, source = "subscribers.csv", options: SubscribersOptions = {}): Subscribers {
    return parse(text, source, options);
  }

  /**
   * Subscribers in LibreQoS' own files.
   * @param networkJson - text of network.json @default - a flat network
   * @throws SubscribersError with everything that is wrong
   */
  static fromShapedDevices(csv: string, networkJson?: string, options: SubscribersOptions = {}): Subscribers {
    return parse(
      csv,
      "ShapedDevices.csv",
      options,
      networkJson === undefined ? undefined : [networkJson, "network.json"],
    );
  }

  /** The nodes of the access network. */
  get network(): readonly NetworkNode[] {
    return this.tree.nodes;
  }

  /** How many there are. */
  get size(): number {
    return this.all.length;
  }

  /** The subscriber of an id. */
  get(id: string): Subscriber | undefined {
    return this.#byId.get(id);
  }

  /** @internal */
  static checked(all: readonly Subscriber[], tree: NetworkTree, overcommit: Overcommit): Subscribers {
    return new Subscribers([...all].sort(byId), tree, overcommit);
  }
}

interface ZodOutcome {
  readonly success: boolean;
  readonly error?: {
    readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
  };
}

function shapeFindings(outcome: ZodOutcome, root: string): SubscriberFinding[] {
  return (outcome.error?.issues ?? []).map(({ path, message }) => ({
    path: path.reduce<string>(
      (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}.${String(part)}`),
      root,
    ),
    message,
  }));
}

function nodesOf({ network = [] }: SubscribersOptions, findings: SubscriberFinding[]): NodeCandidate[] {
  return network.flatMap((props, index): NodeCandidate[] => {
    const root = `network[${index}]`;
    const shape = shapeFindings(networkNodeSchema.safeParse(props), root);
    findings.push(...shape);
    return shape.length > 0 ? [] : [{ props, where: (field) => ({ path: `${root}.${field}` }) }];
  });
}

function parse(
  text: string,
  source: string,
  options: SubscribersOptions,
  json?: readonly [text: string, source: string],
): Subscribers {
  const table = parseCsv(text, source);
  const shaped = isShapedDevicesHeader(table.header);
  if (!shaped && !isSubscribersHeader(table.header)) {
    const message = `the header ${quoted(table.header.join(","))} is of neither format: subscribers.csv begins with at least ${NEEDED_COLUMNS.join(",")}, ShapedDevices.csv with ${SHAPED_DEVICE_COLUMNS.slice(0, 3).join(",")},…`;
    throw new SubscribersError([{ source, row: table.headerRow, message }], source);
  }
  const read = shaped ? readShapedDevices(table, source) : readSubscribersCsv(table, source);
  const findings = [...read.findings];
  let nodes = nodesOf(options, findings);
  if (json !== undefined) {
    const tree = readNetworkJson(...json);
    findings.push(...tree.findings);
    nodes = [...nodes, ...tree.candidates];
  }
  return build(read.candidates, nodes, options.overcommit ?? (shaped ? "cap" : "refuse"), findings, source);
}

function build(
  candidates: readonly SubscriberCandidate[],
  nodes: readonly NodeCandidate[],
  overcommit: Overcommit,
  found: readonly SubscriberFinding[],
  source?: string,
): Subscribers {
  const network = checkNetwork(nodes, overcommit);
  // Subscribers are checked against a tree that holds; a broken one would only add confusion.
  const tree =
    network.findings.length === 0
      ? network.tree
      : new NetworkTree(network.tree.nodes.map((node) => ({ ...node, parent: undefined })));
  const checked = checkSubscribers(candidates, tree, network.findings.length === 0 ? overcommit : "cap");
  const findings = [...found, ...network.findings, ...checked.findings];
  if (findings.length > 0) {
    findings.sort((a, b) => (a.row ?? 0) - (b.row ?? 0));
    throw new SubscribersError(findings, source);
  }
  return Subscribers.checked(checked.subscribers, tree, overcommit);
}
