/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums (RFC 1071, 1624). */
#ifndef L4LB_CHECKSUM_H
#define L4LB_CHECKSUM_H

#include <bpf/bpf_helpers.h>
#include "parse.h"

#define LB_CHUNK	256	/* bpf_csum_diff() takes at most 512 bytes */
#define LB_CHUNKS	14	/* a frame of one buffer has less than 3,584 bytes */
#define LB_PIECE	32
#define LB_OFFSET_MASK	0x3fff

static __always_inline __u16 lb_fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/*
 * Sums of len bytes of the frame from off, as 16-bit words in memory order,
 * neither complemented nor folded below 32 bits; -1 if they are not all there.
 * Chunks, pieces, words and single bytes have functions of their own, to be
 * called one after the other: a few short loops, and no deep stack. The barriers
 * keep the compiler from moving arithmetic to data_end, which the verifier
 * refuses.
 */
__noinline __s64 lb_sum_chunks(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u32 i, sum = 0;

	for (i = 0; i < LB_CHUNKS; i++) {
		if (len < LB_CHUNK)
			return sum;
		p = LB_AT(data, off, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + LB_CHUNK > data_end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, p, LB_CHUNK, sum);
		off += LB_CHUNK;
		len -= LB_CHUNK;
	}
	return -1;
}

__noinline __s64 lb_sum_pieces(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u32 i, sum = 0;

	for (i = 0; i < LB_CHUNK / LB_PIECE; i++) {
		if (len < LB_PIECE)
			break;
		p = LB_AT(data, off, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + LB_PIECE > data_end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, p, LB_PIECE, sum);
		off += LB_PIECE;
		len -= LB_PIECE;
	}
	return sum;
}

__noinline __s64 lb_sum_words(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < LB_PIECE / 4; i++) {
		if (len < 4)
			break;
		p = LB_AT(data, off, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + 4 > data_end)
			return -1;
		sum += *(__u32 *)p;
		off += 4;
		len -= 4;
	}
	return sum;
}

__noinline __s64 lb_sum_bytes(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 3; i++) {
		if (i >= len)
			break;
		p = LB_AT(data, off + i, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + 1 > data_end)
			return -1;
		sum += (__u32)*(__u8 *)p << (i & 1) * 8;
	}
	return sum;
}

static __always_inline __s64 lb_sum(struct xdp_md *ctx, __u32 off, __u32 len)
{
	__u32 pieces = len & (LB_CHUNK - LB_PIECE), words = len & (LB_PIECE - 4);
	__s64 sum, part;

	sum = lb_sum_chunks(ctx, off, len);
	if (sum < 0)
		return -1;
	off += len & ~(LB_CHUNK - 1);
	part = lb_sum_pieces(ctx, off, pieces);
	if (part < 0)
		return -1;
	sum += part;
	part = lb_sum_words(ctx, off + pieces, words);
	if (part < 0)
		return -1;
	sum += part;
	part = lb_sum_bytes(ctx, off + pieces + words, len & 3);
	return part < 0 ? -1 : sum + part;
}

#endif
