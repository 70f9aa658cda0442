import type { Construct, IConstruct } from "constructs";
import { posix } from "node:path";
import { mapPin, programPin } from "../../lib/kinds/bpf/names";
import { object, objectDigest, objectPath } from "../../lib/kinds/bpf/object";
import { program } from "../../lib/kinds/bpf/program";
import { addFindings, Composite, KernelObject, lifecycleOf, type LifecycleProps } from "../../lib/synth";
import { packagedSources, readSources } from "../sources";
import { statisticsOf, type BpfStatistics } from "./statistics";

/** Programs of one source, and what becomes of their maps. */
export interface BpfObjectProps extends LifecycleProps {
  /** Path of the C source below `folder`, such as `xdp-pass/xdp-pass.bpf.c`. */
  readonly source: string;
  /**
   * Absolute path of the folder that holds the source and every header that it includes by `#include "…"`.
   * @default - the programs that come with this package
   */
  readonly folder?: string;
  /**
   * Names the pins on the host, `/sys/fs/bpf/netloom/NAME`: 1 to 48 letters, digits, `_` and `-`; unique on it.
   * @default - the construct's id
   */
  readonly name?: string;
  /**
   * Flags of clang(1) after `-g -O2 -target bpf -mcpu=v3 -Wall`: `-D`, `-U`, `-O`, `-W`, `-mcpu=`, `-std=`, `-I`.
   * @default - none
   */
  readonly flags?: readonly string[];
  /**
   * Whose clang compiles it: the host's, or that of the machine that Pulumi runs on (`"runner"`), for hosts without
   * one. What a program must know of the kernel it then learns when it is loaded (CO-RE).
   * @default "host"
   */
  readonly buildOn?: "host" | "runner";
  /**
   * Programs that must be in it, by the names of their functions.
   * @default - whatever there is
   */
  readonly programs?: readonly string[];
  /**
   * What becomes of a map that a new version lays out otherwise. `"migrate"` copies its entries where only its size
   * or type is another and refuses where keys or values are, `"refuse"` refuses either, `"recreate"` starts with an
   * empty map, which the entries of a {@link BpfMap} fill again before the new version is attached.
   * @default "migrate"
   */
  readonly onMapChange?: "refuse" | "migrate" | "recreate";
  /**
   * Maps that another object has: by the map's name, the object.
   * @default - none
   */
  readonly sharedMaps?: Readonly<Record<string, BpfObject>>;
  /**
   * What the programs count, by what each table is called: small letters, digits and `-`. `netloom stats` shows them.
   * @default - none
   */
  readonly statistics?: Readonly<Record<string, BpfStatistics>>;
}

/**
 * eBPF programs: one source, built on the host by its clang into a file that is named by a digest of what it was made
 * from, then loaded and pinned with its maps. A new version takes over the maps of the one before it, and replaces it
 * where it is attached without a packet in between that meets none.
 *
 * @example
 * const counter = new BpfObject(edge, "counter", { folder: join(__dirname, "bpf"), source: "counter.bpf.c" });
 * new XdpProgram(edge, "count", { object: counter, program: "count", link: "eno1" });
 */
export class BpfObject extends Composite {
  /** Names its pins. */
  readonly name: string;
  /** Digest of sources and flags. */
  readonly version: string;
  readonly #entries: IConstruct[] = [];
  readonly #attachments: IConstruct[] = [];

  constructor(scope: Construct, id: string, props: BpfObjectProps) {
    super(scope, id);
    const { name = id, flags = [], programs, onMapChange, sharedMaps = {}, statistics, buildOn } = props;
    const { files, problems } = readSources(props.folder ?? packagedSources(), props.source, flags);
    const main = posix.normalize(props.source);
    this.name = name;
    this.version = objectDigest({ main, sources: files, flags });
    const lifecycle = lifecycleOf(props);
    const built = new KernelObject(this, "object", {
      ...lifecycle,
      kind: object,
      onBehalfOf: this,
      origin: ([first, ...rest]) => [
        first === "main" || first === "sources" ? "source" : (first ?? ""),
        ...rest,
      ],
      intent: { name, main, sources: files, flags, buildOn },
    });
    const loaded = new KernelObject(this, "program", {
      ...lifecycle,
      kind: program,
      onBehalfOf: this,
      intent: {
        name,
        object: objectPath(name, this.version),
        version: this.version,
        programs,
        onMapChange,
        ...(statistics && { statistics: statisticsOf(statistics) }),
        ...(Object.keys(sharedMaps).length > 0 && {
          sharedMaps: Object.fromEntries(Object.entries(sharedMaps).map(([map, owner]) => [map, owner.name])),
        }),
      },
    });
    loaded.node.addDependency(built, ...Object.values(sharedMaps));
    addFindings(this, () => problems.map((message) => ({ path: ["source"], message })));
  }

  /** Path of the pin of a program, the same for every version. */
  programPin(name: string): string {
    return programPin(this.name, name);
  }

  /** Path of the pin of a map, the same for every version that keeps it. */
  mapPin(name: string): string {
    return mapPin(this.name, name);
  }

  /** Says that a construct fills a map: what is attached waits for it. */
  filledBy(entries: IConstruct): void {
    this.#entries.push(entries);
    for (const attachment of this.#attachments) attachment.node.addDependency(entries);
  }

  /** Says that a construct attaches a program: it waits until the maps are filled. */
  attachedBy(attachment: IConstruct): void {
    this.#attachments.push(attachment);
    attachment.node.addDependency(this, ...this.#entries);
  }
}
