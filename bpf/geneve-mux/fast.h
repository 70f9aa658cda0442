/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The short way for what most packets are: TCP or UDP over IPv4 in an Ethernet
 * frame, to or from a Geneve or VXLAN tunnel over IPv4 that asks for nothing out
 * of the ordinary. Whatever else turns up, MUX_NOT_FAST hands the packet,
 * untouched, to the general code, which decides everything anew.
 */
#ifndef MUX_FAST_H
#define MUX_FAST_H

#include "vlan.h"

#define MUX_NOT_FAST	(-1)

/* In the word of flags, protocol and TTL. */
#define MUX_UDP_MASK	0xfe0000	/* Geneve or VXLAN */
#define MUX_UDP		0x020000
#define MUX_SLOW_PUSH	(MUX_V6 | MUX_L3 | MUX_DEBUG | MUX_DF_INHERIT | MUX_CSUM | \
			 MUX_DMAC | MUX_SMAC | MUX_DSCP | MUX_ECN_COMPAT | MUX_OPTIONS)
#define MUX_SLOW_POP	(MUX_V6 | MUX_L3 | MUX_DEBUG | MUX_DMAC | MUX_SMAC | MUX_DSCP)

static __always_inline int
mux_fast_sent(const struct mux_port *port, struct mux_end *end, __u32 reason,
	      __u32 flags, __u32 len)
{
	int action = XDP_REDIRECT;

	if (!(flags & MUX_REDIRECT)) {
		action = XDP_PASS;
		reason++;
	}
	if (port->stride) {
		end->packets++;
		end->bytes += len;
	} else {
		__sync_fetch_and_add(&end->packets, 1);
		__sync_fetch_and_add(&end->bytes, len);
	}
	return mux_stat(reason, action, len);
}

static __always_inline int
mux_push_fast(struct xdp_md *ctx, const struct mux_port *port)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 len = data_end - data, w0, w2, word, total, ttl, id, at, ports;
	struct mux_end *end = NULL;
	struct mux_hop *hop;
	__u64 addrs, sum;

	if (data + 38 > data_end)
		return MUX_NOT_FAST;
	w0 = *(__u32 *)(data + 14);
	if (*(__u16 *)(data + 12) != bpf_htons(ETH_P_IP) || (w0 & 0xff) != 0x45)
		return MUX_NOT_FAST;
	/* a length below 20 wraps, and so is too large as well */
	if (bpf_ntohs((__u16)(w0 >> 16)) - 20u > len - 34 ||
	    *(__u16 *)(data + 20) & bpf_htons(MUX_FRAG))
		return MUX_NOT_FAST;
	w2 = *(__u16 *)(data + 22);
	if (w2 >> 8 != IPPROTO_TCP && w2 >> 8 != IPPROTO_UDP)
		return MUX_NOT_FAST;
	addrs = *(__u64 *)(data + 26);

	/* one search; where both are in use and the pair is unknown, the long way */
	if (port->flags & MUX_PORT_PAIR)
		end = mux_find4(port, MUX_BY_PAIR, addrs, &id);
	else if (port->flags & MUX_PORT_HOST)
		end = mux_find4(port, MUX_BY_HOST, addrs >> 32 << 32, &id);
	if (!end)
		return MUX_NOT_FAST;
	word = *(__u32 *)&end->flags;
	total = len + 36;
	if ((word & (MUX_SLOW_PUSH | MUX_UDP_MASK | MUX_DF)) != (MUX_UDP | MUX_DF) ||
	    total > end->mtu)
		return MUX_NOT_FAST;
	ttl = word >> 24 ? word >> 24 : w2 & 0xff;
	at = end->hop;
	hop = bpf_map_lookup_elem(&mux_hops, &at);
	if (!ttl || !hop || mux_needs_route(hop))
		return MUX_NOT_FAST;
	/* as mux_flow_hash() of the general code, so that a flow stays one */
	ports = *(__u32 *)&end->sport;
	if (!(ports & 0xffff)) {
		sum = (addrs ^ *(__u32 *)(data + 34) * MUX_K1) * MUX_K2;
		ports |= bpf_htons((__u16)(0xc000 | sum >> 50));
	}
	if (word & MUX_REDIRECT) {
		if (bpf_redirect_map(&mux_devs, hop->egress, 0) != XDP_REDIRECT)
			return MUX_NOT_FAST;
		if (port->flags & MUX_PORT_FILL && mux_fill_inner(ctx, 14, 0))
			return MUX_NOT_FAST;
	}
	if (bpf_xdp_adjust_head(ctx, -50))
		return MUX_NOT_FAST;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + 50 > data_end)
		return XDP_ABORTED;
	*(__u64 *)data = *(__u64 *)hop->dmac;
	*(__u32 *)(data + 8) = *(__u32 *)(hop->smac + 2);
	*(__u16 *)(data + 12) = bpf_htons(ETH_P_IP);
	w0 = 0x45 | (w0 & 0xff00) | bpf_htons((__u16)total) << 16;
	w2 = ttl | IPPROTO_UDP << 8;
	addrs = *(__u64 *)&end->local;
	sum = (addrs >> 32) + (__u32)addrs + w0 + w2 + (bpf_htons(MUX_DONT_FRAG) << 16);
	sum = (sum >> 32) + (__u32)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	*(__u32 *)(data + 14) = w0;
	*(__u32 *)(data + 18) = bpf_htons(MUX_DONT_FRAG) << 16;
	*(__u32 *)(data + 22) = w2 | (__u32)(__u16)~sum << 16;
	*(__u64 *)(data + 26) = addrs;
	*(__u32 *)(data + 34) = ports;
	*(__u32 *)(data + 38) = bpf_htons((__u16)(total - 20));
	*(__u32 *)(data + 42) = (word >> 16 & 0xff) == MUX_GENEVE ?
				bpf_htons(MUX_ETH_P_TEB) << 16 : MUX_VXLAN_VNI;
	*(__u32 *)(data + 46) = bpf_htonl(end->vni << 8);
	return mux_fast_sent(port, end, MUX_R_PUSH_REDIRECT, word, len);
}

