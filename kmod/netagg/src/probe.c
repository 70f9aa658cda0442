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
#include <net/dst.h>

#include "netagg_int.h"
#include "message.h"

#define IDLE_AFTER	(5 * HZ)
#define IDLE_FACTOR	8
#define CLIENT_IDLE	(120 * HZ)
#define STRANGER_US	2000000	/* silence after which another may come */
#define ADAPT_TICKS	10
#define LOSS_AGE	40	/* a probe unanswered by 40 later ones is lost */

static unsigned int addr_len(u8 family)
{
	return family == NFPROTO_IPV4 ? 4 : 16;
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
	netagg_udp_send(rule, dst, skb, from, to, port, 0, false);
}

/*
 * Where this rule's connections have come from of late; from where they would
 * by the route, if there was none. Returns how many.
 */
static int clients_of(struct netagg_rule *rule, union nf_inet_addr *addr)
{
	struct dst_entry *dst;
	int i, count = 0;

	spin_lock_bh(&rule->lock);
	for (i = 0; i < NETAGG_CLIENTS; i++) {
		struct netagg_client *client = &rule->client[i];

		if (client->known &&
		    time_after(jiffies, READ_ONCE(client->used) + CLIENT_IDLE))
			client->known = false;
		if (client->known)
			addr[count++] = client->addr;
	}
	spin_unlock_bh(&rule->lock);
	if (count)
		return count;
	memset(addr, 0, sizeof(*addr));
	dst = netagg_udp_route(rule, addr, &rule->path[0].addr,
			       rule->options.probe_port);
	if (!IS_ERR(dst))
		dst_release(dst);
	return 1;
}

static void send_probes(struct netagg_rule *rule, bool idle)
{
	struct netagg_peer *peer = rule->self;
	union nf_inet_addr client[NETAGG_CLIENTS];
	u64 now = netagg_now();
	int i, j, clients;

	clients = clients_of(rule, client);
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
		/* The other end keeps them apart, the paths are the same. */
		for (j = 0; j < clients; j++) {
			union nf_inet_addr from = {};

			send_message(rule, &msg, &client[j], &from,
				     &rule->path[i].addr,
				     rule->options.probe_port);
		}
	}
}

/*
 * Tells a sender at once of paths that have fallen silent: its next probes
 * wait in the queues of those that have not.
 */
static void report_silence(struct netagg_rule *rule, struct netagg_peer *peer,
			   u64 now)
{
	u8 doubted = netagg_peer_doubted(rule, peer, true);
	u8 others = READ_ONCE(peer->alive) & ~doubted;
	struct netagg_message msg = {
		.head = {
			.magic = htonl(NETAGG_MAGIC),
			.type = NETAGG_REPORT,
		},
		.port = rule->path[0].port,
		.sent_us = htonl((u32)now),
	};
	const struct netagg_outer *outer;
	union nf_inet_addr from;

	if (!doubted || !others)
		return;
	msg.head.index = __ffs(others);
	from = rule->path[msg.head.index].addr;
	msg.cookie = READ_ONCE(peer->cookie);
	outer = rcu_dereference(peer->link[msg.head.index].outer);
	if (!outer)
		return;
	fill_ages(rule, peer, &msg, now);
	send_message(rule, &msg, &peer->addr, &from, &outer->addr, outer->port);
}

static void judge_all(struct netagg_rule *rule, u64 now)
{
	struct netagg_peer *peer;
	int i;

	rcu_read_lock();
	for (i = 0; i < NETAGG_PEER_BUCKETS; i++)
		hlist_for_each_entry_rcu(peer, &rule->peers[i], node) {
			netagg_peer_judge(rule, peer, now);
			report_silence(rule, peer, now);
		}
	rcu_read_unlock();
}

void netagg_probe_tick(struct timer_list *timer)
{
	struct netagg_rule *rule =
		container_of(timer, struct netagg_rule, timer);
	bool idle = time_after(jiffies, READ_ONCE(rule->used) + IDLE_AFTER);
	u32 wait_us = READ_ONCE(rule->options.probe_us);
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
		wait_us /= 2;
	}
	mod_timer(&rule->timer, jiffies + usecs_to_jiffies(wait_us));
}

/* Ahead of time, from where connections are made. */
void netagg_probe_now(struct netagg_rule *rule)
{
	if (rule->options.probe_port)
		send_probes(rule, false);
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

/*
 * Who sends probes for a client's address is believed for as long as it does:
 * another, who does not know its cookie and is somewhere else, has to wait.
 */
static bool is_stranger(const struct netagg_rule *rule,
			struct netagg_peer *peer,
			const struct netagg_message *msg,
			const union nf_inet_addr *src, __be16 sport, u64 now)
{
	s64 silence = netagg_since(now, READ_ONCE(peer->contacted));
	u32 cookie = (__force u32)READ_ONCE(peer->cookie);

	return cookie && cookie != (__force u32)msg->cookie &&
	       !netagg_peer_came_from(peer, msg->head.index, src, sport) &&
	       silence < STRANGER_US + (s64)IDLE_FACTOR *
			 READ_ONCE(rule->options.probe_us);
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

	if (!peer || is_stranger(rule, peer, msg, src, sport, now))
		return;
	WRITE_ONCE(peer->contacted, now);
	WRITE_ONCE(peer->cookie, msg->cookie);
	netagg_peer_comes_from(peer, msg->head.index, src, sport);
	spin_lock_bh(&peer->lock);
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

/* A reply or a report. */
static void take_answer(struct netagg_rule *rule,
			const struct netagg_message *msg)
{
	u64 now = netagg_now();

	/* Who has not seen a probe cannot answer it. */
	if (ntohl(msg->cookie) != rule->cookie)
		return;
	if (msg->head.type == NETAGG_REPLY)
		netagg_link_answer(rule->self, msg->head.index, ntohl(msg->seq),
				   (u32)now - ntohl(msg->echo_us), now);
	take_ages(rule, rule->self, msg, now);
	netagg_peer_judge(rule, rule->self, now);
}

/* A probe or a reply, from the UDP header on. */
void netagg_message_receive(struct sock *sk, struct sk_buff *skb, u8 family)
{
	struct netagg_net *nn = netagg_pernet(sock_net(sk));
	union nf_inet_addr client = {}, primary = {}, src = {}, dst = {};
	unsigned int each = addr_len(family);
	struct netagg_message msg;
	struct netagg_rule *rule;

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
		else if (msg.head.type == NETAGG_REPLY ||
			 msg.head.type == NETAGG_REPORT)
			take_answer(rule, &msg);
	}
	rcu_read_unlock();
drop:
	kfree_skb(skb);
}
