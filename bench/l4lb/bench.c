// SPDX-License-Identifier: GPL-2.0
/*
 * Fills the load balancer's maps with a service of 100 backends and times the
 * harness.
 *
 *   bench OBJECT SAMPLES FLOWS-AT-MOST  ->  one JSON line a measurement:
 *   {"target":"lb","flows":256,"case":"tcp","ns":62.1,...}
 *
 * lb      the program: "tcp" and "udp" packets of known flows, a random one each
 *         time; "new": each packet begins a flow; (in the policies named)
 * usual   what it is compared with, see harness.bpf.c
 * empty   the loop and the call alone
 *
 * Exits with 1 and a line on stderr if what comes out is not right.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <unistd.h>
#include "../support/bench.h"
#include "../../bpf/l4lb/lb.h"

#define FRAME		60
#define BACKENDS	100
#define FEW		16	/* that policies which look at all of them choose from */
#define RING		65537
#define VIP		0xcb007150u	/* 203.0.113.80 */
#define TX		3
#define PASS		2

static __u32 policy = LB_MAGLEV;

static void put(const char *map, const void *key, const void *value)
{
	if (bpf_map_update_elem(bpf_map__fd(map_of(map)), key, value, BPF_ANY))
		die(map);
}

static void mapped4(__u8 *at, __u32 address)
{
	address = htonl(address);
	memset(at, 0, 10);
	at[10] = at[11] = 0xff;
	memcpy(at + 12, &address, 4);
}

/* Service n is TCP (0) or UDP (1), with backends from n * BACKENDS on. */
static void fill(void)
{
	struct lb_control control = {
		.seed = 0x6a09e667f3bcc908ull, .tcp_new = 3600, .tcp = 3600,
		.tcp_closing = 60, .udp_new = 3600, .udp = 3600, .fragment = 10,
	};
	__u32 lines = (RING + LB_RING_LINE - 1) / LB_RING_LINE;
	struct lb_ring_line *ring = mapped("lb_ring");
	struct lb_backend backend;
	struct lb_service service;
	struct lb_vip vip;
	__u32 n, i, id, zero = 0, len;
	struct {
		__u32 address;
		__u16 port;
		__u8 protocol;
		__u8 pad;
	} usual;

	put("lb_control", &zero, &control);
	for (n = 0; n < 2; n++) {
		len = policy == LB_MAGLEV || policy == LB_TWO_CHOICES ? RING :
		      policy == LB_ROUND_ROBIN ? BACKENDS : FEW;
		memset(&service, 0, sizeof(service));
		mapped4(service.vip, VIP);
		service.port = htons(80);
		service.protocol = n ? 17 : 6;
		service.policy = policy;
		service.ring_at = n * lines;
		service.ring_len = len;
		put("lb_services", &n, &service);
		memset(&vip, 0, sizeof(vip));
		memcpy(vip.address, service.vip, 16);
		vip.port = service.port;
		vip.protocol = service.protocol;
		put("lb_vips", &vip, &n);
		usual.address = htonl(VIP);
		usual.port = htons(80);
		usual.protocol = service.protocol;
		usual.pad = 0;
		put("usual_vips", &usual, &n);
		for (i = 0; i < len; i++)
			ring[n * lines + i / LB_RING_LINE].backend[i % LB_RING_LINE] =
				n * BACKENDS + i * 7919 % BACKENDS;
		for (i = 0; i < BACKENDS; i++) {
			id = n * BACKENDS + i;
			memset(&backend, 0, sizeof(backend));
			mapped4(backend.address, 0x0a640000 + i);
			mapped4(backend.source, 0xc0000207);
			backend.service = n;
			backend.weight = 1;
			backend.state = LB_UP;
			backend.form = LB_IPIP;
			backend.flags = LB_NEXT_BACK;
			backend.mtu = 1500;
			put("lb_backends", &id, &backend);
		}
	}
	for (i = 0; i < RING; i++) {
		id = i * 7919 % BACKENDS;
		put("usual_ring", &i, &id);
	}
	for (i = 0; i < BACKENDS; i++) {
		id = htonl(0x0a640000 + i);
		put("usual_backends", &i, &id);
	}
}

/* A packet from 10.0.0.0 to a VIP, of 46 bytes in a frame of 60. */
static void packet_to(__u32 vip, int protocol, int flags, unsigned char *frame)
{
	static const unsigned char head[] = {
		2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 8, 0,
		0x45, 0, 0, 46, 0, 0, 0x40, 0, 61, 0, 0, 0, 10, 0, 0, 0,
		0, 0, 0, 0, 0x9c, 0x40, 0, 80,
	};

	memset(frame, 0, FRAME);
	memcpy(frame, head, sizeof(head));
	frame[23] = protocol;
	vip = htonl(vip);
	memcpy(frame + 30, &vip, 4);
	if (protocol == 6) {
		frame[46] = 5 << 4;
		frame[47] = flags;
	} else {
		frame[39] = 26;
	}
}

