// SPDX-License-Identifier: GPL-2.0
/* Arguments: read strictly, so that nothing wrong gets as far as the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rule.h"

_Noreturn void usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("netagg: ", stderr);
	vfprintf(stderr, format, args);
	fputs("\n", stderr);
	va_end(args);
	exit(2);
}

long parse_number(const char *option, const char *text, long low, long high)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || text[0] == '+' || text[0] == ' ')
		usage("%s takes a number, not '%s'", option, text);
	if (value < low || value > high)
		usage("%s takes %ld to %ld, not %s", option, low, high, text);
	return value;
}

int parse_role(const char *text)
{
	if (!strcmp(text, "sender"))
		return NETAGG_ROLE_SENDER;
	if (!strcmp(text, "receiver"))
		return NETAGG_ROLE_RECEIVER;
	usage("the role is sender or receiver, not '%s'", text);
}

/* ADDR:PORT, or [ADDR]:PORT in IPv6. */
struct path parse_endpoint(const char *option, const char *text)
{
	struct path path = { .family = AF_INET };
	const char *colon = strrchr(text, ':'), *from = text;
	char address[INET6_ADDRSTRLEN];
	size_t len;

	if (!colon || !colon[1])
		usage("%s takes an address and a port, such as 10.0.0.1:1234, not '%s'",
		      option, text);
	len = colon - text;
	if (text[0] == '[' && len > 2 && text[len - 1] == ']') {
		path.family = AF_INET6;
		from++;
		len -= 2;
	}
	if (len >= sizeof(address))
		usage("%s: '%s' is no address", option, text);
	memcpy(address, from, len);
	address[len] = '\0';
	if (inet_pton(path.family, address, path.address) != 1)
		usage("%s: '%s' is no address (IPv6 is written [ADDR]:PORT)",
		      option, address);
	path.port = parse_number(option, colon + 1, 1, 65535);
	return path;
}

/* W:W[:W]... */
void parse_ratio(struct rule *rule, const char *text)
{
	char copy[256], *rest = copy, *one;

	if (strlen(text) >= sizeof(copy))
		usage("-R: '%s' is too long", text);
	strcpy(copy, text);
	rule->nweights = 0;
	while ((one = strsep(&rest, ":"))) {
		if (rule->nweights == NETAGG_MAX_PATHS)
			usage("-R takes at most %d weights", NETAGG_MAX_PATHS);
		rule->weight[rule->nweights++] =
			parse_number("-R", one, 1, NETAGG_MAX_WEIGHT);
	}
}

static void put_long(struct nl_msg *msg, int type, long value)
{
	if (value >= 0)
		nl_put_u32(msg, type, value);
}

static void put_path(struct nl_msg *msg, const struct path *path,
		     uint32_t weight)
{
	struct nlattr *nest = nl_nest(msg, NETAGG_A_PATH);
	uint16_t port = htons(path->port);

	if (path->family == AF_INET)
		nl_put(msg, NETAGG_PATH_A_ADDRESS4, path->address, 4);
	else
		nl_put(msg, NETAGG_PATH_A_ADDRESS6, path->address, 16);
	nl_put(msg, NETAGG_PATH_A_PORT, &port, sizeof(port));
	if (weight)
		nl_put_u32(msg, NETAGG_PATH_A_WEIGHT, weight);
	nl_nest_end(msg, nest);
}

void put_rule(struct nl_msg *msg, const struct rule *rule, bool whole)
{
	struct nlattr *paths;
	int i;

	nl_put_u8(msg, NETAGG_A_ROLE, rule->role);
	paths = nl_nest(msg, NETAGG_A_PATHS);
	for (i = 0; i < (whole ? rule->npaths : 1); i++)
		put_path(msg, &rule->path[i], whole ? rule->weight[i] : 0);
	nl_nest_end(msg, paths);
	if (!whole)
		return;
	if (rule->mode >= 0)
		nl_put_u8(msg, NETAGG_A_MODE, rule->mode);
	if (rule->flags)
		nl_put_u32(msg, NETAGG_A_FLAGS, rule->flags);
	if (rule->probe_port >= 0) {
		uint16_t port = htons(rule->probe_port);

		nl_put(msg, NETAGG_A_PROBE_PORT, &port, sizeof(port));
	}
	put_long(msg, NETAGG_A_FLOWLET_US, rule->flowlet_us);
	put_long(msg, NETAGG_A_MAX_HOLD_US, rule->max_hold_us);
	put_long(msg, NETAGG_A_PROBE_US, rule->probe_us);
	put_long(msg, NETAGG_A_DEAD_US, rule->dead_us);
}
