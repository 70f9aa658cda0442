// SPDX-License-Identifier: GPL-2.0
/* Connections: found by what the sender's end of them is. */
#include <linux/slab.h>

#include "netagg_int.h"

#define IDLE		(120 * HZ)
#define UNPROVEN_IDLE	(10 * HZ)	/* nothing but a SYN */

static struct hlist_head *flow_bucket(struct netagg_rule *rule,
				      const union nf_inet_addr *addr, __be16 port)
{
	return &rule->flows[netagg_hash(rule->family, addr, port) %
			    NETAGG_FLOW_BUCKETS];
}

static struct netagg_flow *find(struct netagg_rule *rule,
				struct hlist_head *head,
				const union nf_inet_addr *addr, __be16 port)
{
	struct netagg_flow *flow;

	hlist_for_each_entry_rcu(flow, head, node,
				 lockdep_is_held(&rule->lock))
		if (flow->port == port &&
		    netagg_addr_equal(rule->family, &flow->addr, addr))
			return flow;
	return NULL;
}

/* Under rcu_read_lock(). NULL: there is none, or none can be made. */
struct netagg_flow *netagg_flow_get(struct netagg_rule *rule,
				    const union nf_inet_addr *addr,
				    __be16 port, bool create)
{
	struct hlist_head *head = flow_bucket(rule, addr, port);
	struct netagg_flow *flow, *other;

	flow = find(rule, head, addr, port);
	if (flow) {
		if (READ_ONCE(flow->used) != jiffies)
			WRITE_ONCE(flow->used, jiffies);
		return flow;
	}
	if (!create || READ_ONCE(rule->nflows) >= NETAGG_MAX_FLOWS ||
	    atomic_read(&rule->nn->nflows) >= NETAGG_MAX_NET_FLOWS)
		return NULL;
	flow = kzalloc(sizeof(*flow), GFP_ATOMIC);
	if (!flow)
		return NULL;
	flow->rule = rule;
	flow->addr = *addr;
	flow->port = port;
	flow->used = jiffies;
	spin_lock_init(&flow->tx_lock);
	netagg_flow_rx_init(flow);

	spin_lock_bh(&rule->lock);
	other = find(rule, head, addr, port);
	if (other || READ_ONCE(rule->dead)) {
		spin_unlock_bh(&rule->lock);
		kfree(flow);
		return other;
	}
	hlist_add_head_rcu(&flow->node, head);
	rule->nflows++;
	atomic_inc(&rule->nn->nflows);
	spin_unlock_bh(&rule->lock);
	return flow;
}

static bool is_idle(const struct netagg_flow *flow)
{
	unsigned long most = READ_ONCE(flow->proven) ? IDLE : UNPROVEN_IDLE;

	return time_after_eq(jiffies, READ_ONCE(flow->used) + most);
}

static void free_flow(struct rcu_head *head)
{
	struct netagg_flow *flow = container_of(head, struct netagg_flow, rcu);

	kfree(flow->sent);
	kfree(flow);
}

/* Forgets all connections, or those that have long been silent. May sleep. */
void netagg_flows_remove(struct netagg_rule *rule, bool idle_only)
{
	struct netagg_flow *flow;
	struct hlist_node *next;
	unsigned int i;

	for (i = 0; i < NETAGG_FLOW_BUCKETS; i++) {
		HLIST_HEAD(idle);

		if (hlist_empty(&rule->flows[i]))
			continue;
		spin_lock_bh(&rule->lock);
		hlist_for_each_entry_safe(flow, next, &rule->flows[i], node) {
			if (idle_only && !is_idle(flow))
				continue;
			hlist_del_rcu(&flow->node);
			rule->nflows--;
			atomic_dec(&rule->nn->nflows);
			/* Readers may stand on it: its next stays as it is. */
			hlist_add_head(&flow->gone, &idle);
		}
		spin_unlock_bh(&rule->lock);
		hlist_for_each_entry_safe(flow, next, &idle, gone) {
			netagg_flow_rx_drain(flow);
			call_rcu(&flow->rcu, free_flow);
		}
		cond_resched();
	}
}
