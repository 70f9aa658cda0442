// SPDX-License-Identifier: GPL-2.0
/*
 * Times the data plane as it is meant to be timed: each run calls the target 32
 * times and puts the packet back after each call, so that no call sees what the
 * one before has made of it. (BPF_PROG_TEST_RUN's own repeat does not put it
 * back: from the second run on, an encapsulating program sees its own output.)
 */
#define MUX_NO_PROGRAMS
#include "../../bpf/geneve-mux/geneve-mux.bpf.c"

#define CALLS	32
#define HEADERS	50	/* Ethernet, IPv4, UDP, Geneve */

struct bench {
	__u32 tunnels;
	__u32 pad;
	__u64 random;
	__u64 verdicts[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bench);
} bench SEC(".maps");

__noinline int target_push(struct xdp_md *ctx)
{
	return mux_run(ctx, MUX_PUSHES);
}

__noinline int target_pop(struct xdp_md *ctx)
{
	return mux_run(ctx, MUX_PORT_POP);
}

__noinline int target_empty(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
}

static __always_inline __u32 next(struct bench *b)
{
	__u64 x = b->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	b->random = x;
	return ((x >> 32) * b->tunnels) >> 32;
}

/* The Ethernet header of the frame as it first came. */
static __always_inline void restore(void *data)
{
	*(__u64 *)data = 0x0002000000000002ull;
	*(__u32 *)(data + 8) = 0x01000000;
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
}

enum { EMPTY, PUSH, POP };

/*
 * Makes the packet at p the next tunnel's. This happens before the head is moved
 * back, not right before the target reads it: a processor stalls on a load that
 * is wider than a store still on its way, which no packet from a NIC would cost.
 */
static __always_inline void address(struct bench *b, void *p, const int what)
{
	__u32 tunnel = next(b);

	if (what == POP) {
		*(__u32 *)(p + 46) = bpf_htonl(tunnel << 8);
		return;
	}
	*(__u32 *)(p + 30) = bpf_htonl(0x0a000000 + tunnel);
	*(__u16 *)(p + 34) = b->random;		/* source port */
}

static __always_inline int loop(struct xdp_md *ctx, const int what)
{
	__u32 zero = 0, i, verdict;
	struct bench *b = bpf_map_lookup_elem(&bench, &zero);
	void *data, *data_end;

	if (!b)
		return XDP_ABORTED;
	for (i = 0; i < CALLS; i++) {
		if (what == PUSH)
			verdict = target_push(ctx);
		else if (what == POP)
			verdict = target_pop(ctx);
		else
			verdict = target_empty(ctx);
		b->verdicts[verdict & 7]++;
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
		if (what == PUSH) {
			if (data + HEADERS + 36 > data_end)
				return XDP_ABORTED;
			address(b, data + HEADERS, what);
			if (bpf_xdp_adjust_head(ctx, HEADERS))
				return XDP_ABORTED;
		} else if (what == POP) {
			if (bpf_xdp_adjust_head(ctx, -HEADERS))
				return XDP_ABORTED;
		}
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
		if (data + HEADERS > data_end)
			return XDP_ABORTED;
		restore(data);
		if (what != PUSH)
			address(b, data, what);
	}
	return XDP_PASS;
}

SEC("xdp")
int bench_empty(struct xdp_md *ctx)
{
	return loop(ctx, EMPTY);
}

SEC("xdp")
int bench_push(struct xdp_md *ctx)
{
	return loop(ctx, PUSH);
}

SEC("xdp")
int bench_pop(struct xdp_md *ctx)
{
	return loop(ctx, POP);
}

/* One call, for looking at what comes out before anything is timed. */
SEC("xdp")
int once_push(struct xdp_md *ctx)
{
	return target_push(ctx);
}

SEC("xdp")
int once_pop(struct xdp_md *ctx)
{
	return target_pop(ctx);
}
