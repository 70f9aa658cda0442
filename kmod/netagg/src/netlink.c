// SPDX-License-Identifier: GPL-2.0
/* The generic netlink family: what netagg.h promises. */
#include <linux/module.h>
#include <linux/version.h>
#include <net/genetlink.h>

#include "netagg_int.h"

static struct genl_family family;

static const struct nla_policy policy[NETAGG_A_MAX + 1] = {
	[NETAGG_A_ROLE] = NLA_POLICY_RANGE(NLA_U8, NETAGG_ROLE_SENDER,
					   NETAGG_ROLE_MAX),
	[NETAGG_A_PATHS] = { .type = NLA_NESTED },
	[NETAGG_A_MODE] = NLA_POLICY_MAX(NLA_U8, NETAGG_MODE_MAX),
	[NETAGG_A_FLAGS] = NLA_POLICY_MASK(NLA_U32, NETAGG_F_ALL),
	[NETAGG_A_FLOWLET_US] = { .type = NLA_U32 },
	[NETAGG_A_MAX_HOLD_US] = { .type = NLA_U32 },
	[NETAGG_A_PROBE_PORT] = { .type = NLA_U16 },
	[NETAGG_A_PROBE_US] = { .type = NLA_U32 },
	[NETAGG_A_DEAD_US] = { .type = NLA_U32 },
};

static const struct genl_multicast_group groups[] = {
	{ .name = NETAGG_MCGRP_EVENTS,
#ifdef GENL_MCAST_CAP_NET_ADMIN
	  .flags = GENL_MCAST_CAP_NET_ADMIN,
#endif
	},
};

static int rule_add(struct sk_buff *skb, struct genl_info *info)
{
	struct netagg_net *nn = netagg_pernet(genl_info_net(info));
	bool replace = info->nlhdr->nlmsg_flags & NLM_F_REPLACE;
	struct netagg_rule *rule, *old;
	const char *why = NULL;
	int err;

	rule = netagg_rule_alloc(nn->net);
	if (!rule)
		return -ENOMEM;
	err = netagg_read_paths(rule, info, true);
	if (!err)
		err = netagg_read_options(&rule->options, info);
	if (err)
		goto free;
	mutex_lock(&netagg_mutex);
	old = netagg_rule_find(nn, rule->role, rule->family,
			       &rule->path[0].addr, rule->path[0].port);
	if (replace && !old) {
		why = "there is no such rule";
		err = -ENOENT;
	} else if (replace) {
		err = netagg_rule_update(old, rule);
		if (!err) {
			mutex_unlock(&netagg_mutex);
			netagg_rule_free(rule);
			return 0;
		}
		err = netagg_rule_add(nn, rule, old, &why);
	} else {
		err = netagg_rule_add(nn, rule, NULL, &why);
	}
	if (!err)
		netagg_event(rule, NETAGG_EVENT_RULE_ADDED, -1);
	mutex_unlock(&netagg_mutex);
	if (!err)
		return 0;
	if (why && info->extack)
		info->extack->_msg = why;
free:
	netagg_rule_free(rule);
	return err;
}

static int rule_del(struct sk_buff *skb, struct genl_info *info)
{
	struct netagg_net *nn = netagg_pernet(genl_info_net(info));
	struct netagg_rule *want = kzalloc(sizeof(*want), GFP_KERNEL), *rule;
	int err;

	if (!want)
		return -ENOMEM;
	err = netagg_read_paths(want, info, false);
	if (err)
		goto free;
	mutex_lock(&netagg_mutex);
	rule = netagg_rule_find(nn, want->role, want->family,
				&want->path[0].addr, want->path[0].port);
	if (rule) {
		netagg_event(rule, NETAGG_EVENT_RULE_DELETED, -1);
		netagg_rules_remove(nn, 0, rule);
	} else {
		NL_SET_ERR_MSG(info->extack, "there is no such rule");
		err = -ENOENT;
	}
	mutex_unlock(&netagg_mutex);
free:
	kfree(want);
	return err;
}

static int rule_flush(struct sk_buff *skb, struct genl_info *info)
{
	struct netagg_net *nn = netagg_pernet(genl_info_net(info));
	struct netagg_rule *rule;
	u8 role = 0;

	if (info->attrs[NETAGG_A_ROLE])
		role = nla_get_u8(info->attrs[NETAGG_A_ROLE]);
	mutex_lock(&netagg_mutex);
	list_for_each_entry(rule, &nn->rules, list)
		if (!role || rule->role == role)
			netagg_event(rule, NETAGG_EVENT_RULE_DELETED, -1);
	netagg_rules_remove(nn, role, NULL);
	mutex_unlock(&netagg_mutex);
	return 0;
}