static __always_inline int
mux_pop_fast(struct xdp_md *ctx, const struct mux_port *port)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 len = data_end - data, *w = data + 14, word, tunnel, scope, trim = 50, id;
	struct mux_end *end;
	__u64 addrs, sum;

	/* w: 5 words of IPv4, 2 of UDP, 2 of the tunnel; and an Ethernet header */
	if (data + 50 + 14 > data_end || *(__u16 *)(data + 12) != bpf_htons(ETH_P_IP))
		return MUX_NOT_FAST;
	addrs = *(__u64 *)(w + 3);
	sum = (addrs >> 32) + (__u32)addrs + w[0] + w[1] + w[2];
	sum = (sum >> 32) + (__u32)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	/* no options, whole, no padding, UDP, no congestion seen, no UDP checksum */
	if ((w[0] & 0x1ff) != (0x45 & 0x1ff) ||
	    bpf_ntohs((__u16)(w[0] >> 16)) + 14 != len ||
	    w[1] >> 16 & bpf_htons(MUX_FRAG) || (w[2] >> 8 & 0xff) != IPPROTO_UDP ||
	    sum != 0xffff || w[6] != bpf_htons((__u16)(len - 34)))
		return MUX_NOT_FAST;
	tunnel = w[7];
	if (w[5] >> 16 == port->geneve_port) {
		/* version 0, neither O nor C, a frame; options are skipped */
		if ((tunnel & 0xffffffc0) != bpf_htons(MUX_ETH_P_TEB) << 16)
			return MUX_NOT_FAST;
		trim += (tunnel & 0x3f) * 4;
		if (trim + 14 > len)
			return MUX_NOT_FAST;
		scope = MUX_POP_GENEVE;
	} else if (w[5] >> 16 == port->vxlan_port) {
		if (tunnel != MUX_VXLAN_VNI)
			return MUX_NOT_FAST;
		scope = MUX_POP_VXLAN;
	} else {
		return MUX_NOT_FAST;
	}
	end = mux_find4(port, scope, addrs >> 32 << 32 | bpf_ntohl(w[8]) >> 8, &id);
	if (!end)
		return MUX_NOT_FAST;
	word = *(__u32 *)&end->flags;
	if ((word & (MUX_SLOW_POP | MUX_UDP_MASK)) != MUX_UDP ||
	    end->remote != (__u32)addrs)
		return MUX_NOT_FAST;
	if (word & MUX_REDIRECT &&
	    bpf_redirect_map(&mux_devs, end->egress, 0) != XDP_REDIRECT)
		return MUX_NOT_FAST;
	if (bpf_xdp_adjust_head(ctx, trim))
		return MUX_NOT_FAST;
	return mux_fast_sent(port, end, MUX_R_POP_REDIRECT, word, len);
}

#endif
