// SPDX-License-Identifier: GPL-2.0
/*
 * Loads an object and runs its programs on packets given in hex, without
 * attaching them anywhere (BPF_PROG_TEST_RUN). One command a line on stdin, one
 * answer a line on stdout, "ok ..." or "error ...":
 *
 *   load FILE [MAP=ENTRIES ...]   loads it, each map with so many entries
 *   programs                      name:instructions verified:stack:bytes:jited ...
 *   run PROGRAM IFINDEX HEX       -> XDP action, packet afterwards
 *   classify PROGRAM PRIORITY HEX -> tc action, priority and packet afterwards
 *   set MAP KEY VALUE             hex, as the bytes lie in memory
 *   unset MAP KEY
 *   get MAP KEY                   -> hex; of each CPU in turn for a per-CPU map
 *   dump MAP                      -> every value of an array, in hex
 *   clear                         empties every map
 *   events MAP                    -> what is waiting in a ring buffer, in hex
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE	65536
#define LOG	(1 << 16)
#define WORDS	64

static struct bpf_object *object;
static char logs[16][LOG];
static char complaint[4096];

static int remember(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t used = strlen(complaint);

	if (level == LIBBPF_WARN && used < sizeof(complaint) - 1)
		vsnprintf(complaint + used, sizeof(complaint) - used, format, args);
	return 0;
}

static void fail(const char *what, int error)
{
	char *c;

	for (c = complaint; *c; c++)
		if (*c == '\n')
			*c = '|';
	printf("error %s: %s %s\n", what, strerror(error < 0 ? -error : error), complaint);
	complaint[0] = 0;
}

static int unhex(const char *text, unsigned char *bytes, int max)
{
	int count = 0;
	unsigned int byte;

	for (; isxdigit(text[0]) && isxdigit(text[1]) && count < max; text += 2) {
		sscanf(text, "%2x", &byte);
		bytes[count++] = byte;
	}
	return *text ? -1 : count;
}

static void hex(const unsigned char *bytes, int count)
{
	while (count-- > 0)
		printf("%02x", *bytes++);
}

static void load(char **word, int words)
{
	struct bpf_program *program;
	struct bpf_map *map;
	int i, error, n = 0;
	char *equals;

	bpf_object__close(object);
	object = bpf_object__open_file(word[1], NULL);
	if (!object)
		return fail("open", errno);
	for (i = 2; i < words; i++) {
		equals = strchr(word[i], '=');
		if (!equals)
			return fail(word[i], EINVAL);
		*equals = 0;
		map = bpf_object__find_map_by_name(object, word[i]);
		if (!map || bpf_map__set_max_entries(map, atoi(equals + 1)))
			return fail(word[i], ENOENT);
	}
	bpf_object__for_each_program(program, object) {
		if (n == 16)
			break;
		logs[n][0] = 0;
		bpf_program__set_log_level(program, 4);
		bpf_program__set_log_buf(program, logs[n++], LOG);
	}
	error = bpf_object__load(object);
	if (error) {
		bpf_object__close(object);
		object = NULL;
		return fail("load", error);
	}
	puts("ok");
}

static void programs(void)
{
	struct bpf_program *program;
	int n = 0;

	printf("ok");
	bpf_object__for_each_program(program, object) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);
		char *stack = strstr(logs[n], "stack depth ");
		char *walked = strstr(logs[n++], "processed ");
		int depth, most = 0;

		bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size);
		/* "stack depth 120+64": the frame of the program and of each function */
		for (stack = stack ? stack + 12 : ""; isdigit(*stack); stack++) {
			depth = strtol(stack, &stack, 10);
			most = depth > most ? depth : most;
			if (*stack != '+')
				break;
		}
		printf(" %s:%u:%d:%u:%u", bpf_program__name(program),
		       walked ? (__u32)atoi(walked + 10) : info.verified_insns, most, info.xlated_prog_len,
		       info.jited_prog_len);
	}
	puts("");
}

static void run(char **word)
{
	static unsigned char in[LINE], out[LINE];
	struct xdp_md ctx_in = {}, ctx_out = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1);
	struct bpf_program *program;
	int size, error;

	program = bpf_object__find_program_by_name(object, word[1]);
	if (!program)
		return fail(word[1], ENOENT);
	size = unhex(word[3], in, sizeof(in));
	if (size < 0)
		return fail("packet", EINVAL);
	options.data_size_in = size;
	/* the loopback interface is where packets come in unless told otherwise, */
	/* which a kernel before 5.15 cannot be */
	if (atoi(word[2]) != 1) {
		ctx_in.data_end = size;
		ctx_in.ingress_ifindex = atoi(word[2]);
		options.ctx_in = &ctx_in;
		options.ctx_size_in = sizeof(ctx_in);
		options.ctx_out = &ctx_out;
		options.ctx_size_out = sizeof(ctx_out);
	}
	error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (error)
		return fail("run", error);
	printf("ok %u ", options.retval);
	hex(out, options.data_size_out);
	puts("");
}

