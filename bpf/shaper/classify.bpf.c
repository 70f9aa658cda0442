// SPDX-License-Identifier: GPL-2.0
/*
 * Finds the HTB class of a packet by its subscriber's address, on the clsact
 * egress hook of the link that is shaped: shape_download on the one towards the
 * subscribers, shape_upload on the one towards the Internet. HTB takes
 * skb->priority for the class when it is the id of one of its leaves.
 *
 * What is nobody's keeps its priority and so falls to the default class. Filters
 * behind these run in either case.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tables.h"

#define SHAPER_TAGS	2	/* VLAN tags in the frame: one more may be beside it */

struct shaper_vlan {
	__be16	tci;
	__be16	proto;
};

#define SHAPER_HEADERS	(sizeof(struct ethhdr) + \
			 SHAPER_TAGS * sizeof(struct shaper_vlan) + \
			 sizeof(struct ipv6hdr))

/*
 * The class of the packet whose network header begins at data, NULL when it is
 * nobody's. Sets *ip when it is IP at all. Only addresses are read, which every
 * fragment has.
 */
static __always_inline const struct shaper_class *
shaper_find(void *data, void *data_end, __be16 proto, const int upload, int *ip)
{
	if (proto == bpf_htons(ETH_P_IP)) {
		const struct iphdr *v4 = data;

		if ((void *)(v4 + 1) > data_end || v4->version != 4)
			return NULL;
		*ip = 1;
		return shaper_find4(upload ? v4->saddr : v4->daddr);
	}
	if (proto == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *v6 = data;
		struct in6_addr addr;

		if ((void *)(v6 + 1) > data_end || v6->version != 6)
			return NULL;
		*ip = 1;
		addr = upload ? v6->saddr : v6->daddr;
		return shaper_find6(&addr);
	}
	return NULL;
}

static __always_inline const struct shaper_class *
shaper_parse(struct __sk_buff *skb, const int upload, int *ip)
{
	void *data_end = (void *)(long)skb->data_end;
	void *data = (void *)(long)skb->data;
	const struct shaper_vlan *tag;
	const struct ethhdr *eth;
	__be16 proto;
	int i;

	/* drivers may leave headers in fragments, but seldom do */
	if (data + SHAPER_HEADERS > data_end && skb->len > data_end - data) {
		bpf_skb_pull_data(skb, skb->len < SHAPER_HEADERS ? skb->len : SHAPER_HEADERS);
		data_end = (void *)(long)skb->data_end;
		data = (void *)(long)skb->data;
	}
	eth = data;
	if ((void *)(eth + 1) > data_end)
		return NULL;
	proto = eth->h_proto;
	data = (void *)(eth + 1);
#pragma unroll
	for (i = 0; i < SHAPER_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		tag = data;
		if ((void *)(tag + 1) > data_end)
			return NULL;
		proto = tag->proto;
		data = (void *)(tag + 1);
	}
	return shaper_find(data, data_end, proto, upload, ip);
}

static __always_inline int shaper_run(struct __sk_buff *skb, const int upload)
{
	const struct shaper_class *class;
	__u32 id = 0;
	int ip = 0;

	class = shaper_parse(skb, upload, &ip);
	if (class)
		id = upload ? class->upload : class->download;
	if (id)
		skb->priority = id;
	else
		shaper_count((ip ? SHAPER_DOWNLOAD_UNKNOWN : SHAPER_DOWNLOAD_NOT_IP) + upload, skb);
	return TC_ACT_UNSPEC;
}

#ifndef SHAPER_NO_PROGRAMS
SEC("tc")
int shape_download(struct __sk_buff *skb)
{
	return shaper_run(skb, 0);
}

SEC("tc")
int shape_upload(struct __sk_buff *skb)
{
	return shaper_run(skb, 1);
}

char _license[] SEC("license") = "GPL";
#endif
