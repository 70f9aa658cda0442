/* SPDX-License-Identifier: GPL-2.0 */
/* Taking an outer header away, once all of it has been found right. */
#ifndef MUX_DECAP_H
#define MUX_DECAP_H

#include "outer.h"

/* The end these outer headers belong to. */
static __always_inline struct mux_end *
mux_find_pop(const struct mux_port *port, const struct mux_inner *in, __u32 *id)
{
	__u32 keyless = in->scope == MUX_POP_IPIP || in->scope == MUX_POP_GRE;
	__u32 scope = MUX_SCOPE(in->scope, port->table), kind = in->scope;
	__u64 daddr = (__u64)in->daddr << 32;
	struct mux_end *end;

	/* without a key it is the pair of outer addresses that tells tunnels apart */
	if (!in->v6) {
		end = mux_find4(port, kind, daddr | (keyless ? in->saddr : in->key), id);
		return end || !keyless ? end : mux_find4(port, kind, daddr, id);
	}
	if (keyless) {
		end = mux_find6(port, scope, in->addr[0], in->addr[1], in->addr[2],
				in->addr[3], id);
		if (end)
			return end;
	}
	return mux_find6(port, scope, in->key, 0, in->addr[2], in->addr[3], id);
}

/* Is there an entry in the allow-list for this source? */
__noinline int mux_source_listed(__u32 end, __u64 high, __u64 low)
{
	struct mux_source key = { .prefixlen = 160, .end = end };

	__builtin_memcpy(key.addr, &high, 8);
	__builtin_memcpy(key.addr + 8, &low, 8);
	return !!bpf_map_lookup_elem(&mux_sources, &key);
}

static __always_inline int
mux_source_allowed(const struct mux_end *end, __u32 id, const struct mux_inner *in)
{
	const struct mux_hop *hop;
	const __u64 *remote;

	if (end->flags & MUX_ANY_SOURCE)
		return 1;
	if (!in->v6) {
		if (in->saddr == end->remote)
			return 1;
		return mux_source_listed(id, 0, (__u64)in->saddr << 32 | 0xffff0000);
	}
	hop = end->hop ? mux_hop_of(end) : NULL;
	if (hop) {
		remote = (void *)hop->remote;
		if (remote[0] == in->addr[0] && remote[1] == in->addr[1])
			return 1;
	}
	return mux_source_listed(id, in->addr[0], in->addr[1]);
}

/* The UDP or GRE checksum at l4 of len bytes with what follows. */
__noinline int mux_csum_right(struct xdp_md *ctx, __u32 l4, __u32 len, __u64 pseudo)
{
	__s64 part = mux_sum(ctx, l4, len);

	return part >= 0 && mux_fold(part + pseudo) == 0xffff;
}

static __always_inline __u64 mux_pseudo(const struct mux_inner *in)
{
	__u64 sum = bpf_htons(IPPROTO_UDP) + bpf_htons((__u16)(in->stop - in->l4));
	__u32 i;

	if (!in->v6)
		return sum + in->saddr + in->daddr;
	for (i = 0; i < 4; i++)
		sum += (in->addr[i] >> 32) + (__u32)in->addr[i];
	return sum;
}

/* 0, or the reason for a drop. */
static __always_inline int
mux_check_csum(struct xdp_md *ctx, const struct mux_end *end, const struct mux_inner *in)
{
	__u32 udp = in->scope == MUX_POP_GENEVE || in->scope == MUX_POP_VXLAN;

	if (!in->csum) {
		if (udp && in->v6 && !(end->flags & MUX_CSUM_ZERO))
			return MUX_R_ZERO_CSUM;
		return 0;
	}
	if (end->flags & MUX_CSUM_TRUST)
		return 0;
	if (mux_csum_right(ctx, in->l4, in->stop - in->l4,
			   udp ? mux_pseudo(in) : 0))
		return 0;
	return MUX_R_BAD_CSUM;
}

