// SPDX-License-Identifier: GPL-2.0
/* Messages to and from the kernel's generic netlink. */
#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nl.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

char nl_reason[256];

void nl_begin(struct nl *nl, struct nl_msg *msg, int cmd, int version,
	      int flags)
{
	struct genlmsghdr *genl = (void *)(msg->bytes + NLMSG_HDRLEN);

	memset(msg, 0, sizeof(*msg));
	msg->header.nlmsg_len = NLMSG_HDRLEN + GENL_HDRLEN;
	msg->header.nlmsg_type = nl->family;
	msg->header.nlmsg_flags = NLM_F_REQUEST | flags;
	msg->header.nlmsg_seq = ++nl->seq;
	genl->cmd = cmd;
	genl->version = version;
}

void nl_put(struct nl_msg *msg, int type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(msg->header.nlmsg_len);
	struct nlattr *attr = (void *)(msg->bytes + at);

	if (at + NLA_HDRLEN + NLA_ALIGN(len) > sizeof(msg->bytes))
		abort();	/* a rule is far smaller than that */
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (len)
		memcpy((char *)attr + NLA_HDRLEN, data, len);
	msg->header.nlmsg_len = at + NLA_HDRLEN + NLA_ALIGN(len);
}

void nl_put_u8(struct nl_msg *msg, int type, uint8_t value)
{
	nl_put(msg, type, &value, sizeof(value));
}

void nl_put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	nl_put(msg, type, &value, sizeof(value));
}

struct nlattr *nl_nest(struct nl_msg *msg, int type)
{
	size_t at = NLMSG_ALIGN(msg->header.nlmsg_len);

	nl_put(msg, type | NLA_F_NESTED, NULL, 0);
	return (void *)(msg->bytes + at);
}

void nl_nest_end(struct nl_msg *msg, struct nlattr *nest)
{
	nest->nla_len = msg->bytes + msg->header.nlmsg_len - (char *)nest;
}

const void *nl_data(const struct nlattr *attr)
{
	return (const char *)attr + NLA_HDRLEN;
}

size_t nl_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

uint64_t nl_number(const struct nlattr *attr)
{
	uint64_t u64 = 0;
	uint32_t u32;
	uint16_t u16;

	switch (nl_len(attr)) {
	case 1:
		return *(const uint8_t *)nl_data(attr);
	case 2:
		memcpy(&u16, nl_data(attr), sizeof(u16));
		return u16;
	case 4:
		memcpy(&u32, nl_data(attr), sizeof(u32));
		return u32;
	case 8:
		memcpy(&u64, nl_data(attr), sizeof(u64));
	}
	return u64;
}

static void parse(const char *data, size_t len, const struct nlattr **tb,
		  int max)
{
	memset(tb, 0, sizeof(*tb) * (max + 1));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *attr = (const void *)data;
		int type = attr->nla_type & NLA_TYPE_MASK;
		size_t step = NLA_ALIGN(attr->nla_len);

		if (attr->nla_len < NLA_HDRLEN || attr->nla_len > len)
			return;
		if (type <= max)
			tb[type] = attr;
		if (step >= len)
			return;
		data += step;
		len -= step;
	}
}

void nl_parse(const struct nlmsghdr *header, const struct nlattr **tb, int max)
{
	size_t skip = NLMSG_HDRLEN + GENL_HDRLEN;

	parse((const char *)header + skip,
	      header->nlmsg_len < skip ? 0 : header->nlmsg_len - skip, tb, max);
}

void nl_parse_nest(const struct nlattr *nest, const struct nlattr **tb,
		   int max)
{
	parse(nl_data(nest), nl_len(nest), tb, max);
}

