// SPDX-License-Identifier: GPL-2.0
/*
 * Probes: a sender's module sends one over every path at short intervals, the
 * receiver's answers. Each message says how long ago its sender last heard the
 * other on each path, so that one path that is left suffices to learn which
 * others are gone.
 */
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>

#include "netagg_int.h"
#include "message.h"

#define IDLE_AFTER	(5 * HZ)
#define IDLE_FACTOR	8
#define ADAPT_TICKS	10
#define LOSS_AGE	40	/* a probe unanswered by 40 later ones is lost */

struct netagg_socket {
	struct list_head list;
	struct socket *sock;
	u8 family;
	__be16 port;
	unsigned int users;
};

static unsigned int addr_len(u8 family)
{
	return family == NFPROTO_IPV4 ? 4 : 16;
}

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

/* Sends what is in @skb from the probe port. Takes the route and the skb. */
void netagg_udp_send(struct netagg_rule *rule, struct dst_entry *dst,
		     struct sk_buff *skb, const union nf_inet_addr *from,
		     const union nf_inet_addr *to, __be16 port, u8 tos)
{
	struct sock *sk = rule->socket->sock->sk;

	if (rule->family == NFPROTO_IPV4) {
		udp_tunnel_xmit_skb((struct rtable *)dst, sk, skb, from->ip,
				    to->ip, tos, ip4_dst_hoplimit(dst),
				    htons(IP_DF), rule->options.probe_port,
				    port, false, false);
		return;
	}
#if IS_ENABLED(CONFIG_IPV6)
	{
		struct in6_addr src = from->in6, to6 = to->in6;

		udp_tunnel6_xmit_skb(dst, sk, skb, dst->dev, &src, &to6, tos,
				     ip6_dst_hoplimit(dst), 0,
				     rule->options.probe_port, port, false);
	}
#endif
}

static void fill_ages(const struct netagg_rule *rule,
		      const struct netagg_peer *peer,
		      struct netagg_message *msg, u64 now)
{
	int i;

	memset(msg->age, NETAGG_AGE_MAX, sizeof(msg->age));
	for (i = 0; i < rule->npaths; i++) {
		u64 heard = READ_ONCE(peer->link[i].heard);

		if (heard)
			msg->age[i] = min_t(u64, NETAGG_AGE_MAX,
				div_u64(now - min(now, heard), NETAGG_AGE_US));
	}
}

static void send_message(struct netagg_rule *rule,
			 const struct netagg_message *msg,
			 const union nf_inet_addr *client,
			 union nf_inet_addr *from,
			 const union nf_inet_addr *to, __be16 port)
{
	unsigned int each = addr_len(rule->family);
	unsigned int len = sizeof(*msg) + 2 * each;
	struct dst_entry *dst;
	struct sk_buff *skb;

	dst = netagg_udp_route(rule, from, to, port);
	if (IS_ERR(dst))
		return;
	skb = alloc_skb(LL_MAX_HEADER + sizeof(struct ipv6hdr) +
			sizeof(struct udphdr) + len, GFP_ATOMIC);
	if (!skb) {
		dst_release(dst);
		return;
	}
	skb_reserve(skb, LL_MAX_HEADER + sizeof(struct ipv6hdr) +
		    sizeof(struct udphdr));
	skb_put_data(skb, msg, sizeof(*msg));
	skb_put_data(skb, client, each);
	skb_put_data(skb, &rule->path[0].addr, each);
	netagg_udp_send(rule, dst, skb, from, to, port, 0);
}

/* Where this rule's connections come from, by the route if there was none. */
static void client_of(struct netagg_rule *rule, union nf_inet_addr *client)
{
	struct dst_entry *dst;

	spin_lock_bh(&rule->lock);
	*client = rule->client;
	if (rule->client_known) {
		spin_unlock_bh(&rule->lock);
		return;
	}
	spin_unlock_bh(&rule->lock);
	memset(client, 0, sizeof(*client));
	dst = netagg_udp_route(rule, client, &rule->path[0].addr,
			       rule->options.probe_port);
	if (!IS_ERR(dst))
		dst_release(dst);
}

