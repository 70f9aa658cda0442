/* SPDX-License-Identifier: GPL-2.0 */
/* Wrapping a packet and handing it to the next hop. */
#ifndef L4LB_FORWARD_H
#define L4LB_FORWARD_H

#include "count.h"
#include "flows.h"
#include "icmp.h"

#define LB_AF_INET	2
#define LB_AF_INET6	10
#define LB_GUE_LEN	4

/* 1 if the address is one of IPv4, else 0 */
static __always_inline __u64 lb_is_v4(const __u8 *address)
{
	const __u64 *half = (const void *)address;

	return lb_is_zero(half[0] | (__u32)(half[1] ^ LB_MAPPED));
}

/*
 * Asks the routing table for the way to a backend and keeps the answer. Two CPUs
 * may do so at once; while a next hop changes, a frame may leave with the old
 * one's MAC, as it might have a moment earlier. Returns 0, or the reason why
 * there is no way.
 */
__noinline int lb_resolve(struct xdp_md *ctx, __u32 id)
{
	struct bpf_fib_lookup fib = { .ifindex = ctx->ingress_ifindex };
	const struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &id);
	struct lb_hop *hop = bpf_map_lookup_elem(&lb_hops, &id);
	const struct lb_control *control = lb_control_now();
	const struct lb_clock *clock = lb_clock_now();
	long rc;

	if (!backend || !hop || !control || !clock)
		return LB_R_NO_ROUTE;
	if (lb_is_v4(backend->address)) {
		fib.family = LB_AF_INET;
		fib.ipv4_dst = *(__be32 *)(backend->address + 12);
		if (lb_is_v4(backend->source))
			fib.ipv4_src = *(__be32 *)(backend->source + 12);
	} else {
		fib.family = LB_AF_INET6;
		__builtin_memcpy(fib.ipv6_dst, backend->address, 16);
		__builtin_memcpy(fib.ipv6_src, backend->source, 16);
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH)
		return LB_R_NO_NEIGHBOUR;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS)
		return LB_R_NO_ROUTE;
	__builtin_memcpy(hop->dmac, fib.dmac, 6);
	__builtin_memcpy(hop->smac, fib.smac, 6);
	hop->egress = fib.ifindex;
	hop->generation = backend->generation;
	hop->resolved = bpf_jiffies64();
	hop->valid = control->hold * clock->hz / 1000;
	return 0;
}

/* Is a way known that still holds? */
static __always_inline int
lb_is_resolved(const struct lb_hop *hop, const struct lb_backend *backend)
{
	return (__u32)bpf_jiffies64() - hop->resolved < hop->valid &&
	       hop->generation == backend->generation;
}

/* MACs of the frame as it leaves: the destination's six bytes, then the source's. */
struct lb_macs {
	__u64	dst_src;	/* and the first two of the source */
	__u32	src;		/* the other four */
	__u32	egress;		/* 0 = the interface it came in at */
};

/* Given by the backend, or those of the frame, or what the routing table said. */
static __always_inline void
lb_macs_of(struct lb_macs *macs, const void *frame, const struct lb_backend *backend,
	   const struct lb_hop *hop, __u32 ingress)
{
	__u64 given = backend->flags / LB_NEXT_MAC & 1, back = backend->flags / LB_NEXT_BACK & 1;
	__u64 from = *(const __u32 *)(frame + 6) | (__u64)*(const __u16 *)(frame + 10) << 32;
	__u64 mac = *(const __u64 *)backend->mac & 0xffffffffffffull;

	given |= back;
	mac = lb_select(back, from, mac) | (__u64)*(const __u16 *)frame << 48;
	macs->dst_src = lb_select(given, mac, *(const __u64 *)hop->dmac);
	macs->src = lb_select(given, *(const __u32 *)(frame + 2),
			      *(const __u32 *)(hop->smac + 2));
	macs->egress = lb_select(given | lb_is_zero(hop->egress ^ ingress), 0, hop->egress);
}

static __always_inline void lb_write_macs(void *data, const struct lb_macs *macs)
{
	*(__u64 *)data = macs->dst_src;
	*(__u32 *)(data + 8) = macs->src;
}

static __always_inline __u32 lb_header_len(const struct lb_backend *backend, __u32 v4)
{
	__u32 len = lb_select(v4, 20, 40);
	__u32 direct = backend->flags / LB_GUE_DIRECT & 1;

	len += lb_select(lb_is_zero(backend->form ^ LB_GUE), 8 + LB_GUE_LEN * (1 - direct), 0);
	return lb_select(lb_is_zero(backend->form ^ LB_MAC), 0, len);
}

/* The outer tos: ECN is the inner one's always (RFC 6040 normal mode). */
static __always_inline __u32 lb_outer_tos(const struct lb_backend *backend, __u32 tos)
{
	return lb_select(backend->flags / LB_TOS & 1, (backend->tos & 0xfc) | (tos & 3), tos);
}

