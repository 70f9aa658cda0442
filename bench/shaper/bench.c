// SPDX-License-Identifier: GPL-2.0
/*
 * Fills the classifier's maps with subscribers and times the harness.
 *
 *   bench OBJECT SAMPLES  ->  one JSON line a measurement:
 *   {"target":"download","family":4,"subscribers":1000,"case":"host","ns":41.2,...}
 *
 * empty        the loop and the call alone
 * download     the classifier: "host" by an entry of its own, "prefix" by one of
 *              as many prefixes, "nobody" without an entry, in either
 * trie, table  what it is compared with, by host
 *
 * Exits with 1 and a line on stderr if the class of a packet is not right.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/bpf.h>
#include "../support/bench.h"
#include "../../bpf/shaper/shaper.h"

#define FRAME	74
#define UNSPEC	((__u32)-1)

struct line {
	__u32 addr[4];
	struct shaper_class class;
	__u32 used;
	__u32 pad;
};

/* The maps of the classifier keep the sizes they are made with. */
static void load(const char *file, __u32 lines)
{
	struct bpf_map *map;
	size_t size;
	__u32 *mask;

	open_object(file);
	bpf_map__set_max_entries(map_of("table"), lines);
	bpf_object__for_each_map(map, object)
		if (strstr(bpf_map__name(map), ".rodata")) {
			mask = (__u32 *)bpf_map__initial_value(map, &size);
			*mask = lines - 1;
		}
	load_object();
}

static void put(const char *map, const void *key, const struct shaper_class *class)
{
	if (bpf_map_update_elem(bpf_map__fd(map_of(map)), key, class, BPF_ANY))
		die(map);
}

/* 10.0.0.0 + n, mapped, or 2001:db8:n::1, a prefix of 56 bits of its own */
static void address(int family, __u32 n, __u32 *addr)
{
	if (family == 4) {
		memset(addr, 0xff, 12);
		addr[3] = htonl(0x0a000000 + n);
	} else {
		addr[0] = htonl(0x20010db8);
		addr[1] = htonl(n);
		addr[2] = 0;
		addr[3] = htonl(1);
	}
}

static struct shaper_class class_of(__u32 n)
{
	return (struct shaper_class){ 0x10000 + n, 0x80000000 + n };
}

static void fill(int family, __u32 subscribers, __u32 lines)
{
	struct line *table = mapped("table");
	struct shaper_net6 net = { .prefixlen = 128 };
	struct shaper_class class;
	__u32 i, n, addr[4];
	__u64 h;

	for (i = 0; i < subscribers; i++) {
		/* not in the order of their addresses, as they come in real life */
		n = i * 7919ull % subscribers;
		class = class_of(n);
		address(family, n, addr);
		put(family == 4 ? "shaper_hosts4" : "shaper_hosts6",
		    family == 4 ? addr + 3 : addr, &class);
		memcpy(net.addr, addr, sizeof(addr));
		put("trie", &net, &class);
		h = ((__u64)addr[1] << 32 | addr[3]) * 0x9e3779b97f4a7c15ull;
		h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull >> 32;
		while (table[h & (lines - 1)].used)
			h++;
		table[h & (lines - 1)] = (struct line){
			{ addr[0], addr[1], addr[2], addr[3] }, class, 1, 0 };
	}
	munmap(table, (size_t)lines * sizeof(*table));
}

/* As many prefixes instead: a /31 for each pair of addresses, or a /64 for each. */
static void fill_prefixes(int family, __u32 subscribers)
{
	struct shaper_class class;
	struct shaper_net4 net4 = { .prefixlen = 31 };
	struct shaper_net6 net6 = { .prefixlen = 64 };
	__u32 n, addr[4];

	for (n = 0; n < subscribers; n++) {
		class = class_of(n);
		if (family == 4) {
			net4.addr = htonl(0x0a000000 + n * 2);
			put("shaper_nets4", &net4, &class);
		} else {
			address(6, n, addr);
			addr[2] = addr[3] = 0;
			memcpy(net6.addr, addr, sizeof(addr));
			put("shaper_nets6", &net6, &class);
		}
	}
}

