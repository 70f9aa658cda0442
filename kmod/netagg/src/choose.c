// SPDX-License-Identifier: GPL-2.0
/* Which path a packet takes. */
#include <net/tcp.h>

#include "netagg_int.h"

/* Which paths there are to choose from, as far as is known. */
void netagg_view(const struct netagg_rule *rule, const struct netagg_peer *peer,
		 struct netagg_view *view)
{
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

/* Which path bytes that are sent again were given to; -1: long ago. */
static int sent_on(const struct netagg_flow *flow, u32 seq)
{
	int oldest = (flow->sent_at + 1) % NETAGG_HISTORY;
	u32 nearest = 0;
	int i, found = -1;

	for (i = 0; i < NETAGG_HISTORY; i++) {
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
		return -1;
	return flow->sent[found].path;
}

/*
 * The path for what is sent again: the best one, unless nothing has been
 * heard of it just now, which may be how it was lost.
 */
static u8 surest(const struct netagg_rule *rule, const struct netagg_view *view)
{
	u32 stale_us = READ_ONCE(rule->options.probe_us) * 3 / 2;
	const struct netagg_link *link;
	u64 latest;
	u8 chosen = view->best;
	int i;

	if (!view->peer || READ_ONCE(view->peer->idle))
		return chosen;
	link = view->peer->link;
	latest = READ_ONCE(link[chosen].confirmed);
	if (netagg_now() < latest + stale_us)
		return chosen;
	for (i = 0; i < rule->npaths; i++)
		if (view->alive & BIT(i) &&
		    READ_ONCE(link[i].confirmed) > latest) {
			latest = READ_ONCE(link[i].confirmed);
			chosen = i;
		}
	return chosen;
}

static void remember(struct netagg_flow *flow, u32 end, u8 path)
{
	struct netagg_sent *s = &flow->sent[flow->sent_at];

	if (!s->end || s->path != path) {
		flow->sent_at = (flow->sent_at + 1) % NETAGG_HISTORY;
		s = &flow->sent[flow->sent_at];
		s->path = path;
	}
	s->end = end ? end : 1;
}

/*
 * Smooth weighted round robin in bytes: every path's credit grows by its
 * share of what is sent, the one that is owed most carries it and pays for
 * it. No path is ever further from its share than about one packet.
 * Returns NETAGG_SPLIT, changing nothing, where a packet of many segments
 * would go to a path whose share is so small that it would weigh for long.
 */
static u8 due(struct netagg_flow *flow, const struct netagg_view *view,
	      u32 bytes, bool may_split)
{
	const struct netagg_rule *rule = flow->rule;
	u32 weight[NETAGG_MAX_PATHS];
	bool flowlets = READ_ONCE(rule->options.mode) == NETAGG_MODE_FLOWLET;
	bool stay = false;
	s64 most = S64_MIN;
	u64 total = 0;
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
	for (i = 0; i < rule->npaths; i++) {
		if (!(view->alive & BIT(i)))
			continue;
		weight[i] = weight_of(rule, view, i);
		total += weight[i];
		if (!stay && flow->credit[i] + (s64)bytes * weight[i] > most) {
			most = flow->credit[i] + (s64)bytes * weight[i];
			chosen = i;
		}
	}
	if (may_split && !flowlets && (u64)weight[chosen] * 8 < total)
		return NETAGG_SPLIT;
	for (i = 0; i < rule->npaths; i++)
		if (view->alive & BIT(i))
			flow->credit[i] += (s64)bytes * weight[i];
	flow->credit[chosen] -= (s64)bytes * total;
	flow->last_path = chosen;
	return chosen;
}

u8 netagg_choose(struct netagg_flow *flow, const struct netagg_view *view,
		 const struct netagg_packet *p, u32 bytes, bool may_split)
{
	u32 end = p->seq + p->len;
	u8 chosen = view->best;

	/* On another path it would be taken for a stray: see receive.c. */
	if (p->rst)
		return view->alive & BIT(0) ? 0 : chosen;
	/* What need not be shared out takes the best path. */
	if (!p->len)
		return chosen;
	spin_lock_bh(&flow->tx_lock);
	if (p->syn || !flow->tx_known) {
		flow->tx_known = true;
		flow->snd_max = p->seq;
		memset(flow->sent, 0, sizeof(flow->sent));
	}
	if (p->syn) {
		flow->snd_max = end;
	} else if (after(end, flow->snd_max)) {
		if (p->data)
			chosen = due(flow, view, bytes, may_split);
		if (chosen != NETAGG_SPLIT) {
			flow->snd_max = end;
			remember(flow, end, chosen);
		}
	} else {
		int lost = sent_on(flow, p->seq);

		chosen = surest(flow->rule, view);
		if (lost >= 0)
			this_cpu_inc(flow->rule->path[lost].counters->retransmits);
	}
	spin_unlock_bh(&flow->tx_lock);
	return chosen;
}