/* The kernel's words, where there are any. */
static void take_reason(const struct nlmsghdr *header)
{
	const struct nlmsgerr *error = NLMSG_DATA(header);
	const struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t skip = NLMSG_HDRLEN + sizeof(*error);

	nl_reason[0] = '\0';
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		skip += error->msg.nlmsg_len - NLMSG_HDRLEN;
	if (skip >= header->nlmsg_len)
		return;
	parse((const char *)header + skip, header->nlmsg_len - skip, tb,
	      NLMSGERR_ATTR_MAX);
	if (tb[NLMSGERR_ATTR_MSG])
		snprintf(nl_reason, sizeof(nl_reason), "%.*s",
			 (int)nl_len(tb[NLMSGERR_ATTR_MSG]),
			 (const char *)nl_data(tb[NLMSGERR_ATTR_MSG]));
}

/* 1: more is to come. */
static int receive(struct nl *nl, nl_each each, void *arg)
{
	static char buffer[65536];
	const struct nlmsghdr *header;
	ssize_t got = recv(nl->fd, buffer, sizeof(buffer), 0);
	int left;

	if (got < 0)
		return errno == EINTR ? 1 : -errno;
	left = got;
	for (header = (void *)buffer; NLMSG_OK(header, (unsigned int)left);
	     header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_flags & NLM_F_DUMP_INTR)
			nl->torn = 1;
		if (header->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(header);

			if (error->error)
				take_reason(header);
			return error->error;
		}
		if (header->nlmsg_type == NLMSG_DONE) {
			const int *error = NLMSG_DATA(header);

			return header->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)) &&
			       *error < 0 ? *error : 0;
		}
		if (each)
			each(header, arg);
	}
	return 1;
}

int nl_talk(struct nl *nl, struct nl_msg *msg, nl_each each, void *arg)
{
	int err;

	nl_reason[0] = '\0';
	nl->torn = 0;
	if (send(nl->fd, msg, msg->header.nlmsg_len, 0) < 0)
		return -errno;
	do {
		err = receive(nl, each, arg);
	} while (err > 0);
	return !err && nl->torn ? -EAGAIN : err;
}

int nl_listen(struct nl *nl, nl_each each, void *arg)
{
	int err = receive(nl, each, arg);

	/* Whoever reads too slowly misses events, and is told. */
	return err > 0 || err == -ENOBUFS ? 0 : err;
}

int nl_subscribe(struct nl *nl)
{
	int group = nl->group;

	if (setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
		       sizeof(group)))
		return -errno;
	return 0;
}

struct wanted {
	struct nl *nl;
	const char *group;
};

static void take_family(const struct nlmsghdr *header, void *arg)
{
	const struct nlattr *tb[CTRL_ATTR_MAX + 1], *one;
	struct wanted *wanted = arg;

	nl_parse(header, tb, CTRL_ATTR_MAX);
	if (tb[CTRL_ATTR_FAMILY_ID])
		wanted->nl->family = nl_number(tb[CTRL_ATTR_FAMILY_ID]);
	if (!tb[CTRL_ATTR_MCAST_GROUPS])
		return;
	nl_for_each(one, tb[CTRL_ATTR_MCAST_GROUPS]) {
		const struct nlattr *grp[CTRL_ATTR_MCAST_GRP_MAX + 1];

		nl_parse_nest(one, grp, CTRL_ATTR_MCAST_GRP_MAX);
		if (grp[CTRL_ATTR_MCAST_GRP_NAME] &&
		    grp[CTRL_ATTR_MCAST_GRP_ID] &&
		    !strcmp(nl_data(grp[CTRL_ATTR_MCAST_GRP_NAME]),
			    wanted->group))
			wanted->nl->group =
				nl_number(grp[CTRL_ATTR_MCAST_GRP_ID]);
	}
}

int nl_open(struct nl *nl, const char *family, const char *group)
{
	struct wanted wanted = { .nl = nl, .group = group };
	struct nl_msg msg;
	int on = 1, err;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	nl->family = GENL_ID_CTRL;
	nl_begin(nl, &msg, CTRL_CMD_GETFAMILY, 1, NLM_F_ACK);
	nl_put(&msg, CTRL_ATTR_FAMILY_NAME, family, strlen(family) + 1);
	err = nl_talk(nl, &msg, take_family, &wanted);
	if (err)
		nl_close(nl);
	return err;
}

void nl_close(struct nl *nl)
{
	close(nl->fd);
}
