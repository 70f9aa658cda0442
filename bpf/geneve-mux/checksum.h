/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums (RFC 1071, 1624). */
#ifndef MUX_CHECKSUM_H
#define MUX_CHECKSUM_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MUX_CSUM_CHUNK	256	/* bpf_csum_diff() takes at most 512 bytes */
#define MUX_CSUM_CHUNKS	40	/* 10,240 bytes: a jumbo frame */

/*
 * An offset the verifier can see the bound of: a register that has been through
 * the stack comes back without what was known of it.
 */
#define MUX_AT(base, off, mask) ({			\
	__u32 __off = (off);				\
	barrier_var(__off);				\
	(void *)(base) + (__off & (mask));		\
})

static __always_inline __u16 mux_fold(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* The last bytes of mux_sum(), less than one chunk. */
__noinline __s64 mux_sum_tail(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < MUX_CSUM_CHUNK / 4; i++) {
		if (len < 4)
			break;
		p = MUX_AT(data, off, 0x3fff);
		barrier_var(p);
		if (p + 4 > data_end)
			return -1;
		sum += *(__u32 *)p;
		off += 4;
		len -= 4;
	}
	if (len & 2) {
		p = MUX_AT(data, off, 0x3fff);
		barrier_var(p);
		if (p + 2 > data_end)
			return -1;
		sum += *(__u16 *)p;
		off += 2;
	}
	if (len & 1) {
		p = MUX_AT(data, off, 0x3fff);
		barrier_var(p);
		if (p + 1 > data_end)
			return -1;
		sum += *(__u8 *)p;	/* first of a word padded with zero */
	}
	return sum;
}

/*
 * The sum of the frame's bytes from off, as 16-bit words in memory order, not
 * complemented and not folded below 32 bits. -1 if they are not all there, or
 * are more than a jumbo frame holds. The barriers keep the compiler from moving
 * arithmetic to data_end, which the verifier does not take.
 */
__noinline __s64 mux_sum(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data, *p;
	__u32 i, sum = 0;
	__s64 tail;

	if (off > 512 || len > MUX_CSUM_CHUNKS * MUX_CSUM_CHUNK)
		return -1;
	for (i = 0; i < MUX_CSUM_CHUNKS; i++) {
		if (len < MUX_CSUM_CHUNK)
			break;
		p = MUX_AT(data, off, 0x3fff);
		barrier_var(p);
		if (p + MUX_CSUM_CHUNK > data_end)
			return -1;
		sum = bpf_csum_diff(NULL, 0, p, MUX_CSUM_CHUNK, sum);
		off += MUX_CSUM_CHUNK;
		len -= MUX_CSUM_CHUNK;
	}
	tail = mux_sum_tail(ctx, off, len);
	return tail < 0 ? -1 : tail + sum;
}

/* RFC 1624 eqn. 3: a header's checksum after one of its words has changed. */
static __always_inline __u16 mux_csum_change(__u16 csum, __u16 from, __u16 to)
{
	return ~mux_fold((__u64)(__u16)~csum + (__u16)~from + to);
}

#endif
