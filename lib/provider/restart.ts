import type { HostSession, LedgerRecord } from "../host/operation";
import type { AnyKind, AnySpec } from "../kinds/kind";
import { bootOf, bootQuery } from "./boot";
import { messageOf } from "./errors";
import { identityProperties } from "./ids";
import { applyObject } from "./objects";
import type { Path } from "./paths";
import { Scrubber } from "./secrets";

/** Whose objects on which host. */
export interface Owner {
  /** The host's name. */
  readonly host: string;
  /** Project and stack. */
  readonly stack: string;
  /** The resource whose change comes first, for messages. */
  readonly urn: string;
}

/**
 * A host that was started anew has lost what was in its kernel, and the engine, which asks no host before it
 * plans, does not know. The ledger does: before a stack's first change on a host, what it made in an earlier life
 * of the host is made again, in the order in which it was made then.
 */
export class Restarts {
  readonly #looked = new WeakMap<HostSession, Map<string, Promise<void>>>();

  constructor(
    private readonly findKind: (token: string) => AnyKind | undefined,
    private readonly tell: (message: string, urn: string) => void,
  ) {}

  /** Looks once for each session and stack; whoever comes meanwhile waits for the end. */
  mended(session: HostSession, owner: Owner): Promise<void> {
    const stacks = this.#looked.get(session) ?? new Map<string, Promise<void>>();
    this.#looked.set(session, stacks);
    const known = stacks.get(owner.stack);
    if (known !== undefined) return known;
    const mending = this.#mend(session, owner).catch((error: unknown) => {
      stacks.delete(owner.stack);
      throw error;
    });
    stacks.set(owner.stack, mending);
    return mending;
  }

  async #mend(session: HostSession, { host, stack, urn: first }: Owner): Promise<void> {
    let lost: readonly LedgerRecord[] = [];
    await session.run({
      label: host,
      stack,
      queries: [bootQuery],
      decide: (facts, ledger) => {
        const boot = bootOf(facts);
        lost = ledger.list().filter((record) => record.boot !== undefined && record.boot !== boot);
        return { steps: [] };
      },
    });
    const again = lost.flatMap((record) => {
      const space = record.key.indexOf(" ");
      const kind = this.findKind(record.key.slice(0, space));
      const [desired] = record.specs;
      // What was there before us comes back by itself, or is somebody else's to bring back.
      if (kind === undefined || desired === undefined) return [];
      if (record.how === "adopted" && kind.ownership === "object") return [];
      return [{ kind, desired, id: record.key.slice(space + 1), urn: record.urn }];
    });
    if (again.length > 0) {
      this.tell(
        `${host} was started anew; what this stack made on it is made again first (${again.length} objects)`,
        first,
      );
    }
    for (const { kind, desired, id, urn } of again) {
      const secrets = maybeSecret(kind, desired);
      const target = { kind, id, urn, host, stack, secrets };
      try {
        await applyObject(session, target, { desired, create: false });
      } catch (error) {
        // It may be what the program is about to change or delete; if not, the next refresh shows it.
        const reason = Scrubber.of({ values: desired, secrets }).scrub(messageOf(error));
        this.tell(`${id} was not made again on ${host}: ${reason}`, urn);
      }
    }
  }
}

/** The ledger does not say what is secret: of a property that does not tell objects apart, any value may be. */
function maybeSecret(kind: AnyKind, spec: AnySpec): Path[] {
  const names = identityProperties(kind, spec);
  const isOpen = (property: string) => names.has(property) || kind.policy[property]?.change === "replace";
  return Object.keys(spec).flatMap((property) => (isOpen(property) ? [] : [[property]]));
}
