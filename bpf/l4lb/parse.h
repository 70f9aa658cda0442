/* SPDX-License-Identifier: GPL-2.0 */
/* What is read of a frame, all of it before anything is changed. */
#ifndef L4LB_PARSE_H
#define L4LB_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tables.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "header words are assembled for little-endian hosts"
#endif

/*
 * An offset the verifier can see the bound of: a register that has been through
 * the stack comes back without what was known of it.
 */
#define LB_AT(base, off, mask) ({			\
	__u32 __off = (off);				\
	barrier_var(__off);				\
	(void *)(base) + (__off & (mask));		\
})

#define LB_ETH		14
#define LB_L4_MASK	0x1ff	/* 14 + 40 + 4 extension headers of 64 */
#define LB_EXTENSIONS	4
#define LB_MAPPED	0xffff0000ull	/* second half of ::ffff:0:0, as it lies in memory */

#define LB_FIN		0x01
#define LB_SYN		0x02
#define LB_RST		0x04

static __always_inline struct lb_packet *lb_packet_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&lb_packets, &zero);
}

/* The packet an ICMP error is about: sent by a backend, in the VIP's name. */
static __always_inline int
lb_parse_error(struct lb_packet *p, void *data, void *data_end)
{
	__u32 *word = LB_AT(data, p->l4 + 8, LB_L4_MASK), *ports;
	__u64 *addr = (void *)word;

	if (p->v6) {
		if ((void *)(word + 11) > data_end)
			return LB_R_SHORT;
		addr = (void *)(word + 2);
		p->protocol = word[1] >> 16 & 0xff;
		if (addr[0] != p->dst[0] || addr[1] != p->dst[1])
			return LB_R_ICMP_OTHER;
		p->src[0] = addr[2];
		p->src[1] = addr[3];
		ports = word + 10;
	} else {
		if ((void *)(word + 6) > data_end)
			return LB_R_SHORT;
		p->protocol = word[2] >> 8 & 0xff;
		/* options would move the ports; a later fragment has none */
		if ((word[0] & 0xff) != 0x45 || word[1] >> 16 & bpf_htons(0x1fff) ||
		    ((__u64)word[3] << 32 | LB_MAPPED) != p->dst[1])
			return LB_R_ICMP_OTHER;
		p->src[1] = (__u64)word[4] << 32 | LB_MAPPED;
		ports = word + 5;
	}
	if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
		return LB_R_ICMP_OTHER;
	p->ports = *ports << 16 | *ports >> 16;
	p->kind = LB_ERROR;
	return 0;
}

static __always_inline int
lb_parse_icmp(struct lb_packet *p, void *data, void *data_end, __u32 stop)
{
	__u8 *type = LB_AT(data, p->l4, LB_L4_MASK);

	if (p->l4 + 8 > stop || (void *)(type + 8) > data_end)
		return LB_R_SHORT;
	if (*type == (p->v6 ? 128 : 8)) {
		p->kind = LB_ECHO;
		return 0;
	}
	if (p->v6 ? *type < 1 || *type > 4 : *type != 3 && *type != 11 && *type != 12)
		return LB_R_ICMP_OTHER;
	return lb_parse_error(p, data, data_end);
}

