// SPDX-License-Identifier: GPL-2.0
/* Rules and the addresses packets are looked up by. */
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "netagg_int.h"

DEFINE_MUTEX(netagg_mutex);

u32 netagg_hash(u8 family, const union nf_inet_addr *addr, __be16 port)
{
	if (family == NFPROTO_IPV4)
		return jhash_2words((__force u32)addr->ip,
				    (__force u32)port, netagg_seed);
	return jhash(addr->all, sizeof(addr->all),
		     netagg_seed ^ (__force u32)port);
}

static struct hlist_head *end_bucket(struct netagg_net *nn, u8 role, u8 family,
				     const union nf_inet_addr *addr,
				     __be16 port)
{
	return &nn->ends[role][netagg_hash(family, addr, port) %
			       NETAGG_END_BUCKETS];
}

/* Under rcu_read_lock() or netagg_mutex. */
struct netagg_path *netagg_end_find(struct netagg_net *nn, u8 role, u8 family,
				    const union nf_inet_addr *addr,
				    __be16 port)
{
	struct netagg_path *path;

	hlist_for_each_entry_rcu(path, end_bucket(nn, role, family, addr, port),
				 node, lockdep_is_held(&netagg_mutex))
		if (path->port == port && path->rule->family == family &&
		    netagg_addr_equal(family, &path->addr, addr))
			return path;
	return NULL;
}

struct netagg_rule *netagg_rule_find(struct netagg_net *nn, u8 role, u8 family,
				     const union nf_inet_addr *addr, __be16 port)
{
	struct netagg_path *path = netagg_end_find(nn, role, family, addr, port);

	return path && path->index == 0 ? path->rule : NULL;
}

struct netagg_rule *netagg_rule_alloc(struct net *net)
{
	struct netagg_rule *rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	int i;

	if (!rule)
		return NULL;
	rule->net = net;
	rule->nn = netagg_pernet(net);
	INIT_LIST_HEAD(&rule->list);
	spin_lock_init(&rule->lock);
	rule->flows = kvcalloc(NETAGG_FLOW_BUCKETS, sizeof(*rule->flows),
			       GFP_KERNEL);
	rule->peers = kcalloc(NETAGG_PEER_BUCKETS, sizeof(*rule->peers),
			      GFP_KERNEL);
	rule->self = netagg_peer_alloc(GFP_KERNEL);
	if (!rule->flows || !rule->peers || !rule->self)
		goto fail;
	for (i = 0; i < NETAGG_MAX_PATHS; i++) {
		rule->path[i].rule = rule;
		rule->path[i].index = i;
		rule->path[i].counters =
			alloc_percpu(struct netagg_counters);
		if (!rule->path[i].counters)
			goto fail;
	}
	rule->cookie = get_random_u32() | 1;	/* 0: none yet */
	rule->used = jiffies;
	return rule;
fail:
	netagg_rule_free(rule);
	return NULL;
}

/* Of a rule that nothing can find any more. */
void netagg_rule_free(struct netagg_rule *rule)
{
	int i;

	for (i = 0; i < NETAGG_MAX_PATHS; i++)
		free_percpu(rule->path[i].counters);
	netagg_peer_free(rule->self);
	kfree(rule->peers);
	kvfree(rule->flows);
	kfree(rule);
}

bool netagg_rule_same_paths(const struct netagg_rule *a,
			    const struct netagg_rule *b)
{
	int i;

	if (a->npaths != b->npaths)
		return false;
	for (i = 0; i < a->npaths; i++)
		if (a->path[i].port != b->path[i].port ||
		    !netagg_addr_equal(a->family, &a->path[i].addr,
				       &b->path[i].addr))
			return false;
	return true;
}

/*
 * Whether the flags and the probes stay the same: else packets in flight
 * would be taken for something they are not.
 */
static bool same_transport(const struct netagg_options *a,
			   const struct netagg_options *b)
{
	return a->probe_port == b->probe_port &&
	       (a->flags & NETAGG_F_ENCAP) == (b->flags & NETAGG_F_ENCAP);
}

/* New weights and options for a rule whose paths stay; -EBUSY: they do not. */
int netagg_rule_update(struct netagg_rule *old, struct netagg_rule *from)
{
	int i;

	if (!netagg_rule_same_paths(old, from) ||
	    !same_transport(&old->options, &from->options))
		return -EBUSY;
	for (i = 0; i < old->npaths; i++)
		WRITE_ONCE(old->path[i].weight, from->path[i].weight);
	spin_lock_bh(&old->self->lock);
	for (i = 0; i < old->npaths; i++)
		old->self->link[i].share = 0;
	spin_unlock_bh(&old->self->lock);
	WRITE_ONCE(old->options.flags, from->options.flags);
	WRITE_ONCE(old->options.mode, from->options.mode);
	WRITE_ONCE(old->options.flowlet_us, from->options.flowlet_us);
	WRITE_ONCE(old->options.max_hold_us, from->options.max_hold_us);
	WRITE_ONCE(old->options.probe_us, from->options.probe_us);
	WRITE_ONCE(old->options.dead_us, from->options.dead_us);
	return 0;
}

