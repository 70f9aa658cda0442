/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two halves of a benchmark share: the harness, which the kernel runs
 * (harness.bpf.h), and the program that fills its maps and times it (bench.h).
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <linux/types.h>

/* Calls of the target in one run of a harness. */
#define CALLS	32

struct bench {
	__u32 entries;		/* that the packets are spread over */
	__u32 pad;
	__u64 random;
	__u64 verdicts[8];	/* how many calls ended in each, by its low bits */
};

#endif
