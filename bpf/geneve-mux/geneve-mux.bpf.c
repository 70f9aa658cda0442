// SPDX-License-Identifier: GPL-2.0
/*
 * A multiplexer of tunnels: Geneve, VXLAN, GRE, IP in IP and VLAN tags, pushed
 * and popped on any number of interfaces. README.md has the maps.
 *
 * mux_push and mux_pop do one direction; mux_both is for an interface that has
 * both, popping what is a tunnel's and pushing what a tunnel selects.
 */
#include "vlan.h"

/* Returns the selected end's index + 1, or 0. */
static __always_inline __u32
mux_select(const struct mux_config *cfg, const struct mux_port *port,
	   const struct mux_packet *p)
{
	__u32 ref = 0, *value;

	if (!p->v6) {
		struct mux_lpm4 key = {
			.prefixlen = 64, .table = port->table, .addr = p->daddr,
		};

		if (port->flags & MUX_PORT_PAIR)
			ref = mux_find4(cfg, MUX_SCOPE(MUX_BY_PAIR, port->table),
					p->saddr, p->daddr);
		if (!ref && port->flags & MUX_PORT_HOST)
			ref = mux_find4(cfg, MUX_SCOPE(MUX_BY_HOST, port->table),
					0, p->daddr);
		if (!ref && port->flags & MUX_PORT_PREFIX) {
			value = bpf_map_lookup_elem(&mux_prefix4, &key);
			ref = value ? *value : 0;
		}
	} else {
		struct mux_lpm6 key = { .prefixlen = 160, .table = port->table };

		if (port->flags & MUX_PORT_PAIR)
			ref = mux_find6(MUX_SCOPE(MUX_BY_PAIR, port->table),
					p->addr[0], p->addr[1], p->addr[2], p->addr[3]);
		if (!ref && port->flags & MUX_PORT_HOST)
			ref = mux_find6(MUX_SCOPE(MUX_BY_HOST, port->table),
					0, 0, p->addr[2], p->addr[3]);
		if (!ref && port->flags & MUX_PORT_PREFIX) {
			__builtin_memcpy(key.addr, &p->addr[2], 16);
			value = bpf_map_lookup_elem(&mux_prefix6, &key);
			ref = value ? *value : 0;
		}
	}
	return ref;
}

static __always_inline int
mux_push_frame(struct xdp_md *ctx, const struct mux_config *cfg,
	       const struct mux_port *port)
{
	struct mux_packet p;
	struct mux_end *end;
	__u32 id = 0;
	int reason;

	reason = mux_parse(ctx, &p);
	if (p.len < sizeof(struct ethhdr))
		return mux_stat(MUX_R_SHORT, XDP_PASS, p.len);
	if (!reason)
		id = mux_select(cfg, port, &p);
	if (!id && port->flags & MUX_PORT_ALL)
		id = port->end;
	if (!id)
		return mux_stat(reason ? reason : MUX_R_NO_MATCH, XDP_PASS, p.len);
	id--;
	end = mux_line(cfg, id);
	if (!end)
		return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
	if (!(end->flags & MUX_V6)) {
		switch (end->protocol) {
		case MUX_GENEVE:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 0, MUX_GENEVE);
		case MUX_VXLAN:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 0, MUX_VXLAN);
		case MUX_GRE:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 0, MUX_GRE);
		case MUX_IPIP:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 0, MUX_IPIP);
		case MUX_VLAN:
			return mux_push_vlan(ctx, cfg, port, end, id, &p, 1);
		case MUX_QINQ:
			return mux_push_vlan(ctx, cfg, port, end, id, &p, 2);
		}
	} else {
		switch (end->protocol) {
		case MUX_GENEVE:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 1, MUX_GENEVE);
		case MUX_VXLAN:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 1, MUX_VXLAN);
		case MUX_GRE:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 1, MUX_GRE);
		case MUX_IPIP:
			return mux_push_ip(ctx, cfg, port, end, id, &p, 1, MUX_IPIP);
		}
	}
	return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
}

/* As mux_pop_ip(). */
static __always_inline int
mux_pop_frame(struct xdp_md *ctx, const struct mux_config *cfg,
	      const struct mux_port *port)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct mux_inner in;
	__be16 proto;
	int rc;

	in.len = data_end - data;
	if (data + sizeof(struct ethhdr) > data_end)
		return -MUX_R_SHORT;
	proto = ((struct ethhdr *)data)->h_proto;
	if (proto == bpf_htons(ETH_P_IP))
		rc = mux_outer_v4(ctx, cfg, &in, data, data_end);
	else if (proto == bpf_htons(ETH_P_IPV6))
		rc = mux_outer_v6(cfg, &in, data, data_end);
	else if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))
		return mux_pop_vlan(ctx, cfg, port, proto);
	else
		rc = MUX_R_NOT_TUNNEL;
	if (rc)
		return -rc;
	return mux_pop_ip(ctx, cfg, port, &in);
}

#define MUX_PUSHES	(MUX_PORT_PAIR | MUX_PORT_HOST | MUX_PORT_PREFIX | MUX_PORT_ALL)

static __always_inline int mux_run(struct xdp_md *ctx, const __u32 what)
{
	const struct mux_config *cfg = mux_configuration();
	const struct mux_port *port;
	__u32 len = (long)ctx->data_end - (long)ctx->data;
	int rc = -MUX_R_NO_MATCH;

	if (!cfg)
		return XDP_PASS;
	port = mux_find_port(cfg, ctx->ingress_ifindex);
	if (!port)
		return mux_stat(MUX_R_NO_CONFIG, XDP_PASS, len);
	if (what & MUX_PORT_POP && port->flags & MUX_PORT_POP) {
		rc = mux_pop_frame(ctx, cfg, port);
		if (rc >= 0)
			return rc;
	}
	if (what & MUX_PUSHES && port->flags & MUX_PUSHES)
		return mux_push_frame(ctx, cfg, port);
	return mux_stat(-rc, XDP_PASS, len);
}

SEC("xdp")
int mux_push(struct xdp_md *ctx)
{
	return mux_run(ctx, MUX_PUSHES);
}

SEC("xdp")
int mux_pop(struct xdp_md *ctx)
{
	return mux_run(ctx, MUX_PORT_POP);
}

SEC("xdp")
int mux_both(struct xdp_md *ctx)
{
	return mux_run(ctx, MUX_PUSHES | MUX_PORT_POP);
}

char _license[] SEC("license") = "GPL";
