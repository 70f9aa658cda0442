/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table. A region of it has 4 buckets of 4 flows; a flow's hash leads
 * to one of them, its home. It lies there, or, where that was full, in another
 * of the region, and the home says how many of those are to be searched.
 *
 * Searching takes no lock. A flow gets its place under the region's lock: the
 * state is taken away first and set last, so that whoever finds the key also
 * finds what belongs to it.
 *
 * A confirmed flow is never put out for another: a new one takes a place that
 * is free or whose flow has been idle for too long, else that of the oldest
 * unconfirmed one. So a flood of SYNs puts out nothing but its own kind.
 */
#ifndef L4LB_FLOWS_H
#define L4LB_FLOWS_H

#include "clock.h"
#include "count.h"
#include "parse.h"

#define LB_K1	0x9e3779b97f4a7c15ull
#define LB_K2	0xd6e8feb86659fd93ull

#define LB_BACKEND_MASK	((1 << LB_BACKEND_BITS) - 1)

/* What a flow knows of its backend, as one number; more than any says "nobody". */
#define LB_META(backend, generation)	((backend) | (__u32)(generation) << 16)
#define LB_NOBODY	0xffffffffu

static __always_inline __u64 lb_mix(__u64 h)
{
	h *= LB_K2;
	h ^= h >> 32;
	return h;
}

/* Where a key's search begins: region in the upper bits, home in the last two. */
static __always_inline __u32 lb_hash(__u64 key, __u64 seed)
{
	return lb_mix(key ^ seed) * LB_K1 >> 32;
}

/* A packet's share of what is spread by flow: the same on every balancer. */
static __always_inline __u32
lb_spread(__u64 src0, __u64 src1, __u32 ports)
{
	__u64 h = lb_mix(src0 ^ ports * LB_K1);

	return lb_mix(h ^ src1) * LB_K1 >> 32;
}

static __always_inline __u64 lb_key4(__u32 saddr, __u32 ports, __u32 service)
{
	return saddr | (__u64)(ports & 0xffff) << 32 | (__u64)service << 48;
}

static __always_inline __u64
lb_key6(const struct lb_packet *p, __u32 service, __u64 seed)
{
	__u64 h = lb_mix(p->src[0] ^ seed * LB_K1);

	h = lb_mix(h ^ p->src[1]);
	return lb_mix(h ^ (p->ports | (__u64)service << 32)) * LB_K1;
}

/* Of all fragments of a packet. */
static __always_inline __u64 lb_key_fragment(const struct lb_packet *p, __u64 seed)
{
	__u64 h = lb_mix(p->src[0] ^ seed * LB_K2);

	h = lb_mix(h ^ p->src[1]);
	h = lb_mix(h ^ p->dst[0]);
	h = lb_mix(h ^ p->dst[1]);
	/* the first fragment of an IPv6 packet may name another header first */
	return lb_mix(h ^ (p->id | (__u64)(p->v6 ? 0 : p->protocol) << 32)) * LB_K1;
}

static __always_inline struct lb_region *lb_region_of(__u32 hash)
{
	__u32 at = hash / LB_BUCKETS & (LB_REGIONS - 1);

	return bpf_map_lookup_elem(&lb_flows, &at);
}

/* The first place of a hash's home, in its region. */
static __always_inline __u32 lb_home(__u32 hash)
{
	return (hash & (LB_BUCKETS - 1)) * LB_WAYS;
}

/* How many places behind the first of a bucket a key lies: 0 to 3, or 4. */
static __always_inline __u32 lb_way_of(const struct lb_flow *first, __u64 key)
{
	__u32 way = 4;

	way = lb_select(lb_is_zero(first[3].key ^ key), 3, way);
	way = lb_select(lb_is_zero(first[2].key ^ key), 2, way);
	way = lb_select(lb_is_zero(first[1].key ^ key), 1, way);
	return lb_select(lb_is_zero(first[0].key ^ key), 0, way);
}

/*
 * The place of a key in its region, or -1. The nearest one: a place that was
 * freed keeps its key, and the flow never comes back to one further away.
 */
__noinline int lb_find(__u64 key, __u32 hash)
{
	const struct lb_region *region = lb_region_of(hash);
	__u32 home = lb_home(hash), reach, i, way, bucket;

	if (!region)
		return -1;
	reach = region->flow[home].backend >> LB_BACKEND_BITS;
	for (i = 0; i < LB_BUCKETS; i++) {
		/* the compiler may not make this the loop's only end */
		barrier_var(reach);
		if (i > reach)
			break;
		bucket = (home ^ i * LB_WAYS) & (LB_PLACES - LB_WAYS);
		way = lb_way_of(&region->flow[bucket], key);
		if (way < LB_WAYS)
			return bucket + way;
	}
	return -1;
}

/*
 * For how long a flow has been idle. Another processor may have seen it after
 * this one looked at its clock: then for no time, not for the longest there is.
 */
#define LB_AHEAD	0xffff0000u

