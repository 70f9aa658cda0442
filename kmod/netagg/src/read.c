// SPDX-License-Identifier: GPL-2.0
/* What a netlink message says of a rule, checked. */
#include <net/genetlink.h>

#include "netagg_int.h"

#define MAX_FLOWLET_US	10000000
#define MAX_HOLD_US	2000000
#define MIN_PROBE_US	5000
#define MAX_PROBE_US	1000000
#define MAX_DEAD_US	10000000

static const struct nla_policy path_policy[NETAGG_PATH_A_MAX + 1] = {
	[NETAGG_PATH_A_ADDRESS4] = NLA_POLICY_EXACT_LEN(4),
	[NETAGG_PATH_A_ADDRESS6] = NLA_POLICY_EXACT_LEN(16),
	[NETAGG_PATH_A_PORT] = { .type = NLA_U16 },
	[NETAGG_PATH_A_WEIGHT] = { .type = NLA_U32 },
};

/* The kernel's own wording of a refusal, and where it applies. */
#define REFUSE(extack, attr, text) ({			\
	NL_SET_ERR_MSG_ATTR(extack, attr, text);	\
	-EINVAL;					\
})

static int read_path(struct netagg_rule *rule, const struct nlattr *nest,
		     struct netlink_ext_ack *extack, bool whole)
{
	struct nlattr *tb[NETAGG_PATH_A_MAX + 1], *addr;
	struct netagg_path *path = &rule->path[rule->npaths];
	u8 family;
	int err;

	if (rule->npaths == NETAGG_MAX_PATHS)
		return REFUSE(extack, nest, "too many paths");
	err = nla_parse_nested(tb, NETAGG_PATH_A_MAX, nest, path_policy,
			       extack);
	if (err)
		return err;
	addr = tb[NETAGG_PATH_A_ADDRESS4];
	family = NFPROTO_IPV4;
	if (!addr) {
		addr = tb[NETAGG_PATH_A_ADDRESS6];
		family = NFPROTO_IPV6;
	} else if (tb[NETAGG_PATH_A_ADDRESS6]) {
		return REFUSE(extack, nest, "a path has one address");
	}
	if (!addr)
		return REFUSE(extack, nest, "a path needs an address");
	if (rule->npaths && family != rule->family)
		return REFUSE(extack, addr, "the paths are of two families");
	rule->family = family;
	nla_memcpy(&path->addr, addr, sizeof(path->addr));
	if (family == NFPROTO_IPV4 ?
	    ipv4_is_zeronet(path->addr.ip) || ipv4_is_multicast(path->addr.ip) ||
	    ipv4_is_lbcast(path->addr.ip) :
	    ipv6_addr_any(&path->addr.in6) ||
	    ipv6_addr_is_multicast(&path->addr.in6))
		return REFUSE(extack, addr, "no address of a host");
	if (!tb[NETAGG_PATH_A_PORT])
		return REFUSE(extack, nest, "a path needs a port");
	path->port = nla_get_be16(tb[NETAGG_PATH_A_PORT]);
	if (!path->port)
		return REFUSE(extack, tb[NETAGG_PATH_A_PORT], "port 0");
	if (tb[NETAGG_PATH_A_WEIGHT]) {
		path->weight = nla_get_u32(tb[NETAGG_PATH_A_WEIGHT]);
		if (!path->weight || path->weight > NETAGG_MAX_WEIGHT)
			return REFUSE(extack, tb[NETAGG_PATH_A_WEIGHT],
				      "weight out of range");
	} else if (whole)
		return REFUSE(extack, nest, "a path needs a weight");
	rule->npaths++;
	return 0;
}

/* Role and paths; only the first path where @whole is false. */
int netagg_read_paths(struct netagg_rule *rule, struct genl_info *info,
		      bool whole)
{
	struct netlink_ext_ack *extack = info->extack;
	const struct nlattr *nest;
	int left, err, i, j;

	if (!info->attrs[NETAGG_A_ROLE] || !info->attrs[NETAGG_A_PATHS]) {
		NL_SET_ERR_MSG(extack, "a rule needs a role and paths");
		return -EINVAL;
	}
	rule->role = nla_get_u8(info->attrs[NETAGG_A_ROLE]);
	nla_for_each_nested(nest, info->attrs[NETAGG_A_PATHS], left) {
		if (nla_type(nest) != NETAGG_A_PATH)
			return REFUSE(extack, nest, "not a path");
		err = read_path(rule, nest, extack, whole);
		if (err)
			return err;
		if (!whole)
			return 0;
	}
	if (rule->npaths < (whole ? NETAGG_MIN_PATHS : 1))
		return REFUSE(extack, info->attrs[NETAGG_A_PATHS],
			      "too few paths");
	for (i = 0; i < rule->npaths; i++)
		for (j = 0; j < i; j++)
			if (rule->path[i].port == rule->path[j].port &&
			    netagg_addr_equal(rule->family,
					      &rule->path[i].addr,
					      &rule->path[j].addr))
				return REFUSE(extack,
					      info->attrs[NETAGG_A_PATHS],
					      "two paths are the same");
	return 0;
}

static int read_u32(struct genl_info *info, int type, u32 low, u32 high,
		    u32 *value)
{
	const struct nlattr *attr = info->attrs[type];

	if (!attr)
		return 0;
	*value = nla_get_u32(attr);
	if (*value < low || *value > high)
		return REFUSE(info->extack, attr, "out of range");
	return 0;
}

int netagg_read_options(struct netagg_options *o, struct genl_info *info)
{
	int err;

	*o = (struct netagg_options) {
		.mode = NETAGG_MODE_PACKET,
		.flowlet_us = 20000,
		.max_hold_us = 300000,
		.probe_us = 25000,
		.dead_us = 125000,
		.probe_port = htons(NETAGG_PROBE_PORT),
	};
	if (info->attrs[NETAGG_A_MODE])
		o->mode = nla_get_u8(info->attrs[NETAGG_A_MODE]);
	if (info->attrs[NETAGG_A_FLAGS])
		o->flags = nla_get_u32(info->attrs[NETAGG_A_FLAGS]);
	if (info->attrs[NETAGG_A_PROBE_PORT])
		o->probe_port = nla_get_be16(info->attrs[NETAGG_A_PROBE_PORT]);
	err = read_u32(info, NETAGG_A_FLOWLET_US, 100, MAX_FLOWLET_US,
		       &o->flowlet_us);
	if (!err)
		err = read_u32(info, NETAGG_A_MAX_HOLD_US, 0, MAX_HOLD_US,
			       &o->max_hold_us);
	if (!err)
		err = read_u32(info, NETAGG_A_PROBE_US, MIN_PROBE_US,
			       MAX_PROBE_US, &o->probe_us);
	if (!err && !info->attrs[NETAGG_A_DEAD_US])
		o->dead_us = max(o->dead_us, 5 * o->probe_us);
	if (!err)
		err = read_u32(info, NETAGG_A_DEAD_US, 2 * o->probe_us,
			       MAX_DEAD_US, &o->dead_us);
	if (!err && o->flags && !o->probe_port) {
		NL_SET_ERR_MSG(info->extack,
			       "adapting and encapsulating need probes");
		err = -EINVAL;
	}
	return err;
}
