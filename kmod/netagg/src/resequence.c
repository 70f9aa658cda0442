// SPDX-License-Identifier: GPL-2.0
/*
 * Paths of unequal delay put packets out of order, which TCP takes for loss.
 * A packet that comes before an earlier one therefore waits: until that one
 * has come, until every path that is in use has brought something later (each
 * path keeps its own order, so it was lost), or until it has waited as long
 * as the paths' delays can differ.
 */
#include <linux/netdevice.h>
#include <linux/version.h>
#include <net/tcp.h>

#include "netagg_int.h"
#include "mark.h"

static u32 hold_us(const struct netagg_flow *flow)
{
	struct netagg_rule *rule = flow->rule;
	u32 most = READ_ONCE(rule->options.max_hold_us);
	struct netagg_peer *peer = rule->self;

	if (!rule->options.probe_port)
		return most;
	if (rule->role == NETAGG_ROLE_RECEIVER)
		peer = netagg_peer_find(rule, &flow->addr);
	return peer ? min(most, READ_ONCE(peer->hold_us)) : 0;
}

static u8 alive(const struct netagg_flow *flow)
{
	struct netagg_rule *rule = flow->rule;
	struct netagg_peer *peer = rule->self;
	u8 all = (1U << rule->npaths) - 1;

	if (!rule->options.probe_port)
		return all;
	if (rule->role == NETAGG_ROLE_RECEIVER)
		peer = netagg_peer_find(rule, &flow->addr);
	return peer ? READ_ONCE(peer->alive) : all;
}

static struct sk_buff *first_waiting(struct netagg_flow *flow)
{
	struct rb_node *node = rb_first(&flow->queue);

	return node ? rb_entry(node, struct sk_buff, rbnode) : NULL;
}

static void enqueue(struct netagg_flow *flow, struct sk_buff *skb,
		    const struct netagg_packet *p, u32 now)
{
	struct rb_node **link = &flow->queue.rb_node, *parent = NULL;
	struct net_device *dev = skb->dev;
	struct netagg_wait *wait = netagg_wait(skb);

	wait->dev = dev;
	wait->seq = p->seq;
	wait->end = p->seq + p->len;
	wait->since = now;
	/* The device, and the route it was found by, must outlast the wait. */
	dev_hold(dev);
	skb_dst_force(skb);
	while (*link) {
		struct sk_buff *other = rb_entry(*link, struct sk_buff, rbnode);

		parent = *link;
		if (before(p->seq, netagg_wait(other)->seq))
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&skb->rbnode, parent, link);
	rb_insert_color(&skb->rbnode, &flow->queue);
	flow->queued += skb->truesize;
}

/* Moves a packet from the tree to what is to be delivered. */
static void make_ready(struct netagg_flow *flow, struct sk_buff *skb)
{
	struct netagg_wait *wait = netagg_wait(skb);

	rb_erase(&skb->rbnode, &flow->queue);
	flow->queued -= skb->truesize;
	skb->next = NULL;
	skb->prev = NULL;
	skb->dev = wait->dev;
	if (after(wait->end, flow->next))
		flow->next = wait->end;
	__skb_queue_tail(&flow->ready, skb);
}

/* Moves all that is in order now. */
static void take_in_order(struct netagg_flow *flow)
{
	struct sk_buff *skb;

	while ((skb = first_waiting(flow)) &&
	       !after(netagg_wait(skb)->seq, flow->next))
		make_ready(flow, skb);
}

/* The first gap will not be filled. */
static void give_up_gap(struct netagg_flow *flow)
{
	struct sk_buff *skb = first_waiting(flow);

	if (skb)
		flow->next = netagg_wait(skb)->seq;
	take_in_order(flow);
}

/* Every path in use has brought something from behind the first gap. */
static bool gap_is_lost(const struct netagg_flow *flow, u8 mask)
{
	int i;

	if (!mask || (flow->seen & mask) != mask)
		return false;
	for (i = 0; i < NETAGG_MAX_PATHS; i++)
		if (mask & BIT(i) && !after(flow->high[i], flow->next))
			return false;
	return true;
}

/* A mark far behind would, in time, look as if it were ahead. */
static void note_high(struct netagg_flow *flow, int index, u32 end)
{
	if (index < 0)
		return;
	if (!(flow->seen & BIT(index)) || after(end, flow->high[index])) {
		u32 old = flow->high[index];
		int i;

		flow->high[index] = end;
		flow->seen |= BIT(index);
		if ((old ^ end) >> 26)
			for (i = 0; i < NETAGG_MAX_PATHS; i++)
				if (abs((s32)(end - flow->high[i])) > 1 << 29)
					flow->seen &= ~BIT(i);
	}
}

/* Hands over what is ready, one processor at a time. Under rx_lock. */
static void deliver(struct netagg_flow *flow, struct net *net)
{
	struct sk_buff_head batch;
	struct sk_buff *skb;

	if (flow->delivering)
		return;
	flow->delivering = true;
	__skb_queue_head_init(&batch);
	while (!skb_queue_empty(&flow->ready)) {
		skb_queue_splice_init(&flow->ready, &batch);
		spin_unlock_bh(&flow->rx_lock);
		while ((skb = __skb_dequeue(&batch))) {
			struct net_device *dev = netagg_wait(skb)->dev;

			netagg_wait(skb)->dev = NULL;
			flow->okfn(net, NULL, skb);
			dev_put(dev);
		}
		spin_lock_bh(&flow->rx_lock);
	}
	flow->delivering = false;
}

