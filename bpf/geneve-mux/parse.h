/* SPDX-License-Identifier: GPL-2.0 */
/* What is read of a frame that may be pushed, all of it before it is changed. */
#ifndef MUX_PARSE_H
#define MUX_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "mux.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "header words are assembled for little-endian hosts"
#endif

#define MUX_FRAG	0x3fff	/* MF and the offset */
#define MUX_DONT_FRAG	0x4000

struct mux_vlan {
	__be16 tci;
	__be16 proto;
};

struct mux_packet {
	__u32	len;		/* of the frame */
	__u32	l3;		/* where the IP header begins: 14, 18 or 22 */
	__u32	l3_len;		/* of the IP packet by its own header; 0: not IP */
	__u32	v6;
	__u32	df;
	__u32	tos;
	__u32	ttl;
	__u64	flow;		/* hash of what makes packets one flow */
	__u32	saddr;		/* IPv4, as they lie in memory */
	__u32	daddr;
	__u64	addr[4];	/* IPv6 source and destination */
};

/* Ports belong to the flow; a fragment has none, and all of them must agree. */
static __always_inline __u32 mux_ports_of(void *l4, void *data_end, __u32 proto)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP)
		return 0;
	if (l4 + 4 > data_end)
		return 0;
	return *(__u32 *)l4;
}

static __always_inline int
mux_parse_v4(struct mux_packet *p, void *l3, void *data_end)
{
	struct iphdr *ip = l3;
	__u32 word, ports = 0, tot;

	if (l3 + sizeof(*ip) > data_end)
		return MUX_R_SHORT;
	word = *(__u32 *)l3;
	if ((word & 0xf0) != 0x40 || (word & 0xf) < 5)
		return MUX_R_BAD_VERSION;
	tot = bpf_ntohs((__u16)(word >> 16));
	if (tot < (word & 0xf) * 4 || p->l3 + tot > p->len)
		return MUX_R_SHORT;
	p->l3_len = tot;
	p->tos = word >> 8 & 0xff;
	p->ttl = ip->ttl;
	p->df = ip->frag_off & bpf_htons(MUX_DONT_FRAG);
	p->saddr = ip->saddr;
	p->daddr = ip->daddr;
	if ((word & 0xf) == 5 && !(ip->frag_off & bpf_htons(MUX_FRAG)))
		ports = mux_ports_of(l3 + sizeof(*ip), data_end, ip->protocol);
	p->flow = ((__u64)p->daddr << 32 | p->saddr) ^ ports * MUX_K1;
	return 0;
}

static __always_inline int
mux_parse_v6(struct mux_packet *p, void *l3, void *data_end)
{
	struct ipv6hdr *ip = l3;
	__u32 word, ports, tot;

	if (l3 + sizeof(*ip) > data_end)
		return MUX_R_SHORT;
	word = bpf_ntohl(*(__u32 *)l3);
	if (word >> 28 != 6)
		return MUX_R_BAD_VERSION;
	tot = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (p->l3 + tot > p->len)
		return MUX_R_SHORT;
	p->l3_len = tot;
	p->v6 = 1;
	p->tos = word >> 20 & 0xff;
	p->ttl = ip->hop_limit;
	p->df = 1;	/* a router does not fragment IPv6 */
	__builtin_memcpy(p->addr, &ip->saddr, 32);
	ports = mux_ports_of(l3 + sizeof(*ip), data_end, ip->nexthdr);
	p->flow = mux_mix(p->addr[0] ^ p->addr[3] ^ ports * MUX_K1);
	p->flow = mux_mix(p->flow ^ p->addr[1] ^ p->addr[2] * MUX_K1);
	return 0;
}

/*
 * Fills in a zeroed p. Returns 0 for an IP packet, else the reason why it is none; everything but
 * MUX_R_SHORT of the Ethernet header leaves a frame that a tunnel for Ethernet
 * may carry as it is.
 */
static __always_inline int mux_parse(struct xdp_md *ctx, struct mux_packet *p)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;
	struct mux_vlan *tag;
	__be16 proto;

	p->ttl = 64;
	p->len = data_end - data;
	p->l3 = sizeof(*eth);
	if (data + sizeof(*eth) > data_end)
		return MUX_R_SHORT;
	proto = eth->h_proto;
	if (proto == bpf_htons(ETH_P_IP))
		return mux_parse_v4(p, data + p->l3, data_end);
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD)) {
		tag = data + sizeof(*eth);
		if ((void *)(tag + 1) > data_end)
			return MUX_R_SHORT;
		proto = tag->proto;
		p->l3 += sizeof(*tag);
		if (proto == bpf_htons(ETH_P_8021Q)) {
			tag++;
			if ((void *)(tag + 1) > data_end)
				return MUX_R_SHORT;
			proto = tag->proto;
			p->l3 += sizeof(*tag);
		}
		if (proto == bpf_htons(ETH_P_IP))
			return mux_parse_v4(p, data + p->l3, data_end);
	}
	if (proto == bpf_htons(ETH_P_IPV6))
		return mux_parse_v6(p, data + p->l3, data_end);
	/* neighbours that talk ARP to each other are a flow too */
	p->flow = mux_mix(*(__u64 *)data ^ *(__u32 *)(data + 8) * MUX_K1);
	return MUX_R_NOT_IP;
}

/* The tunnel header's own spreading: RFC 7348 and 8926 want 49152 to 65535. */
static __always_inline __u32 mux_flow_hash(const struct mux_packet *p)
{
	return p->flow * MUX_K2 >> 32;
}

#endif
