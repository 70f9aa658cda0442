import type { Finding } from "../../../lib/kinds/kind";
import { interfaceName } from "../../../lib/kinds/schemas";
import { networkOf, overlaps, parseCidr } from "../../../lib/synth";
import { rateProblem } from "../values";
import type { IspInABoxProps } from "./props";
import { poolsOf, TRANSIT } from "./ways";

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

/** The inner ways: subnets of their family that overlap neither each other nor the pools. */
function transitFindings(props: IspInABoxProps): Finding[] {
  const pools = poolsOf(props);
  const subnets = { ...TRANSIT, ...props.transit };
  const named = (["shaping", "uplink", "shaping6", "uplink6"] as const).filter((name) =>
    name.endsWith("6") ? pools.ipv6 !== undefined : pools.ipv4 !== undefined,
  );
  const findings = named.flatMap((name): Finding[] => {
    const [family, most] = name.endsWith("6") ? ([6, 126] as const) : ([4, 30] as const);
    const subnet = parseCidr(subnets[name]);
    const isSubnet =
      subnet?.family === family && subnet.prefix <= most && networkOf(subnet) === subnet.address;
    if (isSubnet) return [];
    const message = `is ${JSON.stringify(subnets[name])}; it is an IPv${family} subnet of /${most} or larger`;
    return [{ path: ["transit", name], message }];
  });
  if (findings.length > 0) return findings;
  const taken = named.map((name) => ({ path: ["transit", name], text: subnets[name] }));
  const rest = [pools.ipv4, pools.ipv6].flatMap((pool) =>
    pool === undefined ? [] : [{ path: ["tunnelPool"], text: pool }],
  );
  return taken.flatMap((one, index) =>
    [...taken.slice(index + 1), ...rest].flatMap((other): Finding[] => {
      const [a, b] = [parseCidr(one.text), parseCidr(other.text)];
      if (a === undefined || b === undefined || a.family !== b.family || !overlaps(a, b)) return [];
      return [
        {
          path: one.path,
          message: `${one.text} overlaps ${other.path.join(".")} ${other.text}: choose another`,
        },
      ];
    }),
  );
}