static int put_address(struct sk_buff *msg, const struct netagg_rule *rule,
		       const struct netagg_path *path)
{
	bool four = rule->family == NFPROTO_IPV4;

	return nla_put(msg, four ? NETAGG_PATH_A_ADDRESS4 :
				   NETAGG_PATH_A_ADDRESS6,
		       four ? 4 : 16, &path->addr) ||
	       nla_put_be16(msg, NETAGG_PATH_A_PORT, path->port);
}

/* A sender has one peer; of a receiver's, what holds for any of them. */
static void path_state(struct netagg_rule *rule, int i, bool *alive,
		       u32 *delay_us)
{
	struct netagg_peer *peer;
	int b;

	*delay_us = READ_ONCE(rule->self->delay_us[i]);
	*alive = !rule->options.probe_port ||
		 READ_ONCE(rule->self->alive) & BIT(i);
	if (rule->role == NETAGG_ROLE_SENDER || !rule->options.probe_port)
		return;
	*alive = false;
	rcu_read_lock();
	for (b = 0; b < NETAGG_PEER_BUCKETS; b++)
		hlist_for_each_entry_rcu(peer, &rule->peers[b], node) {
			*alive |= !!(READ_ONCE(peer->alive) & BIT(i));
			*delay_us = max(*delay_us,
					READ_ONCE(peer->delay_us[i]));
		}
	rcu_read_unlock();
}

