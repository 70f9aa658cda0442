/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The timing half of a benchmark: loads a harness, runs its programs and takes
 * the median of several samples, on one processor that nothing else disturbs.
 * To be included once, by the program that fills the maps.
 */
#ifndef BENCH_H
#define BENCH_H

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "timing.h"

/* Runs of a harness in one sample: CALLS * REPEAT calls of the target. */
#define REPEAT		4000
#define MOST_SAMPLES	64

static struct bpf_object *object;
static int samples;

/* Nanoseconds for each call: the median of the samples, and their ends. */
struct timing {
	double median;
	double min;
	double max;
	__u32 verdict;		/* of the harness, the last time */
};

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static struct bpf_map *map_of(const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		die(name);
	return map;
}

static void *mapped(const char *name)
{
	struct bpf_map *map = map_of(name);
	size_t size = (size_t)bpf_map__value_size(map) * bpf_map__max_entries(map);
	void *at = mmap(NULL, (size + 4095) & ~4095ul, PROT_READ | PROT_WRITE,
			MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		die(name);
	return at;
}

/* Opened only: maps keep the sizes that they are loaded with. */
static void open_object(const char *file)
{
	bpf_object__close(object);
	object = bpf_object__open_file(file, NULL);
	if (!object)
		die(file);
}

static void load_object(void)
{
	if (bpf_object__load(object))
		die("load");
}

/*
 * Runs a program as often as the options' repeat says; what comes out is dropped
 * unless they have room for it. Nanoseconds for each run.
 */
static double run_program(const char *name, struct bpf_test_run_opts *options)
{
	static char scratch[8192];
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	if (!options->data_out) {
		options->data_out = scratch;
		options->data_size_out = sizeof(scratch);
	}
	if (!program || bpf_prog_test_run_opts(bpf_program__fd(program), options))
		die(name);
	return options->duration;
}

/* Says what the packets are spread over, and forgets what was counted. */
static struct bench *start_bench(__u32 entries)
{
	struct bench *bench = mapped("bench");

	*bench = (struct bench){ .entries = entries, .random = 0x243f6a8885a308d3ull };
	return bench;
}

static void end_bench(struct bench *bench)
{
	munmap(bench, 4096);
}

static int by_value(const void *a, const void *b)
{
	return (*(double *)a > *(double *)b) - (*(double *)a < *(double *)b);
}

/* Times the program bench_TARGET with a frame. */
static struct timing time_target(const char *target, const void *frame, __u32 size)
{
	double values[MOST_SAMPLES];
	struct timing timing = {};
	char name[64];
	int i;

	snprintf(name, sizeof(name), "bench_%s", target);
	/* the first is a warm-up: it touches what it will touch */
	for (i = -1; i < samples; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame,
			    .data_size_in = size, .repeat = REPEAT);
		double ns = run_program(name, &options) / CALLS;

		timing.verdict = options.retval;
		if (i >= 0)
			values[i] = ns;
	}
	qsort(values, samples, sizeof(double), by_value);
	timing.median = values[samples / 2];
	timing.min = values[0];
	timing.max = values[samples - 1];
	return timing;
}

/* How many calls of the target time_target() makes. */
static inline __u64 calls_timed(void)
{
	return (__u64)CALLS * REPEAT * (samples + 1);
}

/* On one processor, and not put off it by others: its caches stay ours. */
static void run_alone(void)
{
	struct sched_param parameters = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(libbpf_num_possible_cpus() - 1, &set);
	if (sched_setaffinity(0, sizeof(set), &set) ||
	    sched_setscheduler(0, SCHED_FIFO, &parameters))
		die("processor");
}

/* The checksum of an IPv4 header without options. */
static inline __u16 ip_checksum(const unsigned char *ip)
{
	__u32 sum = 0, i;

	for (i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

/* Reads the number of samples; 0 if there may not be so many. */
static int read_samples(const char *word)
{
	samples = atoi(word);
	return samples >= 1 && samples <= MOST_SAMPLES;
}

#endif
