// SPDX-License-Identifier: GPL-2.0
/*
 * Runs flows by the hundred thousand through the load balancer, without
 * attaching it anywhere (BPF_PROG_TEST_RUN), and remembers which backend each of
 * them was at. One command a line on stdin, one answer a line on stdout, "ok ..."
 * or "error ...":
 *
 *   load FILE               loads the object
 *   swap FILE               loads it again with the maps of the one before, which goes
 *   set MAP KEY VALUE       hex, as the bytes lie in memory
 *   get MAP KEY             -> hex; of each CPU in turn for a per-CPU map
 *   send WHAT FIRST COUNT   one packet of each flow: udp, or TCP flags as a number
 *   burst WHAT FIRST SIZES  flows one after the other, each with so many packets:
 *                           3,1,7,...
 *   race WHAT FIRST COUNT   as send, from two processors at once
 *   forget                  where the flows were
 *
 * The last four but one answer "LOST MOVED BACKEND:FLOWS:PACKETS:LEFT ...": packets
 * that were not forwarded, flows that were elsewhere before (race: flows that the
 * two processors saw at different backends); flows that are at a backend now,
 * packets that went there now, flows that were there before and are not any more.
 *
 * A flow is 10.0.0.0 + number, port 40000, to 203.0.113.80 port 80; a backend is
 * the last two bytes of the outer destination.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE		(1 << 20)
#define FLOWS		(1 << 24)
#define BACKENDS	65536
#define NOWHERE		0xffff
#define FRAME		60
#define TX		3

static struct bpf_object *object;
static int program;
static __u16 *at;
static __u32 *flows_at, *packets_to, *left;
static unsigned long long lost, moved;

static void fail(const char *what, int error)
{
	printf("error %s: %s\n", what, strerror(error < 0 ? -error : error));
}

/* bytes of hexadecimal digits, or -1 */
static int unhex(const char *text, unsigned char *bytes, int max)
{
	unsigned int byte;
	int count = 0;

	for (; isxdigit(text[0]) && isxdigit(text[1]) && count < max; text += 2) {
		sscanf(text, "%2x", &byte);
		bytes[count++] = byte;
	}
	return *text ? -1 : count;
}

static void load(const char *file, int swap)
{
	struct bpf_object *next = bpf_object__open_file(file, NULL);
	struct bpf_map *map, *old;

	if (!next)
		return fail("open", errno);
	bpf_object__for_each_map(map, next) {
		if (!swap)
			break;
		old = bpf_object__find_map_by_name(object, bpf_map__name(map));
		if (!old || bpf_map__reuse_fd(map, bpf_map__fd(old)))
			return fail(bpf_map__name(map), EINVAL);
	}
	if (bpf_object__load(next))
		return fail("load", errno);
	bpf_object__close(object);
	object = next;
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "xdp_l4lb"));
	puts("ok");
}

static void map_command(char **word, int words)
{
	static unsigned char key[256], value[1 << 16];
	struct bpf_map *map = bpf_object__find_map_by_name(object, word[1]);
	int fd, i, size;

	if (!map)
		return fail(word[1], ENOENT);
	fd = bpf_map__fd(map);
	if (unhex(word[2], key, sizeof(key)) != (int)bpf_map__key_size(map))
		return fail("key size", EINVAL);
	size = bpf_map__value_size(map);
	if (words == 4) {
		if (unhex(word[3], value, sizeof(value)) != size)
			return fail("value size", EINVAL);
		if (bpf_map_update_elem(fd, key, value, BPF_ANY))
			return fail("set", errno);
		puts("ok");
		return;
	}
	if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
		size *= libbpf_num_possible_cpus();
	if (bpf_map_lookup_elem(fd, key, value))
		return fail("get", errno);
	printf("ok ");
	for (i = 0; i < size; i++)
		printf("%02x", value[i]);
	puts("");
}

static void start_frame(unsigned char *frame, const char *what)
{
	static const unsigned char head[] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0x40, 0, 61, 6, 0, 0, 10, 0, 0, 0,
		203, 0, 113, 80, 0x9c, 0x40, 0, 80,
	};

	memset(frame, 0, FRAME);
	memcpy(frame, head, sizeof(head));
	if (!strcmp(what, "udp")) {
		frame[23] = 17;
		frame[39] = 26;
	} else {
		frame[46] = 5 << 4;
		frame[47] = atoi(what);
	}
}

/* Which backend a packet of the flow goes to, or NOWHERE. */
static __u32 send_one(unsigned char *frame, __u32 flow)
{
	unsigned char out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = 1);
	__u32 source = htonl(0x0a000000 + flow);

	memcpy(frame + 26, &source, 4);
	if (bpf_prog_test_run_opts(program, &options) || options.retval != TX)
		return NOWHERE;
	return out[32] << 8 | out[33];
}

