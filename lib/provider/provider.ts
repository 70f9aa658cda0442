import { HostError, type HostAddress, type HostSession } from "../host/operation";
import { kindOf } from "../kinds/registry";
import type { AnyKind, AnySpec } from "../kinds/kind";
import { checkInputs, declaredSecrets, type Checked } from "./check";
import { SCHEMA_VERSION, hostOf, split } from "./common";
import { addressOf, credentialsFor, readConfiguration, type ReadConfiguration } from "./configuration";
import { difference, type Difference } from "./diff";
import { HalfMadeError, UserError, messageOf } from "./errors";
import { formatId, identityOf, parseId } from "./ids";
import { applyObject, readObject, removeObject, reportedOf } from "./objects";
import { UNKNOWN, type Properties } from "./properties";
import { Scrubber } from "./secrets";
import { Restarts } from "./restart";
import { Sessions, type OpenSession } from "./sessions";
import { parseUrn } from "./urn";
import type { Target } from "./work";

/** Tells the user something about a resource; a status is what it is doing just now. */
export type Tell = (severity: "debug" | "status" | "warning", message: string, urn: string) => void;

/** What the engine calls a resource when it asks for it to be made or changed. */
export interface Change {
  readonly urn: string;
  readonly inputs: Properties;
  readonly preview: boolean;
  readonly timeoutSeconds: number;
}

/** A resource as the state keeps it. */
export interface Kept {
  /** Empty for one that is gone. */
  readonly id: string;
  readonly state: Properties;
  readonly inputs: Properties;
}

/** A resource that is there in part: the engine keeps it, and updates it in the next run. */
export class PartialResource extends Error {
  override readonly name = "PartialResource";
  constructor(
    message: string,
    readonly kept: Kept,
  ) {
    super(message);
  }
}

const NOTHING: Properties = { values: {}, secrets: [] };

/** The life of a resource of any kind, in plain values: what the plugin's gRPC methods are made of. */
export class Provider {
  #read: ReadConfiguration = readConfiguration(NOTHING);
  #sessions: Sessions;
  readonly #restarts: Restarts;
  /** Which resource this process last gave an object to, by id. */
  readonly #holders = new Map<string, string>();

  constructor(
    private readonly openSession: OpenSession,
    private readonly tell: Tell = () => undefined,
    private readonly findKind: (token: string) => AnyKind | undefined = kindOf,
  ) {
    this.#sessions = new Sessions(openSession);
    this.#restarts = new Restarts(findKind, (message, urn) => tell("warning", message, urn));
  }

  configure(properties: Properties): void {
    this.#read = readConfiguration(properties);
    const [failure] = this.#read.failures;
    if (failure) throw new UserError(`the netloom provider: ${failure.property} ${failure.reason}`);
  }

