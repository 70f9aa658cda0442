import type { HostSession, LedgerRecord } from "../host/operation";
import { disagreements } from "../kinds/agree";
import type { AnyKind, AnySpec, PlanContext } from "../kinds/kind";
import { longWork } from "../kinds/long-work";
import type { Facts } from "../kinds/step";
import { compare } from "./diff";
import { HalfMadeError, UserError } from "./errors";
import { ledgerKey } from "./ids";
import { afterDelete, claim, entries } from "./ownership";
import { formatPath, isWithin } from "./paths";
import { runWork, type Sight, type Target } from "./work";
import { parseUrn } from "./urn";

/** How an object is to be made or changed. */
export interface Wanted {
  readonly desired: AnySpec;
  /** The engine does not know the object yet. */
  readonly create: boolean;
  /** What the engine knows was wanted before. */
  readonly previous?: AnySpec;
  readonly adopt?: boolean;
  readonly timeoutSeconds?: number;
  /** Hears what takes long before it begins. */
  readonly onLongWork?: (what: string) => void;
}

/** The end of a change. */
export interface Applied {
  readonly machineId: string;
  readonly steps: number;
  /** What the host chose by itself. */
  readonly reported: AnySpec;
}

/** Makes an object as it is wanted, whether it is there or not. */
export async function applyObject(session: HostSession, target: Target, wanted: Wanted): Promise<Applied> {
  const { kind, id, urn } = target;
  const { desired, previous } = wanted;
  const key = ledgerKey(kind, id);
  let effective = desired;
  const worked = await runWork(session, {
    target,
    specs: previous === undefined ? [desired] : [desired, previous],
    timeoutSeconds: wanted.timeoutSeconds,
    decide: (sight) => {
      if (wanted.create) refuseWhatIsNotOurs(target, wanted, sight);
      const { current, record, facts, boot } = sight;
      const claimed = claim({ kind, key, urn, desired, previous, current, record, boot });
      effective = claimed.effective;
      const steps = kind.plan(current, effective, context(target, facts));
      const done = entries(record, claimed.done);
      const long = longWork(steps);
      if (long !== undefined) wanted.onLongWork?.(long);
      return steps.length === 0 ? { steps, done } : { steps, intent: entries(record, claimed.intent), done };
    },
  });
  const there = worked.observe([effective]);
  verify(target, effective, there);
  return { machineId: worked.machineId, steps: worked.steps, reported: reportedOf(kind, there) };
}

/** Of a state, what the kind says that the host chooses. */
export function reportedOf({ reported = [] }: AnyKind, state: AnySpec = {}): AnySpec {
  const chosen = reported.filter((property) => state[property] !== undefined);
  return Object.fromEntries(chosen.map((property) => [property, state[property]]));
}

/** What was done at the end of an object. */
export type Removal = "removed" | "restored" | "gone" | "left" | "passedOn";

/**
 * Ends our hold on an object: what we made is deleted, what was there before us is put back as it was, and what
 * the ledger does not call ours is left.
 */
export async function removeObject(
  session: HostSession,
  target: Target,
  options: { spec: AnySpec; deleteAdopted: boolean; timeoutSeconds?: number; heldBy?: string },
): Promise<{
  readonly removal: Removal;
  readonly machineId: string;
  readonly leftInside: readonly string[];
}> {
  const { kind } = target;
  let removal = "left" as Removal;
  let aim: AnySpec | undefined;
  let leftInside: readonly string[] = [];
  let specs: readonly [AnySpec, ...AnySpec[]] = [options.spec];
  const worked = await runWork(session, {
    target,
    specs,
    timeoutSeconds: options.timeoutSeconds,
    // What it is on may be deleted at the same time, and take it along.
    onceMore: true,
    decide: ({ current, record, ledger, facts }) => {
      if (record === undefined) {
        removal = current === undefined ? "gone" : "left";
        return { steps: [] };
      }
      if (options.heldBy !== undefined && options.heldBy !== target.urn) {
        removal = "passedOn";
        return { steps: [] };
      }
      specs = [options.spec, ...record.specs];
      aim = current === undefined ? undefined : afterDelete(kind, record, options.deleteAdopted);
      removal = current === undefined ? "gone" : aim === undefined ? "removed" : "restored";
      const steps = current === undefined ? [] : kind.plan(current, aim, context(target, facts));
      const inside = recordsInside(kind, record, ledger.list());
      const gone = aim === undefined ? inside : [];
      if (aim !== undefined) leftInside = inside.map(({ key }) => key.slice(key.indexOf(" ") + 1));
      return { steps, done: [record, ...gone].map(({ key }) => ({ op: "forget", key })) };
    },
  });
  if (removal === "restored" && aim !== undefined) verify(target, aim, worked.observe([aim, ...specs]));
  if (removal === "removed" && worked.observe(specs) !== undefined) {
    throw new HalfMadeError(
      `${describe(kind, options.spec, target.host)} is still there after it was removed`,
    );
  }
  return { removal, machineId: worked.machineId, leftInside };
}

