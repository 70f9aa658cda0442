/* SPDX-License-Identifier: GPL-2.0 */
/* Next hop, egress and MAC addresses of a tunnel from the routing table. */
#ifndef MUX_ROUTE_H
#define MUX_ROUTE_H

#include <linux/bpf.h>
#include "tables.h"

#define MUX_AF_INET	2
#define MUX_AF_INET6	10

/*
 * Looks up the way to a hop and keeps the answer there until it is too old. Two
 * CPUs may do so at once; while a next hop changes, a frame may leave with the
 * old one's MAC, as it might have a moment earlier. Returns 0, or the reason
 * why there is no way.
 */
__noinline int mux_resolve(struct xdp_md *ctx, __u32 at)
{
	struct bpf_fib_lookup fib = { .ifindex = ctx->ingress_ifindex };
	struct mux_hop *hop = bpf_map_lookup_elem(&mux_hops, &at);
	long rc;

	if (!hop)
		return MUX_R_NO_END;
	if (hop->hold == MUX_STATIC)
		return 0;
	fib.family = hop->family;
	if (hop->family == MUX_AF_INET6) {
		__builtin_memcpy(fib.ipv6_src, hop->local, 16);
		__builtin_memcpy(fib.ipv6_dst, hop->remote, 16);
	} else {
		fib.ipv4_src = *(__be32 *)hop->local;
		fib.ipv4_dst = *(__be32 *)hop->remote;
	}
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (rc == BPF_FIB_LKUP_RET_NO_NEIGH)
		return MUX_R_NO_NEIGHBOUR;
	if (rc != BPF_FIB_LKUP_RET_SUCCESS)
		return MUX_R_NO_ROUTE;
	__builtin_memcpy(hop->dmac, fib.dmac, 6);
	__builtin_memcpy(hop->smac, fib.smac, 6);
	hop->egress = fib.ifindex;
	hop->resolved = bpf_jiffies64();
	hop->valid = hop->hold;
	return 0;
}

#define MUX_OWN_MACS	(1 << 16)	/* behind an end's flags: those of the frame */

/*
 * The flags that a packet goes on with, or minus the reason why it does not.
 * Where a port says so, a packet whose next hop is not known yet goes by the
 * host's own stack, which routes the outer packet and asks for the neighbour.
 */
__noinline int mux_way(struct xdp_md *ctx, __u32 hop, __u32 flags, __u32 port_flags)
{
	int rc = mux_resolve(ctx, hop);

	if (!rc)
		return flags;
	if (rc == MUX_R_NO_NEIGHBOUR && port_flags & MUX_PORT_ASK)
		return (flags & ~MUX_REDIRECT) | MUX_OWN_MACS;
	return -rc;
}

/* A static hop comes here once in 2^32 jiffies, for nothing. */
static __always_inline int mux_needs_route(const struct mux_hop *hop)
{
	return (__u32)bpf_jiffies64() - hop->resolved >= hop->valid;
}

#endif
