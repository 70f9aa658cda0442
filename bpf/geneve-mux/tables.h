/* SPDX-License-Identifier: GPL-2.0 */
/* The maps, and how the program searches them. */
#ifndef MUX_TABLES_H
#define MUX_TABLES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mux.h"

/*
 * Sizes of a stand-alone object. Build with other figures, or load with maps
 * made beforehand: the program takes the masks from mux_config.
 */
#ifndef MUX_SLOTS4
#define MUX_SLOTS4	65536
#endif
#ifndef MUX_SLOTS6
#define MUX_SLOTS6	4096
#endif
#ifndef MUX_ENDS
#define MUX_ENDS	16384
#endif
#ifndef MUX_MORES
#define MUX_MORES	4096
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

MUX_ARRAY(mux_config, 1, struct mux_config);
MUX_ARRAY(mux_ports, MUX_PORTS, struct mux_port);
MUX_ARRAY(mux_v4, MUX_SLOTS4, struct mux_slot4);
MUX_ARRAY(mux_v6, MUX_SLOTS6, struct mux_slot6);
MUX_ARRAY(mux_ends, MUX_ENDS, struct mux_end);
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

static __always_inline const struct mux_config *mux_configuration(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mux_config, &zero);
}

static __always_inline const struct mux_port *
mux_find_port(const struct mux_config *cfg, __u32 ifindex)
{
	__u32 i, hash = mux_hash_port(ifindex);

	for (i = 0; i < 8; i++) {
		__u32 at = (hash + i) & cfg->mask_ports;
		const struct mux_port *port = bpf_map_lookup_elem(&mux_ports, &at);

		if (!port || !port->ifindex)
			return NULL;
		if (port->ifindex == ifindex)
			return port;
	}
	return NULL;
}

/*
 * One slot: the end's index + 1, 0 where the search is over, MUX_TOMB where it
 * goes on. A slot is read as two words; a writer that sets the one with the end
 * last, and a deleted slot's key before its end, is never seen half done.
 */
static __always_inline __u32
mux_probe4(const struct mux_config *cfg, __u32 at, __u32 scope, __u64 key)
{
	const volatile __u64 *slot;
	__u64 word;

	at &= cfg->mask4;
	slot = bpf_map_lookup_elem(&mux_v4, &at);
	if (!slot)
		return 0;
	word = slot[1];
	if (slot[0] == key && (__u32)word == scope)
		return word >> 32;
	return word >> 32 ? MUX_TOMB : 0;
}

/* Only few entries lie further behind their hash than two slots. */
__noinline int mux_find4_on(__u32 at, __u32 scope, __u64 key)
{
	const struct mux_config *cfg = mux_configuration();
	__u32 i, found;

	if (!cfg)
		return 0;
	for (i = 2; i < MUX_WINDOW; i++) {
		found = mux_probe4(cfg, at + i, scope, key);
		if (found != MUX_TOMB)
			return found;
	}
	return 0;
}

/* Returns the end's index + 1, or 0. */
static __always_inline __u32
mux_find4(const struct mux_config *cfg, __u32 scope, __u32 a, __u32 b)
{
	__u32 at = mux_hash4(scope, a, b), found;
	__u64 key = (__u64)b << 32 | a;

	found = mux_probe4(cfg, at, scope, key);
	if (found != MUX_TOMB)
		return found;
	found = mux_probe4(cfg, at + 1, scope, key);
	if (found != MUX_TOMB)
		return found;
	return mux_find4_on(at, scope, key);
}

__noinline int mux_find6(__u64 vni_scope, __u64 a0, __u64 a1, __u64 b0, __u64 b1)
{
	const struct mux_config *cfg = mux_configuration();
	__u32 i, at, hash, scope = vni_scope, vni = vni_scope >> 32;
	__u64 w[4] = { a0, a1, b0, b1 }, word;
	const volatile __u64 *slot;

	if (!cfg)
		return 0;
	hash = mux_hash6(scope, vni, w);
	for (i = 0; i < MUX_WINDOW; i++) {
		at = (hash + i) & cfg->mask6;
		slot = bpf_map_lookup_elem(&mux_v6, &at);
		if (!slot)
			return 0;
		word = slot[0];
		if ((__u32)word == scope && (__u32)slot[1] == vni &&
		    slot[2] == w[0] && slot[3] == w[1] &&
		    slot[4] == w[2] && slot[5] == w[3])
			return word >> 32;
		if (!(word >> 32))
			return 0;
	}
	return 0;
}

/* The line of an end: this CPU's own where there is one for each. */
static __always_inline struct mux_end *
mux_line(const struct mux_config *cfg, __u32 end)
{
	__u32 at = end;

	if (cfg->stride)
		at += bpf_get_smp_processor_id() * cfg->stride;
	return bpf_map_lookup_elem(&mux_ends, &at);
}

static __always_inline struct mux_more *mux_more_of(const struct mux_end *end)
{
	__u32 at = end->more - 1;

	return bpf_map_lookup_elem(&mux_more, &at);
}

#endif
