/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's half of a benchmark: what the harness is told, and what it
 * counts. A harness calls its target CALLS times in a run, and gives the packet
 * back and another address after each call. (BPF_PROG_TEST_RUN's own repeat does
 * neither: from the second run on, a program that writes to the packet sees its
 * own output, and one that looks something up asks for one and the same again.)
 */
#ifndef BENCH_HARNESS_BPF_H
#define BENCH_HARNESS_BPF_H

#include "timing.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bench);
} bench SEC(".maps");

/* One of the entries, at random. */
static __always_inline __u32 next(struct bench *b)
{
	__u64 x = b->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	b->random = x;
	return ((x >> 32) * b->entries) >> 32;
}

#endif
