// SPDX-License-Identifier: GPL-2.0
/*
 * Times the data plane: each call of the target is followed by putting the packet
 * back, and by another tunnel's address.
 */
#define MUX_NO_PROGRAMS
#include "../../bpf/geneve-mux/geneve-mux.bpf.c"
#include "../support/harness.bpf.h"

#define HEADERS	50	/* Ethernet, IPv4, UDP, Geneve */

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

/*
 * What it is compared with: encapsulation as it is usually written. A hash map
 * from the inner addresses to the outer headers as 50 finished bytes, of which
 * length and checksum are filled in, and a per-CPU map of counters. It does no
 * more than that: one source port, one TTL, no DSCP, no ECN, no size check.
 */
struct usual_key {
	__u32 saddr;
	__u32 daddr;
};

struct usual_header {
	__u8 bytes[56];
	__u32 egress;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct usual_key);
	__type(value, struct usual_header);
} usual SEC(".maps");

__noinline int target_usual(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	const struct usual_header *header;
	struct iphdr *ip = data + 14;
	__u32 len = data_end - data;
	struct usual_key key;
	__u64 sum = 0;
	__u32 i;

	if (data + 34 > data_end || ((struct ethhdr *)data)->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	key.saddr = ip->saddr;
	key.daddr = ip->daddr;
	header = bpf_map_lookup_elem(&usual, &key);
	if (!header || bpf_xdp_adjust_head(ctx, -HEADERS))
		return XDP_PASS;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + 56 > data_end)
		return XDP_ABORTED;
	for (i = 0; i < 6; i++)
		((__u64 *)data)[i] = ((const __u64 *)header->bytes)[i];
	*(__u16 *)(data + 48) = *(const __u16 *)(header->bytes + 48);
	ip = data + 14;
	ip->tot_len = bpf_htons(len + 36);
	*(__u16 *)(data + 38) = bpf_htons(len + 16);
	for (i = 0; i < 10; i++)
		sum += ((__u16 *)ip)[i];
	ip->check = ~mux_fold(sum);
	mux_stat(MUX_R_PUSH_REDIRECT, 0, len);
	return bpf_redirect_map(&mux_devs, header->egress, 0);
}

/* The Ethernet header of the frame as it first came. */
static __always_inline void restore(void *data)
{
	*(__u64 *)data = 0x0002000000000002ull;
	*(__u32 *)(data + 8) = 0x01000000;
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
}

enum { EMPTY, PUSH, POP, USUAL };

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
		else if (what == USUAL)
			verdict = target_usual(ctx);
		else
			verdict = target_empty(ctx);
		b->verdicts[verdict & 7]++;
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
		if (what == PUSH || what == USUAL) {
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
		if (what != PUSH && what != USUAL)
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
int bench_usual(struct xdp_md *ctx)
{
	return loop(ctx, USUAL);
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
int once_usual(struct xdp_md *ctx)
{
	return target_usual(ctx);
}

SEC("xdp")
int once_pop(struct xdp_md *ctx)
{
	return target_pop(ctx);
}