static void send_probes(struct netagg_rule *rule, bool idle)
{
	struct netagg_peer *peer = rule->self;
	union nf_inet_addr client;
	u64 now = netagg_now();
	int i;

	client_of(rule, &client);
	for (i = 0; i < rule->npaths; i++) {
		struct netagg_link *link = &peer->link[i];
		struct netagg_message msg = {
			.head = {
				.magic = htonl(NETAGG_MAGIC),
				.type = NETAGG_PROBE,
				.index = i,
				.best = READ_ONCE(peer->best),
				.flags = idle ? NETAGG_MSG_IDLE : 0,
			},
			.cookie = htonl(rule->cookie),
			.port = rule->path[0].port,
			.sent_us = htonl((u32)now),
		};
		union nf_inet_addr from = {};

		spin_lock_bh(&peer->lock);
		if (link->sent > LOSS_AGE) {
			u32 lost = link->answered & BIT_ULL(LOSS_AGE - 1) ?
				   0 : 1000000;

			link->loss_ppm = (link->loss_ppm * 63ULL + lost) / 64;
		}
		msg.seq = htonl(link->sent++);
		link->answered <<= 1;
		spin_unlock_bh(&peer->lock);
		fill_ages(rule, peer, &msg, now);
		send_message(rule, &msg, &client, &from, &rule->path[i].addr,
			     rule->options.probe_port);
	}
}

static void judge_all(struct netagg_rule *rule, u64 now)
{
	struct netagg_peer *peer;
	int i;

	rcu_read_lock();
	for (i = 0; i < NETAGG_PEER_BUCKETS; i++)
		hlist_for_each_entry_rcu(peer, &rule->peers[i], node)
			netagg_peer_judge(rule, peer, now);
	rcu_read_unlock();
}

void netagg_probe_tick(struct timer_list *timer)
{
	struct netagg_rule *rule =
		container_of(timer, struct netagg_rule, timer);
	bool idle = time_after(jiffies, READ_ONCE(rule->used) + IDLE_AFTER);
	u64 now = netagg_now();

	if (READ_ONCE(rule->dead))
		return;
	rule->ticks++;
	if (rule->role == NETAGG_ROLE_SENDER) {
		netagg_peer_pace(rule->self, idle, now);
		netagg_peer_judge(rule, rule->self, now);
		if (!idle || rule->ticks % IDLE_FACTOR == 0)
			send_probes(rule, idle);
		if (!idle && rule->options.flags & NETAGG_F_ADAPT &&
		    rule->ticks % ADAPT_TICKS == 0)
			netagg_peer_adapt(rule, rule->self, now);
	} else {
		judge_all(rule, now);
	}
	mod_timer(&rule->timer, jiffies +
		  usecs_to_jiffies(READ_ONCE(rule->options.probe_us)));
}

void netagg_probe_start(struct netagg_rule *rule)
{
	if (rule->options.probe_port)
		mod_timer(&rule->timer, jiffies + 1);
}

/* What both kinds of message tell of the paths. */
static void take_ages(struct netagg_rule *rule, struct netagg_peer *peer,
		      const struct netagg_message *msg, u64 now)
{
	int i;

	netagg_link_heard(peer, msg->head.index, now);
	netagg_link_delay(rule, peer, msg->head.index, ntohl(msg->sent_us),
			  now);
	for (i = 0; i < rule->npaths; i++)
		if (msg->age[i] != NETAGG_AGE_MAX)
			netagg_link_confirm(peer, i,
					    now - msg->age[i] * NETAGG_AGE_US);
}

static void take_probe(struct netagg_rule *rule,
		       const struct netagg_message *msg,
		       const union nf_inet_addr *client,
		       const union nf_inet_addr *src, __be16 sport,
		       union nf_inet_addr *dst)
{
	struct netagg_peer *peer = netagg_peer_get(rule, client);
	struct netagg_message reply = *msg;
	u64 now = netagg_now();
	struct netagg_link *link;

