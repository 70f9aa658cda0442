/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the program and whoever fills its maps must agree on: the layout of
 * every map value, the flags, the reasons, and the hash of the two tables.
 * Includes nothing but <linux/types.h>, so that user space can use it as is.
 *
 * Integers are in host order unless typed __be16 or __be32.
 */
#ifndef GENEVE_MUX_H
#define GENEVE_MUX_H

#include <linux/types.h>

enum mux_protocol {
	MUX_GENEVE = 2,		/* RFC 8926 */
	MUX_VXLAN = 3,		/* RFC 7348; 2 and 3 are told from the rest by one bit */
	MUX_GRE = 4,		/* RFC 2784, key of RFC 2890 */
	MUX_IPIP = 5,		/* RFC 2003, 2473, 4213: 4in4, 6in4, 4in6, 6in6 */
	MUX_VLAN = 6,		/* one tag, 0x8100 */
	MUX_QINQ = 7,		/* 0x88a8 outside, 0x8100 inside */
};

#define MUX_ALIAS	255	/* a further key of the end whose index is in .more */

/*
 * A tunnel has two ends here: the one that pushes headers and the one that
 * pops them. Each is one cache line of mux_ends, and so is what is looked up:
 * the lines up to the port's mask are an open-addressing table in which an
 * IPv4 key has its end at once; those behind are for ends that are found by a
 * prefix, an interface or an IPv6 key.
 */
#define MUX_V6		(1 << 0)  /* the outer header is IPv6; addresses are the hop's */
#define MUX_L3		(1 << 1)  /* carries IP packets, not Ethernet frames */
#define MUX_REDIRECT	(1 << 2)  /* out through mux_devs[]; else XDP_PASS */
#define MUX_DEBUG	(1 << 3)  /* report every packet through mux_debug */
#define MUX_KEY	(1 << 4)  /* push: the GRE header has a key */
#define MUX_DF		(1 << 6)  /* push: set Don't Fragment */
#define MUX_DF_INHERIT	(1 << 7)  /* push: copy Don't Fragment from an inner IPv4 */
#define MUX_CSUM	(1 << 8)  /* push: UDP checksum over IPv4, GRE checksum */
#define MUX_CSUM_ZERO	(1 << 9)  /* UDP over IPv6: send, or accept, zero (RFC 6935) */
#define MUX_CSUM_TRUST	(1 << 10) /* pop: the NIC has verified checksums already */
#define MUX_ANY_SOURCE	(1 << 11) /* pop: whatever the outer source */
#define MUX_ECN_COMPAT	(1 << 11) /* push: outer Not-ECT (RFC 6040 compatibility mode) */
#define MUX_DMAC	(1 << 12) /* overwrite the inner destination MAC */
#define MUX_SMAC	(1 << 13) /* overwrite the inner source MAC */
#define MUX_DSCP	(1 << 14) /* push: DSCP from tos; pop: outer DSCP to the inner */
#define MUX_OPTIONS	(1 << 15) /* push: write the Geneve options of mux_more */

struct mux_end {
	__be32	a;		/* pair: source; pop: VNI or key as a number, or source */
	__be32	b;		/* pair, host: destination; pop: outer destination */
	__u32	scope;		/* 0 = an empty slot, where a search stops; */
				/* MUX_TOMB = a deleted one, where it goes on */
	__u16	flags;
	__u8	protocol;	/* enum mux_protocol */
	__u8	ttl;		/* push: fixed outer TTL, 0 = the inner one's */
	__u32	vni;		/* VNI, GRE key; VLAN: TCI, or outer TCI << 16 | inner TCI */
	__be16	sport;		/* push: 0 = hash of the inner flow, 49152-65535 */
	__be16	dport;		/* push */
	__be32	local;		/* push: outer source */
	__be32	remote;		/* push: outer destination; pop: the allowed source */
	__u16	mtu;		/* push: largest outer IP packet, 0 = do not check */
	__u8	tos;		/* push: DSCP << 2, with MUX_DSCP */
	__u8	pad;
	__u32	hop;		/* index in mux_hops, 0 = none: MACs are the frame's own */
	__u32	egress;		/* pop, VLAN: key in mux_devs; other pushes: the hop's */
	__u32	more;		/* index in mux_more, 0 = none; MUX_ALIAS: in mux_ends */
	__u64	packets;
	__u64	bytes;		/* of frames as they came in */
};

#define MUX_TOMB	0xffffffffu
#define MUX_WINDOW	32	/* an entry lies at most so many slots behind its hash */

/*
 * Where frames go next: shared by all tunnels that go there, so that it stays
 * in the cache however many they are. For a pop end it has the inner MACs, and
 * with MUX_V6 the allowed source as remote.
 */
