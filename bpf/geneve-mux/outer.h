/* SPDX-License-Identifier: GPL-2.0 */
/* What is read of a frame that may be popped. */
#ifndef MUX_OUTER_H
#define MUX_OUTER_H

#include "checksum.h"
#include "encap.h"

#define MUX_GENEVE_CONTROL	0x80	/* second byte: O and C */
#define MUX_GENEVE_CRITICAL	0x40
#define MUX_VXLAN_VNI		0x08	/* first byte: I */
#define MUX_GRE_SEQ		0x1000
#define MUX_TRIM_MAX		400	/* 14 + 60 + 16 + 252, or 14 + 40 + 64 + 16 + 252 */

struct mux_inner {
	__u32	len;		/* of the frame */
	__u32	l4;		/* offset of what follows the outer IP header */
	__u32	trim;		/* offset of the payload */
	__u32	stop;		/* offset of its end; behind it is padding */
	__u32	v6;
	__u32	tos;
	__u32	scope;		/* enum mux_scope */
	__u32	key;		/* VNI or key */
	__u32	critical;
	__u32	csum;		/* 0, or the UDP checksum, or 1 for GRE with one */
	__u32	saddr;
	__u32	daddr;
	__u64	addr[4];	/* IPv6 source and destination */
	__be16	type;		/* of the payload */
};

static __always_inline int
mux_outer_udp(const struct mux_port *port, struct mux_inner *in, void *data,
	      void *data_end)
{
	__u32 *word = MUX_AT(data, in->l4, 0x7f), ports, len;

	if ((void *)word + 8 > data_end)
		return MUX_R_SHORT;
	ports = word[0];
	if (ports >> 16 == port->geneve_port)
		in->scope = MUX_POP_GENEVE;
	else if (ports >> 16 == port->vxlan_port)
		in->scope = MUX_POP_VXLAN;
	else
		return MUX_R_NOT_TUNNEL;
	len = bpf_ntohs((__u16)word[1]);
	if ((void *)word + 16 > data_end || len < 16 || in->l4 + len > in->stop)
		return MUX_R_SHORT;
	in->stop = in->l4 + len;
	in->csum = word[1] >> 16;
	in->key = bpf_ntohl(word[3]) >> 8;
	in->trim = in->l4 + 16;
	if (in->scope == MUX_POP_VXLAN) {
		in->type = bpf_htons(MUX_ETH_P_TEB);
		return word[2] & MUX_VXLAN_VNI ? 0 : MUX_R_CONTROL;
	}
	if (word[2] & 0xc0)
		return MUX_R_BAD_VERSION;
	if (word[2] >> 8 & MUX_GENEVE_CONTROL)
		return MUX_R_CONTROL;
	in->critical = word[2] >> 8 & MUX_GENEVE_CRITICAL;
	in->type = word[2] >> 16;
	in->trim += (word[2] & 0x3f) * 4;
	return 0;
}

static __always_inline int
mux_outer_gre(struct mux_inner *in, void *data, void *data_end)
{
	__u32 *word = MUX_AT(data, in->l4, 0x7f), flags;

	/* with its payload no GRE packet is shorter */
	if ((void *)word + 16 > data_end)
		return MUX_R_SHORT;
	flags = bpf_ntohs((__u16)word[0]);
	if (flags & ~(MUX_GRE_CSUM | MUX_GRE_KEY | MUX_GRE_SEQ))
		return MUX_R_BAD_VERSION;
	in->type = word[0] >> 16;
	in->scope = MUX_POP_GRE;
	in->trim = in->l4 + 4;
	if (flags & MUX_GRE_CSUM) {
		in->csum = 1;
		in->trim += 4;
		word++;
	}
	if (flags & MUX_GRE_KEY) {
		in->scope = MUX_POP_GRE_KEY;
		in->key = bpf_ntohl(word[1]);
		in->trim += 4;
	}
	if (flags & MUX_GRE_SEQ)
		in->trim += 4;
	return 0;
}

