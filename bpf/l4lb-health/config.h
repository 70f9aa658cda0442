/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checks, one a line:
 *
 *   pins FOLDER
 *   check PROTOCOL VIP PORT BACKEND tcp|http|udp-echo PORT INTERVAL TIMEOUT FALL RISE PATH
 *   drain PROTOCOL VIP PORT BACKEND SECONDS
 *
 * Times are milliseconds but for SECONDS.
 */
#ifndef L4LB_HEALTH_CONFIG_H
#define L4LB_HEALTH_CONFIG_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "maps.h"

enum kind { CHECK_TCP, CHECK_HTTP, CHECK_UDP_ECHO, DRAIN };

struct check {
	struct target target;
	char name[160];			/* for messages */
	enum kind kind;
	struct sockaddr_storage peer;
	socklen_t peer_length;
	char host[72], path[512];
	uint64_t interval, timeout;	/* ms */
	uint32_t fall, rise;

	int index;			/* in lb_backends, -1: not known */
	int down;
	uint32_t streak;		/* answers in a row that say otherwise */
	uint64_t due;			/* ms: next question, or end of the drain */
	int fd;				/* of the question that is open, -1: none */
	int events;			/* what is waited for */
	uint64_t until, nonce;
	char answer[64];
	size_t received;
};

static struct check *checks;
static size_t check_count;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("l4lb-health: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* An address as the maps have it: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
static int wide(const char *text, uint8_t *bytes)
{
	if (strchr(text, ':'))
		return inet_pton(AF_INET6, text, bytes) == 1;
	memset(bytes, 0, 10);
	bytes[10] = bytes[11] = 0xff;
	return inet_pton(AF_INET, text, bytes + 12) == 1;
}

static void set_peer(struct check *c, const char *address, unsigned int port)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&c->peer;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&c->peer;

	if (strchr(address, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		inet_pton(AF_INET6, address, &v6->sin6_addr);
		c->peer_length = sizeof(*v6);
		snprintf(c->host, sizeof(c->host), "[%s]", address);
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		inet_pton(AF_INET, address, &v4->sin_addr);
		c->peer_length = sizeof(*v4);
		snprintf(c->host, sizeof(c->host), "%s", address);
	}
}

static int read_line(const char *line, struct check *c)
{
	char word[16], protocol[8], vip[64], address[64], how[16];
	unsigned int port, ask = 0, seconds;
	int read = 0;

	memset(c, 0, sizeof(*c));
	c->index = c->fd = -1;
	if (sscanf(line, "%15s %7s %63s %u %63s %n", word, protocol, vip, &port, address, &read) != 5)
		return 0;
	c->target.protocol = !strcmp(protocol, "tcp") ? IPPROTO_TCP : IPPROTO_UDP;
	c->target.port = htons(port);
	if (!wide(vip, c->target.vip) || !wide(address, c->target.address))
		return 0;
	snprintf(c->name, sizeof(c->name), "%s of %s %s port %u", address, protocol, vip, port);
	if (!strcmp(word, "drain")) {
		c->kind = DRAIN;
		if (sscanf(line + read, "%u", &seconds) != 1)
			return 0;
		c->interval = seconds * 1000ull;
		return 1;
	}
	if (strcmp(word, "check") ||
	    sscanf(line + read, "%15s %u %lu %lu %u %u %511s", how, &ask, &c->interval,
		   &c->timeout, &c->fall, &c->rise, c->path) != 7)
		return 0;
	c->kind = !strcmp(how, "http") ? CHECK_HTTP :
		  !strcmp(how, "udp-echo") ? CHECK_UDP_ECHO : CHECK_TCP;
	if (!c->interval || !c->timeout || !c->fall || !c->rise || !ask || ask > 65535)
		return 0;
	set_peer(c, address, ask);
	return 1;
}

static void read_config(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[1024];
	size_t number = 0;

	if (!file)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (sscanf(line, "pins %4000s", pins) == 1)
			continue;
		checks = realloc(checks, (check_count + 1) * sizeof(*checks));
		if (!checks)
			die("no memory for %zu checks", check_count + 1);
		if (!read_line(line, &checks[check_count]))
			die("%s, line %zu is none that is understood: %s", path, number, line);
		check_count++;
	}
	fclose(file);
	if (!pins[0])
		die("%s does not name the folder of the maps", path);
}

#endif
