// SPDX-License-Identifier: GPL-2.0
/* What the kernel tells, as JSON and as arguments. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <linux/genetlink.h>
#include <string.h>

#include "rule.h"

static const char *role_name(const struct nlattr *attr)
{
	return attr && nl_number(attr) == NETAGG_ROLE_RECEIVER ? "receiver" :
								 "sender";
}

static const char *mode_name(const struct nlattr *attr)
{
	return attr && nl_number(attr) == NETAGG_MODE_FLOWLET ? "flowlet" :
								"packet";
}

static uint64_t number(const struct nlattr *attr)
{
	return attr ? nl_number(attr) : 0;
}

static const char *truth(uint64_t value)
{
	return value ? "true" : "false";
}

/* The address of a path as text; its family in @family. */
static const char *address_of(const struct nlattr **path, int *family)
{
	static char text[INET6_ADDRSTRLEN];

	*family = path[NETAGG_PATH_A_ADDRESS6] ? AF_INET6 : AF_INET;
	if (*family == AF_INET6)
		inet_ntop(AF_INET6, nl_data(path[NETAGG_PATH_A_ADDRESS6]),
			  text, sizeof(text));
	else if (path[NETAGG_PATH_A_ADDRESS4])
		inet_ntop(AF_INET, nl_data(path[NETAGG_PATH_A_ADDRESS4]), text,
			  sizeof(text));
	else
		strcpy(text, "?");
	return text;
}

static unsigned int port_of(const struct nlattr *attr)
{
	return ntohs(number(attr));
}

static void print_path(const struct nlattr *nest, bool first)
{
	const struct nlattr *tb[NETAGG_PATH_A_MAX + 1];
	const struct nlattr *st[NETAGG_STAT_MAX + 1] = { NULL };
	int family;

	nl_parse_nest(nest, tb, NETAGG_PATH_A_MAX);
	if (tb[NETAGG_PATH_A_STATS])
		nl_parse_nest(tb[NETAGG_PATH_A_STATS], st, NETAGG_STAT_MAX);
	printf("%s\n      {\"address\": \"%s\", \"port\": %u, ",
	       first ? "" : ",", address_of(tb, &family),
	       port_of(tb[NETAGG_PATH_A_PORT]));
	printf("\"weight\": %" PRIu64 ", \"weightInUse\": %" PRIu64
	       ", \"alive\": %s, ",
	       number(tb[NETAGG_PATH_A_WEIGHT]),
	       number(st[NETAGG_STAT_WEIGHT]),
	       truth(number(st[NETAGG_STAT_ALIVE])));
	printf("\"txPackets\": %" PRIu64 ", \"txBytes\": %" PRIu64
	       ", \"rxPackets\": %" PRIu64 ", \"rxBytes\": %" PRIu64 ", ",
	       number(st[NETAGG_STAT_TX_PACKETS]),
	       number(st[NETAGG_STAT_TX_BYTES]),
	       number(st[NETAGG_STAT_RX_PACKETS]),
	       number(st[NETAGG_STAT_RX_BYTES]));
	printf("\"retransmits\": %" PRIu64 ", \"rttUs\": %" PRIu64
	       ", \"delayUs\": %" PRIu64 ", \"lossPpm\": %" PRIu64 "}",
	       number(st[NETAGG_STAT_RETRANSMITS]),
	       number(st[NETAGG_STAT_RTT_US]),
	       number(st[NETAGG_STAT_DELAY_US]),
	       number(st[NETAGG_STAT_LOSS_PPM]));
}

static int family_of(const struct nlattr *paths)
{
	const struct nlattr *tb[NETAGG_PATH_A_MAX + 1], *one;
	int family = AF_INET;

	nl_for_each(one, paths) {
		nl_parse_nest(one, tb, NETAGG_PATH_A_MAX);
		address_of(tb, &family);
		break;
	}
	return family;
}

void print_json(const struct nlmsghdr *header, void *arg)
{
	const struct nlattr *tb[NETAGG_A_MAX + 1], *one;
	const struct nlattr *st[NETAGG_STAT_MAX + 1] = { NULL };
	bool *first = arg, first_path = true;
	uint64_t flags;

	nl_parse(header, tb, NETAGG_A_MAX);
	if (!tb[NETAGG_A_PATHS])
		return;
	if (tb[NETAGG_A_STATS])
		nl_parse_nest(tb[NETAGG_A_STATS], st, NETAGG_STAT_MAX);
	flags = number(tb[NETAGG_A_FLAGS]);
	printf("%s\n  {\n    \"role\": \"%s\", \"family\": \"%s\", \"mode\": \"%s\", ",
	       *first ? "[" : ",", role_name(tb[NETAGG_A_ROLE]),
	       family_of(tb[NETAGG_A_PATHS]) == AF_INET6 ? "inet6" : "inet",
	       mode_name(tb[NETAGG_A_MODE]));
	printf("\"flowletUs\": %" PRIu64 ", \"maxHoldUs\": %" PRIu64
	       ",\n    \"probePort\": %u, \"probeUs\": %" PRIu64
	       ", \"deadUs\": %" PRIu64 ", \"adapt\": %s, \"encap\": %s,\n",
	       number(tb[NETAGG_A_FLOWLET_US]),
	       number(tb[NETAGG_A_MAX_HOLD_US]),
	       port_of(tb[NETAGG_A_PROBE_PORT]), number(tb[NETAGG_A_PROBE_US]),
	       number(tb[NETAGG_A_DEAD_US]), truth(flags & NETAGG_F_ADAPT),
	       truth(flags & NETAGG_F_ENCAP));
	printf("    \"flows\": %" PRIu64 ", \"held\": %" PRIu64
	       ", \"filled\": %" PRIu64 ", \"expired\": %" PRIu64
	       ", \"lost\": %" PRIu64 ", \"icmp\": %" PRIu64
	       ",\n    \"paths\": [",
	       number(st[NETAGG_STAT_FLOWS]), number(st[NETAGG_STAT_HELD]),
	       number(st[NETAGG_STAT_FILLED]), number(st[NETAGG_STAT_EXPIRED]),
	       number(st[NETAGG_STAT_LOST]), number(st[NETAGG_STAT_ICMP]));
	nl_for_each(one, tb[NETAGG_A_PATHS]) {
		print_path(one, first_path);
		first_path = false;
	}
	printf("\n    ]\n  }");
	*first = false;
}