/* A classifier, on a packet that has a priority already. */
static void classify(char **word)
{
	static unsigned char in[LINE], out[LINE];
	struct __sk_buff before = {}, after = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_out = out,
		    .data_size_out = sizeof(out), .repeat = 1,
		    .ctx_in = &before, .ctx_size_in = sizeof(before),
		    .ctx_out = &after, .ctx_size_out = sizeof(after));
	struct bpf_program *program;
	int size, error;

	program = bpf_object__find_program_by_name(object, word[1]);
	if (!program)
		return fail(word[1], ENOENT);
	size = unhex(word[3], in, sizeof(in));
	if (size < 0)
		return fail("packet", EINVAL);
	options.data_size_in = size;
	before.priority = strtoul(word[2], NULL, 16);
	error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
	if (error)
		return fail("classify", error);
	printf("ok %d %08x ", (int)options.retval, after.priority);
	hex(out, options.data_size_out);
	puts("");
}

static int is_percpu(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
}

static int stored_size(const struct bpf_map *map)
{
	int size = bpf_map__value_size(map);

	return is_percpu(map) ? (size + 7) / 8 * 8 * libbpf_num_possible_cpus() : size;
}

static void map_command(char **word, int words)
{
	static unsigned char key[LINE], value[LINE];
	struct bpf_map *map = bpf_object__find_map_by_name(object, word[1]);
	int fd, error, size;

	if (!map)
		return fail(word[1], ENOENT);
	fd = bpf_map__fd(map);
	if (unhex(word[2], key, sizeof(key)) != (int)bpf_map__key_size(map))
		return fail("key size", EINVAL);
	size = bpf_map__value_size(map);
	if (!strcmp(word[0], "get")) {
		size = stored_size(map);
		if (bpf_map_lookup_elem(fd, key, value))
			return fail("get", errno);
		printf("ok ");
		hex(value, size);
		puts("");
		return;
	}
	if (!strcmp(word[0], "set")) {
		if (words < 4 || is_percpu(map) || unhex(word[3], value, sizeof(value)) != size)
			return fail("value size", EINVAL);
		error = bpf_map_update_elem(fd, key, value, BPF_ANY);
	} else {
		error = bpf_map_delete_elem(fd, key);
	}
	if (error)
		return fail(word[0], errno);
	puts("ok");
}

static void dump(char **word)
{
	static unsigned char value[LINE];
	struct bpf_map *map = bpf_object__find_map_by_name(object, word[1]);
	__u32 i;

	if (!map)
		return fail(word[1], ENOENT);
	printf("ok ");
	for (i = 0; i < bpf_map__max_entries(map); i++)
		if (!bpf_map_lookup_elem(bpf_map__fd(map), &i, value))
			hex(value, stored_size(map));
	puts("");
}

static void clear(void)
{
	static unsigned char zero[LINE], key[LINE];
	struct bpf_map *map;
	__u32 i;

	bpf_object__for_each_map(map, object) {
		int fd = bpf_map__fd(map), type = bpf_map__type(map);

		if (type == BPF_MAP_TYPE_RINGBUF) {
			continue;
		} else if (bpf_map__map_flags(map) & BPF_F_MMAPABLE) {
			size_t size = (bpf_map__value_size(map) + 7ul) / 8 * 8 *
				      bpf_map__max_entries(map);
			void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_SHARED, fd, 0);

			if (at == MAP_FAILED)
				return fail("mmap", errno);
			memset(at, 0, size);
			munmap(at, size);
		} else if (type == BPF_MAP_TYPE_PERCPU_ARRAY ||
			   type == BPF_MAP_TYPE_ARRAY) {
			for (i = 0; i < bpf_map__max_entries(map); i++)
				bpf_map_update_elem(fd, &i, zero, BPF_ANY);
		} else {
			while (!bpf_map_get_next_key(fd, NULL, key))
				if (bpf_map_delete_elem(fd, key))
					return fail("clear", errno);
		}
	}
	puts("ok");
}

static int one_event(void *unused, void *data, size_t size)
{
	(void)unused;
	putchar(' ');
	hex(data, size);
	return 0;
}

static void events(char **word)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, word[1]);
	struct ring_buffer *ring;

	if (!map)
		return fail(word[1], ENOENT);
	ring = ring_buffer__new(bpf_map__fd(map), one_event, NULL, NULL);
	if (!ring)
		return fail("events", errno);
	printf("ok");
	ring_buffer__consume(ring);
	puts("");
	ring_buffer__free(ring);
}

int main(void)
{
	static char line[2 * LINE];

	libbpf_set_print(remember);
	setvbuf(stdout, NULL, _IOLBF, 1 << 18);
	while (fgets(line, sizeof(line), stdin)) {
		char *word[WORDS] = {}, *at = strtok(line, " \n");
		int words = 0;

		for (; at && words < WORDS; at = strtok(NULL, " \n"))
			word[words++] = at;
		if (!words)
			continue;
		if (!strcmp(word[0], "load") && words > 1)
			load(word, words);
		else if (!object)
			fail("nothing is loaded", EINVAL);
		else if (!strcmp(word[0], "programs"))
			programs();
		else if (!strcmp(word[0], "run") && words == 4)
			run(word);
		else if (!strcmp(word[0], "classify") && words == 4)
			classify(word);
		else if (!strcmp(word[0], "clear"))
			clear();
		else if (!strcmp(word[0], "dump") && words == 2)
			dump(word);
		else if (!strcmp(word[0], "events") && words == 2)
			events(word);
		else if ((!strcmp(word[0], "set") || !strcmp(word[0], "get") ||
			  !strcmp(word[0], "unset")) && words > 2)
			map_command(word, words);
		else
			fail(word[0], EINVAL);
	}
	return 0;
}
