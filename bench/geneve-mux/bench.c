// SPDX-License-Identifier: GPL-2.0
/*
 * Fills GeneveMux's maps with Geneve tunnels and times the harness.
 *
 *   bench OBJECT SAMPLES TUNNELS-AT-MOST  ->  one JSON line a measurement:
 *   {"target":"push","tunnels":1000,"how":"redirect","ns":41.2,...}
 *
 * push, pop    the program, with a line for each CPU: "redirect" through one
 *              device entry, "own-device" through one for each tunnel and end,
 *              "pass" without redirection, "atomic" with lines that CPUs share
 * usual        encapsulation by a hash map of finished headers
 * empty        the loop and the call alone
 *
 * Runs in a network namespace of its own. Exits with 1 and a line on stderr if
 * what comes out of the programs is not right.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include "../support/bench.h"
#include "../../bpf/geneve-mux/mux.h"

#define FRAME	60
#define HEADERS	50

static __u16 redirect;

static void load(const char *file, __u32 lines, __u32 devices)
{
	open_object(file);
	bpf_map__set_max_entries(map_of("mux_ends"), lines);
	bpf_map__set_max_entries(map_of("mux_devs"), devices);
	bpf_map__set_max_entries(map_of("mux_hops"), devices > 1024 ? devices : 1024);
	bpf_map__set_max_entries(map_of("usual"), lines);
	load_object();
}

/* The slot for a key, with everything but the key still to be written. */
static __u32 place(const struct mux_end *table, __u32 mask, __u32 scope, __u32 a, __u32 b)
{
	__u32 hash = mux_hash4(scope, (__u64)b << 32 | a), i;

	for (i = 0; i < MUX_WINDOW; i++)
		if (!table[(hash + i) & mask].scope)
			return (hash + i) & mask;
	errno = ENOSPC;
	die("slot");
	return 0;
}

/* Host 10.0.0.0 + n is pushed with VNI n, and VNI n popped. */
static void fill(__u32 tunnels, __u32 lines, __u32 cpus, int own_device)
{
	struct mux_port *ports = mapped("mux_ports");
	struct mux_end *ends = mapped("mux_ends");
	struct mux_hop *hops = mapped("mux_hops");
	__u32 lo = 1, device, n, cpu, at, mask = lines - 1;
	int devs = bpf_map__fd(map_of("mux_devs"));
	/* each with a device of its own only if every tunnel goes its own way */
	__u32 remotes = own_device ? tunnels : 256;

	ports[lo] = (struct mux_port){
			.ifindex = lo,
			.flags = MUX_PORT_HOST | MUX_PORT_PREFIX | MUX_PORT_POP,
			.mask4 = mask,
			.stride = cpus ? lines : 0,
			.cpus = cpus,
			.geneve_port = htons(6081),
			.vxlan_port = htons(4789),
		};
	/* routes that have been looked up already, and hold for long */
	for (n = 1; n <= remotes; n++)
		hops[n] = (struct mux_hop){
			.dmac = { 2, 0, 0, 0, 0, 2 },
			.smac = { 2, 0, 0, 0, 0, 1 },
			.egress = own_device ? 2 * n - 1 : 1,
			.valid = 0x7fffffff,
			.hold = 0x7fffffff,
			.family = 2,
		};
	for (n = 0; n < tunnels; n++) {
		struct mux_end push = {
			.b = htonl(0x0a000000 + n),
			.scope = MUX_SCOPE(MUX_BY_HOST, 0),
			.flags = redirect | MUX_DF,
			.protocol = MUX_GENEVE,
			.vni = n,
			.local = htonl(0xc0000201),
			.remote = htonl(0xc6336400 + n % remotes),
			.dport = htons(6081),
			.mtu = 1500,
			.hop = 1 + n % remotes,
		};
		struct mux_end pop = {
			.a = n,
			.b = htonl(0xc0000201),
			.scope = MUX_SCOPE(MUX_POP_GENEVE, 0),
			.flags = redirect,
			.protocol = MUX_GENEVE,
			.remote = htonl(0xc6336407),
			.egress = own_device ? 2 * n + 2 : 1,
		};

		at = place(ends, mask, push.scope, push.a, push.b);
		for (cpu = 0; cpu < (cpus ? cpus : 1); cpu++)
			ends[cpu * lines + at] = push;
		at = place(ends, mask, pop.scope, pop.a, pop.b);
		for (cpu = 0; cpu < (cpus ? cpus : 1); cpu++)
			ends[cpu * lines + at] = pop;
		for (device = own_device ? 2 * n + 1 : 1; device <= pop.egress; device++)
			if ((own_device || !n) &&
			    bpf_map_update_elem(devs, &device, &lo, BPF_ANY))
				die("device");
	}
}

