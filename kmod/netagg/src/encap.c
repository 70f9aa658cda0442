// SPDX-License-Identifier: GPL-2.0
/*
 * Encapsulated mode: packets keep their addresses and travel inside UDP
 * between the probe ports, so that what is in between sees a flow of UDP on
 * each path and no halves of a TCP connection.
 */
#include <linux/netdevice.h>
#include <linux/udp.h>
#include <net/inet_ecn.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/udp_tunnel.h>

#include "netagg_int.h"
#include "message.h"

#define OVERHEAD (sizeof(struct udphdr) + sizeof(struct netagg_head))

/* Where a path leads: a sender's to its address, a receiver's to who asked. */
static bool far_end(struct netagg_rule *rule, struct netagg_peer *peer,
		    u8 index, union nf_inet_addr *from,
		    union nf_inet_addr *to, __be16 *port)
{
	const struct netagg_outer *outer;

	memset(from, 0, sizeof(*from));
	if (rule->role == NETAGG_ROLE_SENDER) {
		*to = rule->path[index].addr;
		*port = rule->options.probe_port;
		return true;
	}
	*from = rule->path[index].addr;
	outer = peer ? rcu_dereference(peer->link[index].outer) : NULL;
	if (!outer)
		return false;
	*to = outer->addr;
	*port = outer->port;
	return true;
}

static unsigned int ip_header(const struct netagg_rule *rule)
{
	return rule->family == NFPROTO_IPV4 ? sizeof(struct iphdr) :
					      sizeof(struct ipv6hdr);
}

/* The largest segment that fits through every path in use. */
u16 netagg_encap_mss(struct netagg_rule *rule, struct netagg_peer *peer)
{
	unsigned int least = 65535, inner = ip_header(rule) + 20;
	unsigned int outer = ip_header(rule) + OVERHEAD;
	union nf_inet_addr from, to;
	__be16 port;
	int i;

	for (i = 0; i < rule->npaths; i++) {
		struct dst_entry *dst;

		if (!far_end(rule, peer, i, &from, &to, &port))
			continue;
		dst = netagg_udp_route(rule, &from, &to, port);
		if (IS_ERR(dst))
			continue;
		least = min(least, dst_mtu(dst));
		dst_release(dst);
	}
	return least > outer + inner + 536 ? least - outer - inner : 536;
}

/*
 * What is wrapped would never come to POST_ROUTING, where connection tracking
 * takes a new connection in and without which its answers are nobody's to
 * this host's filters. A packet that somebody queues there goes on as it is.
 * False: the packet is gone.
 */
static bool postrouting(struct netagg_rule *rule, struct sk_buff *skb,
			const struct nf_hook_state *state)
{
	skb->dev = skb_dst(skb)->dev;
	return nf_hook(rule->family, NF_INET_POST_ROUTING, rule->net,
		       state->sk, skb, NULL, skb->dev, state->okfn) == 1;
}

/* -EHOSTUNREACH: the packet is as it was. Otherwise it is gone. */
int netagg_encap_send(struct netagg_rule *rule, struct netagg_peer *peer,
		      struct sk_buff *skb, u8 index,
		      const struct nf_hook_state *state)
{
	struct netagg_head *head;
	union nf_inet_addr from, to;
	struct dst_entry *dst;
	bool fragment;
	__be16 port;
	u8 tos;

	if (!far_end(rule, peer, index, &from, &to, &port))
		return -EHOSTUNREACH;
	dst = netagg_udp_route(rule, &from, &to, port);
	if (IS_ERR(dst))
		return -EHOSTUNREACH;
	if (!postrouting(rule, skb, state)) {
		dst_release(dst);
		return -EPERM;
	}
	tos = rule->family == NFPROTO_IPV4 ? ip_hdr(skb)->tos :
					     ipv6_get_dsfield(ipv6_hdr(skb));
	if ((skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_help(skb)) ||
	    skb_cow_head(skb, LL_RESERVED_SPACE(dst->dev) + dst->header_len +
			 ip_header(rule) + OVERHEAD)) {
		dst_release(dst);
		kfree_skb(skb);
		return -ENOMEM;
	}
	skb->ip_summed = CHECKSUM_NONE;
	/*
	 * Segments are small enough where both ends' SYNs came by here. Those
	 * of older connections, or past a narrower router, are not: telling
	 * their socket of the path's MTU would also tell it of the primary
	 * path without wrapping, which is the same route.
	 */
	fragment = skb->len + ip_header(rule) + OVERHEAD > dst_mtu(dst);
	head = skb_push(skb, sizeof(*head));
	*head = (struct netagg_head) {
		.magic = htonl(NETAGG_MAGIC),
		.type = NETAGG_DATA,
		.index = index,
	};
	netagg_udp_send(rule, dst, skb, &from, &to, port, tos, fragment);
	return 0;
}