  check(urn: string, news: Properties): Checked {
    return checkInputs(this.#kindOf(urn), news);
  }

  diff(urn: string, olds: Properties, news: Properties, ignoreChanges: readonly string[]): Difference {
    return difference(this.#kindOf(urn), olds.values, news.values, ignoreChanges);
  }

  async create(change: Change): Promise<Kept> {
    return this.#apply(change, undefined);
  }

  async update(change: Change, olds: { id: string; state: Properties; inputs: Properties }): Promise<Kept> {
    return this.#apply(change, olds);
  }

  /** What is really there. Without inputs it is an import: everything that can be read. */
  async read(
    urn: string,
    id: string,
    olds: { state: Properties; inputs: Properties },
    timeoutSeconds = 0,
  ): Promise<Kept> {
    const kind = this.#kindOf(urn);
    const known = olds.inputs.values.host === undefined ? undefined : split(olds.inputs.values);
    const host = hostOf(olds.inputs.values) ?? hostOf(olds.state.values) ?? this.#hostOfId(id);
    const spec = known?.spec ?? locate(kind, id);
    return this.#explained(urn, host.name, [olds.inputs, olds.state], async () => {
      const target = targetOf(kind, urn, id, host.name, [olds.inputs, olds.state]);
      const { state, machineId } = await readObject(this.#session(host), target, spec, timeoutSeconds);
      this.#noticeRebuilt(urn, host.name, olds.state, machineId);
      if (state === undefined) return { id: "", state: NOTHING, inputs: NOTHING };
      const seen = known === undefined ? state : pick(state, Object.keys(known.spec));
      const inputs = { ...seen, ...(known?.common ?? { host }) };
      const secrets = [...olds.inputs.secrets, ...olds.state.secrets, ...declaredSecrets(kind, seen)];
      const outputs = { ...reportedOf(kind, state), ...inputs };
      return { id, inputs: { values: inputs, secrets }, state: stateOf(outputs, secrets, machineId) };
    });
  }

  async delete(
    urn: string,
    id: string,
    olds: { state: Properties; inputs: Properties },
    timeoutSeconds = 0,
  ): Promise<void> {
    const kind = this.#kindOf(urn);
    const values = { ...olds.state.values, ...olds.inputs.values };
    const { spec, common } = split(values);
    const host = hostOf(values) ?? this.#hostOfId(id);
    const target = targetOf(kind, urn, id, host.name, [olds.inputs, olds.state]);
    await this.#explained(urn, host.name, [olds.inputs, olds.state], async () => {
      try {
        const { removal, machineId, leftInside } = await removeObject(this.#session(host), target, {
          spec: Object.keys(spec).length > 0 ? spec : locate(kind, id),
          deleteAdopted: common.deleteAdopted === true,
          timeoutSeconds,
          heldBy: this.#holders.get(heldKey(target)),
        });
        this.#noticeRebuilt(urn, host.name, olds.state, machineId);
        const warn = (message: string) =>
          this.tell("warning", `${id} was left on ${host.name}${message}`, urn);
        if (removal === "left") warn(": its ledger does not say that this stack made it");
        if (leftInside.length > 0)
          warn(` as it was found, with what this stack made in it: ${leftInside.join(", ")}`);
      } catch (error) {
        if (!(error instanceof HostError) || !error.unreachable) throw error;
        if (this.#read.configuration.deleteUnreachable !== true) throw unreachable(error, id, host.name);
        this.tell(
          "warning",
          `${id} is forgotten, and whatever is left of it on ${host.name} stays there: ${error.message}`,
          urn,
        );
      }
    });
  }

  /** Stops waiting for hosts; what is under way ends between two batches and can be resumed. */
  cancel(): void {
    this.#sessions.cancel();
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }

  /** Begins anew for another engine: one that is cancelled or ends does not speak for the next. */
  async renew(): Promise<void> {
    const old = this.#sessions;
    this.#sessions = new Sessions(this.openSession);
    this.#holders.clear();
    await old.close();
  }

  async #apply(
    change: Change,
    olds: { id: string; state: Properties; inputs: Properties } | undefined,
  ): Promise<Kept> {
    const { urn, inputs, preview } = change;
    const kind = this.#kindOf(urn);
    const { spec, common } = split(inputs.values);
    const host = hostOf(inputs.values);
    if (preview || host === undefined) {
      if (!preview) throw new UserError(`${parseUrn(urn).name}: its host is not known`);
      return previewed(kind, inputs, olds);
    }
    const id = olds?.id ?? formatId(host.name, kind.identity(spec));
    const known = [inputs, ...(olds ? [olds.inputs, olds.state] : [])];
    const target = targetOf(kind, urn, id, host.name, known);
    const previous =
      olds && split(Object.keys(olds.inputs.values).length > 0 ? olds.inputs.values : olds.state.values).spec;
    return this.#explained(urn, host.name, known, async (explain) => {
      try {
        const session = this.#session(host);
        await this.#restarts.mended(session, target);
        const { machineId, reported } = await applyObject(session, target, {
          desired: spec,
          create: olds === undefined,
          ...(previous && { previous }),
          adopt: common.adopt === true,
          timeoutSeconds: change.timeoutSeconds,
          onLongWork: (what) => this.tell("status", `${what} on ${host.name}`, urn),
        });
        this.#holders.set(heldKey(target), urn);
        if (olds) this.#noticeRebuilt(urn, host.name, olds.state, machineId);
        const outputs = { ...reported, ...inputs.values };
        return { id, inputs, state: stateOf(outputs, inputs.secrets, machineId) };
      } catch (error) {
        if (!(error instanceof HalfMadeError)) throw error;
        this.#holders.set(heldKey(target), urn);
        const machineId = olds?.state.values.machineId;
        throw new PartialResource(explain(error), {
          id,
          inputs,
          state: stateOf(inputs.values, inputs.secrets, machineId),
        });
      }
    });
  }

  /** Adds to an error which resource on which host it is about, and takes secrets out of it. */
  async #explained<T>(
    urn: string,
    host: string,
    properties: readonly Properties[],
    work: (explain: (error: unknown) => string) => Promise<T>,
  ): Promise<T> {
    const scrubber = Scrubber.of(...properties, this.#read.properties);
    const explain = (error: unknown) => {
      const message = scrubber.scrub(messageOf(error));
      return `${parseUrn(urn).name}${mentions(message, host) ? "" : ` on ${host}`}: ${message}`;
    };
    try {
      return await work(explain);
    } catch (error) {
      if (error instanceof PartialResource) throw error;
      // A mistake of ours: where it was made goes to the debug log, not to the user.
      if (error instanceof TypeError || error instanceof RangeError) {
        this.tell("debug", scrubber.scrub(error.stack ?? error.message), urn);
      }
      throw new UserError(explain(error));
    }
  }

  #kindOf(urn: string): AnyKind {
    const { type } = parseUrn(urn);
    const kind = this.findKind(type);
    if (kind === undefined) throw new UserError(`the netloom provider has no resource type ${type}`);
    return kind;
  }

  #session(address: HostAddress): HostSession {
    const { configuration } = this.#read;
    const { stateDirectory } = configuration;
    const credentials = credentialsFor(configuration, address.name);
    return this.#sessions.with({
      address,
      credentials,
      ...(stateDirectory !== undefined && { stateDirectory }),
    });
  }

  #hostOfId(id: string): HostAddress {
    const parsed = parseId(id);
    if (parsed === undefined)
      throw new UserError(`${id} is no id: it reads HOST/NAME, such as edge/site1/gre1`);
    return addressOf(this.#read.configuration, parsed.host);
  }

  #noticeRebuilt(urn: string, host: string, state: Properties, machineId: string): void {
    const before = state.values.machineId;
    if (typeof before !== "string" || before === machineId) return;
    this.tell(
      "warning",
      `${host} was rebuilt or replaced: its machine-id was ${before} and is ${machineId} now`,
      urn,
    );
  }
}

