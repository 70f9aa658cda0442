// SPDX-License-Identifier: GPL-2.0
/*
 * Sends UDP flows to one address: every flow has a source address and port of
 * its own, and flows follow each other. Packets are written with their IPv4
 * header (raw(7), IP_HDRINCL), so that a source need not be an address of this
 * machine; routes and neighbours are the kernel's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PAYLOAD_MAX	1400

static const char usage[] =
	"usage: flows -i INTERFACE [options] VIP\n"
	"  -i NAME     interface that packets leave by\n"
	"  -f NUMBER   flows (100)\n"
	"  -p NUMBER   packets of each flow (1)\n"
	"  -maxp MOST  packets of each flow at random, 1 to MOST, in place of -p\n"
	"  --port N    destination port (80)\n"
	"  --source P  source addresses at random from this IPv4 prefix (10.0.0.0/8)\n"
	"  --size N    bytes of payload, 0 to 1400 (18)\n"
	"  --rate N    packets a second at most (0: as fast as they leave)\n"
	"  --seed N    another seed gives other flows (1)\n"
	"  --mixed     one packet of each flow in turn, rather than flow by flow\n";

struct flow {
	uint32_t source;	/* host order */
	uint16_t port;
	uint32_t packets;
};

struct options {
	const char *interface;
	unsigned long flows, packets, most, port, size, rate, seed;
	uint32_t network, mask;	/* host order */
	struct in_addr vip;
	int mixed;
};

static uint64_t state;

/* xorshift64* (Vigna, 2016): the same flows for the same seed on every machine */
static uint32_t draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 2685821657736338717ULL) >> 32;
}

static void refuse(const char *what, const char *value)
{
	fprintf(stderr, "flows: %s: %s\n%s", what, value, usage);
	exit(2);
}

static unsigned long number(const char *option, const char *text, unsigned long least,
			    unsigned long most)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value < least || value > most) {
		fprintf(stderr, "flows: %s is a whole number from %lu to %lu, not %s\n", option,
			least, most, text);
		exit(2);
	}
	return value;
}

static void prefix(const char *text, struct options *o)
{
	char address[32];
	const char *slash = strchr(text, '/');
	struct in_addr network;
	unsigned long bits;

	if (!slash || (size_t)(slash - text) >= sizeof(address))
		refuse("--source is a prefix such as 10.0.0.0/8, not", text);
	memcpy(address, text, slash - text);
	address[slash - text] = 0;
	if (inet_pton(AF_INET, address, &network) != 1)
		refuse("--source is a prefix such as 10.0.0.0/8, not", text);
	bits = number("the length of --source", slash + 1, 0, 32);
	o->mask = bits ? ~0U << (32 - bits) : 0;
	o->network = ntohl(network.s_addr) & o->mask;
}

