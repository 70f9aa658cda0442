/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The short way for what most packets are: TCP or UDP in IPv4 to a service that
 * has been met before, and a backend that is reached over IPv4. Whatever else
 * turns up, LB_NOT_FAST hands the packet, untouched, to the general code, which
 * decides everything anew.
 */
#ifndef L4LB_FAST_H
#define L4LB_FAST_H

#include "admit.h"
#include "forward.h"

#define LB_NOT_FAST	(-1)

static __always_inline __u32 lb_hint_at(__u32 daddr, __u32 ports, __u32 protocol)
{
	__u64 key = daddr | (__u64)(ports >> 16 | protocol << 16) << 32;

	return lb_mix(key) * LB_K1 >> 32 & (LB_HINTS - 1);
}

/*
 * Which service an address and port of IPv4 lead to is remembered here. A hint
 * may be wrong: whoever follows it compares with the service's own line.
 */
static __always_inline void
lb_give_hint(__u64 dst, __u32 ports, __u32 protocol, __u32 id)
{
	__u32 at = lb_hint_at(dst >> 32, ports, protocol), *hint;

	hint = bpf_map_lookup_elem(&lb_hints, &at);
	if (hint && *hint != id)
		*hint = id;
}

/* 1 if a TCP or UDP header is whole within the packet, else 0. */
static __always_inline __u64 lb_is_whole(__u32 protocol, __u32 l3_len)
{
	return (lb_is_zero(protocol ^ IPPROTO_TCP) & lb_is_less(39, l3_len)) |
	       (lb_is_zero(protocol ^ IPPROTO_UDP) & lb_is_less(27, l3_len));
}

static __always_inline int lb_fast(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 len = data_end - data, *w = data + LB_ETH, at, id, meta = 0, state, proto, ports, hash, now;
	__u32 l3_len, total, header, spread, client, tos, flags;
	const struct lb_clock *clock = lb_clock_now();
	const struct lb_backend *backend;
	const struct lb_service *service;
	const __u32 *hint, *down;
	struct lb_region *region;
	struct lb_macs macs;
	struct lb_flow *flow;
	struct lb_hop *hop;
	int verdict;
	__u64 key;

	/* Ethernet, IPv4 and TCP up to its flags */
	if (data + LB_ETH + 36 > data_end || !clock || !clock->hz ||
	    *(__u16 *)(data + 12) != bpf_htons(ETH_P_IP) || (w[0] & 0xff) != 0x45 ||
	    w[1] >> 16 & bpf_htons(0x3fff))
		return LB_NOT_FAST;
	proto = w[2] >> 8 & 0xff;
	l3_len = bpf_ntohs((__u16)(w[0] >> 16));
	if (!lb_is_whole(proto, l3_len) || l3_len > len - LB_ETH)
		return LB_NOT_FAST;
	ports = w[5];
	client = w[3];
	tos = w[0] >> 8 & 0xff;
	flags = lb_select(lb_is_zero(proto ^ IPPROTO_TCP), w[8] >> 8 & 0xff, 0);

	at = lb_hint_at(w[4], ports, proto);
	hint = bpf_map_lookup_elem(&lb_hints, &at);
	if (!hint)
		return LB_NOT_FAST;
	id = *hint;
	key = lb_key4(client, ports, id);
	hash = lb_hash(key, clock->seed);
	region = lb_region_of(hash);
	service = bpf_map_lookup_elem(&lb_services, &id);
	if (!region || !service || *(__u64 *)service->vip ||
	    *(__u64 *)(service->vip + 8) != ((__u64)w[4] << 32 | LB_MAPPED) ||
	    (*(__u32 *)&service->port & 0xffffff) != (ports >> 16 | proto << 16))
		return LB_NOT_FAST;

	at = lb_home(hash);
	at += lb_way_of(&region->flow[at], key);
	flow = &region->flow[at & (LB_PLACES - 1)];
	now = bpf_jiffies64();
	state = lb_read(flow, key, &meta);
	at = meta & LB_BACKEND_MASK;
	backend = bpf_map_lookup_elem(&lb_backends, &at);
	down = bpf_map_lookup_elem(&lb_health, &at);
	if (!backend || !down)
		return LB_NOT_FAST;
	spread = lb_spread(0, (__u64)client << 32 | LB_MAPPED, ports);
	/* a confirmed flow in which nothing happens, and which has been noted of late */
	if (!(lb_is_confirmed(state) & lb_has(backend, *down, meta, id)) ||
	    now - flow->seen >= clock->hz || flags & (LB_FIN | LB_SYN | LB_RST) ||
	    service->policy == LB_LEGACY) {
		meta = lb_admit(key, hash, id, spread, LB_ABOUT(proto, flags, 0));
		if (meta == LB_NOBODY)
			return lb_drop(id, LB_NO_BACKEND, LB_R_NO_BACKEND, len);
		at = meta & LB_BACKEND_MASK;
		backend = bpf_map_lookup_elem(&lb_backends, &at);
		if (!backend)
			return LB_NOT_FAST;
	}
	hop = bpf_map_lookup_elem(&lb_hops, &at);
	header = lb_header_len(backend, 1);
	total = l3_len + header;
	if (!hop || !lb_is_v4(backend->address) || total - 1 > (__u16)(backend->mtu - 1) ||
	    !backend->form || backend->form > LB_MAC ||
	    (!(backend->flags & (LB_NEXT_MAC | LB_NEXT_BACK)) && !lb_is_resolved(hop, backend)))
		return lb_forward(ctx, at, 0, spread);
	lb_macs_of(&macs, data, backend, hop, ctx->ingress_ifindex);
	verdict = lb_leave(&macs);
	if (verdict < 0)
		return lb_drop(id, at, LB_R_NO_EGRESS, len);
	lb_count_sent(id, at, verdict, len);
	if (header && bpf_xdp_adjust_head(ctx, -(int)header))
		return lb_drop(id, at, LB_R_HEADROOM, len);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + LB_ETH + 32 > data_end)
		return XDP_ABORTED;
	lb_write_macs(data, &macs);
	if (!header)
		return verdict;
	lb_write_outer_v4(data, backend, 0, tos, total, lb_source_v4(backend, client, spread),
			  spread);
	return verdict;
}

#endif
