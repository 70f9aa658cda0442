import { spawnSync } from "node:child_process";

/** Packets that each class of a link has sent, as `tc -s class show` counts them. */
export function readClassCounters(netns: string, link: string): ReadonlyMap<string, number> {
  const { stdout } = spawnSync("tc", ["-n", netns, "-s", "class", "show", "dev", link], { encoding: "utf8" });
  const counted = [...stdout.matchAll(/^class htb (\S+) [^\n]*\n Sent \d+ bytes (\d+) pkt/gm)];
  return new Map(counted.map(([, id = "", packets]) => [id, Number(packets)]));
}