void print_arguments(const struct nlmsghdr *header, void *unused)
{
	const struct nlattr *tb[NETAGG_A_MAX + 1], *one;
	const struct nlattr *path[NETAGG_PATH_A_MAX + 1];
	uint64_t flags;
	int nth = 0, family;

	(void)unused;
	nl_parse(header, tb, NETAGG_A_MAX);
	if (!tb[NETAGG_A_PATHS])
		return;
	flags = number(tb[NETAGG_A_FLAGS]);
	printf("-A %s", role_name(tb[NETAGG_A_ROLE]));
	nl_for_each(one, tb[NETAGG_A_PATHS]) {
		const char *address;

		nl_parse_nest(one, path, NETAGG_PATH_A_MAX);
		address = address_of(path, &family);
		printf(family == AF_INET6 ? " %s [%s]:%u" : " %s %s:%u",
		       nth++ ? "-S" : "-P", address,
		       port_of(path[NETAGG_PATH_A_PORT]));
	}
	printf(" -R ");
	nth = 0;
	nl_for_each(one, tb[NETAGG_A_PATHS]) {
		nl_parse_nest(one, path, NETAGG_PATH_A_MAX);
		printf("%s%" PRIu64, nth++ ? ":" : "",
		       number(path[NETAGG_PATH_A_WEIGHT]));
	}
	printf(" --mode %s --flowlet %" PRIu64 " --max-hold %" PRIu64
	       " --probe-port %u --probe-interval %" PRIu64
	       " --dead-after %" PRIu64 "%s%s\n",
	       mode_name(tb[NETAGG_A_MODE]), number(tb[NETAGG_A_FLOWLET_US]),
	       number(tb[NETAGG_A_MAX_HOLD_US]),
	       port_of(tb[NETAGG_A_PROBE_PORT]), number(tb[NETAGG_A_PROBE_US]),
	       number(tb[NETAGG_A_DEAD_US]),
	       flags & NETAGG_F_ADAPT ? " --adapt" : "",
	       flags & NETAGG_F_ENCAP ? " --encap" : "");
}

void print_event(const struct nlmsghdr *header, void *unused)
{
	static const char *const names[] = {
		[NETAGG_EVENT_RULE_ADDED] = "rule-added",
		[NETAGG_EVENT_RULE_DELETED] = "rule-deleted",
		[NETAGG_EVENT_PATH_UP] = "path-up",
		[NETAGG_EVENT_PATH_DOWN] = "path-down",
	};
	const struct genlmsghdr *genl = NLMSG_DATA(header);
	const struct nlattr *tb[NETAGG_A_MAX + 1], *one;
	const struct nlattr *path[NETAGG_PATH_A_MAX + 1];
	uint64_t event, nth = 0;
	int family;

	(void)unused;
	if (genl->cmd != NETAGG_CMD_EVENT)
		return;
	nl_parse(header, tb, NETAGG_A_MAX);
	event = number(tb[NETAGG_A_EVENT]);
	if (!tb[NETAGG_A_PATHS] || event >= sizeof(names) / sizeof(*names) ||
	    !names[event])
		return;
	printf("{\"event\": \"%s\", \"role\": \"%s\"", names[event],
	       role_name(tb[NETAGG_A_ROLE]));
	nl_for_each(one, tb[NETAGG_A_PATHS]) {
		const char *address;

		nl_parse_nest(one, path, NETAGG_PATH_A_MAX);
		address = address_of(path, &family);
		if (nth == 0)
			printf(", \"address\": \"%s\", \"port\": %u", address,
			       port_of(path[NETAGG_PATH_A_PORT]));
		if (tb[NETAGG_A_INDEX] && number(tb[NETAGG_A_INDEX]) == nth)
			printf(", \"index\": %" PRIu64
			       ", \"path\": {\"address\": \"%s\", \"port\": %u}",
			       nth, address, port_of(path[NETAGG_PATH_A_PORT]));
		nth++;
	}
	printf("}\n");
	fflush(stdout);
}