/* The same tunnels for the program it is compared with. */
static void fill_usual(__u32 tunnels)
{
	static const unsigned char head[HEADERS] = {
		2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0,
		0xc0, 0, 2, 1, 0xc6, 0x33, 0x64, 0,
		0xc8, 0x22, 0x17, 0xc1, 0, 0, 0, 0,
		0, 0, 0x65, 0x58, 0, 0, 0, 0,
	};
	struct {
		__u8 bytes[56];
		__u32 egress;
		__u32 pad;
	} value = { .egress = 1 };
	int fd = bpf_map__fd(map_of("usual"));
	__u32 key[2] = { htonl(0xac100001) }, n, vni;

	memcpy(value.bytes, head, sizeof(head));
	for (n = 0; n < tunnels; n++) {
		key[1] = htonl(0x0a000000 + n);
		vni = htonl(n << 8);
		value.bytes[33] = n;
		memcpy(value.bytes + 46, &vni, 4);
		if (bpf_map_update_elem(fd, key, &value, BPF_ANY))
			die("usual");
	}
}

/* An inner UDP packet in a frame of 60 bytes, as in 10.0.0.0 + tunnel. */
static void plain(unsigned char *frame, __u32 tunnel)
{
	static const unsigned char head[] = {
		2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0xb9, 0, 46, 0, 0, 0x40, 0, 61, 17, 0, 0, 172, 16, 0, 1,
		0, 0, 0, 0, 0x9c, 0x40, 0, 53, 0, 26, 0, 0,
	};
	__u32 dst = htonl(0x0a000000 + tunnel);
	__u16 sum;

	memset(frame, 0xa5, FRAME);
	memcpy(frame, head, sizeof(head));
	memcpy(frame + 30, &dst, 4);
	sum = ip_checksum(frame + 14);
	memcpy(frame + 24, &sum, 2);
}

static void wrapped(unsigned char *frame, __u32 tunnel)
{
	static const unsigned char head[HEADERS] = {
		2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 96, 0, 0, 0x40, 0, 61, 17, 0, 0,
		0xc6, 0x33, 0x64, 7, 0xc0, 0, 2, 1,
		0xd0, 0, 0x17, 0xc1, 0, 76, 0, 0,
		0, 0, 0x65, 0x58, 0, 0, 0, 0,
	};
	__u32 vni = htonl(tunnel << 8);
	__u16 sum;

	memcpy(frame, head, sizeof(head));
	memcpy(frame + 46, &vni, 4);
	sum = ip_checksum(frame + 14);
	memcpy(frame + 24, &sum, 2);
	plain(frame + HEADERS, tunnel);
}

/* One call of the target, for looking at what comes out. */
static __u32 once(const char *target, const void *packet, int size, void *out,
		  int *out_size)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = size,
		    .data_out = out, .data_size_out = 8192, .repeat = 1);
	char name[32];

	snprintf(name, sizeof(name), "once_%s", target);
	run_program(name, &options);
	*out_size = options.data_size_out;
	return options.retval;
}

static __u32 wanted(void)
{
	return redirect ? 4 : 2;
}