/* Before anything is timed: does a flow's packet go to a backend, always the same? */
static void check(const char *target)
{
	unsigned char frame[FRAME], out[8192];
	__u32 first = 0, address;
	char name[32];
	int i;

	snprintf(name, sizeof(name), "once_%s", target);
	packet_to(VIP, 6, 0x10, frame);
	for (i = 0; i < 3; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame,
			    .data_size_in = FRAME, .data_out = out,
			    .data_size_out = sizeof(out), .repeat = 1);

		run_program(name, &options);
		memcpy(&address, out + 30, 4);
		if (!i)
			first = address;
		if (options.retval != TX || options.data_size_out != FRAME + 20 ||
		    out[23] != 4 || ip_checksum(out + 14) || address != first ||
		    ntohl(address) - 0x0a640000 >= BACKENDS ||
		    memcmp(out + 34, frame + 14, FRAME - 14)) {
			fprintf(stderr, "%s is wrong: verdict %u, %u bytes\n", target,
				options.retval, options.data_size_out);
			exit(1);
		}
	}
}

/* How often a thing of lb_stats has been counted. */
static __u64 counted(__u32 reason)
{
	struct lb_count counts[1024];
	__u32 cpu, cpus = libbpf_num_possible_cpus();
	__u64 sum = 0;

	if (cpus > 1024 || bpf_map_lookup_elem(bpf_map__fd(map_of("lb_stats")), &reason, counts))
		die("lb_stats");
	for (cpu = 0; cpu < cpus; cpu++)
		sum += counts[cpu].packets;
	return sum;
}

static void measure(const char *target, const char *name, __u32 flows, const char *what,
		    const unsigned char *frame, __u32 verdict)
{
	struct bench *bench = start_bench(flows);
	__u64 began = counted(LB_R_FLOW_NEW), calls = calls_timed(), expected;
	int fresh = !strncmp(what, "new", 3) && strcmp(target, "empty");
	struct timing timing;

	timing = time_target(name, frame, FRAME);
	began = counted(LB_R_FLOW_NEW) - began;
	expected = fresh && !strcmp(target, "lb") ? calls : 0;
	/* the frame that each run begins with is one and the same flow's */
	if (timing.verdict != PASS || bench->verdicts[verdict] != calls ||
	    began + calls / CALLS < expected || (!expected && began)) {
		fprintf(stderr, "%s, %s, %u flows: %llu of %llu calls ended in %u, %llu flows began\n",
			target, what, flows, (unsigned long long)bench->verdicts[verdict],
			(unsigned long long)calls, verdict, (unsigned long long)began);
		exit(1);
	}
	printf("{\"target\":\"%s\",\"flows\":%u,\"case\":\"%s\",\"ns\":%.2f,\"min\":%.2f,"
	       "\"max\":%.2f}\n", target, flows, what, timing.median, timing.min, timing.max);
	fflush(stdout);
	end_bench(bench);
}

/* Lets a target see its flows, 10.0.0.0 to 10.0.0.0 + flows, twice each. */
static void know(const char *target, __u32 flows, const unsigned char *frame)
{
	struct bench *bench = start_bench(flows);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = FRAME,
		    .repeat = (flows + CALLS) / CALLS);
	char name[32];

	snprintf(name, sizeof(name), "bench_fill_%s", target);
	run_program(name, &options);
	if (options.retval != PASS || bench->pad < flows - 1) {
		fprintf(stderr, "%s: %u of %u flows\n", name, bench->pad, flows);
		exit(1);
	}
	end_bench(bench);
}

/*
 * Loads it anew, and lets it find out how fast time goes, which takes it up to a
 * second and some packets: the flow of the first frame is known then.
 */
static void load(const char *file)
{
	unsigned char frame[FRAME];
	int i;

	open_object(file);
	load_object();
	fill();
	packet_to(VIP, 6, 0x10, frame);
	for (i = 0; i < 12; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame,
			    .data_size_in = FRAME, .repeat = 1);

		run_program("once_lb", &options);
		usleep(100000);
	}
}

int main(int argc, char **argv)
{
	static const __u32 sizes[] = { 1, 256, 10000, 100000, 1000000 };
	static const char * const targets[] = { "lb", "usual" };
	static const struct {
		const char *name;
		__u32 policy;
	} others[] = {
		{ "new, round robin", LB_ROUND_ROBIN },
		{ "new, two choices", LB_TWO_CHOICES },
		{ "new, least flows of 16", LB_LEAST_FLOWS },
		{ "new, least bytes of 16", LB_LEAST_BYTES },
	};
	unsigned char frame[FRAME];
	unsigned int i, t, udp;
	char name[32];

	if (argc < 4 || !read_samples(argv[2])) {
		fprintf(stderr, "bench OBJECT SAMPLES(1-64) FLOWS-AT-MOST\n");
		return 1;
	}
	run_alone();
	load(argv[1]);
	packet_to(VIP, 6, 0x10, frame);
	measure("empty", "empty", 1, "-", frame, PASS);
	for (t = 0; t < 2; t++)
		check(targets[t]);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] > (__u32)atoi(argv[3]))
			break;
		for (t = 0; t < 2; t++)
			for (udp = 0; udp < 2; udp++) {
				if (t == 0 || !udp) {
					load(argv[1]);
					packet_to(VIP, udp ? 17 : 6, 0x10, frame);
					know(targets[t], sizes[i], frame);
					measure(targets[t], targets[t], sizes[i],
						udp ? "udp" : "tcp", frame, TX);
				}
			}
	}
	packet_to(VIP, 6, 0x02, frame);
	for (t = 0; t < 2; t++) {
		load(argv[1]);
		snprintf(name, sizeof(name), "new_%s", targets[t]);
		measure(targets[t], name, 0, "new", frame, TX);
	}
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		policy = others[i].policy;
		load(argv[1]);
		measure("lb", "new_lb", 0, others[i].name, frame, TX);
	}
	return 0;
}