/* A frame to subscriber n, from outside. */
static void frame_to(int family, __u32 n, unsigned char *frame)
{
	static const unsigned char ethernet[] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
	static const unsigned char v4[] = { 0x45, 0, 0, 60, 0, 0, 0x40, 0, 61, 17, 0, 0 };
	static const unsigned char v6[] = { 0x60, 0, 0, 0, 0, 20, 17, 61 };
	__u32 addr[4];

	memset(frame, 0xa5, FRAME);
	memcpy(frame, ethernet, sizeof(ethernet));
	address(family, n, addr);
	frame[12] = family == 4 ? 0x08 : 0x86;
	frame[13] = family == 4 ? 0x00 : 0xdd;
	if (family == 4) {
		memcpy(frame + 14, v4, sizeof(v4));
		memcpy(frame + 30, addr + 3, 4);
	} else {
		memcpy(frame + 14, v6, sizeof(v6));
		memcpy(frame + 38, addr, 16);
	}
}

/* Before anything is timed: does the target find what it is timed for finding? */
static void check(const char *target, int family, __u32 subscriber, __u32 expected)
{
	unsigned char frame[FRAME];
	struct __sk_buff after = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME,
		    .repeat = 1, .ctx_out = &after, .ctx_size_out = sizeof(after));
	char name[32];

	snprintf(name, sizeof(name), "once_%s", target);
	frame_to(family, subscriber, frame);
	run_program(name, &options);
	if (options.retval != UNSPEC || after.priority != expected) {
		fprintf(stderr, "%s of IPv%d subscriber %u: verdict %d, class %x instead of %x\n",
			target, family, subscriber, (int)options.retval, after.priority,
			expected);
		exit(1);
	}
}

/* How many packets the classifier left to the default class so far. */
static __u64 left(void)
{
	struct shaper_stat stats[1024];
	__u32 reason, cpu, cpus = libbpf_num_possible_cpus();
	__u64 sum = 0;

	for (reason = 0; reason < SHAPER_REASONS; reason++) {
		if (cpus > 1024 ||
		    bpf_map_lookup_elem(bpf_map__fd(map_of("shaper_stats")), &reason, stats))
			die("shaper_stats");
		for (cpu = 0; cpu < cpus; cpu++)
			sum += stats[cpu].packets;
	}
	return sum;
}

static void measure(const char *target, int family, __u32 subscribers, const char *what)
{
	struct bench *bench = start_bench(subscribers);
	__u64 before = left(), calls = calls_timed(), without;
	int nobody = !strcmp(what, "nobody");
	unsigned char frame[FRAME];
	struct timing timing;

	frame_to(family, 0, frame);
	timing = time_target(target, frame, FRAME);
	without = left() - before;
	if (timing.verdict || bench->verdicts[7] != calls || without != (nobody ? calls : 0)) {
		fprintf(stderr, "%s: %llu of %llu calls, %llu without a class\n", target,
			(unsigned long long)bench->verdicts[7], (unsigned long long)calls,
			(unsigned long long)without);
		exit(1);
	}
	printf("{\"target\":\"%s\",\"family\":%d,\"subscribers\":%u,\"case\":\"%s\","
	       "\"ns\":%.2f,\"min\":%.2f,\"max\":%.2f}\n", target, family, subscribers,
	       what, timing.median, timing.min, timing.max);
	fflush(stdout);
	end_bench(bench);
}

static void sweep(const char *file, int family, __u32 subscribers)
{
	static const char * const targets[] = { "download", "trie", "table" };
	__u32 lines = 1024, last = subscribers - 1, i;

	while (lines < 4 * subscribers)
		lines *= 2;
	load(file, lines);
	measure("empty", family, subscribers, "host");
	check("download", family, last, 0);
	measure("download", family, subscribers, "nobody");
	fill(family, subscribers, lines);
	for (i = 0; i < 3; i++) {
		check(targets[i], family, 0, class_of(0).download);
		check(targets[i], family, last, class_of(last).download);
		measure(targets[i], family, subscribers, "host");
	}
	/* prefixes are for the few that have them: those who can be in the trie */
	if (subscribers > 10000)
		return;
	load(file, 1024);
	fill_prefixes(family, subscribers);
	check("download", family, last, class_of(family == 4 ? last / 2 : last).download);
	measure("download", family, subscribers, "prefix");
}

int main(int argc, char **argv)
{
	static const __u32 sizes[] = { 1, 1000, 10000, 100000 };
	unsigned int i;

	if (argc < 3 || !read_samples(argv[2])) {
		fprintf(stderr, "bench OBJECT SAMPLES(1-64)\n");
		return 1;
	}
	run_alone();
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sweep(argv[1], 4, sizes[i]);
		sweep(argv[1], 6, sizes[i]);
	}
	return 0;
}