/** Preview touches no host: what is wanted is what there will be. */
function previewed(
  kind: AnyKind,
  inputs: Properties,
  olds: { id: string; state: Properties } | undefined,
): Kept {
  const { spec } = split(inputs.values);
  const host = hostOf(inputs.values);
  const identity = identityOf(kind, spec);
  const id = olds?.id ?? (host && identity ? formatId(host.name, identity) : "");
  const machineId = olds?.state.values.machineId ?? UNKNOWN;
  return { id, inputs, state: stateOf(inputs.values, inputs.secrets, machineId) };
}

function stateOf(values: AnySpec, secrets: Properties["secrets"], machineId: unknown): Properties {
  return { values: { ...values, machineId, schemaVersion: SCHEMA_VERSION }, secrets };
}

function targetOf(
  kind: AnyKind,
  urn: string,
  id: string,
  host: string,
  known: readonly Properties[],
): Target {
  const { project, stack } = parseUrn(urn);
  const secrets = known.flatMap((properties) => properties.secrets);
  return { kind, id, urn, host, stack: `${project}/${stack}`, secrets };
}

function heldKey({ kind, id }: Target): string {
  return `${kind.token} ${id}`;
}

function locate(kind: AnyKind, id: string): AnySpec {
  const spec = kind.locate(parseId(id)?.identity ?? []) as AnySpec | undefined;
  if (spec === undefined) throw new UserError(`${id} is no id of a ${kind.token}`);
  return spec;
}

function pick(state: AnySpec, properties: readonly string[]): AnySpec {
  return Object.fromEntries(properties.filter((p) => state[p] !== undefined).map((p) => [p, state[p]]));
}

/** Whether a text names a host already. */
function mentions(text: string, host: string): boolean {
  return text.split(/[^\w.-]+/).some((word) => word.replace(/\.$/, "") === host);
}

function unreachable(error: HostError, id: string, host: string): UserError {
  return new UserError(
    `${error.message}\n${id} is kept in the state, because ${host} may still have it. If the host is gone for good, ` +
      "set deleteUnreachable: true on the netloom provider (pulumi config set netloom:deleteUnreachable true) and " +
      "run this again: the resource is then only forgotten.",
  );
}
