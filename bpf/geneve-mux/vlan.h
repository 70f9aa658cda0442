/* SPDX-License-Identifier: GPL-2.0 */
/* VLAN (802.1Q) and QinQ (802.1ad) tags as tunnels. */
#ifndef MUX_VLAN_H
#define MUX_VLAN_H

#include "decap.h"

/* The MACs of a frame with those of the hop in place of them, as flags say. */
static __always_inline void
mux_vlan_macs(const struct mux_end *end, __u32 flags, __u64 *macs, __u32 *macs_end)
{
	const struct mux_hop *hop = end->hop ? mux_hop_of(end) : NULL;

	if (!hop)
		return;
	if (flags & MUX_DMAC)
		*macs = (*macs & 0xffff000000000000ull) |
			(*(__u64 *)hop->dmac & 0xffffffffffffull);
	if (flags & MUX_SMAC) {
		*macs = (*macs & 0xffffffffffffull) |
			(*(__u64 *)hop->dmac & 0xffff000000000000ull);
		*macs_end = *(__u32 *)(hop->smac + 2);
	}
}

static __always_inline int
mux_push_vlan(struct xdp_md *ctx, const struct mux_port *port, struct mux_end *end,
	      __u32 id, struct mux_packet *p, const __u32 tags)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 flags = end->flags, macs_end;
	__u64 macs;
	int rc;

	if (end->mtu && p->len - p->l3 > end->mtu)
		return mux_too_big(ctx, port, p, id, flags, end->mtu);
	if (flags & MUX_REDIRECT) {
		rc = mux_leave(ctx, end->egress, port->flags, p->l3_len ? p->l3 : 0, p->v6);
		if (rc)
			return MUX_DROP(ctx, id, rc, flags);
	}
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) > data_end)
		return mux_stat(MUX_R_SHORT, XDP_PASS, p->len);
	macs = *(__u64 *)data;
	macs_end = *(__u32 *)(data + 8);
	mux_vlan_macs(end, flags, &macs, &macs_end);
	if (bpf_xdp_adjust_head(ctx, -4 * (int)tags))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) + 4 * tags > data_end)
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	*(__u64 *)data = macs;
	*(__u32 *)(data + 8) = macs_end;
	if (tags == 2)
		*(__u32 *)(data + 12) = bpf_htonl((__u32)ETH_P_8021AD << 16 |
						  end->vni >> 16);
	*(__u32 *)(data + 8 + 4 * tags) = bpf_htonl((__u32)ETH_P_8021Q << 16 |
						    (end->vni & 0xffff));
	return mux_sent(ctx, port, end, id, MUX_R_PUSH_REDIRECT, flags, p->len);
}

/* As mux_pop_ip(); proto is the frame's first EtherType. */
static __always_inline int
mux_pop_vlan(struct xdp_md *ctx, const struct mux_port *port, __be16 proto)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 id, flags, scope = MUX_POP_VLAN, len = data_end - data, macs_end, key;
	struct mux_vlan *tag = data + sizeof(struct ethhdr);
	__u32 tags = 1;
	struct mux_end *end;
	__u64 macs;

	if ((void *)(tag + 1) > data_end)
		return -MUX_R_SHORT;
	key = bpf_ntohs(tag->tci) & 0xfff;
	if (proto == bpf_htons(ETH_P_8021AD)) {
		if (tag->proto != bpf_htons(ETH_P_8021Q))
			return -MUX_R_NOT_TUNNEL;
		if ((void *)(tag + 2) > data_end)
			return -MUX_R_SHORT;
		key = key << 16 | (bpf_ntohs(tag[1].tci) & 0xfff);
		scope = MUX_POP_QINQ;
		tags = 2;
	}
	end = mux_find4(port, scope, key, &id);
	if (end && end->protocol == MUX_ALIAS) {
		id = end->more;
		end = mux_line(port, id);
	}
	if (!end)
		return -MUX_R_UNKNOWN;
	flags = end->flags;
	if (!end->protocol)
		return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
	if (flags & MUX_REDIRECT &&
	    bpf_redirect_map(&mux_devs, end->egress, 0) != XDP_REDIRECT)
		return MUX_DROP(ctx, id, MUX_R_NO_EGRESS, flags);
	macs = *(__u64 *)data;
	macs_end = *(__u32 *)(data + 8);
	mux_vlan_macs(end, flags, &macs, &macs_end);
	if (bpf_xdp_adjust_head(ctx, 4 * (int)tags))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) > data_end)
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	*(__u64 *)data = macs;
	*(__u32 *)(data + 8) = macs_end;
	return mux_sent(ctx, port, end, id, MUX_R_POP_REDIRECT, flags, len);
}

#endif
