import type { z } from "zod";
import type { Facts, Query, Step } from "./step";

/** What traffic through the object notices while a property is changed. */
export type Disturbance = "none" | "brief" | "recreated";

/** How a change of one property reaches the host. */
export type PropertyPolicy =
  | {
      readonly change: "inPlace";
      readonly traffic: Disturbance;
      /**
       * What the property becomes on the host when it is taken out of the program. Without it the host keeps
       * the value it has, and the property is no longer looked at.
       */
      readonly unset?: unknown;
    }
  | { readonly change: "replace"; readonly traffic: "recreated"; readonly reason: string };

/** The property is changed where it stands. */
export function inPlace(options: { traffic?: Disturbance; unset?: unknown } = {}): PropertyPolicy {
  return {
    change: "inPlace",
    traffic: options.traffic ?? "none",
    ...("unset" in options && { unset: options.unset }),
  };
}

/** The object is deleted and made again; `reason` is shown to the user. */
export function replace(reason: string): PropertyPolicy {
  return { change: "replace", traffic: "recreated", reason };
}

/** One thing that is wrong with a property, in the words of the property's user. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What a plan may know besides the two states. */
export interface PlanContext {
  /** Who makes the object, such as `netloom:gre-lab/dev`; left on the host where the object can carry it. */
  readonly owner: string;
  /** What the queries found: for a plan that depends on more than the object itself, such as the types of a map. */
  readonly facts?: Facts;
}

/**
 * What an object takes up that others could want too, for the checks of a whole program. The checks know
 * claims, never kinds.
 */
export type Claim =
  | { readonly claim: "netns"; readonly netns: string }
  | {
      readonly claim: "interface";
      readonly netns?: string;
      readonly name: string;
      readonly kind: string;
      readonly mtu?: number;
      /** The property that names it, for the error. */
      readonly path: readonly (string | number)[];
    }
  | {
      readonly claim: "port";
      readonly netns?: string;
      readonly name: string;
      readonly master: string;
      readonly path: readonly (string | number)[];
    }
  | {
      readonly claim: "address";
      readonly netns?: string;
      readonly interface: string;
      /** In CIDR form, host bits kept: `10.0.0.1/16`. */
      readonly address: string;
      readonly path: readonly (string | number)[];
    }
  | {
      readonly claim: "tunnel";
      /** The namespace the outer packets travel in. */
      readonly netns?: string;
      readonly name: string;
      readonly protocol: string;
      readonly local?: string;
      readonly remote?: string;
      /** GRE key, VNI or VLAN id: what tells two tunnels between the same ends apart. */
      readonly key?: number;
      /** The link below, where it is named (`dev`, a VLAN's parent). */
      readonly link?: string;
      /** Bytes that the encapsulation adds to a packet of the link's MTU. */
      readonly overhead: number;
      readonly mtu?: number;
      readonly path: readonly (string | number)[];
    }
  | {
      readonly claim: "route";
      readonly netns?: string;
      readonly destination: string;
      readonly via?: string;
      readonly dev?: string;
      readonly table?: number | string;
      readonly path: readonly (string | number)[];
    };

/** One line of a table of counters. */
export interface CounterRow {
  /** What was counted, by column: `{ reason: "no route" }`. */
  readonly of: Readonly<Record<string, string>>;
  /** How many: numbers, as text where they are above 2^53. */
  readonly counters: Readonly<Record<string, number | string>>;
}

/** A table of counters that an object keeps on its host. */
export interface Counters {
  /** What the table is called, such as `reasons`. */
  readonly name: string;
  readonly queries: readonly Query[];
  /** @throws Error when they cannot be read */
  read(facts: Facts): readonly CounterRow[];
}

/** One kind of kernel object: its schema and the pure functions between what is wanted and what is there. */
export interface Kind<Schema extends z.ZodObject = z.ZodObject> {
  /** Pulumi's type token: `netloom:<module>:<Kind>`. */
  readonly token: `netloom:${string}:${string}`;
  /** One sentence, for the provider's schema and the docs. */
  readonly description: string;
  /**
   * A strict zod object: the one source of types, docs, defaults, check failures and the provider's schema. Its
   * output is the canonical form (addresses as the kernel prints them, lists without order sorted), so two
   * specs mean the same exactly when they are deeply equal.
   */
  readonly schema: Schema;
  /** For each property, how a change reaches the host. */
  readonly policy: { readonly [K in keyof z.output<Schema>]-?: PropertyPolicy };
  /**
   * `object`: it is there or it is not, and one that was there before us is somebody else's. `setting`: it is
   * always there (a sysctl); what it was before us is put back at the end.
   */
  readonly ownership: "object" | "setting";
  /** What makes it the same object on one host, as path segments: `["site1", "gre1"]`. */
  identity(spec: z.output<Schema>): readonly string[];
  /** The reverse of `identity`, for an import: as much of a spec as `queries` and `observe` need. */
  locate(identity: readonly string[]): Partial<z.output<Schema>> | undefined;
  /** Checks between properties, which the schema of one property cannot make. */
  check?(spec: z.output<Schema>): readonly Finding[];
  /** Which facts `observe` needs. Whole tables rather than single objects: alike queries are run once. */
  queries(spec: Located<Schema>): readonly Query[];
  /**
   * The object as it really is, in the words of the schema's output and with every property that can be read;
   * undefined when it is not there. `specs` names it: the wanted one first, then those an earlier (perhaps
   * interrupted) run wanted; a kind that is a set looks for the members of all of them.
   */
  observe(
    facts: Facts,
    specs: readonly [Located<Schema>, ...Located<Schema>[]],
  ): z.output<Schema> | undefined;
  /**
   * The smallest change from one state to the other. `plan(undefined, d)` creates, `plan(c, undefined)` deletes.
   * The law: after the steps, `observe` agrees with `d` and `plan` is empty; any prefix of the steps may be where
   * the power fails, and planning again from what is then observed still gets there.
   */
  plan(
    current: z.output<Schema> | undefined,
    desired: z.output<Schema> | undefined,
    context: PlanContext,
  ): readonly Step[];
  /** What the object takes up, for the checks of a whole program. */
  claims?(spec: z.output<Schema>): readonly Claim[];
  /**
   * Properties that the host chooses where the program leaves them out: kept in the state, as outputs, and never a
   * difference.
   */
  readonly reported?: readonly (keyof z.output<Schema> & string)[];
  /** What the object counts, for whoever wants to look: no part of its state, which counting does not change. */
  statistics?(spec: z.output<Schema>): readonly Counters[];
  /** Turns what the kernel said of a failed step into what the user can do, or leaves it (undefined). */
  explain?(error: string, spec: z.output<Schema>): string | undefined;
}

/** As much of a spec as names the object: a whole one, or what `locate` gives. */
export type Located<Schema extends z.ZodObject> = Partial<z.output<Schema>>;

/** A kind of which only the shape is known: what the provider and the checks of a program work with. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the schema's type is erased on purpose
export type AnyKind = Kind<any>;

/** Any kind's spec, once its type is erased. */
export type AnySpec = Readonly<Record<string, unknown>>;

/** Types a kind's functions by its schema. */
export function defineKind<Schema extends z.ZodObject>(kind: Kind<Schema>): Kind<Schema> {
  return kind;
}
