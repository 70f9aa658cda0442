import { canonicalAddress } from "../../lib/kinds/schemas";
import type { LifecycleProps, PropertyPath } from "../../lib/synth";
import type { Host } from "../host";
import type { ModuleSigning } from "../kernel-module";
import { bare } from "./paths";
import type { NetAggPairProps } from "./props";
import type { Tables } from "./tables";

/** Which end of the connections a host is. */
export type Role = "sender" | "receiver";

/** One path of a pair, as its ends have it. */
export interface EndPath {
  readonly address: string;
  readonly port: number;
  readonly interface: string;
  /** The prop that says the port. */
  readonly portFrom: PropertyPath;
}

/** A value and the prop that it comes from. */
export interface Wish<T> {
  readonly value: T;
  readonly from: PropertyPath;
}

/** What a pair wants of the module on one host. */
export interface ModuleWishes {
  readonly packages?: Wish<readonly string[]>;
  readonly sign?: Wish<ModuleSigning>;
  readonly timeouts?: Wish<NonNullable<LifecycleProps["timeouts"]>>;
  readonly adopt: boolean;
  readonly protect: boolean;
}

/** One end of a pair, as the other pairs of its host need to know it. */
export interface PairEnd {
  /** Path of the pair's construct. */
  readonly pair: string;
  readonly role: Role;
  readonly host: Host;
  /** The receiver's host, of a sender. */
  readonly peer: Host | undefined;
  readonly paths: readonly EndPath[];
  /** The receiver's routing tables. */
  readonly tables: Tables | undefined;
  /** Undefined where Multipath TCP carries the connections. */
  readonly module: ModuleWishes | undefined;
}

/** Both ends of a pair whose props are right. */
export function endsOf(
  pair: string,
  props: NetAggPairProps,
  backend: "module" | "mptcp",
  firstTable: number,
): readonly [receiver: PairEnd, sender: PairEnd] {
  const { sender, receiver } = props;
  const paths = receiver.paths.map((path, index): EndPath => ({
    address: canonicalAddress(bare(path.address)),
    port: path.port ?? props.port,
    interface: path.interface,
    portFrom: path.port === undefined ? ["port"] : ["receiver", "paths", index, "port"],
  }));
  const wishes = (role: Role) => (backend === "module" ? wishesOf(props, role) : undefined);
  return [
    {
      ...{ pair, role: "receiver", host: receiver.host, peer: undefined, paths },
      tables: { first: firstTable, count: paths.length },
      module: wishes("receiver"),
    },
    {
      ...{ pair, role: "sender", host: sender.host, peer: receiver.host, paths },
      tables: undefined,
      module: wishes("sender"),
    },
  ];
}

/** What is said of one end goes before what is said of both. */
function wishesOf(props: NetAggPairProps, role: Role): ModuleWishes {
  const own = props[role];
  const { timeouts, adopt = false, protect = false } = props;
  const wish = <N extends "packages" | "sign">(name: N) => {
    if (own[name] !== undefined) return { value: own[name], from: [role, name] };
    return props[name] === undefined ? undefined : { value: props[name], from: [name] };
  };
  const [packages, sign] = [wish("packages"), wish("sign")];
  return {
    ...(packages && { packages }),
    ...(sign && { sign }),
    ...(timeouts && { timeouts: { value: timeouts, from: ["timeouts"] } }),
    adopt,
    protect,
  };
}
