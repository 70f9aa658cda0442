// SPDX-License-Identifier: GPL-2.0
/* Which path a packet takes. */
#include <linux/slab.h>
#include <net/tcp.h>

#include "netagg_int.h"

#define SEGMENT	1500	/* bytes, about */

/* The fastest path but some; the best one where there is no other. */
static u8 best_but(const struct netagg_rule *rule,
		   const struct netagg_view *view, u8 not)
{
	u8 left = view->alive & ~not;
	int i, best = -1;

	if (!left || !(not & BIT(view->best)))
		return view->best;
	for (i = 0; i < rule->npaths; i++)
		if (left & BIT(i) &&
		    (best < 0 || (view->peer &&
				  READ_ONCE(view->peer->link[i].rtt_us) <
				  READ_ONCE(view->peer->link[best].rtt_us))))
			best = i;
	return best;
}

/* Which paths there are to choose from, as far as is known. */
void netagg_view(const struct netagg_rule *rule, const struct netagg_peer *peer,
		 struct netagg_view *view)
{
	u8 doubted;

	view->peer = peer;
	view->best = 0;
	/* Without probes nothing is known, and every path counts as alive. */
	if (!rule->options.probe_port) {
		view->alive = (1U << rule->npaths) - 1;
		return;
	}
	/* A path that the other end's module has not answered on is none. */
	view->alive = 1;
	if (!peer)
		return;
	view->alive = READ_ONCE(peer->alive);
	view->best = READ_ONCE(peer->best);
	doubted = netagg_peer_doubted(rule, peer, false);
	if (doubted) {
		view->alive &= ~doubted;
		view->best = best_but(rule, view, doubted);
	}
	/* A sender that is silent on all paths may have no rule any more. */
	if (!view->alive && rule->role == NETAGG_ROLE_RECEIVER)
		view->best = 0;
	if (!view->alive)
		view->alive = 1U << view->best;
}

/* The bytes and packets that a packet becomes on the wire. */
u32 netagg_wire_bytes(const struct sk_buff *skb, const struct netagg_packet *p,
		      u32 *packets)
{
	u32 segments = 1;

	if (skb_is_gso(skb) && skb_shinfo(skb)->gso_size)
		segments = max_t(u32, 1, DIV_ROUND_UP(p->data,
					skb_shinfo(skb)->gso_size));
	*packets = segments;
	return skb->len + (segments - 1) * (skb->len - p->data);
}

static u32 weight_of(const struct netagg_rule *rule,
		     const struct netagg_view *view, int i)
{
	u32 share = 0;

	if (view->peer && READ_ONCE(rule->options.flags) & NETAGG_F_ADAPT)
		share = READ_ONCE(view->peer->link[i].share);
	return share ? share : READ_ONCE(rule->path[i].weight);
}

/* What bytes that are sent again were first sent with; NULL: long ago. */
static const struct netagg_sent *first_sent(const struct netagg_flow *flow,
					    u32 seq)
{
	int oldest = (flow->sent_at + 1) % NETAGG_HISTORY;
	u32 nearest = 0;
	int i, found = -1;

	for (i = 0; flow->sent && i < NETAGG_HISTORY; i++) {
		const struct netagg_sent *s = &flow->sent[i];

		if (!s->end || !after(s->end, seq))
			continue;
		if (found < 0 || before(s->end, nearest)) {
			found = i;
			nearest = s->end;
		}
	}
	/* What came before the oldest that is remembered is not known. */
	if (found < 0 || found == oldest)
		return NULL;
	return &flow->sent[found];
}

/*
 * The path for what is sent again: not the one on which it was lost, unless
 * that is known to have carried what was sent later.
 */
static u8 surest(const struct netagg_rule *rule, const struct netagg_view *view,
		 const struct netagg_sent *lost)
{
	const struct netagg_link *link;
	u32 margin_us = READ_ONCE(rule->options.probe_us);

	if (!lost || !view->peer || !rule->options.probe_port)
		return view->best;
	/* What was sent before it may have come after it was sent. */
	link = &view->peer->link[lost->path];
	margin_us += 2 * READ_ONCE(link->rtt_us);
	if ((s32)((u32)READ_ONCE(link->confirmed) - lost->at - margin_us) > 0)
		return view->best;
	return best_but(rule, view, BIT(lost->path));
}

/*
 * What is sent again and again takes one path after the other: one that is
 * heard of may still lose what is large.
 */
static u8 by_turns(struct netagg_flow *flow, const struct netagg_view *view,
		   u32 seq, u8 chosen)
{
	if (seq != flow->again_seq || !(view->alive & ~flow->again_tried))
		flow->again_tried = 0;
	flow->again_seq = seq;
	if (flow->again_tried & BIT(chosen))
		chosen = best_but(flow->rule, view, flow->again_tried);
	flow->again_tried |= BIT(chosen);
	return chosen;
}