static __always_inline __u32 lb_idle(const struct lb_flow *flow, __u32 now)
{
	__u32 idle = now - flow->seen;

	return lb_select(lb_is_less(LB_AHEAD, idle), 0, idle);
}

/* 1 if the flow in a place still is one, else 0. */
static __always_inline __u64
lb_is_live(const struct lb_flow *flow, const struct lb_clock *clock, __u32 now)
{
	__u32 state = flow->state, idle = lb_idle(flow, now);

	return lb_is_less(idle, clock->timeouts[state & 7]) & (lb_is_zero(state) ^ 1);
}

/* Which states count as a backend's active flows, and which are confirmed ones. */
#define LB_ACTIVE_STATES	(1 << LB_F_TCP_NEW | 1 << LB_F_TCP | 1 << LB_F_UDP_NEW | \
				 1 << LB_F_UDP)
#define LB_CONFIRMED_STATES	(1 << LB_F_TCP | 1 << LB_F_UDP)

static __always_inline __u32 lb_is_active(__u32 state)
{
	return LB_ACTIVE_STATES >> (state & 7) & 1;
}

static __always_inline __u32 lb_is_confirmed(__u32 state)
{
	return LB_CONFIRMED_STATES >> (state & 7) & 1;
}

static __always_inline __u32 lb_meta_of(const struct lb_flow *flow)
{
	return LB_META(flow->backend & LB_BACKEND_MASK, flow->generation);
}

/*
 * The state of the flow of this key in a place, and its backend as meta; 0 if it
 * is not there. Read without the lock, so the order matters: a place loses its
 * state before it gets a key, and gets its new state after all the rest. A state
 * that is seen after the key has all the rest behind it, and if the key still is
 * the same then, it all belongs to it.
 */
static __always_inline __u32 lb_read(const struct lb_flow *flow, __u64 key, __u32 *meta)
{
	__u64 before = *(const volatile __u64 *)&flow->key;
	__u32 state;

	barrier();
	state = *(const volatile __u8 *)&flow->state;
	barrier();
	*meta = lb_meta_of(flow);
	barrier();
	before = (before ^ key) | (*(const volatile __u64 *)&flow->key ^ key);
	return lb_select(lb_is_zero(before), state, LB_F_FREE);
}

/* A backend has one more active flow, its service a new one. */
static __always_inline void lb_began(__u32 meta)
{
	__u32 backend = meta & 0xffff, reason = LB_R_FLOW_NEW, service;
	const struct lb_backend *line = bpf_map_lookup_elem(&lb_backends, &backend);
	struct lb_active *active = bpf_map_lookup_elem(&lb_active, &backend);
	struct lb_stat *own = bpf_map_lookup_elem(&lb_backend_stats, &backend);
	struct lb_count *count = bpf_map_lookup_elem(&lb_stats, &reason);
	struct lb_stat *all;

	if (!line || !active || !own || !count)
		return;
	service = line->service;
	all = bpf_map_lookup_elem(&lb_service_stats, &service);
	if (!all)
		return;
	count->packets++;
	own->flows++;
	all->flows++;
	if (active->generation != meta >> 16) {
		active->flows = 0;
		active->generation = meta >> 16;
	}
	__sync_fetch_and_add(&active->flows, 1);
}

/* And one fewer, for this reason. */
__noinline int lb_ended(__u32 meta, __u32 reason)
{
	__u32 backend = meta & 0xffff;
	struct lb_active *active = bpf_map_lookup_elem(&lb_active, &backend);
	struct lb_count *count = bpf_map_lookup_elem(&lb_stats, &reason);

	if (!count)
		return 0;
	count->packets++;
	if (active && active->generation == meta >> 16 && active->flows)
		__sync_fetch_and_add(&active->flows, -1);
	return 0;
}

/*
 * How dear a place is to a new flow: its own is the cheapest, then a free one,
 * the nearer to home the better, then the one of the oldest unconfirmed flow.
 * Those of confirmed flows are not to be had.
 */
#define LB_FREE		(1ull << 32)
#define LB_EVICTABLE	(2ull << 32)
#define LB_TAKEN	(3ull << 32)

static __always_inline __u64
lb_price(const struct lb_flow *flow, __u64 key, const struct lb_clock *clock, __u32 now,
	 __u32 distance)
{
	__u32 state = flow->state, idle = lb_idle(flow, now);
	__u64 used = lb_is_zero(state) ^ 1, price;

	price = lb_select(lb_is_confirmed(state), LB_TAKEN, LB_EVICTABLE + 0xffffffff - idle);
	price = lb_select(used & lb_is_less(idle, clock->timeouts[state & 7]), price,
			  LB_FREE + distance);
	return lb_select(used & lb_is_zero(flow->key ^ key), 0, price);
}

/* The state a flow begins in, and why the one of its key, if there is one, ends. */
#define LB_BEGIN(state, reason)	((state) | (reason) << 8)

/*
 * Gives a flow its place and a backend. old is what the caller found there,
 * LB_NOBODY if nothing: when another CPU has been quicker, its choice stands.
 * Returns the backend's meta, the one given or the other CPU's.
 */
