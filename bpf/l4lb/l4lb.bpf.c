// SPDX-License-Identifier: GPL-2.0
/*
 * A layer-4 load balancer: flows to virtual addresses are spread over backends,
 * and stay there. README.md has the maps.
 */
#include "fast.h"

/* What an address, and a port of it, are here: the value in lb_vips, or -1. */
__noinline __s64 lb_find_vip(__u64 addr0, __u64 addr1, __u32 port_protocol)
{
	struct lb_vip vip = {};
	const __u32 *value;

	__builtin_memcpy(vip.address, &addr0, 8);
	__builtin_memcpy(vip.address + 8, &addr1, 8);
	vip.port = port_protocol;
	vip.protocol = port_protocol >> 16;
	value = bpf_map_lookup_elem(&lb_vips, &vip);
	if (!value && vip.port) {
		vip.port = 0;
		value = bpf_map_lookup_elem(&lb_vips, &vip);
	}
	return value ? (__s64)*value : -1;
}

/* Where the later fragments of this packet are to go. */
static __always_inline void
lb_remember_fragment(const struct lb_packet *p, __u32 meta, __u64 seed)
{
	__u64 key = lb_key_fragment(p, seed);

	lb_insert(key, lb_hash(key, seed), meta, LB_NOBODY,
		  LB_BEGIN(LB_F_FRAGMENT, LB_R_FLOW_MOVED));
}

/*
 * What lb_any() has made of a packet: a verdict, or that it is to go to a backend,
 * which its caller then does, having more of the stack left.
 */
#define LB_TO_BACKEND	(1ll << 62)

static __always_inline __s64 lb_to(__u32 meta, __u32 v6, __u32 spread)
{
	return LB_TO_BACKEND | (__u64)v6 << 48 | (__u64)(meta & 0xffff) << 32 | spread;
}

/* A later fragment: to where the first one went. */
static __always_inline __s64
lb_later_fragment(const struct lb_packet *p, const struct lb_clock *clock, __u32 spread)
{
	__u64 key = lb_key_fragment(p, clock->seed);
	__u32 hash = lb_hash(key, clock->seed), backend, meta = 0;
	int at = lb_find(key, hash);
	const struct lb_backend *line;
	struct lb_region *region;
	struct lb_flow *flow;
	const __u32 *down;

	region = lb_region_of(hash);
	if (at < 0 || !region)
		return lb_count(LB_R_FRAGMENT_LOST, XDP_DROP, p->len);
	flow = &region->flow[at & (LB_PLACES - 1)];
	if (!lb_read(flow, key, &meta))
		return lb_count(LB_R_FRAGMENT_LOST, XDP_DROP, p->len);
	backend = meta & 0xffff;
	line = bpf_map_lookup_elem(&lb_backends, &backend);
	down = bpf_map_lookup_elem(&lb_health, &backend);
	if (!line || !down || !lb_is_live(flow, clock, bpf_jiffies64()) ||
	    !lb_has(line, *down, meta, line->service))
		return lb_count(LB_R_FRAGMENT_LOST, XDP_DROP, p->len);
	return lb_to(meta, p->v6, spread);
}

/* Every packet that the short way leaves. */
__noinline __s64 lb_any(struct xdp_md *ctx)
{
	const struct lb_clock *clock = lb_clock_set();
	int rc = lb_parse(ctx);
	const struct lb_packet *p = lb_packet_now();
	const struct lb_service *service;
	__u32 id, meta, spread, hash;
	__u64 key;
	__s64 vip;

	if (!p || !clock)
		return XDP_PASS;
	if (rc)
		return lb_count(rc, XDP_PASS, p->len);
	spread = lb_spread(p->src[0], p->src[1], p->ports);
	if (p->kind == LB_FRAGMENT || p->kind == LB_ECHO) {
		vip = lb_find_vip(p->dst[0], p->dst[1], 0);
		if (vip < 0)
			return lb_count(LB_R_NO_SERVICE, XDP_PASS, p->len);
		if (p->kind == LB_FRAGMENT)
			return lb_later_fragment(p, clock, spread);
		if (!(vip & LB_VIP_ECHO) || lb_echo(ctx, p))
			return lb_count(LB_R_ICMP_OTHER, XDP_PASS, p->len);
		return lb_count(LB_R_ECHO_ANSWERED, XDP_TX, p->len);
	}
	vip = lb_find_vip(p->dst[0], p->dst[1], p->ports >> 16 | p->protocol << 16);
	id = vip;
	service = bpf_map_lookup_elem(&lb_services, &id);
	if (vip < 0 || !service || service->protocol != p->protocol)
		return lb_count(LB_R_NO_SERVICE, XDP_PASS, p->len);
	if (!p->v6 && service->port)
		key = lb_key4(p->src[1] >> 32, p->ports, id);
	else
		key = lb_key6(p, id, clock->seed);
	hash = lb_hash(key, clock->seed);
	meta = lb_admit(key, hash, id, spread,
			LB_ABOUT(p->protocol, p->tcp_flags, p->kind == LB_ERROR));
	if (meta == LB_NOBODY) {
		if (p->kind == LB_ERROR)
			return lb_count(LB_R_ICMP_NO_FLOW, XDP_PASS, p->len);
		return lb_drop(id, LB_NO_BACKEND, LB_R_NO_BACKEND, p->len);
	}
	if (p->first)
		lb_remember_fragment(p, meta, clock->seed);
	if (service->port)
		lb_give_hint(p->dst[1], p->ports, p->protocol, id);
	return lb_to(meta, p->v6, spread);
}

static __always_inline int lb_run(struct xdp_md *ctx)
{
	__s64 rc = lb_fast(ctx);

	if (rc >= 0)
		return rc;
	rc = lb_any(ctx);
	if (!(rc & LB_TO_BACKEND))
		return rc;
	return lb_forward(ctx, rc >> 32 & 0xffff, rc >> 48 & 1, rc);
}

/* bench/l4lb calls lb_run() from a program of its own. */
#ifndef LB_NO_PROGRAMS
SEC("xdp")
int xdp_l4lb(struct xdp_md *ctx)
{
	return lb_run(ctx);
}
#endif

char _license[] SEC("license") = "GPL";
