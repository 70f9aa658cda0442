/* SPDX-License-Identifier: GPL-2.0 */
/* A rule as the command line and the kernel have it. */
#ifndef NETAGG_RULE_H
#define NETAGG_RULE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../netagg.h"
#include "nl.h"

struct path {
	int family;		/* AF_INET or AF_INET6 */
	uint8_t address[16];
	uint16_t port;
	uint32_t weight;
};

struct rule {
	int role;
	int npaths;
	struct path path[NETAGG_MAX_PATHS];
	int nweights;
	uint32_t weight[NETAGG_MAX_PATHS];
	int mode;
	uint32_t flags;
	/* Negative: as the kernel has it by default. */
	long flowlet_us, max_hold_us, probe_port, probe_us, dead_us;
};

#define RULE_INIT { .mode = -1, .flowlet_us = -1, .max_hold_us = -1, \
	.probe_port = -1, .probe_us = -1, .dead_us = -1 }

/* These end the program, with words and status 2, where text is wrong. */
int parse_role(const char *text);
struct path parse_endpoint(const char *option, const char *text);
void parse_ratio(struct rule *rule, const char *text);
long parse_number(const char *option, const char *text, long low, long high);
_Noreturn void usage(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

void put_rule(struct nl_msg *msg, const struct rule *rule, bool whole);

/* Everything about a rule as JSON; its arguments on a line; an event. */
void print_json(const struct nlmsghdr *header, void *first);
void print_arguments(const struct nlmsghdr *header, void *unused);
void print_event(const struct nlmsghdr *header, void *unused);

#endif /* NETAGG_RULE_H */
