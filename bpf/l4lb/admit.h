/* SPDX-License-Identifier: GPL-2.0 */
/* A packet and its flow: which backend it goes to, and what becomes of the flow. */
#ifndef L4LB_ADMIT_H
#define L4LB_ADMIT_H

#include "choose.h"

/* What lb_admit() is told of a packet, in one number. */
#define LB_ABOUT(protocol, tcp_flags, error)	\
	((tcp_flags) | (protocol) << 8 | (error) << 16)
#define LB_ABOUT_FLAGS		0xff
#define LB_ABOUT_UDP		(IPPROTO_UDP << 8)
#define LB_ABOUT_PROTOCOL	0xff00
#define LB_ABOUT_ERROR		(1 << 16)	/* an ICMP error about the flow */

static __always_inline int lb_is_udp(__u32 about)
{
	return (about & LB_ABOUT_PROTOCOL) == LB_ABOUT_UDP;
}

/* The state a flow is in after a packet; flags are 0 of what is not TCP. */
static __always_inline __u32 lb_next_state(__u32 state, __u32 about)
{
	if (about & LB_ABOUT_ERROR)
		return state;
	if (lb_is_udp(about))
		return LB_F_UDP;
	if (about & (LB_FIN | LB_RST) || state == LB_F_TCP_CLOSING)
		return LB_F_TCP_CLOSING;
	return about & LB_SYN ? state : LB_F_TCP;
}

/* A packet of a known flow: it has been seen now, and may have got further. */
static __always_inline void lb_touch(struct lb_flow *flow, __u32 about, __u32 now, __u32 hz)
{
	__u32 state = flow->state, next = lb_next_state(state, about);

	if (now - flow->seen >= hz)
		flow->seen = now;
	if (next == state)
		return;
	flow->state = next;
	if (next == LB_F_TCP_CLOSING)
		lb_ended(lb_meta_of(flow), LB_R_FLOW_CLOSED);
}

/* Are the ports of a closed connection used again, for another one? */
static __always_inline int lb_begins_again(const struct lb_flow *flow, __u32 about)
{
	return flow->state == LB_F_TCP_CLOSING && !(about & LB_ABOUT_ERROR) &&
	       (about & (LB_SYN | LB_RST)) == LB_SYN;
}

/* May packets of a flow go on to its backend? */
static __always_inline int lb_keeps(__u32 meta, __u32 service)
{
	__u32 at = meta & 0xffff;
	const struct lb_backend *backend = bpf_map_lookup_elem(&lb_backends, &at);
	const __u32 *down = bpf_map_lookup_elem(&lb_health, &at);

	return backend && down && lb_has(backend, *down, meta, service);
}

/*
 * The backend of a packet's flow as meta: the one it has, or for a new flow, or
 * one whose backend is gone, the one that is chosen now. LB_NOBODY if there is
 * none, or if the packet begins no flow.
 */
__noinline __u32 lb_admit(__u64 key, __u32 hash, __u32 id, __u32 spread, __u32 about)
{
	const struct lb_service *service = bpf_map_lookup_elem(&lb_services, &id);
	__u32 now = bpf_jiffies64(), meta = 0, old = LB_NOBODY, chosen, place;
	__u32 reason = LB_R_FLOW_EXPIRED;
	struct lb_region *region = lb_region_of(hash);
	const struct lb_clock *clock = lb_clock_set();
	const struct lb_backend *backend;
	struct lb_flow *flow;

	if (!service || !region || !clock)
		return LB_NOBODY;
	place = lb_home(hash);
	flow = &region->flow[place];
	place += lb_way_of(flow, key);
	if (place == lb_home(hash) + LB_WAYS && flow->backend >> LB_BACKEND_BITS)
		place = lb_find(key, hash);
	flow = &region->flow[place & (LB_PLACES - 1)];
	if (lb_read(flow, key, &meta)) {
		old = meta;
		if (lb_is_live(flow, clock, now)) {
			if (!lb_keeps(meta, id)) {
				reason = LB_R_FLOW_MOVED;
			} else if (!lb_begins_again(flow, about)) {
				lb_touch(flow, about, now, clock->hz);
				if (service->policy == LB_LEGACY)
					lb_count_legacy(meta, 0);
				return meta;
			}
		}
	}
	if (about & LB_ABOUT_ERROR)
		return LB_NOBODY;
	chosen = lb_choose(id, spread);
	backend = bpf_map_lookup_elem(&lb_backends, &chosen);
	if (!backend)
		return LB_NOBODY;
	meta = LB_META(chosen, backend->generation);
	/* what ends a connection begins none: it goes somewhere and is forgotten */
	if (about & (LB_FIN | LB_RST))
		return meta;
	meta = lb_insert(key, hash, meta, old,
			 LB_BEGIN(lb_is_udp(about) ? LB_F_UDP_NEW : LB_F_TCP_NEW, reason));
	if (service->policy == LB_LEGACY)
		lb_count_legacy(meta, 1);
	return meta;
}

#endif