__noinline __u32 lb_insert(__u64 key, __u32 hash, __u32 meta, __u32 old, __u32 begin)
{
	struct lb_region *region = lb_region_of(hash);
	const struct lb_clock *clock = lb_clock_now();
	__u32 which = hash / LB_BUCKETS & (LB_LOCKS - 1), home = lb_home(hash);
	struct lb_lock *lock = bpf_map_lookup_elem(&lb_locks, &which);
	__u32 now = bpf_jiffies64(), at, gone, active, i, place, reach, word;
	__u64 best = LB_TAKEN * LB_PLACES, price;
	struct lb_flow *flow, *first;
	__u32 reason;

	if (!region || !clock || !lock)
		return meta;
	first = &region->flow[home];
	bpf_spin_lock(&lock->lock);
	word = first->backend;
	reach = word >> LB_BACKEND_BITS;
	for (i = 0; i < LB_PLACES; i++) {
		/* a place at home, and no other bucket in which the flow may be already */
		if (i == LB_WAYS &&
		    lb_is_less(best, LB_EVICTABLE * LB_PLACES) & lb_is_zero(reach))
			break;
		place = (home ^ i) & (LB_PLACES - 1);
		/* price and place in one number, so that one choice is enough */
		price = lb_price(&region->flow[place], key, clock, now, i) * LB_PLACES + place;
		best = lb_select(lb_is_less(price, best), price, best);
	}
	at = best & (LB_PLACES - 1);
	best /= LB_PLACES;
	flow = &region->flow[at & (LB_PLACES - 1)];
	gone = lb_meta_of(flow);
	active = lb_is_active(flow->state);
	if (best == LB_TAKEN || (!best && gone != old && lb_is_live(flow, clock, now))) {
		bpf_spin_unlock(&lock->lock);
		if (!best)
			return gone;
		lb_event(LB_R_FLOW_UNTRACKED);
		return meta;
	}
	*(volatile __u8 *)&flow->state = LB_F_FREE;
	barrier();
	flow->key = key;
	flow->seen = now;
	flow->backend = (flow->backend & ~LB_BACKEND_MASK) | (meta & LB_BACKEND_MASK);
	flow->generation = meta >> 16;
	barrier();
	*(volatile __u8 *)&flow->state = begin;
	/* how far from home it is: searches for this home's flows go as far */
	place = ((at ^ home) & (LB_PLACES - 1)) / LB_WAYS;
	reach = lb_select(lb_is_less(reach, place), place, reach);
	first->backend = (first->backend & LB_BACKEND_MASK) | reach << LB_BACKEND_BITS;
	bpf_spin_unlock(&lock->lock);
	if (active) {
		reason = lb_select(lb_is_less(best, LB_EVICTABLE), LB_R_FLOW_EXPIRED,
				   LB_R_FLOW_EVICTED);
		lb_ended(gone, lb_select(lb_is_zero(best), begin >> 8, reason));
	}
	if (lb_is_active(begin))
		lb_began(meta);
	return meta;
}

/* Ends the flow in a place if it has been idle for too long. */
__noinline int lb_expire(__u32 which, __u32 place)
{
	struct lb_region *region = lb_region_of(which * LB_BUCKETS);
	const struct lb_clock *clock = lb_clock_now();
	__u32 at = which & (LB_LOCKS - 1), meta, active;
	struct lb_lock *lock = bpf_map_lookup_elem(&lb_locks, &at);
	__u32 now = bpf_jiffies64();
	struct lb_flow *flow;

	if (!region || !clock || !lock)
		return 0;
	flow = &region->flow[place & (LB_PLACES - 1)];
	bpf_spin_lock(&lock->lock);
	meta = lb_meta_of(flow);
	active = lb_is_active(flow->state) & (lb_is_live(flow, clock, now) ^ 1);
	flow->state = lb_select(lb_is_live(flow, clock, now), flow->state, LB_F_FREE);
	bpf_spin_unlock(&lock->lock);
	return active ? lb_ended(meta, LB_R_FLOW_EXPIRED) : 0;
}

/*
 * Ends flows that have been idle for too long, one bucket after the other as new
 * flows come, so that the numbers of active flows are of those that are.
 */
#define LB_SWEPT	LB_WAYS

__noinline int lb_sweep(__u32 turn)
{
	__u32 which = turn / LB_BUCKETS, from = turn % LB_BUCKETS * LB_SWEPT, i, now = bpf_jiffies64();
	struct lb_region *region = lb_region_of(which * LB_BUCKETS);
	const struct lb_clock *clock = lb_clock_now();
	const struct lb_flow *flow;

	if (!region || !clock)
		return 0;
	for (i = 0; i < LB_SWEPT; i++) {
		flow = &region->flow[from + i];
		if ((lb_is_zero(flow->state) | lb_is_live(flow, clock, now)) ^ 1)
			lb_expire(which, from + i);
	}
	return 0;
}

#endif
