/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Time in jiffies, which cost nothing to read; how many of them a second has,
 * no program is told, so it is measured once. What lb_control
 * says in seconds is kept in jiffies, and made anew when one of the two changes.
 */
#ifndef L4LB_CLOCK_H
#define L4LB_CLOCK_H

#include "select.h"
#include "tables.h"

#define LB_HZ_FIRST	100	/* until it is known: the least there can be, so that packets */
				/* come here soon; nothing ends before it has been measured */
#define LB_HZ_SPAN	100	/* jiffies it is measured over: a tenth of a second to a second */
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

static __always_inline __u64 lb_made_of(const struct lb_control *control, __u32 hz)
{
	const __u64 *word = (const void *)control;

	return (word[0] ^ word[1] * 3 ^ word[2] * 5 ^ word[3] * 7 ^ word[4] * 9) + hz;
}

/* Who finds hz set, finds all of it set. */
__noinline int lb_set_timeouts(__u32 hz)
{
	const struct lb_control *control = lb_control_now();
	struct lb_clock *clock = lb_clock_now();
	const __u32 *seconds;
	__u32 i;

	if (!clock || !control)
		return 0;
	clock->seed = control->seed;
	seconds = &control->reserved;
	/* one more: a flow is noted as seen once a second */
	for (i = LB_F_TCP_NEW; i <= LB_F_FRAGMENT; i++)
		clock->timeouts[i] = (lb_or(seconds[i], 60) + 1) * hz;
	barrier();
	clock->hz = hz;
	barrier();
	clock->made_of = lb_made_of(control, hz);
	return 0;
}

__noinline int lb_set_clock(void)
{
	__u64 now = bpf_jiffies64(), ns = bpf_ktime_get_ns();
	struct lb_clock *clock = lb_clock_now();

	if (!clock)
		return 0;
	if (!clock->hz) {
		clock->jiffies = now;
		clock->ns = ns;
		return lb_set_timeouts(LB_HZ_FIRST);
	}
	if (clock->measured || now - clock->jiffies < LB_HZ_SPAN || ns <= clock->ns)
		return lb_set_timeouts(clock->hz);
	clock->measured = 1;
	return lb_set_timeouts(lb_nearest_hz((now - clock->jiffies) * LB_SECOND /
					     (ns - clock->ns)));
}

/* The clock with all that has been set since. */
static __always_inline struct lb_clock *lb_clock_set(void)
{
	const struct lb_control *control = lb_control_now();
	struct lb_clock *clock = lb_clock_now();

	if (!control || !clock)
		return NULL;
	if (clock->made_of != lb_made_of(control, clock->hz) ||
	    (!clock->measured && bpf_jiffies64() - clock->jiffies >= LB_HZ_SPAN))
		lb_set_clock();
	return clock;
}

#endif
