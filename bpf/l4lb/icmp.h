/* SPDX-License-Identifier: GPL-2.0 */
/* What the balancer says itself: "too big" (RFC 1191, 4443 section 3.2), echo replies. */
#ifndef L4LB_ICMP_H
#define L4LB_ICMP_H

#include "checksum.h"

/*
 * How much of the packet is quoted: well above the required header + 8 bytes,
 * within the 576 of RFC 1812, and a length bpf_csum_diff() takes in one go.
 */
#define LB_QUOTE	256
#define LB_ICMP_LEN	8

static __always_inline void lb_swap_macs(void *data)
{
	__u32 dst = *(__u32 *)data, src = *(__u32 *)(data + 6);
	__u16 dst_end = *(__u16 *)(data + 4), src_end = *(__u16 *)(data + 10);

	*(__u32 *)data = src;
	*(__u16 *)(data + 4) = src_end;
	*(__u32 *)(data + 6) = dst;
	*(__u16 *)(data + 10) = dst_end;
}

/* May this IPv4 packet, or one of IPv6, be answered with an error (RFC 1122, 4443)? */
static __always_inline int lb_may_tell(const __u32 *word, __u32 v6, void *data_end)
{
	const __u8 *type;
	__u32 src;

	if (v6) {
		src = word[2] & 0xff;
		if (src == 0xff || !(word[2] | word[3] | word[4] | word[5]))
			return 0;
		if ((word[1] >> 16 & 0xff) != IPPROTO_ICMPV6)
			return 1;
		type = (void *)(word + 10);
		return (void *)(type + 1) <= data_end && *type >= 128;
	}
	src = word[3] & 0xff;
	if (!(word[1] >> 16 & bpf_htons(0x4000)) || word[1] >> 16 & bpf_htons(0x1fff) ||
	    !src || src == 127 || src >= 224)
		return 0;
	/* an error about a service is the only ICMP that gets here, and gets no error */
	return (word[2] >> 8 & 0xff) != IPPROTO_ICMP;
}

/*
 * Turns the frame into the error, from the VIP to the client. Returns 0 when it
 * is to be sent with XDP_TX, else the frame is as it was.
 */
__noinline int lb_too_big(struct xdp_md *ctx, __u32 v6, __u32 mtu, __u32 frame)
{
	__u32 headers = v6 ? 40 + LB_ICMP_LEN : 20 + LB_ICMP_LEN, *word, dst[4], src[4];
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *icmp;
	__u64 sum = 0;
	__u32 i;

	word = data + LB_ETH;
	if (data + LB_ETH + LB_QUOTE > data_end || *(__u8 *)(data + 6) & 1 ||
	    !lb_may_tell(word, v6, data_end))
		return -1;
	for (i = 0; i < 4; i++) {
		src[i] = v6 ? word[6 + i] : word[4];
		dst[i] = v6 ? word[2 + i] : word[3];
	}
	if (bpf_xdp_adjust_head(ctx, -(int)headers))
		return -1;
	if (bpf_xdp_adjust_tail(ctx, LB_ETH + LB_QUOTE - (int)frame))
		return -1;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + LB_ETH + 48 + LB_ETH > data_end)
		return -1;
	__builtin_memcpy(data, data + headers, LB_ETH);
	lb_swap_macs(data);
	word = data + LB_ETH;
	icmp = (void *)word + (v6 ? 40 : 20);
	if (icmp + LB_ICMP_LEN + LB_QUOTE > data_end)
		return -1;
	if (v6) {
		word[0] = bpf_htonl(6u << 28);
		word[1] = bpf_htons(LB_ICMP_LEN + LB_QUOTE) | IPPROTO_ICMPV6 << 16 |
			  64u << 24;
		for (i = 0; i < 4; i++) {
			word[2 + i] = src[i];
			word[6 + i] = dst[i];
			sum += (__u64)src[i] + dst[i];
		}
		sum += bpf_htons(LB_ICMP_LEN + LB_QUOTE) + bpf_htons(IPPROTO_ICMPV6);
		((__u32 *)icmp)[0] = 2;
		((__u32 *)icmp)[1] = bpf_htonl(mtu < 1280 ? 1280 : mtu);
	} else {
		/* precedence of a control message, as the kernel's own errors */
		word[0] = 0x45 | 0xc0 << 8 |
			  bpf_htons(20 + LB_ICMP_LEN + LB_QUOTE) << 16;
		word[1] = bpf_htons(0x4000) << 16;
		word[2] = 64 | IPPROTO_ICMP << 8;
		word[3] = src[0];
		word[4] = dst[0];
		word[2] |= (__u32)(__u16)~lb_fold((__u64)word[0] + word[1] + word[2] +
						  src[0] + dst[0]) << 16;
		((__u32 *)icmp)[0] = 3 | 4 << 8;
		((__u32 *)icmp)[1] = bpf_htonl(mtu & 0xffff);
	}
	sum += (__u32)bpf_csum_diff(NULL, 0, icmp, LB_ICMP_LEN + LB_QUOTE, 0);
	*(__u16 *)(icmp + 2) = ~lb_fold(sum);
	return 0;
}

/* Turns an echo request round; only the type changes, and the checksum with it. */
static __always_inline int lb_echo(struct xdp_md *ctx, const struct lb_packet *p)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 *word = data + LB_ETH, addr, i;
	__u16 *icmp = LB_AT(data, p->l4, LB_L4_MASK);

	if ((void *)(icmp + 4) > data_end || (void *)(word + 10) > data_end)
		return -1;
	lb_swap_macs(data);
	if (p->v6) {
		for (i = 2; i < 6; i++) {
			addr = word[i];
			word[i] = word[i + 4];
			word[i + 4] = addr;
		}
		icmp[0] = 129 | (icmp[0] & 0xff00);
	} else {
		addr = word[3];
		word[3] = word[4];
		word[4] = addr;
		icmp[0] = icmp[0] & 0xff00;
	}
	/* RFC 1624 eqn. 3; addresses that change places change no sum */
	icmp[1] = ~lb_fold((__u64)(__u16)~icmp[1] + (__u16)~(p->v6 ? 128 : 8) +
			   (p->v6 ? 129 : 0));
	return 0;
}

#endif
