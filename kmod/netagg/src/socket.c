// SPDX-License-Identifier: GPL-2.0
/* The UDP sockets of probes and encapsulated packets, and the way out. */
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>

#include "netagg_int.h"
#include "message.h"

/* The route to an address, and the source that it has where @from is unset. */
struct dst_entry *netagg_udp_route(struct netagg_rule *rule,
				   union nf_inet_addr *from,
				   const union nf_inet_addr *to, __be16 port)
{
	if (rule->family == NFPROTO_IPV4) {
		struct flowi4 fl4 = {
			.daddr = to->ip, .saddr = from->ip,
			.flowi4_proto = IPPROTO_UDP, .fl4_dport = port,
			.fl4_sport = rule->options.probe_port,
		};
		struct rtable *rt = ip_route_output_key(rule->net, &fl4);

		if (IS_ERR(rt))
			return ERR_CAST(rt);
		from->ip = fl4.saddr;
		return &rt->dst;
	}
#if IS_ENABLED(CONFIG_IPV6)
	{
		struct flowi6 fl6 = {
			.daddr = to->in6, .saddr = from->in6,
			.flowi6_proto = IPPROTO_UDP, .fl6_dport = port,
			.fl6_sport = rule->options.probe_port,
		};
		struct dst_entry *dst;

		dst = ipv6_stub->ipv6_dst_lookup_flow(rule->net,
						      rule->socket->sock->sk,
						      &fl6, NULL);
		if (!IS_ERR(dst))
			from->in6 = fl6.saddr;
		return dst;
	}
#else
	return ERR_PTR(-EAFNOSUPPORT);
#endif
}

/*
 * Sends what is in @skb from the probe port, in fragments where it must and
 * may. Takes the route and the skb.
 */
void netagg_udp_send(struct netagg_rule *rule, struct dst_entry *dst,
		     struct sk_buff *skb, const union nf_inet_addr *from,
		     const union nf_inet_addr *to, __be16 port, u8 tos,
		     bool fragment)
{
	struct sock *sk = rule->socket->sock->sk;

	if (rule->family == NFPROTO_IPV4) {
		/* Where it is set, it is taken for a tunnel with counters. */
		skb->dev = NULL;
		udp_tunnel_xmit_skb((struct rtable *)dst, sk, skb, from->ip,
				    to->ip, tos, ip4_dst_hoplimit(dst),
				    fragment ? 0 : htons(IP_DF),
				    rule->options.probe_port, port, false,
				    false);
		return;
	}
#if IS_ENABLED(CONFIG_IPV6)
	{
		struct in6_addr src = from->in6, to6 = to->in6;

		/* Unlike IPv4's, this keeps the old route and connection. */
		skb_scrub_packet(skb, false);
		skb->ignore_df = fragment;
		/* Without a device: that would be a tunnel, with counters. */
		udp_tunnel6_xmit_skb(dst, sk, skb, NULL, &src, &to6, tos,
				     ip6_dst_hoplimit(dst), 0,
				     rule->options.probe_port, port, false);
	}
#endif
}

/* Whatever comes to a probe port. */
static int receive(struct sock *sk, struct sk_buff *skb)
{
	u8 family = sk->sk_family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	const struct netagg_head *head;

	if (!pskb_may_pull(skb, sizeof(struct udphdr) + sizeof(*head)))
		goto drop;
	head = (const struct netagg_head *)(skb->data + sizeof(struct udphdr));
	if (head->magic != htonl(NETAGG_MAGIC) ||
	    head->index >= NETAGG_MAX_PATHS || head->best >= NETAGG_MAX_PATHS)
		goto drop;
	if (head->type == NETAGG_DATA)
		netagg_encap_receive(sk, skb, family);
	else
		netagg_message_receive(sk, skb, family);
	return 0;
drop:
	kfree_skb(skb);
	return 0;
}

/* The socket of a rule's probe port, shared by all rules that have it. */
int netagg_socket_get(struct netagg_net *nn, struct netagg_rule *rule)
{
	struct udp_tunnel_sock_cfg tunnel = {
		.encap_type = 1, .encap_rcv = receive,
	};
	struct udp_port_cfg config = {
		.family = rule->family == NFPROTO_IPV4 ? AF_INET : AF_INET6,
		.local_udp_port = rule->options.probe_port,
		.use_udp_checksums = 1, .use_udp6_tx_checksums = 1,
		.use_udp6_rx_checksums = 1, .ipv6_v6only = 1,
	};
	struct netagg_socket *socket;
	int err;

	if (!rule->options.probe_port)
		return 0;
	list_for_each_entry(socket, &nn->sockets, list)
		if (socket->family == rule->family &&
		    socket->port == rule->options.probe_port) {
			socket->users++;
			rule->socket = socket;
			return 0;
		}
	socket = kzalloc(sizeof(*socket), GFP_KERNEL);
	if (!socket)
		return -ENOMEM;
	err = udp_sock_create(nn->net, &config, &socket->sock);
	if (err) {
		kfree(socket);
		return err;
	}
	socket->family = rule->family;
	socket->port = rule->options.probe_port;
	socket->users = 1;
	tunnel.sk_user_data = socket;
	setup_udp_tunnel_sock(nn->net, socket->sock, &tunnel);
	list_add(&socket->list, &nn->sockets);
	rule->socket = socket;
	return 0;
}

void netagg_socket_put(struct netagg_net *nn, struct netagg_rule *rule)
{
	struct netagg_socket *socket = rule->socket;

	if (!socket || --socket->users)
		return;
	list_del(&socket->list);
	udp_tunnel_sock_release(socket->sock);
	kfree(socket);
}
