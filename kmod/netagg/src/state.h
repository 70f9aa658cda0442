/* SPDX-License-Identifier: GPL-2.0 */
/* What the module keeps: rules, their paths, the peers and the connections. */
#ifndef _NETAGG_STATE_H
#define _NETAGG_STATE_H

#include <linux/hrtimer.h>
#include <linux/ipv6.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/netfilter.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>
#include <net/netns/generic.h>

#include "../netagg.h"

#define NETAGG_VERSION		"2.0.0"
#define NETAGG_FLOW_BUCKETS	1024
#define NETAGG_MAX_FLOWS	16384	/* of a rule */
#define NETAGG_MAX_NET_FLOWS	65536	/* of a namespace */
#define NETAGG_PEER_BUCKETS	64
#define NETAGG_MAX_PEERS	4096
#define NETAGG_END_BUCKETS	256
#define NETAGG_HISTORY		256
#define NETAGG_CLIENTS		8
/* Packets that wait for an earlier one, in memory: of a connection, of all. */
#define NETAGG_MAX_QUEUED	(16U << 20)
#define NETAGG_MAX_NET_QUEUED	(64U << 20)

struct netagg_counters {
	u64 tx_packets;
	u64 tx_bytes;
	u64 rx_packets;
	u64 rx_bytes;
	u64 retransmits;
};

struct netagg_rule;

/* One of the receiver's addresses, as both ends know it. */
struct netagg_path {
	struct hlist_node node;		/* by address and port, of a role */
	struct netagg_rule *rule;
	struct netagg_counters __percpu *counters;
	union nf_inet_addr addr;
	__be16 port;
	u8 index;
	u32 weight;
};

/* Where a peer's messages come from. */
struct netagg_outer {
	struct rcu_head rcu;
	union nf_inet_addr addr;
	__be16 port;
};

/* What is known of one path between this end and a peer. */
struct netagg_link {
	u64 heard;		/* us: when something last came over it */
	u64 confirmed;		/* us: when the peer is known to have heard us */
	u64 up_since;		/* us: since when it has been confirmed */
	u64 went_up;		/* us: when it was last taken into use */
	u32 wait_us;		/* how long it must be confirmed to be used */
	bool ever;
	u32 rtt_us;
	u32 rtt_min_us;
	u64 rtt_min_at;
	/* One-way delays have an unknown offset, the same for all paths. */
	s32 delay_low, delay_high;	/* of the window that is filling */
	s32 last_low, last_high;	/* of the one before */
	u64 window_at;
	bool delay_known;
	u32 sent;		/* probes */
	u64 answered;		/* a bit for each of the last, newest first */
	u32 loss_ppm;
	u64 old_retransmits, old_packets;
	u32 share;		/* adapted weight */
	struct netagg_outer __rcu *outer;
};

/* The other end: one of a sender's rule, many of a receiver's. */
struct netagg_peer {
	struct hlist_node node;
	struct rcu_head rcu;
	spinlock_t lock;		/* the links; the rest is read without */
	union nf_inet_addr addr;	/* the address its connections come from */
	unsigned long used;
	u64 contacted;			/* us: when a probe last came or was answered */
	u64 busy_since;			/* us: since when probes come quickly */
	bool idle;			/* they come slowly */
	u8 alive;			/* a bit for each path that is used */
	u8 best;			/* the path for what must arrive */
	__be32 cookie;			/* of the sender's rule */
	u32 hold_us;			/* how long a packet may wait */
	u32 delay_us[NETAGG_MAX_PATHS];
	struct netagg_link link[NETAGG_MAX_PATHS];
};

struct netagg_options {
	u32 flags;
	u32 flowlet_us;
	u32 max_hold_us;
	u32 probe_us;
	u32 dead_us;
	__be16 probe_port;
	u8 mode;
};

/* An address of this host that connections of a sender's rule are from. */
struct netagg_client {
	union nf_inet_addr addr;
	unsigned long used;		/* jiffies */
	bool known;
};