	if (!peer)
		return;
	WRITE_ONCE(peer->contacted, now);
	link = &peer->link[msg->head.index];
	spin_lock_bh(&peer->lock);
	link->outer = *src;
	link->outer_port = sport;
	/* The sender measures round trips, this end cannot. */
	if (peer->alive & BIT(msg->head.best)) {
		int i;

		for (i = 0; i < rule->npaths; i++)
			peer->link[i].rtt_us = i == msg->head.best ? 1 : 10;
	}
	spin_unlock_bh(&peer->lock);
	netagg_peer_pace(peer, msg->head.flags & NETAGG_MSG_IDLE, now);
	take_ages(rule, peer, msg, now);
	netagg_peer_judge(rule, peer, now);

	reply.head.type = NETAGG_REPLY;
	reply.echo_us = msg->sent_us;
	reply.sent_us = htonl((u32)now);
	fill_ages(rule, peer, &reply, now);
	send_message(rule, &reply, client, dst, src, sport);
}

static void take_reply(struct netagg_rule *rule,
		       const struct netagg_message *msg)
{
	u64 now = netagg_now();

	/* Who has not seen a probe cannot answer it. */
	if (ntohl(msg->cookie) != rule->cookie)
		return;
	netagg_link_answer(rule->self, msg->head.index, ntohl(msg->seq),
			   (u32)now - ntohl(msg->echo_us), now);
	take_ages(rule, rule->self, msg, now);
	netagg_peer_judge(rule, rule->self, now);
}

static int receive(struct sock *sk, struct sk_buff *skb)
{
	u8 family = sk->sk_family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	struct netagg_net *nn = netagg_pernet(sock_net(sk));
	union nf_inet_addr client = {}, primary = {}, src = {}, dst = {};
	unsigned int each = addr_len(family);
	const struct netagg_head *head;
	struct netagg_message msg;
	struct netagg_rule *rule;

	if (!pskb_may_pull(skb, sizeof(struct udphdr) + sizeof(*head)))
		goto drop;
	head = (const struct netagg_head *)(skb->data + sizeof(struct udphdr));
	if (head->magic != htonl(NETAGG_MAGIC) ||
	    head->index >= NETAGG_MAX_PATHS || head->best >= NETAGG_MAX_PATHS)
		goto drop;
	if (head->type == NETAGG_DATA) {
		netagg_encap_receive(nn, skb, family);
		return 0;
	}
	if (skb_copy_bits(skb, sizeof(struct udphdr), &msg, sizeof(msg)) ||
	    skb_copy_bits(skb, sizeof(struct udphdr) + sizeof(msg), &client,
			  each) ||
	    skb_copy_bits(skb, sizeof(struct udphdr) + sizeof(msg) + each,
			  &primary, each))
		goto drop;
	if (family == NFPROTO_IPV4) {
		src.ip = ip_hdr(skb)->saddr;
		dst.ip = ip_hdr(skb)->daddr;
	} else {
		src.in6 = ipv6_hdr(skb)->saddr;
		dst.in6 = ipv6_hdr(skb)->daddr;
	}
	rcu_read_lock();
	rule = netagg_rule_find(nn, msg.head.type == NETAGG_PROBE ?
				NETAGG_ROLE_RECEIVER : NETAGG_ROLE_SENDER,
				family, &primary, msg.port);
	if (rule && msg.head.index < rule->npaths &&
	    msg.head.best < rule->npaths &&
	    rule->socket && rule->socket->sock->sk == sk) {
		if (msg.head.type == NETAGG_PROBE)
			take_probe(rule, &msg, &client, &src,
				   udp_hdr(skb)->source, &dst);
		else if (msg.head.type == NETAGG_REPLY)
			take_reply(rule, &msg);
	}
	rcu_read_unlock();
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
