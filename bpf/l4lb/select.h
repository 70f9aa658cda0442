/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Choices without branches. The verifier walks what follows a branch once for
 * each side, so that a loop with a few of them is walked thousands of times; and
 * a processor guesses wrong which of four places a flow lies in. The barriers
 * keep the compiler from making branches of these again.
 */
#ifndef L4LB_SELECT_H
#define L4LB_SELECT_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* 1 if x is 0, else 0 */
static __always_inline __u64 lb_is_zero(__u64 x)
{
	__u64 negative = -x;

	barrier_var(negative);
	return ((x | negative) >> 63) ^ 1;
}

/* 1 if a < b, else 0; both below 2^63 */
static __always_inline __u64 lb_is_less(__u64 a, __u64 b)
{
	__u64 difference = a - b;

	barrier_var(difference);
	return difference >> 63;
}

/* a if bit is 1, b if it is 0 */
static __always_inline __u64 lb_select(__u64 bit, __u64 a, __u64 b)
{
	__u64 mask = -bit;

	barrier_var(mask);
	return b ^ ((a ^ b) & mask);
}

/* x, or other if x is 0 */
static __always_inline __u64 lb_or(__u64 x, __u64 other)
{
	return lb_select(lb_is_zero(x), other, x);
}

#endif
