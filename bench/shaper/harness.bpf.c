// SPDX-License-Identifier: GPL-2.0
/*
 * Times the classifier: each call of the target is followed by another
 * subscriber's address.
 */
#define SHAPER_NO_PROGRAMS
#include "../../bpf/shaper/classify.bpf.c"
#include "../support/harness.bpf.h"

__noinline int target_empty(struct __sk_buff *skb)
{
	return skb->mark ? TC_ACT_OK : TC_ACT_UNSPEC;
}

__noinline int target_download(struct __sk_buff *skb)
{
	return shaper_run(skb, 0);
}

/*
 * What it is compared with. First a trie for everything, hosts included, as
 * LibreQoS has it: IPv4 addresses mapped into the IPv6 ones.
 */
SHAPER_MAP(trie, BPF_MAP_TYPE_LPM_TRIE, struct shaper_net6, SHAPER_HOSTS);

/* Then an open-addressing table in an array, which is searched without a helper. */
struct line {
	struct in6_addr addr;
	struct shaper_class class;
	__u32 used;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct line);
} table SEC(".maps");

volatile const __u32 table_mask = 0;

/* The address it is found by, the other family's mapped. */
static __always_inline int address_of(struct __sk_buff *skb, struct in6_addr *addr)
{
	void *data_end = (void *)(long)skb->data_end;
	void *data = (void *)(long)skb->data;
	const struct ethhdr *eth = data;
	const struct ipv6hdr *v6 = (const void *)(eth + 1);
	const struct iphdr *v4 = (const void *)(eth + 1);

	if ((void *)(v4 + 1) > data_end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		addr->s6_addr32[0] = addr->s6_addr32[1] = addr->s6_addr32[2] = -1;
		addr->s6_addr32[3] = v4->daddr;
		return 1;
	}
	if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(v6 + 1) > data_end)
		return 0;
	*addr = v6->daddr;
	return 1;
}

__noinline int target_trie(struct __sk_buff *skb)
{
	struct shaper_net6 net = { .prefixlen = 128 };
	const struct shaper_class *class;

	if (!address_of(skb, (void *)net.addr))
		return TC_ACT_OK;
	class = bpf_map_lookup_elem(&trie, &net);
	if (!class)
		return TC_ACT_OK;
	skb->priority = class->download;
	return TC_ACT_UNSPEC;
}

__noinline int target_table(struct __sk_buff *skb)
{
	struct in6_addr addr;
	const struct line *line;
	__u64 h;
	__u32 i, at;

	if (!address_of(skb, &addr))
		return TC_ACT_OK;
	h = ((__u64)addr.s6_addr32[1] << 32 | addr.s6_addr32[3]) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull >> 32;
	for (i = 0; i < 16; i++) {
		at = (h + i) & table_mask;
		line = bpf_map_lookup_elem(&table, &at);
		if (!line || !line->used)
			return TC_ACT_OK;
		if (line->addr.s6_addr32[3] == addr.s6_addr32[3] &&
		    line->addr.s6_addr32[2] == addr.s6_addr32[2] &&
		    line->addr.s6_addr32[1] == addr.s6_addr32[1] &&
		    line->addr.s6_addr32[0] == addr.s6_addr32[0]) {
			skb->priority = line->class.download;
			return TC_ACT_UNSPEC;
		}
	}
	return TC_ACT_OK;
}

enum { EMPTY, DOWNLOAD, TRIE, TABLE };

static __always_inline int loop(struct __sk_buff *skb, const int what)
{
	__u32 zero = 0, i, verdict;
	struct bench *b = bpf_map_lookup_elem(&bench, &zero);
	void *data, *data_end;

	if (!b)
		return TC_ACT_SHOT;
	for (i = 0; i < CALLS; i++) {
		if (what == DOWNLOAD)
			verdict = target_download(skb);
		else if (what == TRIE)
			verdict = target_trie(skb);
		else if (what == TABLE)
			verdict = target_table(skb);
		else
			verdict = target_empty(skb);
		b->verdicts[verdict & 7]++;
		data = (void *)(long)skb->data;
		data_end = (void *)(long)skb->data_end;
		if (data + 54 > data_end)
			return TC_ACT_SHOT;
		/* the last word of an IPv4 destination, the second of an IPv6 one */
		if (*(__be16 *)(data + 12) == bpf_htons(ETH_P_IP))
			*(__u32 *)(data + 30) = bpf_htonl(0x0a000000 + next(b));
		else
			*(__u32 *)(data + 42) = bpf_htonl(next(b));
	}
	return TC_ACT_OK;
}

#define BENCH(name, what)				\
SEC("tc")						\
int bench_##name(struct __sk_buff *skb)			\
{							\
	return loop(skb, what);				\
}							\
							\
/* One call, to look at before anything is timed. */	\
SEC("tc")						\
int once_##name(struct __sk_buff *skb)			\
{							\
	return target_##name(skb);			\
}

BENCH(empty, EMPTY)
BENCH(download, DOWNLOAD)
BENCH(trie, TRIE)
BENCH(table, TABLE)

char _license[] SEC("license") = "GPL";
