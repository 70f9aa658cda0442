// SPDX-License-Identifier: GPL-2.0
/*
 * A wire between two interfaces: whatever comes in at one goes out at the other.
 *
 * A frame that XDP redirects passes no qdisc. So bridge_xdp lets through what is
 * to be shaped, and bridge_tc, on the clsact ingress hook of the same interface,
 * sends it to the other side's egress, where classifier and qdisc have it. None
 * of it reaches the host.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bridge.h"

#ifndef BRIDGE_PORTS
#define BRIDGE_PORTS	64
#endif
#define BRIDGE_TAGS	3

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BRIDGE_PORTS);
	__type(key, __u32);
	__type(value, struct bridge_port);
} bridge_ports SEC(".maps");

/* A port's line is made by its first frame. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, BRIDGE_PORTS);
	__type(key, __u32);
	__type(value, struct bridge_stat);
} bridge_stats SEC(".maps");

struct bridge_vlan {
	__be16	tci;
	__be16	proto;
};

static __always_inline struct bridge_stat *bridge_stat_of(__u32 ifindex)
{
	struct bridge_stat *stat = bpf_map_lookup_elem(&bridge_stats, &ifindex);
	struct bridge_stat zero = {};

	if (stat)
		return stat;
	/* another CPU may have been quicker: then its line is taken */
	bpf_map_update_elem(&bridge_stats, &ifindex, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&bridge_stats, &ifindex);
}

/*
 * Whether the qdisc is to have it: IP, behind any tags. What is cut short within
 * them is left to it as well, which is the slower way and never the wrong one.
 */
static __always_inline int bridge_is_ip(struct xdp_md *ctx)
{
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	const struct ethhdr *eth = data;
	const struct bridge_vlan *tag;
	__be16 proto;
	int i;

	if ((void *)(eth + 1) > data_end)
		return 1;
	proto = eth->h_proto;
	tag = (const void *)(eth + 1);
#pragma unroll
	for (i = 0; i < BRIDGE_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > data_end)
			return 1;
		proto = tag->proto;
		tag++;
	}
	return proto == bpf_htons(ETH_P_IP) || proto == bpf_htons(ETH_P_IPV6);
}

SEC("xdp")
int bridge_xdp(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex;
	const struct bridge_port *port = bpf_map_lookup_elem(&bridge_ports, &ifindex);
	struct bridge_stat *stat;

	if (!port || ((port->flags & BRIDGE_QUEUED) && bridge_is_ip(ctx)))
		return XDP_PASS;
	stat = bridge_stat_of(ifindex);
	if (stat) {
		stat->redirected_packets++;
		stat->redirected_bytes += ctx->data_end - ctx->data;
	}
	return bpf_redirect(port->other, 0);
}

/* Also all there is of the bridge where an interface does not do XDP. */
SEC("tc")
int bridge_tc(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, segments = skb->gso_segs;
	const struct bridge_port *port = bpf_map_lookup_elem(&bridge_ports, &ifindex);
	struct bridge_stat *stat;

	if (!port)
		return TC_ACT_UNSPEC;
	stat = bridge_stat_of(ifindex);
	if (stat) {
		stat->queued_packets += segments ? segments : 1;
		stat->queued_bytes += skb->len;
	}
	return bpf_redirect(port->other, 0);
}

char _license[] SEC("license") = "GPL";
