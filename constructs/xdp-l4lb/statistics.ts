import type { BpfStatistics } from "../bpf";

/** What became of packets, `enum lb_reason` of bpf/l4lb/lb.h; events of flows from `flow new` on. */
const REASONS = [
  ...["forwarded", "redirected", "echo answered", "too big, told"],
  ...["not IP", "short", "bad version", "no service", "ICMP, other", "ICMP, no flow"],
  ...["no backend", "fragment lost", "too big", "no route", "no neighbour", "no egress", "form", "headroom"],
  ...["flow new", "flow closed", "flow expired", "flow evicted", "flow moved", "flow untracked"],
];

/** What the balancer's program counts, besides services and backends. */
export const REASON_STATISTICS: Readonly<Record<string, BpfStatistics>> = {
  reasons: {
    map: "lb_stats",
    key: { reason: "u32" },
    value: { packets: "u64", bytes: "u64" },
    names: { reason: REASONS },
  },
};