/* total: of the outer packet. Identification 0 and Don't Fragment (RFC 6864). */
static __always_inline void
lb_write_v4(__u32 *word, __u32 tos, __u32 total, __u32 ttl, __u32 protocol, __u32 src,
	    __u32 dst)
{
	__u32 w0 = 0x45 | tos << 8 | bpf_htons((__u16)total) << 16;
	__u32 w1 = bpf_htons(0x4000) << 16;
	__u32 w2 = lb_or(ttl, 64) | protocol << 8;

	w2 |= (__u32)(__u16)~lb_fold((__u64)w0 + w1 + w2 + src + dst) << 16;
	word[0] = w0;
	word[1] = w1;
	word[2] = w2;
	word[3] = src;
	word[4] = dst;
}

/* Ports and, of version 0, the GUE header; the checksum is zero. */
static __always_inline void
lb_write_gue(__u32 *word, const struct lb_backend *backend, __u32 spread, __u32 len,
	     __u32 v6)
{
	word[0] = bpf_htons((__u16)(0xc000 | spread >> 18)) | (__u32)backend->port << 16;
	word[1] = bpf_htons((__u16)len);
	if (!(backend->flags & LB_GUE_DIRECT))
		word[2] = lb_select(v6, IPPROTO_IPV6, IPPROTO_IPIP) << 8;
}

/* The checksum of the UDP header behind an IPv6 one, of len bytes with its payload. */
__noinline int lb_fill_csum(struct xdp_md *ctx, __u32 len)
{
	__s64 part = lb_sum(ctx, LB_ETH + 40, len);
	void *data, *data_end;
	__u64 sum = part;
	__u32 i, *addr;
	__u16 csum;

	if (part < 0)
		return -1;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + LB_ETH + 48 > data_end)
		return -1;
	addr = data + LB_ETH + 8;
	for (i = 0; i < 8; i++)
		sum += addr[i];
	sum += bpf_htons(IPPROTO_UDP) + bpf_htons((__u16)len);
	csum = ~lb_fold(sum);
	*(__u16 *)(data + LB_ETH + 46) = csum ? csum : 0xffff;
	return 0;
}

static __always_inline int
lb_refuse_big(struct xdp_md *ctx, const struct lb_backend *backend, __u32 id, __u32 v6,
	      int mtu, __u32 len)
{
	if (mtu < 68 || lb_too_big(ctx, v6, mtu, len))
		return lb_drop(backend->service, id, LB_R_TOO_BIG, len);
	return lb_count(LB_R_TOO_BIG_TOLD, XDP_TX, len);
}

/* The way out: verdict, or LB_R_NO_EGRESS negated. */
static __always_inline int lb_leave(const struct lb_macs *macs)
{
	if (!macs->egress)
		return XDP_TX;
	if (bpf_redirect_map(&lb_devs, macs->egress, 0) != XDP_REDIRECT)
		return -LB_R_NO_EGRESS;
	return XDP_REDIRECT;
}

/*
 * The outer header of IPv4 and what is between it and the packet. inner is the
 * packet's first word; src the outer source.
 */
static __always_inline void
lb_write_outer_v4(void *data, const struct lb_backend *backend, __u32 v6, __u32 tos,
		  __u32 total, __u32 src, __u32 spread)
{
	__u64 gue = lb_is_zero(backend->form ^ LB_GUE);
	__u32 protocol = lb_select(gue, IPPROTO_UDP, lb_select(v6, IPPROTO_IPV6, IPPROTO_IPIP));

	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
	lb_write_v4(data + LB_ETH, lb_outer_tos(backend, tos), total, backend->ttl, protocol,
		    src, *(__u32 *)(backend->address + 12));
	if (gue)
		lb_write_gue(data + LB_ETH + 20, backend, spread, total - 20, v6);
}

static __always_inline __u32
lb_source_v4(const struct lb_backend *backend, __u32 client, __u32 spread)
{
	__u32 own = *(const __u32 *)(backend->source + 12);

	own = lb_select(backend->flags / LB_SOURCE_FLOW & 1,
			(own & 0xffff) | (spread & 0xffff0000), own);
	return lb_select(backend->flags / LB_SOURCE_CLIENT & 1, client, own);
}

/* The packet's length and tos, by its own header. */
static __always_inline __u32 lb_l3_len(const __u32 *word, __u32 v6)
{
	return lb_select(v6, 40 + bpf_ntohs((__u16)word[1]), bpf_ntohs((__u16)(word[0] >> 16)));
}

static __always_inline __u32 lb_l3_tos(const __u32 *word, __u32 v6)
{
	return lb_select(v6, bpf_ntohl(word[0]) >> 20 & 0xff, word[0] >> 8 & 0xff);
}

