import type { Finding } from "../../../lib/kinds/kind";
import { interfaceName } from "../../../lib/kinds/schemas";
import { contains, networkOf, overlaps, parseCidr } from "../../../lib/synth";
import { rateProblem } from "../values";
import type { IspInABoxProps } from "./props";

/** Defaults of the inner ways: the subnets that the original topology used. */
export const TRANSIT = { shaping: "172.16.1.0/30", uplink: "172.16.3.0/30" } as const;

/** What is wrong with the props of an ISP, apart from what the pieces it is made of find themselves. */
export function findingsOfProps(props: IspInABoxProps): Finding[] {
  const { bridge, shaper, uplinkRate, queues, subscribers } = props;
  const findings: Finding[] = [...transitFindings(props)];
  const add = (path: Finding["path"], message: string) => findings.push({ path, message });
  const nic = interfaceName.safeParse(props.uplink).error?.issues[0]?.message;
  if (nic !== undefined) add(["uplink"], nic);
  if (bridge !== "linux" && bridge !== "xdp") {
    add(["bridge"], `is ${JSON.stringify(bridge)}; it is "linux" or "xdp", one or the other`);
  } else if (bridge === "xdp" && props.onAStick !== undefined) {
    add(["bridge"], 'is "xdp", which joins the ends of veth pairs; a shaper on a stick has a Linux bridge');
  } else {
    const refused = shaper.refuses(bridge);
    if (refused !== undefined) add(["shaper"], refused);
  }
  for (const direction of ["download", "upload"] as const) {
    const problem = uplinkRate && rateProblem(uplinkRate[direction]);
    if (problem !== undefined) add(["uplinkRate", direction], problem);
  }
  if (queues !== undefined && !(Number.isInteger(queues) && queues >= 2 && queues <= 4096)) {
    add(["queues"], `is ${queues}; a shaping point has 2 to 4096 queues`);
  }
  const pairs = props.subscribersReachEachOther;
  if (Array.isArray(pairs)) {
    for (const [index, pair] of (pairs as readonly (readonly [string, string])[]).entries()) {
      for (const [side, subscriber] of pair.entries()) {
        if (subscribers.get(subscriber)?.client !== undefined) continue;
        const message = `names ${JSON.stringify(subscriber)}, and no subscriber with a tunnel has that id`;
        add(["subscribersReachEachOther", index, side], message);
      }
    }
  }
  return findings;
}

function transitFindings({ transit, tunnelPool }: IspInABoxProps): Finding[] {
  const { shaping, uplink } = { ...TRANSIT, ...transit };
  const taken = [
    { path: ["transit", "shaping"], text: shaping },
    { path: ["transit", "uplink"], text: uplink },
  ];
  const findings: Finding[] = [];
  for (const { path, text } of taken) {
    const subnet = parseCidr(text);
    if (subnet?.family !== 4 || subnet.prefix > 30 || networkOf(subnet) !== subnet.address) {
      findings.push({ path, message: `is ${JSON.stringify(text)}; it is an IPv4 subnet of /30 or larger` });
    }
  }
  if (findings.length > 0) return findings;
  const pools = typeof tunnelPool === "string" ? [tunnelPool] : [tunnelPool.ipv4, tunnelPool.ipv6];
  const rest = pools.flatMap((pool) => (pool === undefined ? [] : [{ path: ["tunnelPool"], text: pool }]));
  for (const [index, one] of taken.entries()) {
    for (const other of [...taken.slice(index + 1), ...rest]) {
      const [a, b] = [parseCidr(one.text), parseCidr(other.text)];
      if (a === undefined || b === undefined || a.family !== b.family || !overlaps(a, b)) continue;
      const message = `${one.text} overlaps ${other.path.join(".")} ${other.text}`;
      findings.push({
        path: one.path,
        message: contains(b, a) ? `${message}; choose another subnet` : message,
      });
    }
  }
  return findings;
}
