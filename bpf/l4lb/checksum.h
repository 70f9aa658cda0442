/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums (RFC 1071, 1624). */
#ifndef L4LB_CHECKSUM_H
#define L4LB_CHECKSUM_H

#include <bpf/bpf_helpers.h>
#include "parse.h"

#define LB_CHUNK	256	/* bpf_csum_diff() takes at most 512 bytes */
#define LB_CHUNKS	16	/* a frame of one buffer has less than 4,096 bytes */
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

/* The last bytes of lb_sum(), less than a piece. */
__noinline __s64 lb_sum_rest(struct xdp_md *ctx, __u32 off, __u32 len)
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
	for (i = 0; i < 3; i++) {
		if (!len)
			break;
		p = LB_AT(data, off, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + 1 > data_end)
			return -1;
		sum += (__u32)*(__u8 *)p << (i & 1 ? 8 : 0);
		off++;
		len--;
	}
	return sum;
}

/* As lb_sum(), of less than a chunk. */
__noinline __s64 lb_sum_pieces(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u32 i, sum = 0;
	__s64 rest;

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
	rest = lb_sum_rest(ctx, off, len);
	return rest < 0 ? -1 : rest + sum;
}

/*
 * The sum of len bytes of the frame from off, as 16-bit words in memory order,
 * neither complemented nor folded below 32 bits; -1 if they are not all there.
 * The barriers keep the compiler from moving arithmetic to data_end, which the
 * verifier refuses.
 */
__noinline __s64 lb_sum(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u32 i, sum = 0;
	__s64 rest;

	if (off > 512 || len > LB_CHUNKS * LB_CHUNK)
		return -1;
	for (i = 0; i < LB_CHUNKS; i++) {
		if (len < LB_CHUNK)
			break;
		p = LB_AT(data, off, LB_OFFSET_MASK);
		barrier_var(p);
		if (p + LB_CHUNK > data_end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, p, LB_CHUNK, sum);
		off += LB_CHUNK;
		len -= LB_CHUNK;
	}
	rest = lb_sum_pieces(ctx, off, len);
	return rest < 0 ? -1 : rest + sum;
}

#endif
