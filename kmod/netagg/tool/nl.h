/* SPDX-License-Identifier: GPL-2.0 */
/* Messages to and from the kernel's generic netlink. */
#ifndef NETAGG_NL_H
#define NETAGG_NL_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#define NL_SPACE	8192

/* A message that is being put together. */
struct nl_msg {
	union {
		struct nlmsghdr header;
		char bytes[NL_SPACE];
	};
};

struct nl {
	int fd;
	uint32_t seq;
	uint16_t family;
	uint32_t group;		/* of events */
	int torn;		/* what was dumped changed meanwhile */
};

/* What the kernel said about a message, where it refused it. */
extern char nl_reason[256];

/* 0, or -errno. -ENOENT: there is no such family. */
int nl_open(struct nl *nl, const char *family, const char *group);
void nl_close(struct nl *nl);

void nl_begin(struct nl *nl, struct nl_msg *msg, int cmd, int version,
	      int flags);
void nl_put(struct nl_msg *msg, int type, const void *data, size_t len);
void nl_put_u8(struct nl_msg *msg, int type, uint8_t value);
void nl_put_u32(struct nl_msg *msg, int type, uint32_t value);
struct nlattr *nl_nest(struct nl_msg *msg, int type);
void nl_nest_end(struct nl_msg *msg, struct nlattr *nest);

typedef void (*nl_each)(const struct nlmsghdr *header, void *arg);

/*
 * Sends, and reads answers up to the last one. 0, or -errno; -EAGAIN: what was
 * dumped changed meanwhile.
 */
int nl_talk(struct nl *nl, struct nl_msg *msg, nl_each each, void *arg);
int nl_subscribe(struct nl *nl);
/* Reads once; for events. 0, or -errno. */
int nl_listen(struct nl *nl, nl_each each, void *arg);

/* The attributes behind a generic netlink header, by type. */
void nl_parse(const struct nlmsghdr *header, const struct nlattr **tb,
	      int max);
void nl_parse_nest(const struct nlattr *nest, const struct nlattr **tb,
		   int max);
const void *nl_data(const struct nlattr *attr);
size_t nl_len(const struct nlattr *attr);
uint64_t nl_number(const struct nlattr *attr);

#define nl_for_each(attr, nest)						\
	for (attr = nl_data(nest);					\
	     (const char *)attr + NLA_HDRLEN <=				\
		     (const char *)nl_data(nest) + nl_len(nest) &&	\
	     attr->nla_len >= NLA_HDRLEN;				\
	     attr = (const void *)((const char *)attr +			\
				   NLA_ALIGN(attr->nla_len)))

#endif /* NETAGG_NL_H */
