// SPDX-License-Identifier: GPL-2.0
/* Packets that come in: led back to the primary path, and put in order. */
#include "netagg_int.h"
#include "mark.h"

/* Which path a packet came on, kept in it until it is delivered. */
void netagg_tag(struct sk_buff *skb, u8 index, bool encap)
{
	struct netagg_mark *mark = netagg_mark(skb);

	mark->magic = NETAGG_MARK;
	mark->index = index;
	mark->encap = encap;
}

static int tag_of(struct sk_buff *skb)
{
	const struct netagg_mark *mark = netagg_mark(skb);

	return mark->magic == NETAGG_MARK && mark->index < NETAGG_MAX_PATHS ?
	       mark->index : -1;
}

#define RESET_US	1000000

/*
 * A host that has no rule (yet, or any more) answers what comes from another
 * path with a reset. Real ones take the primary path while there is one.
 */
static bool is_stray_reset(struct netagg_rule *rule,
			   const struct netagg_packet *p, u8 index)
{
	struct netagg_peer *peer = rule->self;
	u8 alive;

	if (!p->rst)
		return false;
	if (rule->role == NETAGG_ROLE_RECEIVER)
		peer = netagg_peer_find(rule, &p->src);
	if (!peer || !rule->options.probe_port)
		return true;
	alive = READ_ONCE(peer->alive);
	if (!alive || alive & BIT(0))
		return true;
	/*
	 * Where the rule is gone all paths fall silent, one after the other:
	 * compared with each other, since a host that stood still hears late.
	 * Of a real one that is dropped, the next packet brings another.
	 */
	return READ_ONCE(peer->link[index].confirmed) <
	       READ_ONCE(peer->link[0].confirmed) + RESET_US ||
	       !netagg_link_is_fresh(rule, peer, index, netagg_now());
}

/* Before connection tracking: what follows sees the primary path only. */
unsigned int netagg_early(struct sk_buff *skb,
			  const struct nf_hook_state *state, u8 family)
{
	struct netagg_net *nn = netagg_pernet(state->net);
	const struct netagg_path *path;
	struct netagg_packet p;
	bool source = false;
	int index;

	if (!netagg_parse(skb, family, &p)) {
		netagg_map_icmp(nn, skb, family);
		return NF_ACCEPT;
	}
	path = netagg_end_find(nn, NETAGG_ROLE_RECEIVER, family, &p.dst,
			       p.dport);
	if (!path) {
		path = netagg_end_find(nn, NETAGG_ROLE_SENDER, family, &p.src,
				       p.sport);
		source = true;
		/* What is on its way to another host is not ours. */
		if (path && path->index &&
		    !netagg_is_ours(state->net, family, &p.dst))
			path = NULL;
	}
	if (!path)
		return NF_ACCEPT;
	index = path->index;
	if (index) {
		const struct netagg_path *primary = &path->rule->path[0];

		if (is_stray_reset(path->rule, &p, index))
			return NF_DROP;
		if (!netagg_rewrite(skb, &p, source, &primary->addr,
				    primary->port))
			return NF_DROP;
	} else if (netagg_mark(skb)->magic == NETAGG_MARK &&
		   netagg_mark(skb)->encap) {
		/* Unwrapped: its addresses say nothing of its path. */
		index = tag_of(skb);
		if (index < 0 || index >= path->rule->npaths)
			index = 0;
	}
	netagg_tag(skb, index, false);
	return NF_ACCEPT;
}

/*
 * What came in fragments is whole only now where nobody put it together
 * before, and still has its path's address. False: there was no memory.
 */
static bool lead_back_late(struct netagg_net *nn, struct sk_buff *skb,
			   struct netagg_packet *p)
{
	const struct netagg_path *path, *primary;
	bool source = false;

	path = netagg_end_find(nn, NETAGG_ROLE_RECEIVER, p->family, &p->dst,
			       p->dport);
	if (!path) {
		path = netagg_end_find(nn, NETAGG_ROLE_SENDER, p->family,
				       &p->src, p->sport);
		source = true;
	}
	if (!path || !path->index || p->rst)
		return true;
	primary = &path->rule->path[0];
	if (!netagg_rewrite(skb, p, source, &primary->addr, primary->port))
		return false;
	netagg_tag(skb, path->index, false);
	*(source ? &p->src : &p->dst) = primary->addr;
	*(source ? &p->sport : &p->dport) = primary->port;
	return true;
}

/* The last thing before the socket. */
unsigned int netagg_late(struct sk_buff *skb,
			 const struct nf_hook_state *state, u8 family)
{
	struct netagg_net *nn = netagg_pernet(state->net);
	const union nf_inet_addr *far;
	struct netagg_packet p;
	struct netagg_rule *rule;
	struct netagg_peer *peer;
	struct netagg_flow *flow;
	__be16 far_port;
	int index;

	if (!netagg_parse(skb, family, &p))
		return NF_ACCEPT;
	if (!lead_back_late(nn, skb, &p))
		return NF_DROP;
	rule = netagg_rule_find(nn, NETAGG_ROLE_RECEIVER, family, &p.dst,
				p.dport);
	if (rule) {
		far = &p.src;
		far_port = p.sport;
		peer = netagg_peer_find(rule, far);
	} else {
		rule = netagg_rule_find(nn, NETAGG_ROLE_SENDER, family, &p.src,
					p.sport);
		if (!rule)
			return NF_ACCEPT;
		far = &p.dst;
		far_port = p.dport;
		peer = rule->self;
	}
	index = tag_of(skb);
	if (index >= 0) {
		const struct netagg_path *path = &rule->path[index];
		u32 packets, bytes = netagg_wire_bytes(skb, &p, &packets);

		this_cpu_add(path->counters->rx_packets, packets);
		this_cpu_add(path->counters->rx_bytes, bytes);
		if (peer)
			netagg_link_heard(peer, index, netagg_now());
	}
	/* Segments that come back must leave room for the wrapping too. */
	if (p.syn && rule->options.flags & NETAGG_F_ENCAP &&
	    !netagg_clamp_mss(skb, &p, netagg_encap_mss(rule, peer)))
		return NF_DROP;
	if (!p.len && !p.rst)
		return NF_ACCEPT;
	flow = netagg_flow_get(rule, far, far_port, !p.rst);
	if (!flow)
		return NF_ACCEPT;
	return netagg_resequence(flow, skb, &p, index, state) ? NF_STOLEN :
								NF_ACCEPT;
}
