/* SPDX-License-Identifier: GPL-2.0 */
/* What a packet carries of ours while the stack has it. */
#ifndef _NETAGG_MARK_H
#define _NETAGG_MARK_H

#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <net/ip.h>

#define NETAGG_MARK	0x6e657467

/*
 * Behind what IP keeps of the packet in the control block, which nobody uses
 * between the two hooks. Whoever did would lose us the path, nothing else.
 */
struct netagg_mark {
	u32 magic;
	u8 index;
	bool encap;
};

/* While it waits; it has left the mark behind then. */
struct netagg_wait {
	struct net_device *dev;		/* the tree's links are in its place */
	u32 seq;
	u32 end;
	u32 since;			/* us */
};

#define NETAGG_CB	24

static inline struct netagg_mark *netagg_mark(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct inet_skb_parm) > NETAGG_CB);
	BUILD_BUG_ON(sizeof(struct inet6_skb_parm) > NETAGG_CB);
	BUILD_BUG_ON(NETAGG_CB + sizeof(struct netagg_mark) >
		     sizeof_field(struct sk_buff, cb));
	return (struct netagg_mark *)(skb->cb + NETAGG_CB);
}

static inline struct netagg_wait *netagg_wait(struct sk_buff *skb)
{
	BUILD_BUG_ON(NETAGG_CB + sizeof(struct netagg_wait) >
		     sizeof_field(struct sk_buff, cb));
	return (struct netagg_wait *)(skb->cb + NETAGG_CB);
}

#endif /* _NETAGG_MARK_H */
