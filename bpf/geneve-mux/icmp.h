/* SPDX-License-Identifier: GPL-2.0 */
/* Telling a sender that its packet does not fit (RFC 1191, 4443 section 3.2). */
#ifndef MUX_ICMP_H
#define MUX_ICMP_H

#include "checksum.h"
#include "parse.h"
#include "tables.h"

/*
 * How much of the packet is quoted: well above the required header + 8 bytes,
 * within the 576 of RFC 1812, and a length bpf_csum_diff() takes in one go.
 */
#define MUX_QUOTE	256

struct mux_icmp {
	__u8	type;
	__u8	code;
	__u16	csum;
	__u32	mtu;		/* network order; the upper half is unused in ICMPv4 */
};

/* May the sender of this IPv4 packet be told (RFC 1122 section 3.2.2)? */
static __always_inline int mux_may_tell_v4(struct iphdr *ip, void *data_end)
{
	__u32 src = bpf_ntohl(ip->saddr), dst = bpf_ntohl(ip->daddr);
	__u8 *type = (void *)(ip + 1);

	if (!(ip->frag_off & bpf_htons(MUX_DONT_FRAG)) ||
	    ip->frag_off & bpf_htons(0x1fff))
		return 0;
	if (!src || src >> 24 == 127 || src >> 28 >= 14 || dst >> 28 >= 14)
		return 0;
	if (ip->protocol != IPPROTO_ICMP)
		return 1;
	if (ip->ihl != 5 || (void *)(type + 1) > data_end)
		return 0;
	/* never an error about an error; echo and its like are none */
	return *type == 0 || *type == 8 || *type > 12;
}

static __always_inline int mux_may_tell_v6(struct ipv6hdr *ip, void *data_end)
{
	const __u32 *src = (void *)&ip->saddr;
	__u8 *type = (void *)(ip + 1);

	if (!(src[0] | src[1] | src[2] | src[3]) || (src[0] & 0xff) == 0xff)
		return 0;
	if (ip->nexthdr != IPPROTO_ICMPV6)
		return 1;
	return (void *)(type + 1) <= data_end && *type >= 128;
}

/* Makes room for len bytes behind the Ethernet header and turns it round. */
static __always_inline int
mux_icmp_room(struct xdp_md *ctx, __u32 l3, const __u32 len, __u32 frame)
{
	__u32 dst, src, dst_end, src_end;
	void *data, *data_end, *old;

	if (bpf_xdp_adjust_head(ctx, -(int)len))
		return -1;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	old = data + len;
	if (old + 22 > data_end)
		return -1;
	dst = *(__u32 *)old;
	dst_end = *(__u16 *)(old + 4);
	src = *(__u32 *)(old + 6);
	src_end = *(__u16 *)(old + 10);
	*(__u32 *)data = src;
	*(__u16 *)(data + 4) = src_end;
	*(__u32 *)(data + 6) = dst;
	*(__u16 *)(data + 10) = dst_end;
	*(__u16 *)(data + 12) = *(__u16 *)(old + 12);
	if (l3 > 14)
		*(__u32 *)(data + 14) = *(__u32 *)(old + 14);
	if (l3 > 18)
		*(__u32 *)(data + 18) = *(__u32 *)(old + 18);
	return bpf_xdp_adjust_tail(ctx, (int)(l3 + MUX_QUOTE) - (int)frame);
}

