// SPDX-License-Identifier: GPL-2.0
/* The command line of netagg: see README.md. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "rule.h"

#define VERSION "2.0.0"
#define DUMP_TRIES 20	/* of a list that changes all the while */

enum { REFUSED = 1, WRONG_ARGUMENTS = 2, NOT_LOADED = 3 };

enum {
	OPT_FLOWLET = 256, OPT_MAX_HOLD, OPT_PROBE_PORT, OPT_PROBE_INTERVAL,
	OPT_DEAD_AFTER, OPT_ADAPT, OPT_ENCAP,
};

static const struct option options[] = {
	{ "append", required_argument, NULL, 'A' },
	{ "change", required_argument, NULL, 'C' },
	{ "delete", required_argument, NULL, 'D' },
	{ "flush", no_argument, NULL, 'F' },
	{ "list", no_argument, NULL, 'L' },
	{ "write", no_argument, NULL, 'W' },
	{ "input", no_argument, NULL, 'I' },
	{ "monitor", no_argument, NULL, 'M' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "primary", required_argument, NULL, 'P' },
	{ "secondary", required_argument, NULL, 'S' },
	{ "ratio", required_argument, NULL, 'R' },
	{ "mode", required_argument, NULL, 'm' },
	{ "flowlet", required_argument, NULL, OPT_FLOWLET },
	{ "max-hold", required_argument, NULL, OPT_MAX_HOLD },
	{ "probe-port", required_argument, NULL, OPT_PROBE_PORT },
	{ "probe-interval", required_argument, NULL, OPT_PROBE_INTERVAL },
	{ "dead-after", required_argument, NULL, OPT_DEAD_AFTER },
	{ "adapt", no_argument, NULL, OPT_ADAPT },
	{ "encap", no_argument, NULL, OPT_ENCAP },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"netagg -A|-C sender|receiver -P ADDR:PORT -S ADDR:PORT... -R W:W... [OPTION]...\n"
	"netagg -D sender|receiver -P ADDR:PORT\n"
	"netagg -F [sender|receiver]   delete all rules (of a role)\n"
	"netagg -L                     list rules and statistics as JSON\n"
	"netagg -W | -I                write rules as arguments | read them\n"
	"netagg -M                     watch events\n"
	"options: -m packet|flowlet --flowlet US --max-hold US --probe-port PORT\n"
	"         --probe-interval US --dead-after US --adapt --encap\n";

/* What a command line asks for. */
struct request {
	int command;
	struct rule rule;
	bool primary;
};

static void set_command(struct request *r, int command, const char *role)
{
	if (r->command)
		usage("one command at a time: -%c or -%c", r->command, command);
	r->command = command;
	if (role)
		r->rule.role = parse_role(role);
}

static void add_path(struct request *r, const struct path *path, bool primary)
{
	struct rule *rule = &r->rule;

	if (primary && r->primary)
		usage("-P is given twice");
	if (!primary && rule->npaths == NETAGG_MAX_PATHS - !r->primary)
		usage("there are at most %d paths", NETAGG_MAX_PATHS);
	if (primary) {
		memmove(rule->path + 1, rule->path,
			sizeof(*rule->path) * rule->npaths);
		rule->path[0] = *path;
		r->primary = true;
	} else {
		rule->path[rule->npaths] = *path;
	}
	rule->npaths++;
}

static void take_option(struct request *r, int c)
{
	struct rule *rule = &r->rule;
	struct path path;

	switch (c) {
	case 'A': case 'C': case 'D':
		set_command(r, c, optarg);
		break;
	case 'F': case 'L': case 'W': case 'I': case 'M': case 'V': case 'h':
		set_command(r, c, NULL);
		break;
	case 'P':
	case 'S':
		path = parse_endpoint(c == 'P' ? "-P" : "-S", optarg);
		add_path(r, &path, c == 'P');
		break;
	case 'R':
		parse_ratio(rule, optarg);
		break;
	case 'm':
		if (!strcmp(optarg, "packet"))
			rule->mode = NETAGG_MODE_PACKET;
		else if (!strcmp(optarg, "flowlet"))
			rule->mode = NETAGG_MODE_FLOWLET;
		else
			usage("the mode is packet or flowlet, not '%s'", optarg);
		break;
	case OPT_FLOWLET:
		rule->flowlet_us = parse_number("--flowlet", optarg, 100,
						10000000);
		break;
	case OPT_MAX_HOLD:
		rule->max_hold_us = parse_number("--max-hold", optarg, 0,
						 2000000);
		break;
	case OPT_PROBE_PORT:
		rule->probe_port = parse_number("--probe-port", optarg, 0,
						65535);
		break;
	case OPT_PROBE_INTERVAL:
		rule->probe_us = parse_number("--probe-interval", optarg, 5000,
					      1000000);
		break;
	case OPT_DEAD_AFTER:
		rule->dead_us = parse_number("--dead-after", optarg, 10000,
					     10000000);
		break;
	case OPT_ADAPT:
		rule->flags |= NETAGG_F_ADAPT;
		break;
	case OPT_ENCAP:
		rule->flags |= NETAGG_F_ENCAP;
		break;
	default:
		exit(WRONG_ARGUMENTS);	/* getopt has said why */
	}
}

static void check_rule(const struct request *r)
{
	const struct rule *rule = &r->rule;
	int i, j;

	if (!r->primary)
		usage("-P, the primary path, is missing");
	if (r->command == 'D')
		return;
	if (rule->npaths < NETAGG_MIN_PATHS)
		usage("-S, another path, is missing");
	if (!rule->nweights)
		usage("-R, the weights, is missing");
	if (rule->nweights != rule->npaths)
		usage("there are %d paths but %d weights", rule->npaths,
		      rule->nweights);
	for (i = 0; i < rule->npaths; i++)
		for (j = 0; j < i; j++) {
			const struct path *a = &rule->path[i];
			const struct path *b = &rule->path[j];

			if (a->family != b->family)
				usage("the paths are of two families");
			if (a->port == b->port &&
			    !memcmp(a->address, b->address, sizeof(a->address)))
				usage("two paths are the same");
		}
}

static struct request parse(int argc, char **argv)
{
	struct request r = { .rule = RULE_INIT };
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "A:C:D:FLWIMVhP:S:R:m:", options,
				NULL)) != -1)
		take_option(&r, c);
	if (r.command == 'F' && optind < argc)
		r.rule.role = parse_role(argv[optind++]);
	if (optind < argc)
		usage("what is '%s'?", argv[optind]);
	if (!r.command)
		usage("a command is missing: -A, -C, -D, -F, -L, -W, -I or -M (-h says more)");
	if (r.command == 'A' || r.command == 'C' || r.command == 'D')
		check_rule(&r);
	return r;
}

