// SPDX-License-Identifier: GPL-2.0
/*
 * One TCP (or MPTCP) connection whose every byte is known, so that a
 * transfer's end, its pauses and its contents can be judged.
 *
 *   stream serve ADDRESS PORT [mptcp]                  one connection, JSON
 *   stream send ADDRESS PORT MILLISECONDS [mptcp]      as much as goes, or
 *                                                      until it is told to end
 *   stream count ADDRESS PORT BYTES [mptcp]            that much
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void die(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The eight bytes at a place of the stream that is a multiple of eight. */
static uint64_t word_at(uint64_t place)
{
	uint64_t x = place + 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static void fill(char *buffer, uint64_t place, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 8) {
		uint64_t word = word_at(place + i);

		memcpy(buffer + i, &word, 8);
	}
}

static socklen_t address_of(const char *text, const char *port,
			    struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (void *)to;
	struct sockaddr_in6 *in6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(atoi(port));
		return sizeof(*in);
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
		die(text);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(atoi(port));
	return sizeof(*in6);
}

static int serve(const struct sockaddr_storage *at, socklen_t len, int protocol)
{
	static char got[1 << 16], want[(1 << 16) + 8];
	int listener = socket(at->ss_family, SOCK_STREAM, protocol), on = 1, fd;
	double first = 0, last = 0, gap = 0, ended;
	uint64_t bytes = 0;
	const char *error = "";
	int intact = 1;
	ssize_t n;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (const void *)at, len) || listen(listener, 1))
		die("listen");
	fputs("listening\n", stderr);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	while ((n = read(fd, got, sizeof(got))) > 0) {
		double t = now();
		uint64_t base = bytes & ~7ULL;

		if (!first)
			first = t;
		else if (t - last > gap)
			gap = t - last;
		last = t;
		fill(want, base, (bytes - base + n + 7) & ~7ULL);
		if (memcmp(got, want + (bytes - base), n))
			intact = 0;
		bytes += n;
	}
	ended = now();
	if (n < 0)
		error = strerror(errno);
	printf("{\"bytes\": %llu, \"seconds\": %.4f, \"gapMs\": %.1f, \"tailMs\": %.1f, \"intact\": %s, \"error\": \"%s\"}\n",
	       (unsigned long long)bytes, last - first, gap * 1e3,
	       (ended - last) * 1e3, intact ? "true" : "false", error);
	return 0;
}

static volatile sig_atomic_t told_to_end;

static void end(int signal)
{
	(void)signal;
	told_to_end = 1;
}

static int send_stream(const struct sockaddr_storage *to, socklen_t len,
		       int protocol, double until, uint64_t most)
{
	static char buffer[1 << 16];
	int fd = socket(to->ss_family, SOCK_STREAM, protocol);
	int notsent = 1 << 17;
	uint64_t sent = 0;

	if (fd < 0)
		die("socket");
	/* What is written but not sent would only prolong the end. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent,
		   sizeof(notsent));
	if (connect(fd, (const void *)to, len))
		die("connect");
	until += now();
	signal(SIGTERM, end);
	while (sent < most && now() < until && !told_to_end) {
		uint64_t base = sent & ~7ULL;
		size_t want = sizeof(buffer) - (sent - base);
		ssize_t n;

		if (most - sent < want)
			want = most - sent;
		fill(buffer, base, sizeof(buffer));
		n = write(fd, buffer + (sent - base), want);
		if (n < 0)
			die("write");
		sent += n;
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, buffer, 1) < 0)
		die("the other end");
	printf("%llu\n", (unsigned long long)sent);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage address;
	int serving = argc > 3 && !strcmp(argv[1], "serve");
	int mptcp = argc > 4 && !strcmp(argv[argc - 1], "mptcp");
	socklen_t len;

	if (argc < 4 || (!serving && argc < 5)) {
		fputs("stream serve|send|count ADDRESS PORT [AMOUNT] [mptcp]\n",
		      stderr);
		return 2;
	}
	len = address_of(argv[2], argv[3], &address);
	if (serving)
		return serve(&address, len, mptcp ? IPPROTO_MPTCP : 0);
	if (!strcmp(argv[1], "count"))
		return send_stream(&address, len, mptcp ? IPPROTO_MPTCP : 0,
				   1e6, strtoull(argv[4], NULL, 10));
	return send_stream(&address, len, mptcp ? IPPROTO_MPTCP : 0,
			   atof(argv[4]) / 1e3, UINT64_MAX);
}