static __always_inline int
lb_parse_l4(struct lb_packet *p, void *data, void *data_end)
{
	__u32 *word = LB_AT(data, p->l4, LB_L4_MASK), stop = LB_ETH + p->l3_len;

	if (p->protocol == (p->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return p->first ? LB_R_ICMP_OTHER : lb_parse_icmp(p, data, data_end, stop);
	if (p->protocol == IPPROTO_TCP) {
		if (p->l4 + 20 > stop || (void *)(word + 5) > data_end)
			return LB_R_SHORT;
		p->tcp_flags = word[3] >> 8 & 0xff;
	} else if (p->protocol == IPPROTO_UDP) {
		if (p->l4 + 8 > stop || (void *)(word + 2) > data_end)
			return LB_R_SHORT;
	} else {
		return LB_R_NO_SERVICE;
	}
	p->ports = word[0];
	return 0;
}

static __always_inline int lb_parse_v4(struct lb_packet *p, void *data, void *data_end)
{
	__u32 *word = data + LB_ETH, frag;

	if ((void *)(word + 5) > data_end)
		return LB_R_SHORT;
	if ((word[0] & 0xf0) != 0x40 || (word[0] & 0xf) < 5)
		return LB_R_BAD_VERSION;
	p->l3_len = bpf_ntohs((__u16)(word[0] >> 16));
	p->l4 = LB_ETH + (word[0] & 0xf) * 4;
	if (LB_ETH + p->l3_len < p->l4 || LB_ETH + p->l3_len > p->len)
		return LB_R_SHORT;
	p->tos = word[0] >> 8 & 0xff;
	p->protocol = word[2] >> 8 & 0xff;
	p->src[1] = (__u64)word[3] << 32 | LB_MAPPED;
	p->dst[1] = (__u64)word[4] << 32 | LB_MAPPED;
	frag = bpf_ntohs((__u16)(word[1] >> 16));
	p->id = word[1] & 0xffff;
	if (frag & 0x1fff) {
		p->kind = LB_FRAGMENT;
		return 0;
	}
	p->first = frag & 0x2000;
	return lb_parse_l4(p, data, data_end);
}

/* Hop-by-hop and destination options, routing and fragment headers are skipped. */
static __always_inline int lb_parse_v6(struct lb_packet *p, void *data, void *data_end)
{
	__u32 *word = data + LB_ETH, i, frag;
	__u8 *next;

	if ((void *)(word + 10) > data_end)
		return LB_R_SHORT;
	if ((word[0] & 0xf0) != 0x60)
		return LB_R_BAD_VERSION;
	p->v6 = 1;
	p->l3_len = 40 + bpf_ntohs((__u16)word[1]);
	if (LB_ETH + p->l3_len > p->len)
		return LB_R_SHORT;
	p->tos = bpf_ntohl(word[0]) >> 20 & 0xff;
	p->protocol = word[1] >> 16 & 0xff;
	p->l4 = LB_ETH + 40;
	__builtin_memcpy(p->src, word + 2, 32);
	for (i = 0; i < LB_EXTENSIONS; i++) {
		if (p->protocol != IPPROTO_HOPOPTS && p->protocol != IPPROTO_ROUTING &&
		    p->protocol != IPPROTO_DSTOPTS && p->protocol != IPPROTO_FRAGMENT)
			break;
		next = LB_AT(data, p->l4, LB_L4_MASK);
		if ((void *)(next + 8) > data_end)
			return LB_R_SHORT;
		if (p->protocol == IPPROTO_FRAGMENT) {
			frag = bpf_ntohs(*(__u16 *)(next + 2));
			p->id = *(__u32 *)(next + 4);
			p->first = frag & 1;
			p->l4 += 8;
			p->protocol = next[0];
			if (frag & 0xfff8) {
				p->kind = LB_FRAGMENT;
				return 0;
			}
			continue;
		}
		if (next[1] > 7)
			return LB_R_NO_SERVICE;
		p->l4 += (next[1] + 1) * 8;
		p->protocol = next[0];
	}
	return lb_parse_l4(p, data, data_end);
}

/*
 * Reads a packet into this CPU's entry of lb_packets. Returns 0, or the reason
 * why it passes.
 */
__noinline int lb_parse(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	struct lb_packet *p = lb_packet_now();
	__be16 type;

	if (!p)
		return LB_R_SHORT;
	__builtin_memset(p, 0, sizeof(*p));
	p->len = data_end - data;
	if (data + LB_ETH > data_end)
		return LB_R_SHORT;
	type = *(__be16 *)(data + 12);
	if (type == bpf_htons(ETH_P_IP))
		return lb_parse_v4(p, data, data_end);
	if (type == bpf_htons(ETH_P_IPV6))
		return lb_parse_v6(p, data, data_end);
	return LB_R_NOT_IP;
}

#endif