/* Returns 0 when the frame has become the error, to be sent with XDP_TX. */
__noinline int mux_too_big_v4(struct xdp_md *ctx, __u32 addr, __u32 l3, __u32 mtu,
			      __u32 frame)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 src, dst, *word;
	struct mux_icmp *icmp;
	struct iphdr *ip;

	if (l3 > 22)
		return -1;
	ip = MUX_AT(data, l3, 31);
	if (data + 14 > data_end || (void *)ip + MUX_QUOTE > data_end)
		return -1;
	if (*(__u8 *)data & 1 || !mux_may_tell_v4(ip, data_end))
		return -1;
	src = addr ? addr : ip->daddr;
	dst = ip->saddr;
	if (mux_icmp_room(ctx, l3, sizeof(*ip) + sizeof(*icmp), frame))
		return -1;

	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	word = MUX_AT(data, l3, 31);
	if ((void *)word + sizeof(*ip) + sizeof(*icmp) + MUX_QUOTE > data_end)
		return -1;
	/* precedence of a control message, as the kernel's own errors */
	word[0] = 0x45 | 0xc0 << 8 |
		  bpf_htons(sizeof(*ip) + sizeof(*icmp) + MUX_QUOTE) << 16;
	word[1] = bpf_htons(MUX_DONT_FRAG) << 16;
	word[2] = 64 | IPPROTO_ICMP << 8;
	word[3] = src;
	word[4] = dst;
	word[2] |= (__u32)(__u16)~mux_fold((__u64)word[0] + word[1] + word[2] +
					  src + dst) << 16;
	icmp = (void *)(word + 5);
	icmp->type = 3;
	icmp->code = 4;
	icmp->csum = 0;
	icmp->mtu = bpf_htonl(mtu & 0xffff);
	icmp->csum = ~mux_fold(bpf_csum_diff(NULL, 0, (__be32 *)icmp,
					     sizeof(*icmp) + MUX_QUOTE, 0));
	return 0;
}

__noinline int mux_too_big_v6(struct xdp_md *ctx, __u32 l3, __u32 mtu, __u32 frame)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u64 src[2], dst[2], sum;
	const struct mux_port *port = mux_find_port(ctx->ingress_ifindex);
	const __u64 *own;
	struct mux_icmp *icmp;
	struct ipv6hdr *ip;
	__u32 *word;

	if (l3 > 22 || !port)
		return -1;
	own = (void *)port->addr6;
	ip = MUX_AT(data, l3, 31);
	if (data + 14 > data_end || (void *)ip + MUX_QUOTE > data_end)
		return -1;
	if (!mux_may_tell_v6(ip, data_end))
		return -1;
	__builtin_memcpy(dst, &ip->saddr, 16);
	__builtin_memcpy(src, &ip->daddr, 16);
	if (own[0] | own[1]) {
		src[0] = own[0];
		src[1] = own[1];
	} else if ((src[0] & 0xff) == 0xff) {
		return -1;	/* a multicast address cannot be a source */
	}
	if (mux_icmp_room(ctx, l3, sizeof(*ip) + sizeof(*icmp), frame))
		return -1;

	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	word = MUX_AT(data, l3, 31);
	if ((void *)word + sizeof(*ip) + sizeof(*icmp) + MUX_QUOTE > data_end)
		return -1;
	word[0] = bpf_htonl(6 << 28);
	word[1] = bpf_htons(sizeof(*icmp) + MUX_QUOTE) | IPPROTO_ICMPV6 << 16 |
		  64u << 24;
	__builtin_memcpy(word + 2, src, 16);
	__builtin_memcpy(word + 6, dst, 16);
	icmp = (void *)(word + 10);
	icmp->type = 2;
	icmp->code = 0;
	icmp->csum = 0;
	icmp->mtu = bpf_htonl(mtu < 1280 ? 1280 : mtu);
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)icmp,
				   sizeof(*icmp) + MUX_QUOTE, 0);
	sum += (src[0] >> 32) + (__u32)src[0] + (src[1] >> 32) + (__u32)src[1];
	sum += (dst[0] >> 32) + (__u32)dst[0] + (dst[1] >> 32) + (__u32)dst[1];
	sum += bpf_htons(sizeof(*icmp) + MUX_QUOTE) + bpf_htons(IPPROTO_ICMPV6);
	icmp->csum = ~mux_fold(sum);
	return 0;
}

#endif