static __always_inline int
mux_outer_l4(const struct mux_port *port, struct mux_inner *in, __u32 proto,
	     void *data, void *data_end)
{
	int rc = 0;

	in->key = 0;
	in->csum = 0;
	in->critical = 0;
	if (proto == IPPROTO_UDP) {
		rc = mux_outer_udp(port, in, data, data_end);
	} else if (proto == IPPROTO_GRE) {
		rc = mux_outer_gre(in, data, data_end);
	} else {
		in->scope = MUX_POP_IPIP;
		in->trim = in->l4;
		in->type = proto == IPPROTO_IPIP ? bpf_htons(ETH_P_IP)
						 : bpf_htons(ETH_P_IPV6);
	}
	if (!rc && (in->trim > in->stop || in->trim > MUX_TRIM_MAX))
		return MUX_R_SHORT;
	return rc;
}

static __always_inline int mux_is_ours(__u32 proto)
{
	return proto == IPPROTO_UDP || proto == IPPROTO_GRE ||
	       proto == IPPROTO_IPIP || proto == IPPROTO_IPV6;
}

static __always_inline int
mux_outer_v4(struct xdp_md *ctx, const struct mux_port *port,
	     struct mux_inner *in, void *data, void *data_end)
{
	__u32 *word = data + sizeof(struct ethhdr), ihl;
	__s64 options;
	__u64 sum;
	int rc;

	if ((void *)(word + 5) > data_end)
		return MUX_R_SHORT;
	ihl = word[0] & 0xf;
	if ((word[0] & 0xf0) != 0x40 || ihl < 5)
		return MUX_R_BAD_VERSION;
	if (!mux_is_ours(word[2] >> 8 & 0xff))
		return MUX_R_NOT_TUNNEL;
	in->v6 = 0;
	in->tos = word[0] >> 8 & 0xff;
	in->saddr = word[3];
	in->daddr = word[4];
	in->l4 = sizeof(struct ethhdr) + ihl * 4;
	in->stop = sizeof(struct ethhdr) + bpf_ntohs((__u16)(word[0] >> 16));
	if (in->stop < in->l4 || in->stop > in->len)
		return MUX_R_SHORT;
	if (word[1] >> 16 & bpf_htons(MUX_FRAG))
		return MUX_R_FRAGMENT;
	rc = mux_outer_l4(port, in, word[2] >> 8 & 0xff, data, data_end);
	if (rc)
		return rc;
	sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];
	if (ihl > 5) {
		options = mux_sum(ctx, sizeof(struct ethhdr) + 20, (ihl - 5) * 4);
		if (options < 0)
			return MUX_R_SHORT;
		sum += options;
	}
	return mux_fold(sum) == 0xffff ? 0 : MUX_R_BAD_HEADER_CSUM;
}

/*
 * A destination options header may stand before the payload: the kernel's own
 * IPv6 tunnels send one, with the tunnel encapsulation limit (RFC 2473).
 */
static __always_inline int
mux_outer_v6(const struct mux_port *port, struct mux_inner *in, void *data,
	     void *data_end)
{
	__u32 *word = data + sizeof(struct ethhdr), proto;
	__u8 *next;

	if ((void *)(word + 10) > data_end)
		return MUX_R_SHORT;
	if ((word[0] & 0xf0) != 0x60)
		return MUX_R_BAD_VERSION;
	in->v6 = 1;
	in->tos = bpf_ntohl(word[0]) >> 20 & 0xff;
	in->l4 = sizeof(struct ethhdr) + 40;
	in->stop = in->l4 + bpf_ntohs((__u16)word[1]);
	proto = word[1] >> 16 & 0xff;
	__builtin_memcpy(in->addr, word + 2, 32);
	if (proto == IPPROTO_DSTOPTS) {
		next = MUX_AT(data, in->l4, 0x7f);
		if ((void *)(next + 8) > data_end)
			return MUX_R_SHORT;
		proto = next[0];
		if (next[1] > 7)
			return MUX_R_NOT_TUNNEL;
		in->l4 += (next[1] + 1) * 8;
	}
	if (proto == IPPROTO_FRAGMENT)
		return MUX_R_FRAGMENT;
	if (!mux_is_ours(proto))
		return MUX_R_NOT_TUNNEL;
	if (in->l4 > in->stop || in->stop > in->len)
		return MUX_R_SHORT;
	return mux_outer_l4(port, in, proto, data, data_end);
}

#endif