/* Is the payload an IP packet of the family it is said to be, and all there? */
static __always_inline int
mux_inner_is_ip(const struct mux_inner *in, void *payload, void *data_end)
{
	__u32 *word = payload, avail = in->stop - in->trim, len;

	if ((void *)(word + 5) > data_end || avail < 20)
		return 0;
	if (in->type == bpf_htons(ETH_P_IP)) {
		len = bpf_ntohs((__u16)(word[0] >> 16));
		return (word[0] & 0xf0) == 0x40 && (word[0] & 0xf) >= 5 &&
		       len >= (word[0] & 0xf) * 4 && len <= avail;
	}
	len = 40 + bpf_ntohs((__u16)word[1]);
	return (word[0] & 0xf0) == 0x60 && len <= avail;
}

/*
 * RFC 6040 section 4.2: the inner ECN field after decapsulation, or -1 where
 * congestion was marked on a packet whose transport would not notice.
 */
static __always_inline int mux_ecn(__u32 outer, __u32 inner)
{
	if (outer == 3)
		return inner ? 3 : -1;
	if (outer == 1 && inner == 2)
		return 1;
	return inner;
}

/*
 * Brings outer ECN, and DSCP if wanted, to the inner IP header behind off.
 * With write 0 it only tells whether that can be done.
 */
__noinline int
mux_inner_tos(struct xdp_md *ctx, __u32 off, __u32 type, __u32 tos_dscp_write)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 outer = tos_dscp_write & 0xff, old, tos, i;
	struct mux_vlan *tag;
	struct iphdr *ip;
	__u32 *word;
	int ecn;

	if (off > MUX_TRIM_MAX)
		return 0;
	word = MUX_AT(data, off, 0x1ff);
	if (type == bpf_htons(MUX_ETH_P_TEB)) {
		if ((void *)word + sizeof(struct ethhdr) > data_end)
			return 0;
		type = *(__u16 *)((void *)word + 12);
		word = (void *)word + sizeof(struct ethhdr);
		for (i = 0; i < 2; i++) {
			if (type != bpf_htons(ETH_P_8021Q) &&
			    type != bpf_htons(ETH_P_8021AD))
				break;
			tag = (void *)word;
			if ((void *)(tag + 1) > data_end)
				return 0;
			type = tag->proto;
			word = (void *)(tag + 1);
		}
	}
	if ((void *)(word + 5) > data_end)
		return 0;
	if (type == bpf_htons(ETH_P_IP))
		old = word[0] >> 8 & 0xff;
	else if (type == bpf_htons(ETH_P_IPV6))
		old = bpf_ntohl(word[0]) >> 20 & 0xff;
	else
		return 0;
	ecn = mux_ecn(outer & 3, old & 3);
	if (ecn < 0)
		return -1;
	tos = ((tos_dscp_write & 0x100 ? outer : old) & 0xfc) | ecn;
	if (tos == old || !(tos_dscp_write & 0x200))
		return 0;
	if (type == bpf_htons(ETH_P_IP)) {
		ip = (void *)word;
		ip->check = mux_csum_change(ip->check, old << 8, tos << 8);
		ip->tos = tos;
	} else {
		word[0] = (word[0] & ~bpf_htonl(0xff << 20)) | bpf_htonl(tos << 20);
	}
	return 0;
}

