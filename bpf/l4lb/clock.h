/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time in jiffies, which cost nothing to read; how many of them a second has,
 * no program is told, so it is measured over the first second.
 */
#ifndef L4LB_CLOCK_H
#define L4LB_CLOCK_H

#include "select.h"
#include "tables.h"

#define LB_HZ_FIRST	1000	/* until it is known: the most there can be */
#define LB_SECOND	1000000000ull

static __always_inline struct lb_clock *lb_clock_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_clock, &zero);
}

static __always_inline const struct lb_control *lb_control_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_control, &zero);
}

/* The figure a kernel can be built with that is nearest. */
static __always_inline __u32 lb_nearest_hz(__u64 hz)
{
	if (hz < 175)
		return 100;
	if (hz < 275)
		return 250;
	return hz < 600 ? 300 : 1000;
}

__noinline int lb_measure_hz(void)
{
	struct lb_clock *clock = lb_clock_now();
	__u64 now = bpf_jiffies64(), ns = bpf_ktime_get_ns();

	if (!clock)
		return 0;
	if (!clock->hz) {
		clock->jiffies = now;
		clock->ns = ns;
		clock->hz = LB_HZ_FIRST;
	} else if (ns - clock->ns >= LB_SECOND) {
		clock->hz = lb_nearest_hz((now - clock->jiffies) * LB_SECOND /
					  (ns - clock->ns));
		clock->measured = 1;
	}
	return 0;
}

/* Jiffies of idleness after which a flow in this state ends. */
static __always_inline __u32
lb_timeout(const struct lb_control *control, __u32 state, __u32 hz)
{
	const __u32 *timeouts = &control->reserved;

	return lb_or(timeouts[state & 7], 60) * hz;
}

#endif