/* Before anything is timed: do the programs do what they are timed for? */
static void check(__u32 tunnels, int usual)
{
	unsigned char frame[256], out[8192], expected[256];
	__u32 tunnel = tunnels - 1, verdict;
	int size;

	plain(frame, tunnel);
	verdict = once("push", frame, FRAME, out, &size);
	if (verdict != wanted() || size != FRAME + HEADERS || memcmp(out + HEADERS, frame, FRAME) ||
	    out[15] != 0xb9 || out[22] != 61 || ip_checksum(out + 14) ||
	    (ntohl(*(__u32 *)(out + 46)) >> 8) != tunnel) {
		fprintf(stderr, "push is wrong: verdict %u, %d bytes\n", verdict, size);
		exit(1);
	}
	if (usual) {
		verdict = once("usual", frame, FRAME, out, &size);
		if (verdict != 4 || size != FRAME + HEADERS ||
		    memcmp(out + HEADERS, frame, FRAME) || ip_checksum(out + 14) ||
		    (ntohl(*(__u32 *)(out + 46)) >> 8) != tunnel) {
			fprintf(stderr, "usual is wrong: verdict %u, %d bytes\n", verdict, size);
			exit(1);
		}
	}
	wrapped(frame, tunnel);
	plain(expected, tunnel);
	verdict = once("pop", frame, FRAME + HEADERS, out, &size);
	if (verdict != wanted() || size != FRAME || memcmp(out, expected, FRAME)) {
		fprintf(stderr, "pop is wrong: verdict %u, %d bytes\n", verdict, size);
		exit(1);
	}
}

static void measure(const char *target, __u32 tunnels, const char *how)
{
	struct bench *bench = start_bench(tunnels);
	__u32 right = strcmp(target, "empty") ? wanted() : 2;
	int pop = !strcmp(target, "pop");
	unsigned char frame[256];
	struct timing timing;

	if (pop)
		wrapped(frame, 0);
	else
		plain(frame, 0);
	timing = time_target(target, frame, pop ? FRAME + HEADERS : FRAME);
	if (timing.verdict != 2 || bench->verdicts[right] != calls_timed()) {
		fprintf(stderr, "%s: %llu of %llu calls ended in %u\n", target,
			(unsigned long long)bench->verdicts[right],
			(unsigned long long)calls_timed(), right);
		exit(1);
	}
	printf("{\"target\":\"%s\",\"tunnels\":%u,\"how\":\"%s\",\"ns\":%.2f,"
	       "\"min\":%.2f,\"max\":%.2f}\n", target, tunnels, how,
	       timing.median, timing.min, timing.max);
	fflush(stdout);
	end_bench(bench);
}

static void sweep(const char *file, __u32 tunnels, const char *how)
{
	int own_device = !strcmp(how, "own-device");
	int cpus = strcmp(how, "atomic") ? libbpf_num_possible_cpus() : 0;
	int usual = !strcmp(how, "redirect");
	__u32 lines = 16384;

	redirect = strcmp(how, "pass") ? MUX_REDIRECT : 0;
	/* two entries a tunnel: sparse while that is cheap, else up to half full */
	while (lines < 4 * tunnels)
		lines *= 2;
	load(file, lines * (cpus ? cpus : 1), own_device ? 2 * tunnels : 16);
	fill(tunnels, lines, cpus, own_device);
	if (usual)
		fill_usual(tunnels);
	check(tunnels, usual);
	if (usual)
		measure("usual", tunnels, how);
	measure("push", tunnels, how);
	measure("pop", tunnels, how);
}

int main(int argc, char **argv)
{
	static const __u32 sizes[] = { 1, 1000, 10000, 100000, 1000000 };
	unsigned int i;

	if (argc < 4 || !read_samples(argv[2])) {
		fprintf(stderr, "bench OBJECT SAMPLES(1-64) TUNNELS-AT-MOST\n");
		return 1;
	}
	if (unshare(CLONE_NEWNET))
		die("unshare");
	run_alone();
	load(argv[1], 1024, 16);
	measure("empty", 1, "-");
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] > (unsigned int)atoi(argv[3]))
			break;
		sweep(argv[1], sizes[i], "redirect");
		sweep(argv[1], sizes[i], "pass");
		sweep(argv[1], sizes[i], "atomic");
		if (sizes[i] <= 100000)
			sweep(argv[1], sizes[i], "own-device");
	}
	return 0;
}
