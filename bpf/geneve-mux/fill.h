/* SPDX-License-Identifier: GPL-2.0 */
/* Checksums that a sender on this host has left to its NIC. */
#ifndef MUX_FILL_H
#define MUX_FILL_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include "checksum.h"
#include "tables.h"

/*
 * A frame of a veth may carry, in place of its TCP or UDP checksum, the sum of
 * the pseudo header alone (CHECKSUM_PARTIAL of linux/skbuff.h). What says so is
 * lost when XDP redirects the frame, so such a checksum is completed here. One
 * that is right already and happens to be that sum is left. Only for frames
 * that are redirected: the host completes what XDP passes on to it.
 * Returns 0, or -1 where the packet is not all there.
 */
__noinline int mux_fill_inner(struct xdp_md *ctx, __u32 l3, __u32 v6)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 *word, proto, len, l4, i, at;
	__u64 pseudo = 0;
	__u16 *check;
	__s64 sum;

	if (l3 > 22)
		return -1;
	word = MUX_AT(data, l3, 0x1f);
	if (v6) {
		if ((void *)(word + 10) > data_end)
			return -1;
		len = bpf_ntohs((__u16)word[1]);
		proto = word[1] >> 16 & 0xff;
		l4 = l3 + 40;
		for (i = 2; i < 10; i++)
			pseudo += word[i];
	} else {
		if ((void *)(word + 5) > data_end)
			return -1;
		/* fragments are sent whole in this respect */
		if (word[1] >> 16 & bpf_htons(0x3fff))
			return 0;
		l4 = (word[0] & 0xf) * 4;
		len = bpf_ntohs((__u16)(word[0] >> 16)) - l4;
		l4 += l3;
		proto = word[2] >> 8 & 0xff;
		pseudo = (__u64)word[3] + word[4];
	}
	if (proto == IPPROTO_TCP)
		at = l4 + 16;
	else if (proto == IPPROTO_UDP)
		at = l4 + 6;
	else
		return 0;
	check = MUX_AT(data, at, 0xff);
	if ((void *)(check + 1) > data_end)
		return -1;
	pseudo += bpf_htons((__u16)proto) + bpf_htons((__u16)len);
	if (*check != mux_fold(pseudo))
		return 0;
	sum = mux_sum(ctx, l4, len);
	if (sum < 0)
		return -1;
	if (mux_fold(sum + pseudo) == 0xffff)
		return 0;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	check = MUX_AT(data, at, 0xff);
	if ((void *)(check + 1) > data_end)
		return -1;
	*check = ~mux_fold(sum);
	if (!*check && proto == IPPROTO_UDP)
		*check = 0xffff;
	return 0;
}

/*
 * Chooses the interface a pushed frame leaves by, and completes its checksum
 * where the port says so; l3 is 0 where there is none. 0, or the reason why it
 * cannot leave.
 */
__noinline int
mux_leave(struct xdp_md *ctx, __u32 egress, __u32 port_flags, __u32 l3, __u32 v6)
{
	if (bpf_redirect_map(&mux_devs, egress, 0) != XDP_REDIRECT)
		return MUX_R_NO_EGRESS;
	if (port_flags & MUX_PORT_FILL && l3 && mux_fill_inner(ctx, l3, v6))
		return MUX_R_INNER_BAD;
	return 0;
}

#endif