static uint32_t add(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *byte = data;
	size_t i;

	for (i = 0; i < length; i++)
		sum += i & 1 ? byte[i] : byte[i] << 8;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static size_t packet(uint8_t *buffer, const struct flow *flow, const struct options *o)
{
	struct iphdr *ip = (struct iphdr *)buffer;
	struct udphdr *udp = (struct udphdr *)(ip + 1);
	uint16_t length = sizeof(*udp) + o->size;
	uint16_t check;

	memset(buffer, 0, sizeof(*ip) + length);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons(sizeof(*ip) + length);
	ip->saddr = htonl(flow->source);
	ip->daddr = o->vip.s_addr;
	udp->source = htons(flow->port);
	udp->dest = htons(o->port);
	udp->len = htons(length);
	/* the pseudo header of RFC 768; the kernel fills in the header's own sum */
	check = folded(add(add(IPPROTO_UDP + length, &ip->saddr, 8), udp, length));
	udp->check = check ? check : 0xffff;
	return sizeof(*ip) + length;
}

/* Waits until the packet of this number is due. */
static void pace(const struct timespec *start, uint64_t sent, unsigned long rate)
{
	uint64_t due = sent * 1000000000ULL / rate;
	struct timespec at = *start;

	at.tv_sec += due / 1000000000ULL;
	at.tv_nsec += due % 1000000000ULL;
	if (at.tv_nsec >= 1000000000L) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000L;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static int transmit(int fd, const struct flow *flow, const struct options *o)
{
	static uint8_t buffer[sizeof(struct iphdr) + sizeof(struct udphdr) + PAYLOAD_MAX];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = o->vip };
	size_t length = packet(buffer, flow, o);

	for (;;) {
		if (sendto(fd, buffer, length, 0, (struct sockaddr *)&to, sizeof(to)) >= 0)
			return 0;
		/* the neighbour is not known yet, or the queue is full */
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return -errno;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{ "maxp", required_argument, NULL, 'm' }, { "port", required_argument, NULL, 'd' },
		{ "source", required_argument, NULL, 's' }, { "size", required_argument, NULL, 'z' },
		{ "rate", required_argument, NULL, 'r' }, { "seed", required_argument, NULL, 'e' },
		{ "mixed", no_argument, NULL, 'x' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int c;

	prefix("10.0.0.0/8", o);
	while ((c = getopt_long_only(argc, argv, "i:p:f:h", names, NULL)) != -1)
		switch (c) {
		case 'i': o->interface = optarg; break;
		case 'p': o->packets = number("-p", optarg, 1, 1000000); break;
		case 'f': o->flows = number("-f", optarg, 1, 10000000); break;
		case 'm': o->most = number("-maxp", optarg, 1, 1000000); break;
		case 'd': o->port = number("--port", optarg, 1, 65535); break;
		case 's': prefix(optarg, o); break;
		case 'z': o->size = number("--size", optarg, 0, PAYLOAD_MAX); break;
		case 'r': o->rate = number("--rate", optarg, 0, 100000000); break;
		case 'e': o->seed = number("--seed", optarg, 1, 4294967295UL); break;
		case 'x': o->mixed = 1; break;
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs(usage, stderr); exit(2);
		}
	if (!o->interface)
		refuse("-i is missing", "the interface that packets leave by");
	if (!if_nametoindex(o->interface))
		refuse("there is no interface", o->interface);
	if (optind + 1 != argc)
		refuse("one address is wanted", "the VIP");
	if (inet_pton(AF_INET, argv[optind], &o->vip) != 1)
		refuse("the VIP is an IPv4 address, not", argv[optind]);
}

int main(int argc, char **argv)
{
	struct options o = { .flows = 100, .packets = 1, .port = 80, .size = 18, .seed = 1 };
	struct timespec start;
	struct flow *flows;
	uint64_t sent = 0, before;
	unsigned long i;
	uint32_t n;
	int fd, error = 0;

	parse(argc, argv, &o);
	state = o.seed * 0x9e3779b97f4a7c15ULL;
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, o.interface,
				 strlen(o.interface) + 1) < 0) {
		fprintf(stderr, "flows: %s: %s\n", o.interface, strerror(errno));
		return 1;
	}
	flows = calloc(o.flows, sizeof(*flows));
	if (!flows) {
		fprintf(stderr, "flows: no memory for %lu flows\n", o.flows);
		return 1;
	}
	for (i = 0; i < o.flows; i++) {
		flows[i].source = o.network | (draw() & ~o.mask);
		flows[i].port = 1024 + draw() % (65536 - 1024);
		flows[i].packets = o.most ? 1 + draw() % o.most : o.packets;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		before = sent;
		for (i = 0; i < o.flows && !error; i++)
			for (n = o.mixed ? !!flows[i].packets : flows[i].packets; n && !error; n--) {
				if (o.rate)
					pace(&start, sent, o.rate);
				error = transmit(fd, &flows[i], &o);
				sent += !error;
				flows[i].packets--;
			}
	} while (sent > before && !error);
	if (error)
		fprintf(stderr, "flows: after %llu packets: %s\n", (unsigned long long)sent,
			strerror(-error));
	printf("%lu flows, %llu packets\n", o.flows, (unsigned long long)sent);
	free(flows);
	return !!error;
}