static int put_path_stats(struct sk_buff *msg, struct netagg_rule *rule, int i)
{
	const struct netagg_link *link = &rule->self->link[i];
	struct nlattr *nest = nla_nest_start(msg, NETAGG_PATH_A_STATS);
	u32 delay_us, weight = READ_ONCE(rule->path[i].weight);
	struct netagg_counters sum;
	bool alive;

	if (!nest)
		return -EMSGSIZE;
	path_state(rule, i, &alive, &delay_us);
	netagg_count_sum(&rule->path[i], &sum);
	if (rule->options.flags & NETAGG_F_ADAPT && READ_ONCE(link->share))
		weight = READ_ONCE(link->share);
	if (nla_put_u64_64bit(msg, NETAGG_STAT_TX_PACKETS, sum.tx_packets,
			      NETAGG_STAT_PAD) ||
	    nla_put_u64_64bit(msg, NETAGG_STAT_TX_BYTES, sum.tx_bytes,
			      NETAGG_STAT_PAD) ||
	    nla_put_u64_64bit(msg, NETAGG_STAT_RX_PACKETS, sum.rx_packets,
			      NETAGG_STAT_PAD) ||
	    nla_put_u64_64bit(msg, NETAGG_STAT_RX_BYTES, sum.rx_bytes,
			      NETAGG_STAT_PAD) ||
	    nla_put_u64_64bit(msg, NETAGG_STAT_RETRANSMITS, sum.retransmits,
			      NETAGG_STAT_PAD) ||
	    nla_put_u8(msg, NETAGG_STAT_ALIVE, alive) ||
	    nla_put_u32(msg, NETAGG_STAT_RTT_US,
			rule->role == NETAGG_ROLE_SENDER ?
			READ_ONCE(link->rtt_us) : 0) ||
	    nla_put_u32(msg, NETAGG_STAT_DELAY_US, delay_us) ||
	    nla_put_u32(msg, NETAGG_STAT_LOSS_PPM, READ_ONCE(link->loss_ppm)) ||
	    nla_put_u32(msg, NETAGG_STAT_WEIGHT, weight))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int put_paths(struct sk_buff *msg, struct netagg_rule *rule)
{
	struct nlattr *paths = nla_nest_start(msg, NETAGG_A_PATHS), *nest;
	int i;

	if (!paths)
		return -EMSGSIZE;
	for (i = 0; i < rule->npaths; i++) {
		nest = nla_nest_start(msg, NETAGG_A_PATH);
		if (!nest || put_address(msg, rule, &rule->path[i]) ||
		    nla_put_u32(msg, NETAGG_PATH_A_WEIGHT,
				READ_ONCE(rule->path[i].weight)) ||
		    put_path_stats(msg, rule, i))
			return -EMSGSIZE;
		nla_nest_end(msg, nest);
	}
	nla_nest_end(msg, paths);
	return 0;
}

static int put_stat(struct sk_buff *msg, int type, const atomic64_t *value)
{
	return nla_put_u64_64bit(msg, type, atomic64_read(value),
				 NETAGG_STAT_PAD);
}

static int put_rule(struct sk_buff *msg, struct netagg_rule *rule)
{
	const struct netagg_options *o = &rule->options;
	struct nlattr *nest;

	if (nla_put_u8(msg, NETAGG_A_ROLE, rule->role) ||
	    nla_put_u8(msg, NETAGG_A_MODE, o->mode) ||
	    nla_put_u32(msg, NETAGG_A_FLAGS, o->flags) ||
	    nla_put_u32(msg, NETAGG_A_FLOWLET_US, o->flowlet_us) ||
	    nla_put_u32(msg, NETAGG_A_MAX_HOLD_US, o->max_hold_us) ||
	    nla_put_be16(msg, NETAGG_A_PROBE_PORT, o->probe_port) ||
	    nla_put_u32(msg, NETAGG_A_PROBE_US, o->probe_us) ||
	    nla_put_u32(msg, NETAGG_A_DEAD_US, o->dead_us) ||
	    put_paths(msg, rule))
		return -EMSGSIZE;
	nest = nla_nest_start(msg, NETAGG_A_STATS);
	if (!nest ||
	    nla_put_u32(msg, NETAGG_STAT_FLOWS, READ_ONCE(rule->nflows)) ||
	    put_stat(msg, NETAGG_STAT_HELD, &rule->held) ||
	    put_stat(msg, NETAGG_STAT_FILLED, &rule->filled) ||
	    put_stat(msg, NETAGG_STAT_EXPIRED, &rule->expired) ||
	    put_stat(msg, NETAGG_STAT_LOST, &rule->lost) ||
	    put_stat(msg, NETAGG_STAT_ICMP, &rule->icmp))
		return -EMSGSIZE;
	nla_nest_end(msg, nest);
	return 0;
}

static int rules_dump(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct netagg_net *nn = netagg_pernet(sock_net(msg->sk));
	struct netagg_rule *rule;
	long nth = 0;

	mutex_lock(&netagg_mutex);
	/* Who reads a list that changes meanwhile is told. */
	cb->seq = nn->generation;
	list_for_each_entry(rule, &nn->rules, list) {
		void *head;

		if (nth++ < cb->args[0])
			continue;
		head = genlmsg_put(msg, NETLINK_CB(cb->skb).portid,
				   cb->nlh->nlmsg_seq, &family, NLM_F_MULTI,
				   NETAGG_CMD_RULE_GET);
		if (!head)
			break;
		genl_dump_check_consistent(cb, head);
		if (put_rule(msg, rule)) {
			genlmsg_cancel(msg, head);
			break;
		}
		genlmsg_end(msg, head);
		cb->args[0] = nth;
	}
	mutex_unlock(&netagg_mutex);
	return msg->len;
}

/* Tells whoever listens; @index is the path it is about, or negative. */
void netagg_event(struct netagg_rule *rule, u8 event, int index)
{
	struct sk_buff *msg;
	void *head;
	int i;

	if (!genl_has_listeners(&family, rule->net, 0))
		return;
	msg = genlmsg_new(NLMSG_GOODSIZE, GFP_ATOMIC);
	if (!msg)
		return;
	head = genlmsg_put(msg, 0, 0, &family, 0, NETAGG_CMD_EVENT);
	if (!head || nla_put_u8(msg, NETAGG_A_EVENT, event) ||
	    nla_put_u8(msg, NETAGG_A_ROLE, rule->role) ||
	    (index >= 0 && nla_put_u8(msg, NETAGG_A_INDEX, index)))
		goto free;
	{
		struct nlattr *paths = nla_nest_start(msg, NETAGG_A_PATHS);

		if (!paths)
			goto free;
		for (i = 0; i < rule->npaths; i++) {
			struct nlattr *nest =
				nla_nest_start(msg, NETAGG_A_PATH);

			if (!nest || put_address(msg, rule, &rule->path[i]))
				goto free;
			nla_nest_end(msg, nest);
		}
		nla_nest_end(msg, paths);
	}
	genlmsg_end(msg, head);
	genlmsg_multicast_netns(&family, rule->net, msg, 0, 0, GFP_ATOMIC);
	return;
free:
	nlmsg_free(msg);
}

static const struct genl_small_ops ops[] = {
	{ .cmd = NETAGG_CMD_RULE_ADD, .doit = rule_add,
	  .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = NETAGG_CMD_RULE_DEL, .doit = rule_del,
	  .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = NETAGG_CMD_RULE_GET, .dumpit = rules_dump,
	  .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = NETAGG_CMD_RULE_FLUSH, .doit = rule_flush,
	  .flags = GENL_UNS_ADMIN_PERM },
};

static struct genl_family family __ro_after_init = {
	.name = NETAGG_GENL_NAME,
	.version = NETAGG_GENL_VERSION,
	.maxattr = NETAGG_A_MAX,
	.policy = policy,
	.netnsok = true,
	.module = THIS_MODULE,
	.small_ops = ops,
	.n_small_ops = ARRAY_SIZE(ops),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	.resv_start_op = __NETAGG_CMD_MAX,
#endif
};

int __init netagg_netlink_init(void)
{
	return genl_register_family(&family);
}

void netagg_netlink_exit(void)
{
	genl_unregister_family(&family);
}
