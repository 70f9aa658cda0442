/* SPDX-License-Identifier: GPL-2.0 */
/* The maps, and how they are searched. */
#ifndef SHAPER_TABLES_H
#define SHAPER_TABLES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <linux/in6.h>
#include "shaper.h"

/* Sizes of a stand-alone object; load it with others where these do not do. */
#ifndef SHAPER_HOSTS
#define SHAPER_HOSTS	131072
#endif
#ifndef SHAPER_NETS
#define SHAPER_NETS	65536
#endif

/*
 * Not preallocated: a shaper for fifty subscribers then has the memory of fifty
 * entries. An update puts a new element in the old one's place, so a packet
 * sees either the old classes or the new ones, never half of both.
 */
#define SHAPER_MAP(name, map_type, key_type, entries)	\
struct {						\
	__uint(type, map_type);				\
	__uint(max_entries, entries);			\
	__uint(map_flags, BPF_F_NO_PREALLOC);		\
	__type(key, key_type);				\
	__type(value, struct shaper_class);		\
} name SEC(".maps")

SHAPER_MAP(shaper_hosts4, BPF_MAP_TYPE_HASH, __be32, SHAPER_HOSTS);
SHAPER_MAP(shaper_hosts6, BPF_MAP_TYPE_HASH, struct in6_addr, SHAPER_HOSTS);
SHAPER_MAP(shaper_nets4, BPF_MAP_TYPE_LPM_TRIE, struct shaper_net4, SHAPER_NETS);
SHAPER_MAP(shaper_nets6, BPF_MAP_TYPE_LPM_TRIE, struct shaper_net6, SHAPER_NETS);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SHAPER_REASONS);
	__type(key, __u32);
	__type(value, struct shaper_stat);
} shaper_stats SEC(".maps");

/*
 * A host's own entry goes before any prefix that it is in: a trie of a hundred
 * thousand hosts costs some five times what the hash map does.
 */
static __always_inline const struct shaper_class *shaper_find4(__be32 addr)
{
	struct shaper_net4 net = { .prefixlen = 32, .addr = addr };
	const struct shaper_class *class;

	class = bpf_map_lookup_elem(&shaper_hosts4, &addr);
	if (class)
		return class;
	return bpf_map_lookup_elem(&shaper_nets4, &net);
}

static __always_inline const struct shaper_class *
shaper_find6(const struct in6_addr *addr)
{
	struct shaper_net6 net = { .prefixlen = 128 };
	const struct shaper_class *class;

	class = bpf_map_lookup_elem(&shaper_hosts6, addr);
	if (class)
		return class;
	__builtin_memcpy(net.addr, addr, sizeof(net.addr));
	return bpf_map_lookup_elem(&shaper_nets6, &net);
}

static __always_inline void shaper_count(__u32 reason, const struct __sk_buff *skb)
{
	struct shaper_stat *stat = bpf_map_lookup_elem(&shaper_stats, &reason);
	__u32 segments = skb->gso_segs;

	if (!stat)
		return;
	stat->packets += segments ? segments : 1;
	stat->bytes += skb->len;
}

#endif
