/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the program and whoever fills its maps must agree on: the layout of
 * every map value, the flags and the reasons. Includes nothing but
 * <linux/types.h>, so that user space can use it as is.
 *
 * Integers are in host order unless typed __be16. Addresses are 16 bytes, an
 * IPv4 address as ::ffff:a.b.c.d.
 */
#ifndef L4LB_H
#define L4LB_H

#include <linux/types.h>

/* lb_vips: what a packet's destination leads to. */
struct lb_vip {
	__u8	address[16];
	__be16	port;		/* 0: every port that has no entry of its own */
	__u8	protocol;	/* 6 or 17; 0, with port 0: the address itself */
	__u8	pad;
};

/*
 * Value of an entry with a protocol: the service's index. Value of the address
 * itself, which every VIP needs, are these flags.
 */
#define LB_VIP_ECHO	(1 << 0)	/* answer ICMP echo requests; else they pass */

enum lb_policy {
	LB_ROUND_ROBIN = 1,	/* the ring's entries in turn; weights by how often each is in it */
	LB_MAGLEV = 2,		/* the ring's entry at the flow's hash */
	LB_LEAST_FLOWS = 3,	/* fewest active flows by weight; the ring lists each once */
	LB_LEAST_BYTES = 4,	/* fewest bytes a second, decayed, by weight; likewise */
	LB_TWO_CHOICES = 5,	/* the less loaded of two entries of a Maglev ring */
	LB_LEGACY = 6,		/* least packets / flows, with all its faults; likewise */
};

/* lb_services: user space writes, the program reads. Half a cache line. */
struct lb_service {
	__u8	vip[16];
	__be16	port;		/* 0 = any */
	__u8	protocol;	/* 6 or 17; 0 = there is no such service */
	__u8	policy;		/* enum lb_policy */
	__u32	reserved;
	__u32	ring_at;	/* its ring begins with this line of lb_ring */
	__u32	ring_len;	/* entries of the ring, 32 a line */
};

#define LB_RING_LINE	32
#define LB_NO_BACKEND	0xffff	/* in a ring: nobody */

struct lb_ring_line {
	__u16	backend[LB_RING_LINE];
};

enum lb_state {
	LB_UNUSED = 0,
	LB_UP = 1,
	LB_DRAINING = 2,	/* keeps its flows, gets no new ones */
	LB_DOWN = 3,		/* its flows are chosen for anew */
};

enum lb_form {
	LB_IPIP = 1,		/* RFC 2003, 2473, 4213: any IP in any IP, by the backend's address */
	LB_GUE = 2,		/* draft-ietf-intarea-gue in UDP */
	LB_MAC = 3,		/* no header: only the MAC addresses are rewritten */
};

/* Where the frame goes next: one of these two, or else the routing table says. */
#define LB_NEXT_MAC	(1 << 0)  /* to .mac, from the MAC the packet came to */
#define LB_NEXT_BACK	(1 << 1)  /* back to the MAC it came from */
/* The outer source is .source unless one of these says more. */
#define LB_SOURCE_CLIENT (1 << 2) /* the client's address (inner and outer of one family) */
#define LB_SOURCE_FLOW	(1 << 3)  /* .source with its last 16 (IPv6: 32) bits a hash of the flow */
#define LB_TOS		(1 << 4)  /* outer DSCP from .tos; else the inner one's. ECN is copied */
#define LB_GUE_DIRECT	(1 << 5)  /* GUE version 1: the packet right behind the UDP header */
#define LB_CSUM_ZERO	(1 << 6)  /* GUE over IPv6 without UDP checksum (RFC 6935) */

/* lb_backends: user space writes, the program reads. One cache line. */
struct lb_backend {
	__u8	address[16];	/* outer destination; LB_MAC: what the routing table is asked for */
	__u8	source[16];	/* outer source */
	__u16	service;	/* the one service it is of */
	__u16	weight;		/* for the policies that look at load; at least 1 */
	__u8	state;		/* enum lb_state */
	__u8	generation;	/* another one each time this index gets another backend */
	__u8	form;		/* enum lb_form */
	__u8	flags;
	__u8	mac[6];		/* LB_NEXT_MAC */
	__be16	port;		/* LB_GUE: destination port, 6080 by custom */
	__u16	mtu;		/* largest packet as it leaves, 0 = do not check */
	__u8	ttl;		/* outer TTL, 0 = 64 */
	__u8	tos;		/* DSCP << 2, with LB_TOS */
	__u32	reserved[3];
};

/*
 * A flow. What it is found by is all of it for IPv4 and a service with a port
 * (source address, source port, service), and a hash of 64 bits for the rest.
 */
enum lb_flow_state {
	LB_F_FREE = 0,
	LB_F_TCP_NEW = 1,	/* SYN seen, or first packet of an unknown connection */
	LB_F_TCP = 2,
	LB_F_TCP_CLOSING = 3,	/* FIN or RST seen */
	LB_F_UDP_NEW = 4,	/* one packet seen */
	LB_F_UDP = 5,
	LB_F_FRAGMENT = 6,	/* where the other fragments of a packet go */
};

#define LB_BACKEND_BITS	14	/* so many bits of a flow's backend are its index; */
				/* of a bucket's first flow the rest is how many */
				/* further buckets flows of this one have gone into */