struct mux_hop {
	__u8	local[16];	/* MUX_V6: outer source; else an IPv4 address first */
	__u8	remote[16];	/* likewise the destination; both for the route */
	__u8	dmac[6];
	__u8	smac[6];
	__u32	egress;		/* key in mux_devs, an ifindex where routes decide */
	__u32	resolved;	/* low bits of jiffies when it was; kept by the program */
	__u32	valid;		/* for how many it is; 0 = look it up; kept by the program */
	__u32	hold;		/* what valid becomes: how many jiffies a route holds, 0 = */
				/* one packet; MUX_STATIC (both) = MACs and egress are given */
	__u32	family;		/* 2 or 10 */
} __attribute__((aligned(8)));

#define MUX_STATIC	0xffffffffu

#define MUX_OPTIONS_MAX	64

/* What few ends need. */
struct mux_more {
	__u8	dmac[6];	/* push, MUX_DMAC */
	__u8	smac[6];	/* push, MUX_SMAC */
	__u8	options_len;	/* push: bytes, a multiple of 4, at most MUX_OPTIONS_MAX */
	__u8	pad[3];
	__u8	options[MUX_OPTIONS_MAX];
	__u8	reserved[16];
};

/* A slot of the table of IPv6 keys. */
struct mux_slot6 {
	__u32	scope;		/* as in mux_end */
	__u32	end;		/* index in mux_ends */
	__u8	a[16];		/* as in mux_end; a number in the first 4 bytes */
	__u8	b[16];
	__u8	reserved[24];
};

/* The scope keeps unlike keys apart: what is looked for, and in which table. */
enum mux_scope {
	MUX_BY_HOST = 1,	/* push, inner destination */
	MUX_BY_PAIR = 2,	/* push, inner source and destination */
	MUX_POP_GENEVE = 3,
	MUX_POP_VXLAN = 4,
	MUX_POP_GRE = 5,	/* without a key: a is the outer source, or 0 */
	MUX_POP_GRE_KEY = 6,
	MUX_POP_IPIP = 7,	/* a is the outer source, or 0 */
	MUX_POP_VLAN = 8,	/* an IPv4 key: a is the VID, or outer << 16 | inner; b = 0 */
	MUX_POP_QINQ = 9,
};

#define MUX_SCOPE(scope, table)	((__u32)(scope) << 24 | (table))

/*
 * One interface the program is attached to, at most 8 slots behind its number
 * modulo the size of mux_ports.
 */
#define MUX_PORT_PAIR	(1 << 0)  /* push by {source, destination} */
#define MUX_PORT_HOST	(1 << 1)  /* push by destination address */
#define MUX_PORT_PREFIX	(1 << 2)  /* push by destination prefix */
#define MUX_PORT_ALL	(1 << 3)  /* push what none of these selects to .end */
#define MUX_PORT_POP	(1 << 4)  /* pop */
#define MUX_PORT_FILL	(1 << 5)  /* complete checksums that a local sender left to its NIC */
#define MUX_PORT_ASK	(1 << 6)  /* no neighbour yet: XDP_PASS, for the host to ask for it */

struct mux_port {
	__u32	ifindex;	/* 0 = empty */
	__u32	flags;
	__u32	table;		/* 24 bits; tables do not see each other's entries */
	__u32	end;		/* MUX_PORT_ALL: index in mux_ends */
	__u32	mask4;		/* slots of the table in mux_ends - 1, a power of two - 1 */
	__u32	mask6;		/* slots of mux_v6 - 1 */
	__u32	stride;		/* 0: one mux_ends for all CPUs, counted atomically; */
				/* else CPU n uses the lines from n * stride */
	__u32	cpus;		/* with stride: how many CPUs have lines */
	__be16	geneve_port;	/* popped destination ports: 6081 and 4789 */
	__be16	vxlan_port;
	__be32	addr4;		/* source of ICMP errors, 0 = the inner destination */
	__u8	addr6[16];
	__u64	seed;		/* table * MUX_K1, its share of the hash */
};

struct mux_lpm4 {
	__u32	prefixlen;	/* 32 + that of the prefix */
	__u32	table;
	__be32	addr;
};

struct mux_lpm6 {
	__u32	prefixlen;	/* 32 + that of the prefix */
	__u32	table;
	__u8	addr[16];
};

/* More allowed sources of a pop end than the one in its line. */
struct mux_source {
	__u32	prefixlen;	/* 32 + that of the prefix (IPv4: 32 + 96 + its length) */
	__u32	end;		/* index in mux_ends */
	__u8	addr[16];	/* IPv4 as ::ffff:a.b.c.d */
};