/** Looks at an object without changing or locking anything. */
export async function readObject(
  session: HostSession,
  target: Target,
  spec: AnySpec,
  timeoutSeconds?: number,
): Promise<{ readonly state: AnySpec | undefined; readonly machineId: string }> {
  const worked = await runWork(session, { target, specs: [spec], timeoutSeconds });
  return { state: worked.observe([spec]), machineId: worked.machineId };
}

/** An object as a person would name it: `link gre1 in netns site1 of edge`. */
export function describe(kind: AnyKind, spec: AnySpec, host: string): string {
  const noun = (kind.token.split(":").at(-1) ?? kind.token).toLowerCase();
  const name = kind.identity(spec).at(-1) ?? "";
  return typeof spec.netns === "string"
    ? `${noun} ${name} in netns ${spec.netns} of ${host}`
    : `${noun} ${name} on ${host}`;
}

function refuseWhatIsNotOurs({ kind, host, urn }: Target, wanted: Wanted, { current, record }: Sight): void {
  const what = describe(kind, wanted.desired, host);
  if (record !== undefined && record.urn !== urn && current !== undefined) {
    const other = parseUrn(record.urn).name;
    throw new UserError(
      `${what} belongs to the resource ${other} of this stack (${record.urn}). If that resource was renamed or ` +
        `moved, give this one aliases: [{ name: ${JSON.stringify(other)} }]; else choose another name.`,
    );
  }
  if (record === undefined && current !== undefined && kind.ownership === "object" && wanted.adopt !== true) {
    throw new UserError(
      `${what.replace(/ (in|on) /, " already exists $1 ")} and this stack did not make it. ` +
        "Set adopt: true to take it over, or choose another name.",
    );
  }
}

/** The records of what is inside a namespace, and goes with it. */
function recordsInside(kind: AnyKind, record: LedgerRecord, all: readonly LedgerRecord[]): LedgerRecord[] {
  const claims = kind.claims?.(record.specs[0] ?? {}) ?? [];
  const gone = new Set<unknown>(claims.flatMap((held) => (held.claim === "netns" ? [held.netns] : [])));
  return all.filter(({ key, specs }) => key !== record.key && specs.some((spec) => gone.has(spec.netns)));
}

/** @throws HalfMadeError naming what is not as it was asked for */
function verify({ kind, host, secrets }: Target, wanted: AnySpec, found: AnySpec | undefined): void {
  if (found === undefined) {
    throw new HalfMadeError(`${describe(kind, wanted, host)} is not there after the steps that make it`);
  }
  const wrong = disagreements(wanted, found).flatMap((property) =>
    compare(found[property], wanted[property], [property]).map(({ path }) => {
      if (secrets.some((mark) => isWithin(path, mark) || isWithin(mark, path))) {
        return `${formatPath(path)}: another secret than was wanted`;
      }
      const [want, have] = [wanted, found].map((state) => brief(path.reduce<unknown>(step, state)));
      return `${formatPath(path)}: wanted ${want}, found ${have}`;
    }),
  );
  if (wrong.length === 0) return;
  throw new HalfMadeError(
    `${host} does not show what was asked for, though every step succeeded. ${wrong.join("; ")}. Something else ` +
      "on the host may manage it (NetworkManager, systemd-networkd), or its kernel took the setting in another way.",
  );
}

function step(value: unknown, segment: string | number): unknown {
  return (value as Record<string | number, unknown> | undefined)?.[segment];
}

function brief(value: unknown): string {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function context(target: Target, facts: Facts): PlanContext {
  return { owner: `netloom:${target.stack}`, facts };
}
