import { fixed, option, type Family, type LinkOption } from "./family";
import { numberOf } from "./iproute";

/** Links that carry nothing around their packets: veth, bridge, vlan, dummy, ifb, and those that were there. */

const nothing = { options: [], required: () => [], parse: () => ({}) };

/** `dummy` and `ifb` (drivers/net/dummy.c, ifb.c): nothing to set but what every link has. */
export const plain: Family = { ...nothing, kinds: ["dummy", "ifb"] };

/** A link that is there already, of whatever sort. */
export const physical: Family = { ...nothing, kinds: ["physical"] };

/** `veth` (drivers/net/veth.c). How many queues an end has is said before `type`, its other end after. */
export const veth: Family = {
  kinds: ["veth"],
  options: [
    { of: ["peer"], create: () => [], change: () => [], differs: () => false },
    { of: ["index"], create: () => [], change: "again" },
    { of: ["rxQueues"], create: () => [], change: "again" },
    { of: ["txQueues"], create: () => [], change: "again" },
  ],
  required: () => ["peer"],
  parse: (_data, { ifindex, num_rx_queues: rxQueues, num_tx_queues: txQueues }, { index }) => ({
    // Every link has one; it is ours to look at where the program names it.
    ...(index !== undefined && { index: ifindex }),
    ...(rxQueues !== undefined && { rxQueues }),
    ...(txQueues !== undefined && { txQueues }),
  }),
};

/** `vlan` (net/8021q): a VLAN of the link below. Its tag is no part of the MTU. */
export const vlan: Family = {
  kinds: ["vlan"],
  options: [
    { of: ["link"], create: () => [], change: "again" },
    fixed("protocol", (protocol) => ["protocol", protocol]),
    fixed("vlanId", (id) => ["id", String(id)]),
  ],
  required: () => ["link", "vlanId"],
  parse(data, { link }) {
    const id = numberOf(data.id);
    return {
      ...(id !== undefined && { vlanId: id }),
      ...((data.protocol === "802.1Q" || data.protocol === "802.1ad") && { protocol: data.protocol }),
      ...(typeof link === "string" && { link }),
    };
  },
  overhead: () => 0,
};

const number = (property: "forwardDelay" | "ageingTime" | "priority", word: string) =>
  option(property, (value) => [word, String(value)]);

/** The spanning tree allows no delay below 200: a shorter one switches it off where nothing is said about it. */
const forwardDelay: LinkOption = {
  ...number("forwardDelay", "forward_delay"),
  change: ({ forwardDelay: delay = 1500 }, current, desired) => [
    ...(delay < 200 && current.stp === true && desired.stp === undefined ? stp.off : []),
    ...["forward_delay", String(delay)],
  ],
};

const stp = { on: ["stp_state", "1"], off: ["stp_state", "0"] } as const;

/** `bridge` (net/bridge/br_netlink.c). */
export const bridge: Family = {
  kinds: ["bridge"],
  options: [
    forwardDelay,
    option("stp", (on) => (on ? stp.on : stp.off), { create: (on) => (on ? stp.on : []) }),
    number("ageingTime", "ageing_time"),
    number("priority", "priority"),
    option("vlanFiltering", (on) => ["vlan_filtering", on ? "1" : "0"], {
      create: (on) => (on ? ["vlan_filtering", "1"] : []),
    }),
    option("multicastSnooping", (on) => ["mcast_snooping", on ? "1" : "0"], {
      create: (on) => (on ? [] : ["mcast_snooping", "0"]),
    }),
  ],
  required: () => [],
  parse(data) {
    const read = (property: string, field: string) => {
      const value = numberOf(data[field]);
      return value === undefined ? {} : { [property]: value };
    };
    const on = (property: string, field: string) => {
      const value = numberOf(data[field]);
      return value === undefined ? {} : { [property]: value !== 0 };
    };
    return {
      ...on("stp", "stp_state"),
      ...on("vlanFiltering", "vlan_filtering"),
      ...on("multicastSnooping", "mcast_snooping"),
      ...read("forwardDelay", "forward_delay"),
      ...read("ageingTime", "ageing_time"),
      ...read("priority", "priority"),
    };
  },
  // The kernel checks the delay against the spanning tree before it switches that off: off goes first, alone.
  lines: (words) => {
    const at = words.findIndex((word, index) => word === "stp_state" && words[index + 1] === "0");
    if (at < 0 || words.length === 2) return [words];
    return [stp.off, [...words.slice(0, at), ...words.slice(at + 2)]];
  },
};