/* Cuts the header off; nothing is left that could be wrong. */
static __always_inline int
mux_trim(struct xdp_md *ctx, const struct mux_end *end, const struct mux_inner *in,
	 __u32 flags, __u32 l3)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	const struct mux_hop *hop;
	__u32 macs_end = 0;
	__u64 macs = 0;

	if (in->len > in->stop &&
	    bpf_xdp_adjust_tail(ctx, -(int)(in->len - in->stop)))
		return -1;
	if (l3 || flags & (MUX_DMAC | MUX_SMAC)) {
		hop = mux_hop_of(end);
		data = (void *)(long)ctx->data;
		data_end = (void *)(long)ctx->data_end;
		if (!hop || data + sizeof(struct ethhdr) > data_end)
			return -1;
		macs = end->hop ? *(__u64 *)hop->dmac : *(__u64 *)data;
		macs_end = end->hop ? *(__u32 *)(hop->smac + 2) : *(__u32 *)(data + 8);
	}
	if (bpf_xdp_adjust_head(ctx, l3 ? in->trim - sizeof(struct ethhdr) : in->trim))
		return -1;
	if (!l3 && !(flags & (MUX_DMAC | MUX_SMAC)))
		return 0;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) > data_end)
		return -1;
	if (l3) {
		*(__u64 *)data = macs;
		*(__u32 *)(data + 8) = macs_end;
		*(__u16 *)(data + 12) = in->type;
		return 0;
	}
	if (flags & MUX_DMAC) {
		*(__u32 *)data = macs;
		*(__u16 *)(data + 4) = macs >> 32;
	}
	if (flags & MUX_SMAC) {
		*(__u16 *)(data + 6) = macs >> 48;
		*(__u32 *)(data + 8) = macs_end;
	}
	return 0;
}

/*
 * Returns an XDP action, or minus the reason why the frame is not one of our
 * tunnels', in which case it is as it came.
 */
static __always_inline int
mux_pop_ip(struct xdp_md *ctx, const struct mux_port *port, struct mux_inner *in)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 id, flags, l3, tos;
	struct mux_end *end;
	int rc;

	end = mux_find_pop(port, in, &id);
	if (end && end->protocol == MUX_ALIAS) {
		id = end->more;
		end = mux_line(port, id);
	}
	if (!end)
		return -MUX_R_UNKNOWN;
	flags = end->flags;
	if (!end->protocol)
		return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
	if (!mux_source_allowed(end, id, in))
		return MUX_DROP(ctx, id, MUX_R_WRONG_SOURCE, flags);
	if (in->critical)
		return MUX_DROP(ctx, id, MUX_R_CRITICAL, flags);
	rc = mux_check_csum(ctx, end, in);
	if (rc)
		return MUX_DROP(ctx, id, rc, flags);

	l3 = flags & MUX_L3 || in->scope == MUX_POP_IPIP;
	if (l3) {
		if (in->type != bpf_htons(ETH_P_IP) && in->type != bpf_htons(ETH_P_IPV6))
			return MUX_DROP(ctx, id, MUX_R_PROTO_TYPE, flags);
		if (!mux_inner_is_ip(in, MUX_AT(data, in->trim, 0x1ff), data_end))
			return MUX_DROP(ctx, id, MUX_R_INNER_BAD, flags);
	} else {
		if (in->type != bpf_htons(MUX_ETH_P_TEB))
			return MUX_DROP(ctx, id, MUX_R_PROTO_TYPE, flags);
		if (in->stop - in->trim < sizeof(struct ethhdr))
			return MUX_DROP(ctx, id, MUX_R_INNER_BAD, flags);
	}
	/* an outer Not-ECT or ECT(0) never changes the inner field */
	tos = in->tos | (flags & MUX_DSCP ? 0x100 : 0);
	if (tos & 0x101 && mux_inner_tos(ctx, in->trim, in->type, tos))
		return MUX_DROP(ctx, id, MUX_R_ECN, flags);
	if (flags & MUX_REDIRECT &&
	    bpf_redirect_map(&mux_devs, end->egress, 0) != XDP_REDIRECT)
		return MUX_DROP(ctx, id, MUX_R_NO_EGRESS, flags);
	if (tos & 0x101)
		mux_inner_tos(ctx, in->trim, in->type, tos | 0x200);
	if (mux_trim(ctx, end, in, flags, l3))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	return mux_sent(ctx, port, end, id, MUX_R_POP_REDIRECT, flags, in->len);
}

#endif