static int refused(int err)
{
	fprintf(stderr, "netagg: %s%s%s\n", strerror(-err),
		nl_reason[0] ? ": " : "", nl_reason);
	return REFUSED;
}

static int change(struct nl *nl, const struct request *r)
{
	struct nl_msg msg;
	int err;

	if (r->command == 'D')
		nl_begin(nl, &msg, NETAGG_CMD_RULE_DEL, NETAGG_GENL_VERSION,
			 NLM_F_ACK);
	else
		nl_begin(nl, &msg, NETAGG_CMD_RULE_ADD, NETAGG_GENL_VERSION,
			 NLM_F_ACK | (r->command == 'C' ? NLM_F_REPLACE :
						NLM_F_CREATE | NLM_F_EXCL));
	put_rule(&msg, &r->rule, r->command != 'D');
	err = nl_talk(nl, &msg, NULL, NULL);
	return err ? refused(err) : 0;
}

static int flush(struct nl *nl, int role)
{
	struct nl_msg msg;
	int err;

	nl_begin(nl, &msg, NETAGG_CMD_RULE_FLUSH, NETAGG_GENL_VERSION,
		 NLM_F_ACK);
	if (role)
		nl_put_u8(&msg, NETAGG_A_ROLE, role);
	err = nl_talk(nl, &msg, NULL, NULL);
	return err ? refused(err) : 0;
}

/* Prints all rules as they were at one time, or none. */
static int dump(struct nl *nl, nl_each each, const char *none, const char *end)
{
	FILE *out = stdout;
	int err = -EAGAIN, tries;

	for (tries = 0; err == -EAGAIN && tries < DUMP_TRIES; tries++) {
		bool first = true;
		struct nl_msg msg;
		char *text;
		size_t size;

		stdout = open_memstream(&text, &size);
		if (!stdout)
			abort();
		nl_begin(nl, &msg, NETAGG_CMD_RULE_GET, NETAGG_GENL_VERSION,
			 NLM_F_DUMP);
		err = nl_talk(nl, &msg, each, &first);
		fclose(stdout);
		stdout = out;
		if (!err)
			printf("%s%s", text, first ? none : end);
		free(text);
	}
	return err ? refused(err) : 0;
}

static int watch(struct nl *nl)
{
	int err = nl_subscribe(nl);

	while (!err)
		err = nl_listen(nl, print_event, NULL);
	return refused(err);
}

/* All lines are read before the first rule is made. */
static int input(struct nl *nl)
{
	struct request *all = NULL;
	size_t space = 0, n = 0, i;
	char *line = NULL;
	int err = 0;

	while (getline(&line, &space, stdin) > 0) {
		char *argv[64] = { "netagg" }, *rest = line, *word;
		int argc = 1;

		while ((word = strsep(&rest, " \t\n")))
			if (*word) {
				if (argc == 63)
					usage("a line is too long");
				argv[argc++] = word;
			}
		if (argc == 1 || argv[1][0] == '#')
			continue;
		all = realloc(all, (n + 1) * sizeof(*all));
		if (!all)
			abort();
		all[n] = parse(argc, argv);
		if (all[n++].command != 'A')
			usage("a line of rules starts with -A");
	}
	for (i = 0; i < n && !err; i++)
		err = change(nl, &all[i]);
	free(all);
	free(line);
	return err;
}

static int run(struct nl *nl, const struct request *r)
{
	switch (r->command) {
	case 'F':
		return flush(nl, r->rule.role);
	case 'L':
		return dump(nl, print_json, "[]\n", "\n]\n");
	case 'W':
		return dump(nl, print_arguments, "", "");
	case 'I':
		return input(nl);
	case 'M':
		return watch(nl);
	default:
		return change(nl, r);
	}
}

int main(int argc, char **argv)
{
	struct request r = parse(argc, argv);
	struct nl nl;
	int err;

	if (r.command == 'V' || r.command == 'h') {
		fputs(r.command == 'V' ? "netagg " VERSION "\n" : help, stdout);
		return 0;
	}
	err = nl_open(&nl, NETAGG_GENL_NAME, NETAGG_MCGRP_EVENTS);
	if (err == -ENOENT) {
		fputs("netagg: the module is not loaded (modprobe netagg)\n",
		      stderr);
		return NOT_LOADED;
	}
	if (err)
		return refused(err);
	err = run(&nl, &r);
	nl_close(&nl);
	return err;
}
