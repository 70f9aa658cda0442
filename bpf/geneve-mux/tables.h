/* SPDX-License-Identifier: GPL-2.0 */
/* The maps, and how the program searches them. */
#ifndef MUX_TABLES_H
#define MUX_TABLES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mux.h"

/*
 * Sizes of a stand-alone object. Build with other figures, or load with maps
 * made beforehand: the program takes its masks from mux_ports, whose own size
 * must be a power of two and is fixed when it is built.
 */
#ifndef MUX_ENDS
#define MUX_ENDS	65536
#endif
#ifndef MUX_SLOTS6
#define MUX_SLOTS6	4096
#endif
#ifndef MUX_HOPS
#define MUX_HOPS	4096
#endif
#ifndef MUX_MORES
#define MUX_MORES	1024
#endif
#ifndef MUX_PORTS
#define MUX_PORTS	1024
#endif
#ifndef MUX_PREFIXES
#define MUX_PREFIXES	65536
#endif
#ifndef MUX_DEVS
#define MUX_DEVS	32768
#endif

#define MUX_ARRAY(name, entries, value_type)		\
struct {						\
	__uint(type, BPF_MAP_TYPE_ARRAY);		\
	__uint(max_entries, entries);			\
	__uint(map_flags, BPF_F_MMAPABLE);		\
	__type(key, __u32);				\
	__type(value, value_type);			\
} name SEC(".maps")

MUX_ARRAY(mux_ports, MUX_PORTS, struct mux_port);
MUX_ARRAY(mux_ends, MUX_ENDS, struct mux_end);
MUX_ARRAY(mux_v6, MUX_SLOTS6, struct mux_slot6);
MUX_ARRAY(mux_hops, MUX_HOPS, struct mux_hop);
MUX_ARRAY(mux_more, MUX_MORES, struct mux_more);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MUX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mux_lpm4);
	__type(value, __u32);
} mux_prefix4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MUX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mux_lpm6);
	__type(value, __u32);
} mux_prefix6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MUX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mux_source);
	__type(value, __u32);
} mux_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, MUX_DEVS);
	__type(key, __u32);
	__type(value, __u32);
} mux_devs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MUX_R_MAX);
	__type(key, __u32);
	__type(value, struct mux_stat);
} mux_stats SEC(".maps");

/* LRU, so that a flood of bad packets over many tunnels cannot fill it up. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct mux_drop);
	__type(value, __u64);
} mux_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} mux_debug SEC(".maps");

/*
 * Functions off the fast path are global: the verifier then looks at each once
 * and not again on every way that leads there. Up to 5.11 such a function takes
 * only the context and numbers, so map values are looked up again inside.
 */

/* The slot of an interface that is not in the first one of its hash. */
__noinline int mux_find_port_on(__u32 ifindex)
{
	__u32 i, at, hash = ifindex;
	const struct mux_port *port;

	for (i = 1; i < 8; i++) {
		at = (hash + i) & (MUX_PORTS - 1);
		port = bpf_map_lookup_elem(&mux_ports, &at);
		if (!port || !port->ifindex)
			return -1;
		if (port->ifindex == ifindex)
			return at;
	}
	return -1;
}

static __always_inline const struct mux_port *mux_find_port(__u32 ifindex)
{
	__u32 at = ifindex & (MUX_PORTS - 1);
	const struct mux_port *port;

	port = bpf_map_lookup_elem(&mux_ports, &at);
	if (port && port->ifindex != ifindex) {
		if (!port->ifindex)
			return NULL;
		at = mux_find_port_on(ifindex);
		port = bpf_map_lookup_elem(&mux_ports, &at);
	}
	return port;
}

/* Where this CPU's lines begin. */
static __always_inline __u32 mux_base(const struct mux_port *port)
{
	return bpf_get_smp_processor_id() * port->stride;
}

static __always_inline struct mux_end *mux_line(const struct mux_port *port, __u32 id)
{
	__u32 at = id + mux_base(port);

	return bpf_map_lookup_elem(&mux_ends, &at);
}

static __always_inline struct mux_hop *mux_hop_of(const struct mux_end *end)
{
	__u32 at = end->hop;

	return bpf_map_lookup_elem(&mux_hops, &at);
}

static __always_inline struct mux_more *mux_more_of(const struct mux_end *end)
{
	__u32 at = end->more;

	return bpf_map_lookup_elem(&mux_more, &at);
}

/* Few entries lie behind the first two slots of their hash: the index, or -1. */
__noinline int mux_find4_on(__u32 hash, __u32 mask, __u32 base, __u64 key, __u32 scope)
{
	const struct mux_end *end;
	__u32 i, at;

	for (i = 2; i < MUX_WINDOW; i++) {
		at = ((hash + i) & mask) + base;
		end = bpf_map_lookup_elem(&mux_ends, &at);
		if (!end || !end->scope)
			return -1;
		if (*(__u64 *)&end->a == key && end->scope == scope)
			return (hash + i) & mask;
	}
	return -1;
}

/*
 * The line of an IPv4 key. A writer that sets the scope last, and takes it away
 * first, never lets a half-written line be seen.
 */
static __always_inline struct mux_end *
mux_find4(const struct mux_port *port, __u32 kind, __u64 key, __u32 *id)
{
	/* mux_hash4(), the product of scope and MUX_K1 being half known already */
	__u64 seed = port->seed + (MUX_SCOPE(kind, 0) * MUX_K1);
	__u32 hash = mux_mix(key ^ seed) * MUX_K1 >> 32;
	__u32 scope = MUX_SCOPE(kind, port->table), base = mux_base(port), at;
	struct mux_end *end;

	*id = hash & port->mask4;
	at = *id + base;
	end = bpf_map_lookup_elem(&mux_ends, &at);
	if (!end || (*(__u64 *)&end->a == key && end->scope == scope))
		return end;
	if (!end->scope)
		return NULL;
	*id = (hash + 1) & port->mask4;
	at = *id + base;
	end = bpf_map_lookup_elem(&mux_ends, &at);
	if (!end || (*(__u64 *)&end->a == key && end->scope == scope))
		return end;
	if (!end->scope)
		return NULL;
	*id = mux_find4_on(hash, port->mask4, base, key, scope);
	if (*id == (__u32)-1)
		return NULL;
	at = *id + base;
	return bpf_map_lookup_elem(&mux_ends, &at);
}

/* The index of the end an IPv6 key leads to, or -1; mask and scope in one. */
__noinline int mux_find6_end(__u64 scope_mask, __u64 a0, __u64 a1, __u64 b0, __u64 b1)
{
	__u32 i, at, hash, scope = scope_mask, mask = scope_mask >> 32;
	__u64 w[4] = { a0, a1, b0, b1 };
	const struct mux_slot6 *slot;
	const __u64 *have;

	hash = mux_hash6(scope, w);
	for (i = 0; i < MUX_WINDOW; i++) {
		at = (hash + i) & mask;
		slot = bpf_map_lookup_elem(&mux_v6, &at);
		if (!slot || !slot->scope)
			return -1;
		have = (const void *)slot->a;
		if (slot->scope == scope && have[0] == w[0] &&
		    have[1] == w[1] && have[2] == w[2] && have[3] == w[3])
			return slot->end;
	}
	return -1;
}

static __always_inline struct mux_end *
mux_find6(const struct mux_port *port, __u32 scope, __u64 a0, __u64 a1, __u64 b0,
	  __u64 b1, __u32 *id)
{
	*id = mux_find6_end((__u64)port->mask6 << 32 | scope, a0, a1, b0, b1);
	return *id == (__u32)-1 ? NULL : mux_line(port, *id);
}

#endif