/*
 * What became of a packet. Up to MUX_R_TUNNELLED it went on its way; then
 * those that are not ours and pass as they came; then those that belong to a
 * tunnel and may not, which are dropped: passing them on would let them out
 * of, or into, the tunnel.
 */
enum mux_reason {
	MUX_R_PUSH_REDIRECT,
	MUX_R_PUSH_PASS,
	MUX_R_POP_REDIRECT,
	MUX_R_POP_PASS,
	MUX_R_ICMP_SENT,	/* too big, the sender has been told: XDP_TX */
	MUX_R_TUNNELLED = MUX_R_ICMP_SENT,

	MUX_R_NO_CONFIG,	/* this interface has no port */
	MUX_R_SHORT,		/* ends before its headers say */
	MUX_R_NOT_IP,		/* push: nothing to select by */
	MUX_R_NO_MATCH,		/* push: no tunnel for it */
	MUX_R_NOT_TUNNEL,	/* pop: none of our protocols */
	MUX_R_UNKNOWN,		/* pop: no such VNI, key or outer destination */
	MUX_R_FRAGMENT,		/* pop: a fragment of an outer packet */
	MUX_R_BAD_VERSION,	/* IP, GRE or Geneve version, reserved GRE bits */
	MUX_R_BAD_HEADER_CSUM,	/* pop: outer IPv4 header checksum */
	MUX_R_CONTROL,		/* pop: Geneve O bit, VXLAN without I bit */
	MUX_R_PASSED = MUX_R_CONTROL,

	MUX_R_NO_END,		/* the selected line is not there, or of another sort */
	MUX_R_WRONG_SOURCE,	/* pop: outer source not allowed */
	MUX_R_CRITICAL,		/* pop: Geneve C bit */
	MUX_R_PROTO_TYPE,	/* pop: payload is not what this tunnel carries */
	MUX_R_INNER_BAD,	/* inner header is short or wrong */
	MUX_R_BAD_CSUM,		/* pop: UDP or GRE checksum */
	MUX_R_ZERO_CSUM,	/* pop: UDP over IPv6 without one */
	MUX_R_ECN,		/* pop: CE outside, Not-ECT inside (RFC 6040) */
	MUX_R_NOT_L3,		/* push: not IP, and the tunnel carries IP only */
	MUX_R_TTL,		/* push: inner TTL is 0 */
	MUX_R_TOO_BIG,		/* push: too big, and nobody may be told */
	MUX_R_NO_ROUTE,		/* push: the routing table has no way */
	MUX_R_NO_NEIGHBOUR,	/* push: next hop's MAC is not known yet */
	MUX_R_NO_EGRESS,	/* mux_devs has no such entry */
	MUX_R_HEADROOM,		/* the driver leaves too little room */
	MUX_R_MAX,
};

struct mux_stat {
	__u64	packets;
	__u64	bytes;
};

/* mux_drops: the same reasons by tunnel end. */
struct mux_drop {
	__u32	end;
	__u32	reason;
};

#define MUX_EVENT_BYTES	96

/* mux_debug, one for each packet of an end with MUX_DEBUG. */
struct mux_event {
	__u64	ns;		/* CLOCK_MONOTONIC */
	__u32	end;
	__u32	ifindex;
	__u16	reason;
	__u16	action;		/* XDP_* */
	__u16	length;		/* of the frame as it is now */
	__u16	captured;
	__u8	data[MUX_EVENT_BYTES];	/* valid up to captured */
};

/*
 * The hash of both tables: multiplications by odd constants, of which the top
 * half is used. User space must compute the same: README.md has it in words,
 * test/support in TypeScript.
 */
#define MUX_K1	0x9e3779b97f4a7c15ull
#define MUX_K2	0xd6e8feb86659fd93ull

static inline __attribute__((always_inline)) __u64 mux_mix(__u64 h)
{
	h *= MUX_K2;
	h ^= h >> 32;
	return h;
}

/* key: a and b as they lie in memory, read as one little-endian number */
static inline __attribute__((always_inline)) __u32
mux_hash4(__u32 scope, __u64 key)
{
	return mux_mix(key ^ scope * MUX_K1) * MUX_K1 >> 32;
}

/* w: a[0..7], a[8..15], b[0..7], b[8..15], each as a little-endian number */
static inline __attribute__((always_inline)) __u32
mux_hash6(__u32 scope, const __u64 *w)
{
	__u64 h = mux_mix(scope * MUX_K1 ^ w[0]);

	h = mux_mix(h ^ w[1]);
	h = mux_mix(h ^ w[2]);
	h = mux_mix(h ^ w[3]);
	return h * MUX_K1 >> 32;
}

#endif
