/* SPDX-License-Identifier: GPL-2.0 */
/* Next hop, egress and MAC addresses of a tunnel from the routing table. */
#ifndef MUX_ROUTE_H
#define MUX_ROUTE_H

#include <linux/bpf.h>
#include "tables.h"

#define MUX_AF_INET	2
#define MUX_AF_INET6	10

/*
 * Looks the outer destination up and keeps the answer in the end's line for
 * fib_jiffies. Two CPUs may do so at once; while a next hop changes, a frame
 * may leave with the old one's MAC, as it might have a moment earlier.
 * Returns 0, or the reason why there is no way.
 */
__noinline int mux_resolve(struct xdp_md *ctx, __u32 id)
{
	const struct mux_config *cfg = mux_configuration();
	struct bpf_fib_lookup fib = { .ifindex = ctx->ingress_ifindex };
	struct mux_more *more;
	struct mux_end *end;
	long rc;

	end = cfg ? mux_line(cfg, id) : NULL;
	if (!end)
		return MUX_R_NO_END;
	if (end->flags & MUX_V6) {
		more = mux_more_of(end);
		if (!more)
			return MUX_R_NO_END;
		fib.family = MUX_AF_INET6;
		__builtin_memcpy(fib.ipv6_src, more->local, 16);
		__builtin_memcpy(fib.ipv6_dst, more->remote, 16);
	} else {
		fib.family = MUX_AF_INET;
		fib.ipv4_src = end->local;
		fib.ipv4_dst = end->remote;
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH)
		return MUX_R_NO_NEIGHBOUR;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS)
		return MUX_R_NO_ROUTE;
	__builtin_memcpy(end->dmac, fib.dmac, 6);
	__builtin_memcpy(end->smac, fib.smac, 6);
	end->egress = fib.ifindex;
	end->resolved = bpf_jiffies64();
	return 0;
}

static __always_inline int
mux_needs_route(const struct mux_config *cfg, const struct mux_end *end)
{
	return !end->egress ||
	       (__u32)bpf_jiffies64() - end->resolved >= cfg->fib_jiffies;
}

#endif
