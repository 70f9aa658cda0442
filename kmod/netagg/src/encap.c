// SPDX-License-Identifier: GPL-2.0
/*
 * Encapsulated mode: packets keep their addresses and travel inside UDP
 * between the probe ports, so that what is in between sees a flow of UDP on
 * each path and no halves of a TCP connection.
 */
#include <linux/netdevice.h>
#include <linux/udp.h>
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
	memset(from, 0, sizeof(*from));
	if (rule->role == NETAGG_ROLE_SENDER) {
		*to = rule->path[index].addr;
		*port = rule->options.probe_port;
		return true;
	}
	*from = rule->path[index].addr;
	spin_lock_bh(&peer->lock);
	*to = peer->link[index].outer;
	*port = peer->link[index].outer_port;
	spin_unlock_bh(&peer->lock);
	return *port != 0;
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

/* -EHOSTUNREACH: the packet is as it was. Otherwise it is gone. */
int netagg_encap_send(struct netagg_rule *rule, struct netagg_peer *peer,
		      struct sk_buff *skb, u8 index)
{
	struct netagg_head *head;
	union nf_inet_addr from, to;
	struct dst_entry *dst;
	__be16 port;
	u8 tos;

	if (!far_end(rule, peer, index, &from, &to, &port))
		return -EHOSTUNREACH;
	dst = netagg_udp_route(rule, &from, &to, port);
	if (IS_ERR(dst))
		return -EHOSTUNREACH;
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
	head = skb_push(skb, sizeof(*head));
	*head = (struct netagg_head) {
		.magic = htonl(NETAGG_MAGIC),
		.type = NETAGG_DATA,
		.index = index,
	};
	netagg_udp_send(rule, dst, skb, &from, &to, port, tos);
	return 0;
}

/* Takes a packet out of its wrapping and has it received once more. */
void netagg_encap_receive(struct netagg_net *nn, struct sk_buff *skb,
			  u8 family)
{
	struct netagg_packet p;
	struct netagg_rule *rule;
	bool fits;
	u8 index;

	index = ((struct netagg_head *)(skb->data + sizeof(struct udphdr)))->index;
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
	rule = netagg_rule_find(nn, NETAGG_ROLE_RECEIVER, family, &p.dst,
				p.dport);
	if (!rule)
		rule = netagg_rule_find(nn, NETAGG_ROLE_SENDER, family, &p.src,
					p.sport);
	fits = rule && rule->options.flags & NETAGG_F_ENCAP &&
	       index < rule->npaths;
	rcu_read_unlock();
	if (!fits)
		goto drop;
	skb->protocol = family == NFPROTO_IPV4 ? htons(ETH_P_IP) :
						 htons(ETH_P_IPV6);
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