/*
 * Writes the outer header in front of a packet for which room has been made, of
 * a frame that was long enough for the header it has.
 */
__noinline int lb_wrap_v4(struct xdp_md *ctx, __u32 id, __u32 v6, __u32 spread)
{
	const struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &id);
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 header, *word;

	if (!backend)
		return -1;
	header = lb_header_len(backend, 1);
	word = LB_AT(data, LB_ETH + header, 0x3f);
	if (data + LB_ETH + 32 > data_end || (void *)(word + 5) > data_end)
		return -1;
	lb_write_outer_v4(data, backend, v6, lb_l3_tos(word, v6), lb_l3_len(word, v6) + header,
			  lb_source_v4(backend, word[3], spread), spread);
	return 0;
}

__noinline int lb_wrap_v6(struct xdp_md *ctx, __u32 id, __u32 v6, __u32 spread)
{
	const struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &id);
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 header, *word, *outer = data + LB_ETH, protocol, len, i;
	__u64 gue, client;

	if (!backend)
		return -1;
	header = lb_header_len(backend, 0);
	word = LB_AT(data, LB_ETH + header, 0x7f);
	/* an IPv4 packet with eight bytes of something is long enough to be read as well */
	if (data + LB_ETH + 52 > data_end || (void *)(word + 7) > data_end)
		return -1;
	gue = lb_is_zero(backend->form ^ LB_GUE);
	client = backend->flags / LB_SOURCE_CLIENT & 1;
	protocol = lb_select(gue, IPPROTO_UDP, lb_select(v6, IPPROTO_IPV6, IPPROTO_IPIP));
	len = lb_l3_len(word, v6) + header - 40;
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IPV6);
	outer[0] = bpf_htonl(6u << 28 | lb_outer_tos(backend, lb_l3_tos(word, v6)) << 20 |
			     spread >> 12);
	outer[1] = bpf_htons((__u16)len) | protocol << 16 |
		   (__u32)lb_or(backend->ttl, 64) << 24;
	for (i = 0; i < 3; i++)
		outer[2 + i] = lb_select(client, word[2 + i],
					 *(const __u32 *)(backend->source + 4 * i));
	outer[5] = lb_select(backend->flags / LB_SOURCE_FLOW & 1, spread,
			     *(const __u32 *)(backend->source + 12));
	outer[5] = lb_select(client, word[5], outer[5]);
	__builtin_memcpy(outer + 6, backend->address, 16);
	if (!gue)
		return 0;
	lb_write_gue(outer + 10, backend, spread, len, v6);
	return backend->flags & LB_CSUM_ZERO ? 0 : lb_fill_csum(ctx, len);
}

/*
 * Sends a packet to a backend. Everything is decided before the first byte is
 * changed. Returns the verdict.
 */
__noinline int lb_forward(struct xdp_md *ctx, __u32 id, __u32 v6, __u32 spread)
{
	const struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &id);
	struct lb_hop *hop = bpf_map_lookup_elem(&lb_hops, &id);
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 frame = data_end - data, total, v4, header;
	struct lb_macs macs;
	int verdict;

	if (!backend || !hop || data + LB_ETH + 28 > data_end)
		return lb_count(LB_R_SHORT, XDP_PASS, frame);
	v4 = lb_is_v4(backend->address);
	header = lb_header_len(backend, v4);
	total = lb_l3_len(data + LB_ETH, v6) + header;
	/* with an mtu of 0 anything is small enough */
	if (total - 1 > (__u16)(backend->mtu - 1))
		return lb_refuse_big(ctx, backend, id, v6, backend->mtu - header, frame);
	if (!backend->form || backend->form > LB_MAC ||
	    (header && backend->flags & LB_SOURCE_CLIENT && v6 == v4))
		return lb_drop(backend->service, id, LB_R_FORM, frame);
	if (!(backend->flags & (LB_NEXT_MAC | LB_NEXT_BACK)) && !lb_is_resolved(hop, backend)) {
		verdict = lb_resolve(ctx, id);
		if (verdict)
			return lb_drop(backend->service, id, verdict, frame);
	}
	lb_macs_of(&macs, data, backend, hop, ctx->ingress_ifindex);
	verdict = lb_leave(&macs);
	if (verdict < 0)
		return lb_drop(backend->service, id, LB_R_NO_EGRESS, frame);
	if (header && bpf_xdp_adjust_head(ctx, -(int)header))
		return lb_drop(backend->service, id, LB_R_HEADROOM, frame);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + LB_ETH > data_end)
		return XDP_ABORTED;
	lb_write_macs(data, &macs);
	if (header && (v4 ? lb_wrap_v4(ctx, id, v6, spread) : lb_wrap_v6(ctx, id, v6, spread)))
		return lb_drop(backend->service, id, LB_R_TOO_BIG, frame);
	lb_count_sent(backend->service, id, verdict, frame);
	return verdict;
}

#endif
