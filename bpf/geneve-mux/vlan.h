/* SPDX-License-Identifier: GPL-2.0 */
/* VLAN (802.1Q) and QinQ (802.1ad) tags as tunnels. */
#ifndef MUX_VLAN_H
#define MUX_VLAN_H

#include "decap.h"

static __always_inline int
mux_push_vlan(struct xdp_md *ctx, const struct mux_config *cfg,
	      const struct mux_port *port, struct mux_end *end, __u32 id,
	      struct mux_packet *p, const __u32 tags)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 flags = end->flags, macs_end;
	__u64 macs;

	if (end->mtu && p->len - p->l3 > end->mtu)
		return mux_too_big(ctx, port, p, id, flags, end->mtu);
	if (flags & MUX_REDIRECT &&
	    bpf_redirect_map(&mux_devs, end->egress, 0) != XDP_REDIRECT)
		return MUX_DROP(ctx, id, MUX_R_NO_EGRESS, flags);
	if (data + sizeof(struct ethhdr) > data_end)
		return mux_stat(MUX_R_SHORT, XDP_PASS, p->len);
	macs = *(__u64 *)end->dmac;
	macs_end = *(__u32 *)(end->smac + 2);
	if (!macs && !macs_end) {
		macs = *(__u64 *)data;
		macs_end = *(__u32 *)(data + 8);
	}
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
	if (flags & MUX_REDIRECT)
		return mux_sent(ctx, cfg, end, id, MUX_R_PUSH_REDIRECT,
				XDP_REDIRECT, p->len);
	return mux_sent(ctx, cfg, end, id, MUX_R_PUSH_PASS, XDP_PASS, p->len);
}

/* As mux_pop_ip(); proto is the frame's first EtherType. */
static __always_inline int
mux_pop_vlan(struct xdp_md *ctx, const struct mux_config *cfg,
	     const struct mux_port *port, __be16 proto)
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
	id = mux_find4(cfg, MUX_SCOPE(scope, port->table), key, 0);
	if (!id)
		return -MUX_R_UNKNOWN;
	id--;
	end = mux_line(cfg, id);
	if (!end || !end->protocol)
		return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
	flags = end->flags;
	if (flags & MUX_REDIRECT &&
	    bpf_redirect_map(&mux_devs, end->egress, 0) != XDP_REDIRECT)
		return MUX_DROP(ctx, id, MUX_R_NO_EGRESS, flags);
	macs = *(__u64 *)data;
	macs_end = *(__u32 *)(data + 8);
	if (flags & MUX_DMAC)
		macs = (macs & 0xffff000000000000ull) |
		       (*(__u64 *)end->dmac & 0xffffffffffffull);
	if (flags & MUX_SMAC) {
		macs = (macs & 0xffffffffffffull) |
		       (*(__u64 *)end->dmac & 0xffff000000000000ull);
		macs_end = *(__u32 *)(end->smac + 2);
	}
	if (bpf_xdp_adjust_head(ctx, 4 * (int)tags))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) > data_end)
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	*(__u64 *)data = macs;
	*(__u32 *)(data + 8) = macs_end;
	if (flags & MUX_REDIRECT)
		return mux_sent(ctx, cfg, end, id, MUX_R_POP_REDIRECT,
				XDP_REDIRECT, len);
	return mux_sent(ctx, cfg, end, id, MUX_R_POP_PASS, XDP_PASS, len);
}

#endif