struct lb_flow {
	__u64	key;
	__u32	seen;		/* low bits of jiffies, a second behind at most */
	__u16	backend;
	__u8	generation;	/* of the backend */
	__u8	state;		/* enum lb_flow_state */
};

#define LB_WAYS		4	/* flows a bucket, which is a cache line */
#define LB_BUCKETS	4	/* buckets a region: flows stay in their region */
#define LB_PLACES	(LB_WAYS * LB_BUCKETS)

/* lb_flows: the program writes. */
struct lb_region {
	struct lb_flow	flow[LB_PLACES];
};

/* lb_control: user space writes, the program reads. */
struct lb_control {
	__u64	seed;		/* a secret: without it nobody can aim at a bucket */
	__u32	reserved;	/* timeouts are found by enum lb_flow_state */
	__u32	tcp_new;	/* idle flows end after so many seconds; 0 = 60 */
	__u32	tcp;
	__u32	tcp_closing;
	__u32	udp_new;
	__u32	udp;
	__u32	fragment;
	__u32	hold;		/* ms an answer of the routing table is kept, at most 4 minutes */
	__u32	decay;		/* LB_LEAST_BYTES: seconds until a byte counts 1/e; 0 = 1 */
	__u32	reserved2[5];
};

/* lb_active: the program's own, of all CPUs together. */
struct lb_active {
	__u64	flows;		/* active; LB_F_FRAGMENT and closing ones not counted */
	__u8	generation;	/* of the backend these are of */
	__u8	pad;
	__u16	legacy_packets;	/* LB_LEGACY counts as the original did, in 16 bits */
	__u16	legacy_flows;
	__u16	legacy_load;
};

/* lb_hops: the program's own: the way to a backend, while it holds. */
struct lb_hop {
	__u8	dmac[6];
	__u8	smac[6];
	__u32	egress;
	__u32	resolved;	/* low bits of jiffies */
	__u32	valid;		/* for so many jiffies */
	__u8	family;		/* what was asked for: lb_backends may have changed */
	__u8	generation;
	__u16	pad;
	__u32	reserved;
};

/* lb_service_stats, lb_backend_stats: of each CPU. The rest is the program's own. */
struct lb_stat {
	__u64	packets;	/* forwarded */
	__u64	bytes;		/* of frames as they came in */
	__u64	flows;		/* new ones */
	__u64	dropped;	/* packets of this service that had to be */
	__u64	counted;	/* backend: bytes that are in .rate; service: the ring's turn */
	__u64	rate;		/* backend: decayed bytes */
	__u64	stamp;		/* jiffies of .rate */
	__u64	reserved;
};

/* lb_clock: the program's own: time, and lb_control in its terms. */
struct lb_clock {
	__u64	seed;
	__u32	timeouts[8];	/* in jiffies, by enum lb_flow_state */
	__u32	hz;		/* how many jiffies a second has: 100 until it has been measured */
	__u32	measured;
	__u64	made_of;	/* lb_control and hz, as a sum to tell changes by */
	__u64	jiffies;	/* when it began to measure */
	__u64	ns;
	__u64	reserved[7];
};

/*
 * What became of a packet, in lb_stats. Up to LB_R_SENT it went on its way; up
 * to LB_R_PASSED it is none of ours and passed as it came; those up to
 * LB_R_DROPPED were a service's and could not be forwarded. The rest are no
 * packets' fates but events.
 */
enum lb_reason {
	LB_R_FORWARDED,		/* XDP_TX */
	LB_R_REDIRECTED,	/* out of another interface */
	LB_R_ECHO_ANSWERED,
	LB_R_TOO_BIG_TOLD,	/* too big, the sender has been told */
	LB_R_SENT = LB_R_TOO_BIG_TOLD,

	LB_R_NOT_IP,
	LB_R_SHORT,		/* ends before its headers say */
	LB_R_BAD_VERSION,	/* of IP, or a header length below 20 */
	LB_R_NO_SERVICE,
	LB_R_ICMP_OTHER,	/* to a VIP, and no error about a service, nor an echo request to answer */
	LB_R_ICMP_NO_FLOW,	/* an error about a flow that is not known */
	LB_R_PASSED = LB_R_ICMP_NO_FLOW,

	LB_R_NO_BACKEND,	/* the service has none that is up */
	LB_R_FRAGMENT_LOST,	/* to a VIP, and its first fragment was not seen */
	LB_R_TOO_BIG,		/* and nobody may be told */
	LB_R_NO_ROUTE,
	LB_R_NO_NEIGHBOUR,	/* the next hop's MAC is not known yet */
	LB_R_NO_EGRESS,		/* the way is out of an interface that lb_devs does not have */
	LB_R_FORM,		/* the backend's form does not fit: source and flags */
	LB_R_HEADROOM,		/* the driver leaves too little room */
	LB_R_DROPPED = LB_R_HEADROOM,

	LB_R_FLOW_NEW,
	LB_R_FLOW_CLOSED,	/* by FIN or RST */
	LB_R_FLOW_EXPIRED,	/* found idle for too long */
	LB_R_FLOW_EVICTED,	/* an unconfirmed one, for a newer */
	LB_R_FLOW_MOVED,	/* its backend is down or gone */
	LB_R_FLOW_UNTRACKED,	/* no room: the packet went by the choice alone */
	LB_R_MAX,
};

struct lb_count {
	__u64	packets;
	__u64	bytes;
};

#endif