static void collect(struct work_struct *work)
{
	struct netagg_rule *rule =
		container_of(work, struct netagg_rule, gc.work);

	netagg_flows_remove(rule, true);
	netagg_peers_remove(rule, true);
	schedule_delayed_work(&rule->gc, 10 * HZ);
}

/* Nothing finds the rule any more after a grace period. */
static void unlink_rule(struct netagg_rule *rule)
{
	int i;

	for (i = 0; i < rule->npaths; i++)
		hlist_del_init_rcu(&rule->path[i].node);
	list_del(&rule->list);
	WRITE_ONCE(rule->dead, true);
}

static void finish_rule(struct netagg_net *nn, struct netagg_rule *rule)
{
	cancel_delayed_work_sync(&rule->gc);
	timer_delete_sync(&rule->timer);
	netagg_flows_remove(rule, false);
	netagg_peers_remove(rule, false);
	netagg_socket_put(nn, rule);
	nn->nrules--;
	netagg_hooks_put(nn);
}

/*
 * Adds a rule, in the place of @old where there is one: the new one is found
 * before the old one is not, so that no packet meets neither.
 */
int netagg_rule_add(struct netagg_net *nn, struct netagg_rule *rule,
		    struct netagg_rule *old, const char **why)
{
	int i, err;

	if (!old && nn->nrules >= NETAGG_MAX_RULES) {
		*why = "there are as many rules as there may be";
		return -ENOSPC;
	}
	for (i = 0; i < rule->npaths; i++) {
		struct netagg_path *other =
			netagg_end_find(nn, rule->role, rule->family,
					&rule->path[i].addr,
					rule->path[i].port);

		if (other && other->rule != old) {
			*why = "a path belongs to another rule";
			return -EEXIST;
		}
	}
	if (!try_module_get(THIS_MODULE)) {
		*why = "the module is going away";
		return -EBUSY;
	}
	err = netagg_hooks_get(nn);
	if (err)
		goto put_module;
	err = netagg_socket_get(nn, rule);
	if (err) {
		if (err == -EADDRINUSE)
			*why = "the probe port is taken by another program";
		goto put_hooks;
	}
	timer_setup(&rule->timer, netagg_probe_tick, 0);
	INIT_DELAYED_WORK(&rule->gc, collect);
	for (i = 0; i < rule->npaths; i++)
		hlist_add_head_rcu(&rule->path[i].node,
				   end_bucket(nn, rule->role, rule->family,
					      &rule->path[i].addr,
					      rule->path[i].port));
	list_add_tail(&rule->list, old ? &old->list : &nn->rules);
	nn->nrules++;
	nn->generation++;
	netagg_probe_start(rule);
	schedule_delayed_work(&rule->gc, 10 * HZ);
	if (old) {
		/* Whoever looks for a path just now must meet one of the two. */
		synchronize_rcu_expedited();
		netagg_rules_remove(nn, 0, old);
	}
	return 0;
put_hooks:
	netagg_hooks_put(nn);
put_module:
	module_put(THIS_MODULE);
	return err;
}

/* Removes one rule, those of a role, or (role 0) all. Under netagg_mutex. */
unsigned int netagg_rules_remove(struct netagg_net *nn, u8 role,
				 struct netagg_rule *only)
{
	struct netagg_rule *rule, *next;
	unsigned int count = 0;
	LIST_HEAD(gone);

	list_for_each_entry_safe(rule, next, &nn->rules, list) {
		if (only ? rule != only : role && rule->role != role)
			continue;
		unlink_rule(rule);
		nn->generation++;
		list_add_tail(&rule->list, &gone);
	}
	if (list_empty(&gone))
		return 0;
	/* Packets on their way through may still make connections. */
	synchronize_rcu_expedited();
	list_for_each_entry(rule, &gone, list)
		finish_rule(nn, rule);
	/* And whoever delivers packets of theirs may still look at them. */
	synchronize_rcu_expedited();
	list_for_each_entry_safe(rule, next, &gone, list) {
		list_del(&rule->list);
		netagg_rule_free(rule);
		module_put(THIS_MODULE);
		count++;
	}
	return count;
}

void netagg_count_sum(const struct netagg_path *path,
		      struct netagg_counters *sum)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct netagg_counters *c =
			per_cpu_ptr(path->counters, cpu);

		sum->tx_packets += READ_ONCE(c->tx_packets);
		sum->tx_bytes += READ_ONCE(c->tx_bytes);
		sum->rx_packets += READ_ONCE(c->rx_packets);
		sum->rx_bytes += READ_ONCE(c->rx_bytes);
		sum->retransmits += READ_ONCE(c->retransmits);
	}
}
