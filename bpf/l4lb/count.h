/* SPDX-License-Identifier: GPL-2.0 */
/* Counters, each CPU's own. */
#ifndef L4LB_COUNT_H
#define L4LB_COUNT_H

#include "tables.h"

/* A packet's length as it came in; the frame may have grown since. */
static __always_inline int lb_count(__u32 reason, int action, __u32 len)
{
	struct lb_count *count = bpf_map_lookup_elem(&lb_stats, &reason);

	if (count) {
		count->packets++;
		count->bytes += len;
	}
	return action;
}

/*
 * Functions off the fast path are global: the verifier then looks at each once
 * and not again on every way that leads there. Up to 5.11 such a function takes
 * only the context and numbers, so map values are looked up again inside.
 */
__noinline int lb_event(__u32 reason)
{
	struct lb_count *count = bpf_map_lookup_elem(&lb_stats, &reason);

	if (count)
		count->packets++;
	return 0;
}

/* A packet of a service that goes to a backend with this verdict. */
static __always_inline int
lb_count_sent(__u32 service, __u32 backend, int verdict, __u32 len)
{
	__u32 reason = verdict - XDP_TX;	/* LB_R_FORWARDED, LB_R_REDIRECTED */
	struct lb_stat *all = bpf_map_lookup_elem(&lb_service_stats, &service);
	struct lb_stat *own = bpf_map_lookup_elem(&lb_backend_stats, &backend);
	struct lb_count *count = bpf_map_lookup_elem(&lb_stats, &reason);

	if (!all || !own || !count)
		return 0;
	all->packets++;
	all->bytes += len;
	own->packets++;
	own->bytes += len;
	count->packets++;
	count->bytes += len;
	return 0;
}

/* One that could not go there; backend may be LB_NO_BACKEND. */
__noinline int lb_drop(__u32 service, __u32 backend, __u32 reason, __u32 len)
{
	struct lb_stat *stat = bpf_map_lookup_elem(&lb_service_stats, &service);

	if (stat)
		stat->dropped++;
	stat = bpf_map_lookup_elem(&lb_backend_stats, &backend);
	if (stat)
		stat->dropped++;
	return lb_count(reason, XDP_DROP, len);
}

#endif