static void start_count(void)
{
	memset(packets_to, 0, BACKENDS * sizeof(*packets_to));
	memset(left, 0, BACKENDS * sizeof(*left));
	lost = moved = 0;
}

static void note(__u32 flow, __u32 backend)
{
	__u32 before = at[flow];

	if (backend == NOWHERE) {
		lost++;
		return;
	}
	packets_to[backend]++;
	if (before == backend)
		return;
	if (before != NOWHERE) {
		moved++;
		left[before]++;
		flows_at[before]--;
	}
	flows_at[backend]++;
	at[flow] = backend;
}

static void answer(void)
{
	__u32 i;

	printf("ok %llu %llu", lost, moved);
	for (i = 0; i < BACKENDS; i++)
		if (flows_at[i] || packets_to[i] || left[i])
			printf(" %u:%u:%u:%u", i, flows_at[i], packets_to[i], left[i]);
	puts("");
}

static void send_flows(const char *what, __u32 first, __u32 count)
{
	unsigned char frame[FRAME];
	__u32 i;

	start_count();
	start_frame(frame, what);
	for (i = first; i < first + count && i < FLOWS; i++)
		note(i, send_one(frame, i));
	answer();
}

static void burst(const char *what, __u32 flow, char *sizes)
{
	unsigned char frame[FRAME];
	char *size, *rest = NULL;
	int i;

	start_count();
	start_frame(frame, what);
	for (size = strtok_r(sizes, ",", &rest); size && flow < FLOWS; flow++) {
		for (i = atoi(size); i > 0; i--)
			note(flow, send_one(frame, flow));
		size = strtok_r(NULL, ",", &rest);
	}
	answer();
}

struct runner {
	pthread_barrier_t *together;
	const char *what;
	__u32 first, count;
	int cpu;
	__u16 *saw;
};

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *run_race(void *of)
{
	struct runner *runner = of;
	unsigned char frame[FRAME];
	__u32 i;

	on_cpu(runner->cpu);
	start_frame(frame, runner->what);
	for (i = 0; i < runner->count; i++) {
		/* close together all the way, whoever is quicker */
		if (i % 64 == 0)
			pthread_barrier_wait(runner->together);
		runner->saw[i] = send_one(frame, runner->first + i);
	}
	return NULL;
}

static void race(const char *what, __u32 first, __u32 count)
{
	struct runner runners[2];
	pthread_barrier_t together;
	pthread_t threads[2];
	int i, n;

	start_count();
	pthread_barrier_init(&together, NULL, 2);
	for (n = 0; n < 2; n++) {
		runners[n] = (struct runner){ &together, what, first, count, n,
					      calloc(count, sizeof(__u16)) };
		pthread_create(&threads[n], NULL, run_race, &runners[n]);
	}
	for (n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	for (i = 0; i < (int)count; i++)
		for (n = 0; n < 2; n++)
			note(first + i, runners[n].saw[i]);
	for (n = 0; n < 2; n++)
		free(runners[n].saw);
	answer();
}

static void forget(void)
{
	memset(at, 0xff, FLOWS * sizeof(*at));
	memset(flows_at, 0, BACKENDS * sizeof(*flows_at));
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

int main(void)
{
	static char line[LINE];

	libbpf_set_print(silent);
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	at = malloc(FLOWS * sizeof(*at));
	flows_at = calloc(BACKENDS, sizeof(*flows_at));
	packets_to = calloc(BACKENDS, sizeof(*packets_to));
	left = calloc(BACKENDS, sizeof(*left));
	if (!at || !flows_at || !packets_to || !left)
		return 1;
	forget();
	/* counters of each CPU, turns of each CPU: all on one, except in a race */
	on_cpu(0);
	while (fgets(line, sizeof(line), stdin)) {
		char *word[8] = {}, *text = strtok(line, " \n");
		int words = 0;

		for (; text && words < 8; text = strtok(NULL, " \n"))
			word[words++] = text;
		if (!words)
			continue;
		if (!strcmp(word[0], "load") && words == 2)
			load(word[1], 0);
		else if (!object)
			fail("nothing is loaded", EINVAL);
		else if (!strcmp(word[0], "swap") && words == 2)
			load(word[1], 1);
		else if ((!strcmp(word[0], "set") && words == 4) ||
			 (!strcmp(word[0], "get") && words == 3))
			map_command(word, words);
		else if (!strcmp(word[0], "send") && words == 4)
			send_flows(word[1], atoi(word[2]), atoi(word[3]));
		else if (!strcmp(word[0], "burst") && words == 4)
			burst(word[1], atoi(word[2]), word[3]);
		else if (!strcmp(word[0], "race") && words == 4)
			race(word[1], atoi(word[2]), atoi(word[3]));
		else if (!strcmp(word[0], "forget")) {
			forget();
			puts("ok");
		} else {
			fail(word[0], EINVAL);
		}
	}
	return 0;
}