/* A UDP socket, shared by the rules that have its port. */
struct netagg_socket {
	struct list_head list;
	struct socket *sock;
	u8 family;
	__be16 port;
	unsigned int users;
};

struct netagg_rule {
	struct list_head list;
	struct net *net;
	struct netagg_net *nn;
	struct netagg_options options;
	u8 role;
	u8 family;
	u8 npaths;
	bool dead;
	u32 cookie;
	u32 probe_seq;
	u32 ticks;
	struct netagg_path path[NETAGG_MAX_PATHS];
	struct netagg_peer *self;	/* a sender's peer */
	struct netagg_socket *socket;
	struct timer_list timer;
	struct delayed_work gc;
	unsigned long used;		/* jiffies: a connection sent something */
	u64 judged;			/* us: when peers were last judged */
	u64 stalled;			/* us: when that came late */

	spinlock_t lock;		/* changes of the tables */
	struct netagg_client client[NETAGG_CLIENTS];
	struct hlist_head *flows;
	struct hlist_head *peers;
	u32 nflows;
	u32 npeers;

	atomic64_t held, filled, expired, lost, icmp;
};

/* Which path bytes of a connection were given to, oldest overwritten. */
struct netagg_sent {
	u32 end;
	u32 at;			/* us: the last of them */
	u8 path;
};

/* A connection, by the address and port of the sender. */
struct netagg_flow {
	struct hlist_node node;
	struct hlist_node gone;
	struct netagg_rule *rule;
	union nf_inet_addr addr;
	__be16 port;
	unsigned long used;
	bool proven;			/* more than a SYN has been seen */
	struct rcu_head rcu;

	/* What this end sends. */
	spinlock_t tx_lock;
	s64 credit[NETAGG_MAX_PATHS];
	u64 last_tx;
	u32 snd_max;
	bool tx_known;
	u8 tx_mask;
	u8 last_path;
	u8 sent_at;
	u8 again_tried;			/* by which paths what is sent again went */
	u32 again_seq;
	struct netagg_sent *sent;	/* NETAGG_HISTORY of them, or NULL */

	/* What it receives. */
	spinlock_t rx_lock;
	bool rx_known;
	bool dead;
	bool delivering;
	u8 seen;			/* a bit for each path with a high mark */
	u32 next;			/* the sequence number that is due */
	u32 high[NETAGG_MAX_PATHS];	/* each path has come this far */
	u32 queued;			/* bytes of memory in the queue */
	u32 pending;			/* and in what is ready */
	u8 behind;			/* packets in a row from far behind */
	struct rb_root queue;
	struct sk_buff_head ready;
	struct hrtimer timer;
	int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);
};

struct netagg_net {
	struct net *net;
	struct list_head rules;		/* under netagg_mutex */
	struct list_head sockets;	/* likewise */
	unsigned int nrules;
	unsigned int generation;	/* of the list of rules */
	atomic_t nflows;
	atomic_long_t queued;		/* bytes of memory that wait */
	/* By role: what packets are looked up in. */
	struct hlist_head ends[NETAGG_ROLE_MAX + 1][NETAGG_END_BUCKETS];
};

extern unsigned int netagg_net_id;
extern u32 netagg_seed;
extern struct mutex netagg_mutex;

static inline struct netagg_net *netagg_pernet(const struct net *net)
{
	return net_generic(net, netagg_net_id);
}

static inline u64 netagg_now(void)
{
	return ktime_to_us(ktime_get());
}

/* A time that another processor took may be later than this one's now. */
static inline s64 netagg_since(u64 now, u64 then)
{
	return (s64)(now - then);
}

static inline bool netagg_addr_equal(u8 family, const union nf_inet_addr *a,
				     const union nf_inet_addr *b)
{
	if (family == NFPROTO_IPV4)
		return a->ip == b->ip;
	return ipv6_addr_equal(&a->in6, &b->in6);
}

u32 netagg_hash(u8 family, const union nf_inet_addr *addr, __be16 port);

#endif /* _NETAGG_STATE_H */
