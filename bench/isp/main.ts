import { Namespace, TunnelAllocation, TunnelPool } from "../../lib";
import { report } from "../support/report";
import { classes } from "./classes";
import { benchEndToEnd, type IspProgram } from "./end-to-end";
import { here, inLab } from "./ground";
import { benchShaping } from "./shaping";
import { benchTunnels } from "./tunnels";

const count = 10_000;
/** As many as a link for each can be made of in every run, in reasonable time. */
const sample = 500;

/** The tunnels of all subscribers, which end in a namespace and travel in the initial one. */
const tunnels: IspProgram = {
  of: "tunnels",
  declare: (host, subscribers) => {
    const served = new Namespace(host, "served", { forwarding: true });
    const allocation = TunnelAllocation.of(subscribers.all, { ipv4: "10.64.0.0/14" });
    new TunnelPool(served, "tunnels", { underlay: host, subscribers, allocation });
  },
};

/**
 * Ten thousand subscribers: what their tunnels cost the kernel of a lab machine, what their classes cost this one's,
 * and what they cost the engine.
 */
export async function isp(runs: number): Promise<boolean> {
  const parts = [
    await benchTunnels(sample, count, runs),
    { rows: [], figures: await benchShaping([10, 1000, count], runs) },
    await benchEndToEnd(tunnels, count, runs, inLab),
    await benchEndToEnd(classes, count, runs, here),
  ];
  return report(
    "isp",
    parts.flatMap(({ rows }) => rows),
    parts.flatMap(({ figures }) => figures),
  );
}
