/* SPDX-License-Identifier: GPL-2.0 */
/* Which backend a new flow goes to. */
#ifndef L4LB_CHOOSE_H
#define L4LB_CHOOSE_H

#include "flows.h"

#define LB_TRIES	7	/* entries of a ring, or candidates, that are looked at in one go */
#define LB_GOES		8	/* until one is found, */
#define LB_LEAST_GOES	4	/* or the least loaded of so many */
#define LB_LEGACY_MOST	10000	/* the original's: no load counts for more */

/* The line of a ring that has its entry i. */
static __always_inline const struct lb_ring_line *
lb_ring_line_of(const struct lb_service *service, __u32 i)
{
	__u32 at = service->ring_at + i / LB_RING_LINE;

	return bpf_map_lookup_elem(&lb_ring, &at);
}

/* 1 if the backend of this line may get a new flow of the service, else 0. */
static __always_inline __u64
lb_takes(const struct lb_backend *line, const __u32 *down, __u32 backend, __u32 service)
{
	return lb_is_zero((line->state ^ LB_UP) | (line->service ^ service) | *down) &
	       lb_is_less(backend, LB_BACKENDS);
}

/* 1 if the backend of this line keeps a flow that has this meta, else 0. */
static __always_inline __u64
lb_has(const struct lb_backend *line, __u32 down, __u32 meta, __u32 service)
{
	__u32 state = line->state;

	return lb_is_zero((line->generation ^ meta >> 16) | (line->service ^ service) | down) &
	       (1 << LB_UP | 1 << LB_DRAINING) >> (state & 7);
}

/*
 * Bytes of late: each counts less and less as time goes by. This CPU's share of
 * them: each spreads its own packets evenly, and so all of them together.
 */
static __always_inline __u64 lb_bytes_of(__u32 backend)
{
	struct lb_stat *stat = bpf_map_lookup_elem(&lb_backend_stats, &backend);
	const struct lb_control *control = lb_control_now();
	const struct lb_clock *clock = lb_clock_now();
	__u64 now = bpf_jiffies64(), idle, keep, rate;
	__u32 span;

	if (!stat || !control || !clock)
		return 0;
	span = lb_or(control->decay, 1) * clock->hz;
	idle = now - stat->stamp;
	/* not for so short a time that it would be nothing by rounding */
	if (idle < span / 16)
		return stat->rate + stat->bytes - stat->counted;
	/* e^-x as (1 + x/4)^-4, in 1/1024, and nothing after a long time */
	keep = ((__u64)span << 10) / (span + idle / 4);
	keep = lb_select(lb_is_less(idle, 16ull * span), keep, 0);
	rate = stat->rate * keep >> 10;
	rate = rate * keep >> 10;
	rate = rate * keep >> 10;
	rate = rate * keep >> 10;
	rate += stat->bytes - stat->counted;
	stat->rate = rate;
	stat->counted = stat->bytes;
	stat->stamp = now;
	return rate;
}

/* What a candidate has: active flows and the one to come, or the original's figure. */
static __always_inline __u64
lb_flows_of(const struct lb_active *active, const struct lb_backend *line, __u64 legacy)
{
	__u64 same = lb_is_zero(active->generation ^ line->generation);
	__u64 mean = active->legacy_load;

	mean = lb_select(lb_is_less(mean, LB_LEGACY_MOST), mean, LB_LEGACY_MOST);
	return lb_select(legacy, lb_select(same, mean, 0),
			 lb_select(same, active->flows, 0) + 1);
}

/* A candidate's load by this policy, or LB_UNFIT: it may not be chosen. */
#define LB_UNFIT	(1ull << 46)

__noinline __u64 lb_load_of(__u32 backend, __u32 id, __u32 policy)
{
	const struct lb_backend *line = bpf_map_lookup_elem(&lb_backends, &backend);
	const struct lb_active *active = bpf_map_lookup_elem(&lb_active, &backend);
	const __u32 *down = bpf_map_lookup_elem(&lb_health, &backend);
	__u64 load;

	if (!line || !active || !down || !lb_takes(line, down, backend, id))
		return LB_UNFIT;
	if (policy == LB_LEGACY)
		return lb_flows_of(active, line, 1);
	load = policy == LB_LEAST_BYTES ? lb_bytes_of(backend) << 8 : lb_flows_of(active, line, 0) << 8;
	/* by weight, and a little more exact than whole bytes and flows are */
	return load / lb_or(line->weight, 1);
}

/*
 * The candidate with the least load, the first of equal ones, of up to LB_TRIES
 * of the ring from entry at on. before is the best of those before them and its
 * load, as LB_BEST() has it, and so is what is returned.
 */
#define LB_BEST(backend, load)	((__u64)(load) << 16 | (backend))

__noinline __u64 lb_least_of(__u32 id, __u32 at, __u64 best)
{
	const struct lb_service *service = bpf_map_lookup_elem(&lb_services, &id);
	const struct lb_ring_line *ring;
	__u32 i, backend;
	__u64 load;

	if (!service)
		return best;
	for (i = 0; i < LB_TRIES; i++) {
		/* the compiler may not count by this instead */
		barrier_var(at);
		if (at >= service->ring_len)
			break;
		ring = lb_ring_line_of(service, at);
		if (!ring)
			break;
		backend = ring->backend[at % LB_RING_LINE];
		at++;
		load = lb_load_of(backend, id, service->policy);
		best = lb_select(lb_is_less(load, best >> 16), LB_BEST(backend, load), best);
	}
	return best;
}

