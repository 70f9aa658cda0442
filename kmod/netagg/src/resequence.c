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

#define DELIVERY	300		/* packets at a time */
#define FAR_BEHIND	(1U << 26)
#define MANY_BEHIND	16

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
	/* What has fallen silent will not bring what is missing. */
	return peer ? READ_ONCE(peer->alive) &
		      ~netagg_peer_doubted(rule, peer, true) : all;
}

static struct sk_buff *first_waiting(struct netagg_flow *flow)
{
	struct rb_node *node = rb_first(&flow->queue);

	return node ? rb_entry(node, struct sk_buff, rbnode) : NULL;
}

/* False: the route that it was found by has just gone, and so must it. */
static bool enqueue(struct netagg_flow *flow, struct sk_buff *skb,
		    const struct netagg_packet *p, u32 now)
{
	struct rb_node **link = &flow->queue.rb_node, *parent = NULL;
	struct net_device *dev = skb->dev;
	struct netagg_wait *wait = netagg_wait(skb);

	/*
	 * The route and the device must outlast the wait. A socket that was
	 * found early need not have been counted: it is looked up again.
	 */
	if (!skb_dst_force(skb))
		return false;
	skb_orphan(skb);
	dev_hold(dev);
	wait->dev = dev;
	wait->seq = p->seq;
	wait->end = p->seq + p->len;
	wait->since = now;
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
	atomic_long_add(skb->truesize, &flow->rule->nn->queued);
	return true;
}

/* Moves a packet from the tree to what is to be delivered. */
static void make_ready(struct netagg_flow *flow, struct sk_buff *skb)
{
	struct netagg_wait *wait = netagg_wait(skb);

	rb_erase(&skb->rbnode, &flow->queue);
	flow->queued -= skb->truesize;
	flow->pending += skb->truesize;
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

static void arm(struct netagg_flow *flow, u32 us)
{
	hrtimer_start(&flow->timer, ns_to_ktime(us * 1000ULL), HRTIMER_MODE_REL_SOFT);
}

/*
 * Hands over what is ready, one processor at a time, and not for ever where
 * another brings more all the while. Under rx_lock.
 */
static void deliver(struct netagg_flow *flow, struct net *net)
{
	unsigned int left = DELIVERY;
	struct sk_buff_head batch;
	struct sk_buff *skb;

	if (flow->delivering)
		return;
	flow->delivering = true;
	__skb_queue_head_init(&batch);
	while (!skb_queue_empty(&flow->ready)) {
		u32 done = 0;

		if (!left && !flow->dead) {
			arm(flow, 1);
			break;
		}
		skb_queue_splice_init(&flow->ready, &batch);
		spin_unlock_bh(&flow->rx_lock);
		while ((skb = __skb_dequeue(&batch))) {
			struct net_device *dev = netagg_wait(skb)->dev;

			done += skb->truesize;
			left -= !!left;
			netagg_wait(skb)->dev = NULL;
			flow->okfn(net, NULL, skb);
			dev_put(dev);
		}
		atomic_long_sub(done, &flow->rule->nn->queued);
		spin_lock_bh(&flow->rx_lock);
		flow->pending -= done;
	}
	flow->delivering = false;
}

/* There is no room for more that waits. */
static bool is_full(const struct netagg_flow *flow)
{
	return flow->queued > NETAGG_MAX_QUEUED ||
	       atomic_long_read(&flow->rule->nn->queued) >
	       NETAGG_MAX_NET_QUEUED;
}

/*
 * Gives up all gaps before the last packet that has waited for long enough.
 * Returns how long the others may still wait, or 0.
 */
static u32 give_up_expired(struct netagg_flow *flow, u32 now, u32 hold)
{
	struct sk_buff *last = NULL, *first;
	u32 longest = 0, seq;
	struct rb_node *node;

	for (node = rb_first(&flow->queue); node; node = rb_next(node)) {
		struct sk_buff *skb = rb_entry(node, struct sk_buff, rbnode);

		if (now - netagg_wait(skb)->since >= hold)
			last = skb;
	}
	if (last) {
		seq = netagg_wait(last)->seq;
		while ((first = first_waiting(flow)) &&
		       !after(netagg_wait(first)->seq, seq)) {
			atomic64_inc(&flow->rule->expired);
			give_up_gap(flow);
		}
	}
	if (RB_EMPTY_ROOT(&flow->queue))
		return 0;
	for (node = rb_first(&flow->queue); node; node = rb_next(node)) {
		struct sk_buff *skb = rb_entry(node, struct sk_buff, rbnode);

		longest = max(longest, now - netagg_wait(skb)->since);
	}
	return hold > longest ? hold - longest : 1;
}

static enum hrtimer_restart expired(struct hrtimer *timer)
{
	struct netagg_flow *flow =
		container_of(timer, struct netagg_flow, timer);
	u32 left = 0;

	rcu_read_lock();
	spin_lock_bh(&flow->rx_lock);
	if (!flow->dead)
		left = give_up_expired(flow, netagg_now(), hold_us(flow));
	deliver(flow, flow->rule->net);
	if (left && !flow->dead && !RB_EMPTY_ROOT(&flow->queue) &&
	    !hrtimer_is_queued(&flow->timer))
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
		/* What waits is of an earlier connection. */
		while (!RB_EMPTY_ROOT(&flow->queue))
			give_up_gap(flow);
		if (p->syn)
			deliver(flow, state->net);
		flow->rx_known = true;
		flow->next = p->syn ? end : p->seq;
		flow->seen = 0;
		flow->behind = 0;
		flow->okfn = state->okfn;
		if (p->syn)
			goto accept;
	}
	flow->proven = true;
	/* Something that was no part of it has led astray. */
	if (after(flow->next, p->seq) && flow->next - p->seq > FAR_BEHIND) {
		if (++flow->behind > MANY_BEHIND) {
			flow->behind = 0;
			flow->next = p->seq;
			flow->seen = 0;
		}
	} else {
		flow->behind = 0;
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
	/* Delivery does not keep up with what comes. */
	if (flow->pending > NETAGG_MAX_QUEUED ||
	    !enqueue(flow, skb, p, (u32)netagg_now())) {
		spin_unlock_bh(&flow->rx_lock);
		kfree_skb(skb);
		return true;
	}
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
	       (is_full(flow) || gap_is_lost(flow, alive(flow)))) {
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