static void arm(struct netagg_flow *flow, u32 us)
{
	hrtimer_start(&flow->timer, ns_to_ktime(us * 1000ULL), HRTIMER_MODE_REL_SOFT);
}

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct netagg_flow *flow =
		container_of(timer, struct netagg_flow, timer);
	u32 now, hold, left = 0;
	struct rb_node *node;

	rcu_read_lock();
	spin_lock_bh(&flow->rx_lock);
	now = netagg_now();
	hold = hold_us(flow);
	while (!flow->dead && !RB_EMPTY_ROOT(&flow->queue)) {
		u32 longest = 0;

		for (node = rb_first(&flow->queue); node; node = rb_next(node)) {
			struct sk_buff *skb =
				rb_entry(node, struct sk_buff, rbnode);

			longest = max(longest, now - netagg_wait(skb)->since);
		}
		if (longest < hold) {
			left = hold - longest;
			break;
		}
		atomic64_inc(&flow->rule->expired);
		give_up_gap(flow);
	}
	deliver(flow, flow->rule->net);
	if (left && !flow->dead && !RB_EMPTY_ROOT(&flow->queue))
		arm(flow, max(left, 200U));
	spin_unlock_bh(&flow->rx_lock);
	rcu_read_unlock();
	return HRTIMER_NORESTART;
}

void netagg_flow_rx_init(struct netagg_flow *flow)
{
	spin_lock_init(&flow->rx_lock);
	flow->queue = RB_ROOT;
	__skb_queue_head_init(&flow->ready);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
	hrtimer_setup(&flow->timer, expired, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_SOFT);
#else
	hrtimer_init(&flow->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	flow->timer.function = expired;
#endif
}

/* Delivers what still waits and lets nothing wait again. May sleep. */
void netagg_flow_rx_drain(struct netagg_flow *flow)
{
	rcu_read_lock();
	spin_lock_bh(&flow->rx_lock);
	flow->dead = true;
	while (!RB_EMPTY_ROOT(&flow->queue))
		give_up_gap(flow);
	/*
	 * Bottom halves stay off while packets are delivered, as in softirq;
	 * rx_lock is dropped meanwhile.
	 */
	local_bh_disable();
	deliver(flow, flow->rule->net);
	spin_unlock_bh(&flow->rx_lock);
	local_bh_enable();
	rcu_read_unlock();
	hrtimer_cancel(&flow->timer);
}

/* True: the packet is ours now, and has been or will be delivered. */
bool netagg_resequence(struct netagg_flow *flow, struct sk_buff *skb,
		       const struct netagg_packet *p, int index,
		       const struct nf_hook_state *state)
{
	u32 end = p->seq + p->len, hold;
	bool gap;

	spin_lock_bh(&flow->rx_lock);
	if (flow->dead || p->rst)
		goto accept;
	if (p->syn || !flow->rx_known) {
		flow->rx_known = true;
		flow->next = p->syn ? end : p->seq;
		flow->seen = 0;
		flow->okfn = state->okfn;
		if (p->syn)
			goto accept;
	}
	note_high(flow, index, end);
	gap = after(p->seq, flow->next);
	/* What is so far ahead is not the connection that we know. */
	if (gap && p->seq - flow->next > 1U << 30) {
		flow->next = p->seq;
		gap = false;
	}
	hold = gap ? hold_us(flow) : 0;
	if (gap && !hold && RB_EMPTY_ROOT(&flow->queue)) {
		flow->next = p->seq;
		gap = false;
	}
	if (!gap && RB_EMPTY_ROOT(&flow->queue) && !flow->delivering &&
	    skb_queue_empty(&flow->ready)) {
		if (after(end, flow->next))
			flow->next = end;
		flow->delivering = true;
		spin_unlock_bh(&flow->rx_lock);
		flow->okfn(state->net, state->sk, skb);
		spin_lock_bh(&flow->rx_lock);
		flow->delivering = false;
		deliver(flow, state->net);
		spin_unlock_bh(&flow->rx_lock);
		return true;
	}
	enqueue(flow, skb, p, (u32)netagg_now());
	if (!gap) {
		bool waiting = rb_first(&flow->queue) != rb_last(&flow->queue);
		u32 next = flow->next;

		make_ready(flow, skb);
		take_in_order(flow);
		if (waiting && after(flow->next, next) &&
		    after(flow->next, end))
			atomic64_inc(&flow->rule->filled);
	} else {
		atomic64_inc(&flow->rule->held);
		if (!hrtimer_is_queued(&flow->timer))
			arm(flow, max(hold, 200U));
	}
	while (!RB_EMPTY_ROOT(&flow->queue) &&
	       (flow->queued > NETAGG_MAX_QUEUED ||
		gap_is_lost(flow, alive(flow)))) {
		atomic64_inc(&flow->rule->lost);
		give_up_gap(flow);
	}
	deliver(flow, state->net);
	spin_unlock_bh(&flow->rx_lock);
	return true;
accept:
	spin_unlock_bh(&flow->rx_lock);
	return false;
}
