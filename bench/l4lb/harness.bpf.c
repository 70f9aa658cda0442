// SPDX-License-Identifier: GPL-2.0
/*
 * Times the load balancer: after each call of the target the outer header is
 * taken off again and the frame made that of another flow.
 */
#define LB_NO_PROGRAMS
#define LB_REGIONS	262144	/* 4,194,304 flows: four places for each of a million */
#include "../../bpf/l4lb/l4lb.bpf.c"
#include "../support/harness.bpf.h"

#define HEADER	20		/* IPv4 in IPv4 */

__noinline int target_lb(struct xdp_md *ctx)
{
	return lb_run(ctx);
}

__noinline int target_empty(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
}

/*
 * What it is compared with: a load balancer as it is usually written. A hash map
 * of services, an LRU hash map of flows, a ring, an array of backends, per-CPU
 * counters. It does no more than that: no states of flows, no time, no size
 * check, one next hop.
 */
struct usual_vip {
	__u32 address;
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

struct usual_flow {
	__u32 saddr;
	__u32 daddr;
	__u32 ports;
	__u32 protocol;
};

struct usual_stat {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, struct usual_vip);
	__type(value, __u32);
} usual_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4194304);
	__type(key, struct usual_flow);
	__type(value, __u32);
} usual_flows SEC(".maps");

LB_ARRAY(usual_ring, 65537, __u32);
LB_ARRAY(usual_backends, 4096, __u32);
LB_PERCPU(usual_stats, 4096, struct usual_stat);

__noinline int target_usual(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 *w = data + LB_ETH, *backend, *vip, id, at, len = data_end - data, tot;
	struct usual_flow flow = {};
	struct usual_stat *stat;
	struct usual_vip key;
	const __u32 *address;
	__u8 macs[12];

	if (data + LB_ETH + 40 > data_end || *(__u16 *)(data + 12) != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	flow.saddr = w[3];
	flow.daddr = w[4];
	flow.ports = w[5];
	flow.protocol = w[2] >> 8 & 0xff;
	key.address = flow.daddr;
	key.port = flow.ports >> 16;
	key.protocol = flow.protocol;
	key.pad = 0;
	vip = bpf_map_lookup_elem(&usual_vips, &key);
	if (!vip)
		return XDP_PASS;
	backend = bpf_map_lookup_elem(&usual_flows, &flow);
	if (backend) {
		id = *backend;
	} else {
		at = (lb_spread(0, flow.saddr, flow.ports) * 65537ull) >> 32;
		backend = bpf_map_lookup_elem(&usual_ring, &at);
		if (!backend)
			return XDP_DROP;
		id = *backend;
		bpf_map_update_elem(&usual_flows, &flow, &id, BPF_ANY);
	}
	address = bpf_map_lookup_elem(&usual_backends, &id);
	if (!address)
		return XDP_DROP;
	tot = bpf_ntohs((__u16)(w[0] >> 16)) + HEADER;
	__builtin_memcpy(macs, data + 6, 6);
	__builtin_memcpy(macs + 6, data, 6);
	if (bpf_xdp_adjust_head(ctx, -HEADER))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + LB_ETH + HEADER > data_end)
		return XDP_DROP;
	__builtin_memcpy(data, macs, 12);
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
	lb_write_v4(data + LB_ETH, 0, tot, 64, IPPROTO_IPIP, flow.saddr, *address);
	at = *vip;
	stat = bpf_map_lookup_elem(&usual_stats, &at);
	if (stat) {
		stat->packets++;
		stat->bytes += len;
	}
	at = id + 1024;
	stat = bpf_map_lookup_elem(&usual_stats, &at);
	if (stat) {
		stat->packets++;
		stat->bytes += len;
	}
	return XDP_TX;
}

/* Ethernet as it first came. */
static __always_inline void restore(void *data)
{
	*(__u64 *)data = 0x0002000000000002ull;
	*(__u32 *)(data + 8) = 0x01000000;
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
}

enum { EMPTY, LB, USUAL };

static __always_inline __u32 call(struct xdp_md *ctx, const int what)
{
	if (what == LB)
		return target_lb(ctx);
	return what == USUAL ? target_usual(ctx) : target_empty(ctx);
}

/*
 * Takes off what the target has put on, and makes the frame that of a flow: from
 * 10.0.0.0 + flow. The address is written before the head is moved back, not
 * right before the target reads it: a processor stalls on a load that is wider
 * than a store still on its way, which no packet from a NIC would cost.
 */
static __always_inline int next_frame(struct xdp_md *ctx, __u32 flow, const int what)
{
	const __u32 header = what == EMPTY ? 0 : HEADER;
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;

	if (data + header + 48 > data_end)
		return -1;
	*(__u32 *)(data + header + 26) = bpf_htonl(0x0a000000 + flow);
	if (header && bpf_xdp_adjust_head(ctx, header))
		return -1;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + 14 > data_end)
		return -1;
	restore(data);
	return 0;
}

/* fresh: each call is a flow's that has not been seen; twice: it is called again. */
static __always_inline int
loop(struct xdp_md *ctx, const int what, const int fresh, const int twice)
{
	__u32 zero = 0, i, verdict;
	struct bench *b = bpf_map_lookup_elem(&bench, &zero);

	if (!b)
		return XDP_ABORTED;
	for (i = 0; i < CALLS; i++) {
		verdict = call(ctx, what);
		if (twice) {
			if (next_frame(ctx, b->pad, what))
				return XDP_ABORTED;
			verdict = call(ctx, what);
		}
		b->verdicts[verdict & 7]++;
		if (next_frame(ctx, fresh ? ++b->pad : next(b), what))
			return XDP_ABORTED;
	}
	return XDP_PASS;
}

#define BENCH(name, what, fresh, twice)			\
SEC("xdp")						\
int bench_##name(struct xdp_md *ctx)			\
{							\
	return loop(ctx, what, fresh, twice);		\
}

BENCH(empty, EMPTY, 0, 0)
BENCH(lb, LB, 0, 0)
BENCH(usual, USUAL, 0, 0)
BENCH(new_lb, LB, 1, 0)
BENCH(new_usual, USUAL, 1, 0)
/* Makes the table know the flows, and confirms them, before they are timed. */
BENCH(fill_lb, LB, 1, 1)
BENCH(fill_usual, USUAL, 1, 1)

/* One call, for looking at what comes out before anything is timed. */
SEC("xdp")
int once_lb(struct xdp_md *ctx)
{
	return target_lb(ctx);
}

SEC("xdp")
int once_usual(struct xdp_md *ctx)
{
	return target_usual(ctx);
}
