// SPDX-License-Identifier: GPL-2.0
/*
 * A multiplexer of tunnels: Geneve, VXLAN, GRE, IP in IP and VLAN tags, pushed
 * and popped on any number of interfaces. README.md has the maps.
 *
 * mux_push and mux_pop do one direction; mux_both is for an interface that has
 * both, popping what is a tunnel's and pushing what a tunnel selects.
 */
#include "fast.h"

/* The end a packet's addresses select. */
static __always_inline struct mux_end *
mux_select(const struct mux_port *port, const struct mux_packet *p, __u32 *id)
{
	__u32 host = MUX_SCOPE(MUX_BY_HOST, port->table);
	__u32 pair = MUX_SCOPE(MUX_BY_PAIR, port->table);
	__u64 daddr = (__u64)p->daddr << 32;
	struct mux_end *end = NULL;
	__u32 *value;

	if (!p->v6) {
		struct mux_lpm4 key = {
			.prefixlen = 64, .table = port->table, .addr = p->daddr,
		};

		if (port->flags & MUX_PORT_PAIR)
			end = mux_find4(port, MUX_BY_PAIR, daddr | p->saddr, id);
		if (!end && port->flags & MUX_PORT_HOST)
			end = mux_find4(port, MUX_BY_HOST, daddr, id);
		if (end || !(port->flags & MUX_PORT_PREFIX))
			return end;
		value = bpf_map_lookup_elem(&mux_prefix4, &key);
	} else {
		struct mux_lpm6 key = { .prefixlen = 160, .table = port->table };

		if (port->flags & MUX_PORT_PAIR)
			end = mux_find6(port, pair, p->addr[0], p->addr[1],
					p->addr[2], p->addr[3], id);
		if (!end && port->flags & MUX_PORT_HOST)
			end = mux_find6(port, host, 0, 0, p->addr[2], p->addr[3], id);
		if (end || !(port->flags & MUX_PORT_PREFIX))
			return end;
		__builtin_memcpy(key.addr, &p->addr[2], 16);
		value = bpf_map_lookup_elem(&mux_prefix6, &key);
	}
	if (!value)
		return NULL;
	*id = *value;
	return mux_line(port, *id);
}

/*
 * The general code, each direction verified once and called where the short way
 * does not lead: one call more for those packets, fewer registers for the rest.
 */
__noinline int mux_push_any(struct xdp_md *ctx)
{
	const struct mux_port *port = mux_find_port(ctx->ingress_ifindex);
	struct mux_end *end = NULL;
	struct mux_packet p = {};
	__u32 id = 0;
	int reason;

	if (!port)
		return XDP_PASS;
	reason = mux_parse(ctx, &p);
	if (p.len < sizeof(struct ethhdr))
		return mux_stat(MUX_R_SHORT, XDP_PASS, p.len);
	if (!reason)
		end = mux_select(port, &p, &id);
	if (!end) {
		if (!(port->flags & MUX_PORT_ALL))
			return mux_stat(reason ? reason : MUX_R_NO_MATCH, XDP_PASS, p.len);
		id = port->end;
		end = mux_line(port, id);
	}
	if (end && end->protocol == MUX_ALIAS) {
		id = end->more;
		end = mux_line(port, id);
	}
	if (!end)
		return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
	if (!(end->flags & MUX_V6)) {
		switch (end->protocol) {
		case MUX_GENEVE:
			return mux_push_ip(ctx, port, end, id, &p, 0, MUX_GENEVE);
		case MUX_VXLAN:
			return mux_push_ip(ctx, port, end, id, &p, 0, MUX_VXLAN);
		case MUX_GRE:
			return mux_push_ip(ctx, port, end, id, &p, 0, MUX_GRE);
		case MUX_IPIP:
			return mux_push_ip(ctx, port, end, id, &p, 0, MUX_IPIP);
		case MUX_VLAN:
			return mux_push_vlan(ctx, port, end, id, &p, 1);
		case MUX_QINQ:
			return mux_push_vlan(ctx, port, end, id, &p, 2);
		}
	} else {
		switch (end->protocol) {
		case MUX_GENEVE:
			return mux_push_ip(ctx, port, end, id, &p, 1, MUX_GENEVE);
		case MUX_VXLAN:
			return mux_push_ip(ctx, port, end, id, &p, 1, MUX_VXLAN);
		case MUX_GRE:
			return mux_push_ip(ctx, port, end, id, &p, 1, MUX_GRE);
		case MUX_IPIP:
			return mux_push_ip(ctx, port, end, id, &p, 1, MUX_IPIP);
		}
	}
	return MUX_DROP(ctx, id, MUX_R_NO_END, 0);
}

/* As mux_pop_ip(). */
__noinline int mux_pop_any(struct xdp_md *ctx)
{
	const struct mux_port *port = mux_find_port(ctx->ingress_ifindex);
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct mux_inner in = {};
	__be16 proto;
	int rc;

	if (!port)
		return -MUX_R_NO_CONFIG;
	in.len = data_end - data;
	if (data + sizeof(struct ethhdr) > data_end)
		return -MUX_R_SHORT;
	proto = ((struct ethhdr *)data)->h_proto;
	if (proto == bpf_htons(ETH_P_IP))
		rc = mux_outer_v4(ctx, port, &in, data, data_end);
	else if (proto == bpf_htons(ETH_P_IPV6))
		rc = mux_outer_v6(port, &in, data, data_end);
	else if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))
		return mux_pop_vlan(ctx, port, proto);
	else
		rc = MUX_R_NOT_TUNNEL;
	if (rc)
		return -rc;
	return mux_pop_ip(ctx, port, &in);
}

#define MUX_PUSHES	(MUX_PORT_PAIR | MUX_PORT_HOST | MUX_PORT_PREFIX | MUX_PORT_ALL)

static __always_inline int mux_run(struct xdp_md *ctx, const __u32 what)
{
	const struct mux_port *port = mux_find_port(ctx->ingress_ifindex);
	int rc = -MUX_R_NO_CONFIG;

	if (!port)
		return mux_stat(MUX_R_NO_CONFIG, XDP_PASS, ctx->data_end - ctx->data);
	if (what & MUX_PORT_POP && port->flags & MUX_PORT_POP) {
		rc = mux_pop_fast(ctx, port);
		if (rc >= 0)
			return rc;
		rc = mux_pop_any(ctx);
		if (rc >= 0)
			return rc;
	}
	if (!(what & MUX_PUSHES))
		return mux_stat(-rc, XDP_PASS, ctx->data_end - ctx->data);
	rc = mux_push_fast(ctx, port);
	return rc >= 0 ? rc : mux_push_any(ctx);
}

/* bench/geneve-mux calls mux_run() from a program of its own. */
#ifndef MUX_NO_PROGRAMS
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
#endif

char _license[] SEC("license") = "GPL";