/* The rule that a wrapped packet is of, where it came from the other end. */
static struct netagg_rule *rule_of(struct netagg_net *nn, struct sock *sk,
				   const struct netagg_packet *p, u8 index,
				   const union nf_inet_addr *src, __be16 sport)
{
	struct netagg_rule *rule;
	bool known;

	rule = netagg_rule_find(nn, NETAGG_ROLE_RECEIVER, p->family, &p->dst,
				p->dport);
	if (rule) {
		struct netagg_peer *peer = netagg_peer_find(rule, &p->src);

		known = index < rule->npaths && peer &&
			netagg_peer_came_from(peer, index, src, sport);
	} else {
		rule = netagg_rule_find(nn, NETAGG_ROLE_SENDER, p->family,
					&p->src, p->sport);
		known = rule && index < rule->npaths &&
			sport == rule->options.probe_port &&
			netagg_addr_equal(p->family, src,
					  &rule->path[index].addr) &&
			netagg_is_ours(nn->net, p->family, &p->dst);
	}
	return known && rule->options.flags & NETAGG_F_ENCAP &&
	       rule->socket->sock->sk == sk ? rule : NULL;
}

/* False: it was marked as congested and cannot be told. */
static bool take_congestion(struct sk_buff *skb, u8 family, u8 outer)
{
	u8 inner;

	if (!INET_ECN_is_ce(outer))
		return true;
	if (skb_ensure_writable(skb, family == NFPROTO_IPV4 ?
				sizeof(struct iphdr) : sizeof(struct ipv6hdr)))
		return false;
	inner = family == NFPROTO_IPV4 ? ip_hdr(skb)->tos :
					 ipv6_get_dsfield(ipv6_hdr(skb));
	return INET_ECN_decapsulate(skb, outer, inner) < 2;
}

/* Takes a packet out of its wrapping and has it received once more. */
void netagg_encap_receive(struct sock *sk, struct sk_buff *skb, u8 family)
{
	struct netagg_net *nn = netagg_pernet(sock_net(sk));
	union nf_inet_addr src = {};
	struct netagg_packet p;
	struct netagg_rule *rule;
	__be16 sport;
	u8 index, tos;

	index = ((struct netagg_head *)(skb->data + sizeof(struct udphdr)))->index;
	sport = udp_hdr(skb)->source;
	if (family == NFPROTO_IPV4) {
		src.ip = ip_hdr(skb)->saddr;
		tos = ip_hdr(skb)->tos;
	} else {
		src.in6 = ipv6_hdr(skb)->saddr;
		tos = ipv6_get_dsfield(ipv6_hdr(skb));
	}
	skb_pull_rcsum(skb, OVERHEAD);
	skb_reset_network_header(skb);
	/* From this very machine: the sum of the wrapping was never made. */
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (!netagg_parse(skb, family, &p))
		goto drop;
	if (family == NFPROTO_IPV4 ? ip_hdr(skb)->version != 4 :
				     ipv6_hdr(skb)->version != 6)
		goto drop;
	rcu_read_lock();
	rule = rule_of(nn, sk, &p, index, &src, sport);
	rcu_read_unlock();
	if (!rule)
		goto drop;
	skb->protocol = family == NFPROTO_IPV4 ? htons(ETH_P_IP) :
						 htons(ETH_P_IPV6);
	if (!take_congestion(skb, family, tos))
		goto drop;
	skb->pkt_type = PACKET_HOST;
	skb->encapsulation = 0;
	skb_scrub_packet(skb, false);
	skb_reset_mac_header(skb);
	skb_reset_mac_len(skb);
	netagg_tag(skb, index, true);
	netif_rx(skb);
	return;
drop:
	kfree_skb(skb);
}
