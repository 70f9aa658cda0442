// SPDX-License-Identifier: GPL-2.0
/* Packets of this host's own, put on a path. */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/version.h>
#include <net/ip.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif

#include "netagg_int.h"

static int reroute(struct sk_buff *skb, const struct nf_hook_state *state,
		   u8 family)
{
	if (family == NFPROTO_IPV4)
		return ip_route_me_harder(state->net, state->sk, skb,
					  RTN_UNSPEC);
#if IS_ENABLED(CONFIG_IPV6)
	return ip6_route_me_harder(state->net, state->sk, skb);
#else
	return -EAFNOSUPPORT;
#endif
}

static void count(const struct netagg_path *path, u32 packets, u32 bytes)
{
	this_cpu_add(path->counters->tx_packets, packets);
	this_cpu_add(path->counters->tx_bytes, bytes);
}

/*
 * Gives a packet a path's address and the route to it. Where there is no such
 * route it stays on the primary path, so that nothing is lost.
 */
static unsigned int put_on_path(struct sk_buff *skb,
				const struct nf_hook_state *state,
				struct netagg_rule *rule,
				const struct netagg_packet *p, u8 index,
				u32 packets, u32 bytes)
{
	bool source = rule->role == NETAGG_ROLE_RECEIVER;
	const struct netagg_path *path = &rule->path[index];
	/* Released or not, it stays for as long as the hook runs. */
	struct dst_entry *was = skb_dst(skb);

	if (index) {
		if (!netagg_rewrite(skb, p, source, &path->addr, path->port))
			return NF_DROP;
		if (reroute(skb, state, p->family)) {
			/* It may have left another route behind, or none. */
			if (skb_dst(skb) != was) {
				skb_dst_drop(skb);
				if (!dst_hold_safe(was))
					return NF_DROP;
				skb_dst_set(skb, was);
			}
			path = &rule->path[0];
			if (!netagg_rewrite(skb, p, source, &path->addr,
					    path->port))
				return NF_DROP;
		}
	}
	count(path, packets, bytes);
	return NF_ACCEPT;
}

static unsigned int send_one(struct sk_buff *skb,
			     const struct nf_hook_state *state,
			     struct netagg_rule *rule,
			     struct netagg_peer *peer,
			     const struct netagg_packet *p, u8 index)
{
	u32 packets, bytes = netagg_wire_bytes(skb, p, &packets);

	if (rule->options.flags & NETAGG_F_ENCAP) {
		int err = netagg_encap_send(rule, peer, skb, index, state);

		if (err == -EHOSTUNREACH)
			return NF_ACCEPT;
		if (!err)
			count(&rule->path[index], packets, bytes);
		return NF_STOLEN;
	}
	return put_on_path(skb, state, rule, p, index, packets, bytes);
}

/* Sends a packet's segments one by one, each on the path that is due. */
static unsigned int send_split(struct sk_buff *skb,
			       const struct nf_hook_state *state,
			       struct netagg_rule *rule,
			       struct netagg_peer *peer,
			       struct netagg_flow *flow,
			       const struct netagg_view *view, int index)
{
	struct sk_buff *segs = skb_gso_segment(skb, 0), *next;

	if (IS_ERR_OR_NULL(segs))
		return NF_DROP;
	consume_skb(skb);
	for (; segs; segs = next) {
		struct netagg_packet p;
		unsigned int verdict;
		u32 packets;
		u8 chosen = index;

		next = segs->next;
		skb_mark_not_on_list(segs);
		if (!netagg_parse(segs, state->pf, &p)) {
			kfree_skb(segs);
			continue;
		}
		if (index < 0)
			chosen = netagg_choose(flow, view, &p,
					       netagg_wire_bytes(segs, &p,
								 &packets),
					       false);
		verdict = send_one(segs, state, rule, peer, &p, chosen);
		if (verdict == NF_ACCEPT)
			state->okfn(state->net, state->sk, segs);
		else if (verdict == NF_DROP)
			kfree_skb(segs);
	}
	return NF_STOLEN;
}

/*
 * Where connections are from: the other end's peers are told apart by it. True:
 * this one is new.
 */
static bool note_client(struct netagg_rule *rule, const union nf_inet_addr *addr)
{
	struct netagg_client *client, *oldest = NULL;
	int i;

	for (i = 0; i < NETAGG_CLIENTS; i++) {
		client = &rule->client[i];
		if (READ_ONCE(client->known) &&
		    netagg_addr_equal(rule->family, &client->addr, addr)) {
			if (READ_ONCE(client->used) != jiffies)
				WRITE_ONCE(client->used, jiffies);
			return false;
		}
	}
	spin_lock_bh(&rule->lock);
	for (i = 0; i < NETAGG_CLIENTS; i++) {
		client = &rule->client[i];
		if (!oldest || !client->known ||
		    (oldest->known && time_before(client->used, oldest->used)))
			oldest = client;
		if (client->known &&
		    netagg_addr_equal(rule->family, &client->addr, addr))
			break;
	}
	if (i == NETAGG_CLIENTS) {
		oldest->addr = *addr;
		WRITE_ONCE(oldest->used, jiffies);
		WRITE_ONCE(oldest->known, true);
	}
	spin_unlock_bh(&rule->lock);
	return i == NETAGG_CLIENTS;
}

/* The last of the hooks on the way out: others see the primary path. */
unsigned int netagg_out(struct sk_buff *skb, const struct nf_hook_state *state,
			u8 family)
{
	struct netagg_net *nn = netagg_pernet(state->net);
	bool encap, split;
	struct netagg_peer *peer;
	struct netagg_packet p;
	struct netagg_rule *rule;
	struct netagg_flow *flow;
	struct netagg_view view;
	u32 packets;
	u8 index;

	if (!netagg_parse(skb, family, &p))
		return NF_ACCEPT;
	rule = netagg_rule_find(nn, NETAGG_ROLE_SENDER, family, &p.dst,
				p.dport);
	if (rule) {
		peer = rule->self;
		flow = netagg_flow_get(rule, &p.src, p.sport, true);
		/* Its first packet finds the other end prepared. */
		if (p.len && note_client(rule, &p.src))
			netagg_probe_now(rule);
	} else {
		rule = netagg_rule_find(nn, NETAGG_ROLE_RECEIVER, family,
					&p.src, p.sport);
		if (!rule)
			return NF_ACCEPT;
		peer = netagg_peer_find(rule, &p.dst);
		flow = netagg_flow_get(rule, &p.dst, p.dport, true);
	}
	if (!flow)
		return NF_ACCEPT;
	if (READ_ONCE(rule->used) != jiffies)
		WRITE_ONCE(rule->used, jiffies);

	encap = rule->options.flags & NETAGG_F_ENCAP;
	if (encap && p.syn &&
	    !netagg_clamp_mss(skb, &p, netagg_encap_mss(rule, peer)))
		return NF_DROP;
	/* To a peer that has never answered, packets travel as they are. */
	if (encap && (!peer || !READ_ONCE(peer->contacted)))
		return NF_ACCEPT;

	netagg_view(rule, peer, &view);
	split = skb_is_gso(skb);
	index = netagg_choose(flow, &view, &p,
			      netagg_wire_bytes(skb, &p, &packets), split);
	if (index == NETAGG_SPLIT)
		return send_split(skb, state, rule, peer, flow, &view, -1);
	if (encap && split)
		return send_split(skb, state, rule, peer, flow, &view, index);
	return send_one(skb, state, rule, peer, &p, index);
}