/* Of a ring too long to be looked at whole, another part each time. */
__noinline int lb_least(__u32 id, __u32 turn)
{
	const struct lb_service *service = bpf_map_lookup_elem(&lb_services, &id);
	__u64 best = LB_BEST(LB_NO_BACKEND, LB_UNFIT);
	__u32 i, at, len;

	if (!service || !service->ring_len)
		return LB_NO_BACKEND;
	len = service->ring_len;
	at = lb_select(lb_is_less(LB_TRIES * LB_LEAST_GOES, len), turn % len, 0);
	for (i = 0; i < LB_LEAST_GOES; i++) {
		barrier_var(at);
		if (at >= len)
			break;
		best = lb_least_of(id, at, best);
		at += LB_TRIES;
	}
	return best & 0xffff;
}

/* The less loaded of two: by what was reported, then by active flows and weight. */
__noinline int lb_less_loaded(__u32 one, __u32 two)
{
	const struct lb_backend *line1, *line2;
	const struct lb_active *active1, *active2;
	const __u32 *load1, *load2;

	load1 = bpf_map_lookup_elem(&lb_reported, &one);
	load2 = bpf_map_lookup_elem(&lb_reported, &two);
	line1 = bpf_map_lookup_elem(&lb_backends, &one);
	line2 = bpf_map_lookup_elem(&lb_backends, &two);
	active1 = bpf_map_lookup_elem(&lb_active, &one);
	active2 = bpf_map_lookup_elem(&lb_active, &two);
	if (!load1 || !load2 || !line1 || !line2 || !active1 || !active2)
		return one;
	if (*load1 != *load2)
		return *load1 < *load2 ? one : two;
	return lb_flows_of(active2, line2, 0) * line1->weight <
	       lb_flows_of(active1, line1, 0) * line2->weight ? two : one;
}

/*
 * From a ring: the entry whose turn it is, or that the hash leads to; where that
 * one may not, or is other already, the next, or the one a further hash leads to.
 */
__noinline int lb_from_ring(__u32 id, __u32 spread, __u32 turn, __u32 other)
{
	const struct lb_service *service = bpf_map_lookup_elem(&lb_services, &id);
	const struct lb_ring_line *ring;
	const struct lb_backend *line;
	__u32 len, i, backend, index;
	const __u32 *down;
	__u64 by_turn, at;

	if (!service || !service->ring_len)
		return LB_NO_BACKEND;
	len = service->ring_len;
	by_turn = lb_is_zero(service->policy ^ LB_ROUND_ROBIN);
	turn %= len;
	for (i = 0; i < LB_TRIES; i++) {
		at = lb_select(by_turn, turn, (__u64)spread * len >> 32);
		turn = lb_select(lb_is_less(turn + 1, len), turn + 1, 0);
		spread = lb_mix(spread + LB_K1) * LB_K1 >> 32;
		ring = lb_ring_line_of(service, at);
		if (!ring)
			break;
		backend = ring->backend[at % LB_RING_LINE];
		index = lb_select(lb_is_less(backend, LB_BACKENDS), backend, 0);
		line = bpf_map_lookup_elem(&lb_backends, &index);
		down = bpf_map_lookup_elem(&lb_health, &index);
		if (!line || !down)
			break;
		if (lb_takes(line, down, backend, id) & (lb_is_zero(backend ^ other) ^ 1))
			return backend;
	}
	return LB_NO_BACKEND;
}

/* The backend for a new flow of a service, or LB_NO_BACKEND. */
__noinline int lb_choose(__u32 id, __u32 spread)
{
	const struct lb_service *service = bpf_map_lookup_elem(&lb_services, &id);
	struct lb_stat *stat = bpf_map_lookup_elem(&lb_service_stats, &id);
	__u32 turn, chosen = LB_NO_BACKEND, second, i;

	if (!service || !stat)
		return LB_NO_BACKEND;
	turn = stat->counted++;
	if (service->policy == LB_LEAST_FLOWS)
		lb_sweep(turn);
	if (service->policy == LB_LEAST_BYTES || service->policy == LB_LEAST_FLOWS ||
	    service->policy == LB_LEGACY)
		return lb_least(id, turn);
	turn += bpf_get_smp_processor_id();
	for (i = 0; i < LB_GOES; i++) {
		chosen = lb_from_ring(id, spread, turn, LB_NO_BACKEND);
		if (chosen != LB_NO_BACKEND)
			break;
		spread = lb_mix(spread ^ LB_K2) * LB_K1 >> 32;
		turn += LB_TRIES;
	}
	if (service->policy != LB_TWO_CHOICES || chosen == LB_NO_BACKEND)
		return chosen;
	spread = lb_mix(spread ^ LB_K1) * LB_K1 >> 32;
	second = lb_from_ring(id, spread, turn, chosen);
	return second == LB_NO_BACKEND ? chosen : lb_less_loaded(chosen, second);
}

/*
 * The original's figures: 16 bits that wrap, the mean number of packets a flow,
 * and nothing ever taken away.
 */
__noinline int lb_count_legacy(__u32 meta, __u32 is_new)
{
	__u32 at = meta & 0xffff;
	struct lb_active *active = bpf_map_lookup_elem(&lb_active, &at);

	if (!active)
		return 0;
	if (is_new)
		active->legacy_flows++;
	active->legacy_packets++;
	active->legacy_load = active->legacy_flows ?
			      active->legacy_packets / active->legacy_flows : 0;
	return 0;
}

#endif