static void remember(struct netagg_flow *flow, u32 end, u8 path)
{
	struct netagg_sent *s;

	/* Only who sends data needs it. */
	if (!flow->sent)
		flow->sent = kcalloc(NETAGG_HISTORY, sizeof(*s), GFP_ATOMIC);
	if (!flow->sent)
		return;
	s = &flow->sent[flow->sent_at];
	if (!s->end || s->path != path) {
		flow->sent_at = (flow->sent_at + 1) % NETAGG_HISTORY;
		s = &flow->sent[flow->sent_at];
		s->path = path;
	}
	s->end = end ? end : 1;
	s->at = netagg_now();
}

/* What the paths that are in use weigh, and all of them together. */
struct shares {
	u32 weight[NETAGG_MAX_PATHS];
	u64 total;
};

static void share_out(const struct netagg_rule *rule,
		      const struct netagg_view *view, struct shares *shares)
{
	int i;

	shares->total = 0;
	for (i = 0; i < rule->npaths; i++) {
		shares->weight[i] = view->alive & BIT(i) ?
				    weight_of(rule, view, i) : 0;
		shares->total += shares->weight[i];
	}
}

/* A path carries bytes: each is owed its share of them, that one has them. */
static void charge(struct netagg_flow *flow, const struct shares *shares,
		   u32 bytes, u8 chosen)
{
	int i;

	for (i = 0; i < flow->rule->npaths; i++)
		flow->credit[i] += (s64)bytes * shares->weight[i];
	flow->credit[chosen] -= (s64)bytes * shares->total;
}

/*
 * Smooth weighted round robin in bytes: every path's credit grows by its
 * share of what is sent, the one that is owed most carries it and pays for
 * it. No path is ever further from its share than about one packet.
 * Returns NETAGG_SPLIT, changing nothing, where a packet of many segments
 * would go to a path whose share is so small that it would weigh for long, or
 * where such a path is owed one of them.
 */
static u8 due(struct netagg_flow *flow, const struct netagg_view *view,
	      u32 bytes, bool may_split)
{
	const struct netagg_rule *rule = flow->rule;
	bool flowlets = READ_ONCE(rule->options.mode) == NETAGG_MODE_FLOWLET;
	struct shares shares;
	bool stay = false;
	s64 most = S64_MIN;
	u8 chosen = view->best;
	int i;

	if (flow->tx_mask != view->alive) {
		memset(flow->credit, 0, sizeof(flow->credit));
		flow->tx_mask = view->alive;
	}
	if (flowlets && view->alive & BIT(flow->last_path)) {
		u64 now = netagg_now();

		stay = flow->last_tx && now - flow->last_tx <
			READ_ONCE(rule->options.flowlet_us);
		flow->last_tx = now;
		if (stay)
			chosen = flow->last_path;
	}
	share_out(rule, view, &shares);
	for (i = 0; i < rule->npaths && !stay; i++) {
		s64 owed = flow->credit[i] + (s64)bytes * shares.weight[i];

		if (view->alive & BIT(i) && owed > most) {
			most = owed;
			chosen = i;
		}
	}
	for (i = 0; i < rule->npaths && may_split && !flowlets; i++) {
		s64 owed = flow->credit[i] + (s64)bytes * shares.weight[i];

		if (view->alive & BIT(i) &&
		    (u64)shares.weight[i] * 8 < shares.total &&
		    (i == chosen || owed > (s64)(SEGMENT * shares.total)))
			return NETAGG_SPLIT;
	}
	charge(flow, &shares, bytes, chosen);
	flow->last_path = chosen;
	return chosen;
}

u8 netagg_choose(struct netagg_flow *flow, const struct netagg_view *view,
		 const struct netagg_packet *p, u32 bytes, bool may_split)
{
	const struct netagg_rule *rule = flow->rule;
	u32 end = p->seq + p->len;
	u8 chosen = view->best;

	/* On another path it would be taken for a stray: see receive.c. */
	if (p->rst)
		return view->alive & BIT(0) ? 0 : chosen;
	/* What need not be shared out takes the best path that is not silent. */
	if (!p->len) {
		if (!view->peer)
			return chosen;
		return best_but(rule, view,
				netagg_peer_doubted(rule, view->peer, true));
	}
	spin_lock_bh(&flow->tx_lock);
	if (p->syn || !flow->tx_known) {
		flow->tx_known = true;
		flow->snd_max = p->seq;
		if (flow->sent)
			memset(flow->sent, 0,
			       NETAGG_HISTORY * sizeof(*flow->sent));
	}
	if (p->syn) {
		flow->snd_max = end;
	} else if (after(end, flow->snd_max)) {
		if (p->data)
			chosen = due(flow, view, bytes, may_split);
		if (chosen != NETAGG_SPLIT) {
			flow->snd_max = end;
			flow->proven = true;
			remember(flow, end, chosen);
		}
	} else {
		const struct netagg_sent *lost = first_sent(flow, p->seq);
		struct shares shares;

		chosen = by_turns(flow, view, p->seq,
				  surest(rule, view, lost));
		share_out(rule, view, &shares);
		charge(flow, &shares, bytes, chosen);
		if (lost)
			this_cpu_inc(rule->path[lost->path].counters->retransmits);
	}
	spin_unlock_bh(&flow->tx_lock);
	return chosen;
}
