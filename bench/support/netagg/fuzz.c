// SPDX-License-Identifier: GPL-2.0
/*
 * Sends NUMBER messages that are made of what the family knows, wrongly put
 * together: fuzz NUMBER SEED. Prints how many the kernel took and refused, and
 * how many of those for want of memory: fuzz NUMBER SEED starve has one of the
 * kernel's allocations fail for every second message, on a kernel that offers
 * /proc/self/fail-nth.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netagg.h"

static uint64_t state;

static uint32_t any(uint32_t below)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return below ? (uint32_t)(state >> 33) % below : 0;
}

static char message[16384];

static struct nlmsghdr *header = (void *)message;

/* Puts in an attribute; its length may be a lie. */
static struct nlattr *put(unsigned int type, unsigned int len)
{
	struct nlattr *attr = (void *)(message + header->nlmsg_len);
	unsigned int i;

	if (header->nlmsg_len + NLA_HDRLEN + NLA_ALIGN(len) > 8192)
		return NULL;
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	for (i = 0; i < len; i++)
		((char *)attr)[NLA_HDRLEN + i] = any(4) ? any(3) : any(256);
	header->nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
	return attr;
}

static unsigned int a_length(unsigned int usual)
{
	return any(8) ? usual : any(40);
}

static void put_path(void)
{
	struct nlattr *nest = put(NETAGG_A_PATH | NLA_F_NESTED, 0), *attr;
	unsigned int n = any(6);

	if (!nest)
		return;
	if (any(8)) {
		put(NETAGG_PATH_A_ADDRESS4, a_length(4));
		put(NETAGG_PATH_A_PORT, a_length(2));
		attr = put(NETAGG_PATH_A_WEIGHT, a_length(4));
		/* Most have a weight that may be, so that some become rules. */
		if (attr && attr->nla_len == NLA_HDRLEN + 4 && any(8))
			*(uint32_t *)((char *)attr + NLA_HDRLEN) = 1 + any(9);
	} else {
		while (n--)
			put(any(NETAGG_PATH_A_MAX + 3), a_length(1 << any(5)));
	}
	nest->nla_len = message + header->nlmsg_len - (char *)nest;
	if (!any(20))
		nest->nla_len = any(200);
}

static void put_paths(void)
{
	struct nlattr *nest = put(NETAGG_A_PATHS | (any(9) ? NLA_F_NESTED : 0), 0);
	unsigned int n = any(11);

	if (!nest)
		return;
	while (n--)
		put_path();
	nest->nla_len = message + header->nlmsg_len - (char *)nest;
	if (!any(30))
		nest->nla_len = any(400);
}

static void make(uint16_t family, uint32_t seq)
{
	struct genlmsghdr *genl = (void *)(message + NLMSG_HDRLEN);
	unsigned int n = any(6);

	memset(message, 0, 64);
	header->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	header->nlmsg_type = family;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK |
			      (any(4) ? 0 : any(65536) & ~NLM_F_DUMP);
	header->nlmsg_seq = seq;
	genl->cmd = any(9) ? 1 + any(NETAGG_CMD_MAX) : any(256);
	genl->version = 1;
	if (genl->cmd == NETAGG_CMD_RULE_GET)
		genl->cmd = NETAGG_CMD_RULE_ADD;
	if (any(4)) {
		put(NETAGG_A_ROLE, a_length(1));
		put_paths();
	}
	while (n--)
		put(any(NETAGG_A_MAX + 3), a_length(1 << any(4)));
}

/* The allocation of the next system calls that is to fail; 0: none. */
static void fail_nth(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, len, 0) != len) {
		perror("fuzz: /proc/self/fail-nth");
		exit(1);
	}
}

static uint16_t family_id(int fd)
{
	char buffer[8192];
	struct nlmsghdr *answer = (void *)buffer;
	const char *at;
	ssize_t got;

	header->nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	header->nlmsg_type = GENL_ID_CTRL;
	header->nlmsg_flags = NLM_F_REQUEST;
	((struct genlmsghdr *)(message + NLMSG_HDRLEN))->cmd = CTRL_CMD_GETFAMILY;
	strcpy((char *)put(CTRL_ATTR_FAMILY_NAME, sizeof(NETAGG_GENL_NAME)) +
	       NLA_HDRLEN, NETAGG_GENL_NAME);
	send(fd, message, header->nlmsg_len, 0);
	got = recv(fd, buffer, sizeof(buffer), 0);
	if (got <= 0 || answer->nlmsg_type == NLMSG_ERROR)
		return 0;
	for (at = buffer + NLMSG_HDRLEN + GENL_HDRLEN; at < buffer + got;) {
		const struct nlattr *attr = (const void *)at;

		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(const uint16_t *)(at + NLA_HDRLEN);
		if (attr->nla_len < NLA_HDRLEN)
			break;
		at += NLA_ALIGN(attr->nla_len);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
	long number = argc > 1 ? atol(argv[1]) : 1000, i, taken = 0, refused = 0;
	uint16_t family = family_id(fd);
	int starve = -1;
	long starved = 0;

	if (argc > 3 && !strcmp(argv[3], "starve")) {
		starve = open("/proc/self/fail-nth", O_RDWR);
		if (starve < 0) {
			perror("fuzz: /proc/self/fail-nth");
			return 1;
		}
	}
	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	if (!family) {
		fputs("fuzz: no such family\n", stderr);
		return 1;
	}
	for (i = 0; i < number; i++) {
		char buffer[32768];
		struct nlmsghdr *answer = (void *)buffer;

		ssize_t sent;

		make(family, i);
		if (starve >= 0)
			fail_nth(starve, any(2) ? 1 + any(40) : 0);
		sent = send(fd, message, header->nlmsg_len, 0);
		if (starve >= 0)
			fail_nth(starve, 0);
		if (sent < 0)
			continue;
		while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
			const struct nlmsgerr *error = NLMSG_DATA(answer);

			if (answer->nlmsg_type != NLMSG_ERROR)
				continue;
			if (error->error == -ENOMEM)
				starved++;
			if (error->error)
				refused++;
			else
				taken++;
		}
	}
	printf("{\"taken\": %ld, \"refused\": %ld, \"starved\": %ld}\n", taken,
	       refused, starved);
	return 0;
}
