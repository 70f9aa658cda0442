/* SPDX-License-Identifier: GPL-2.0 */
/* Putting an outer header in front of a packet. */
#ifndef MUX_ENCAP_H
#define MUX_ENCAP_H

#include "count.h"
#include "fill.h"
#include "icmp.h"
#include "route.h"

#define MUX_ETH_P_TEB	0x6558
#define MUX_GRE_CSUM	0x8000
#define MUX_GRE_KEY	0x2000

/* The same packet, seen by the functions that write the outer header. */
struct mux_outer {
	__u32	l4;		/* bytes between the outer IP header and the payload */
	__u32	options;	/* of them Geneve options */
	__u32	total;		/* of the outer IP packet */
	__u32	tos;
	__u32	ttl;
	__u32	hash;
	__u64	macs;		/* outer destination MAC, first half of the source */
	__u32	macs_end;
	__be16	type;		/* of the payload, as an EtherType */
};

static __always_inline __u32 mux_l4_len(const __u32 protocol, __u32 flags)
{
	if (protocol == MUX_GENEVE || protocol == MUX_VXLAN)
		return 16;
	if (protocol == MUX_GRE)
		return 4 + (flags & MUX_KEY ? 4 : 0) + (flags & MUX_CSUM ? 4 : 0);
	return 0;
}

/* The header behind the outer IP header, its checksum still zero. */
static __always_inline void
mux_write_l4(__u32 *word, const struct mux_end *end, const struct mux_outer *o,
	     const __u32 protocol, const __u32 ip_len)
{
	__u32 sport = end->sport;

	if (protocol == MUX_GRE) {
		word[0] = bpf_htons((end->flags & MUX_KEY ? MUX_GRE_KEY : 0) |
				    (end->flags & MUX_CSUM ? MUX_GRE_CSUM : 0)) |
			  o->type << 16;
		if (end->flags & MUX_CSUM)
			*++word = 0;
		if (end->flags & MUX_KEY)
			*++word = bpf_htonl(end->vni);
		return;
	}
	if (!sport)
		sport = bpf_htons(0xc000 | o->hash >> 18);
	word[0] = sport | end->dport << 16;
	word[1] = bpf_htons(o->total - ip_len);
	if (protocol == MUX_GENEVE)
		word[2] = o->options >> 2 | o->type << 16;
	else
		word[2] = 0x08;
	word[3] = bpf_htonl(end->vni << 8);
}

static __always_inline __u32 mux_ip_protocol(const __u32 protocol, __be16 type)
{
	if (protocol == MUX_GRE)
		return IPPROTO_GRE;
	if (protocol == MUX_IPIP)
		return type == bpf_htons(ETH_P_IPV6) ? IPPROTO_IPV6 : IPPROTO_IPIP;
	return IPPROTO_UDP;
}

/*
 * The IPv4 header. The identification is 0 where the packet cannot be
 * fragmented (RFC 6864), else counts the tunnel's packets; CPUs with lines of
 * their own take turns.
 */
static __always_inline void
mux_write_v4(__u32 *word, const struct mux_port *port, const struct mux_end *end,
	     const struct mux_packet *p, const struct mux_outer *o, __u32 proto)
{
	__u32 frag = 0, id = 0, w0, w1, w2;

	if (end->flags & MUX_DF || (end->flags & MUX_DF_INHERIT && p->df)) {
		frag = bpf_htons(MUX_DONT_FRAG);
	} else {
		id = end->packets;
		if (port->stride)
			id = id * port->cpus + bpf_get_smp_processor_id();
		id = bpf_htons((__u16)id);
	}
	w0 = 0x45 | o->tos << 8 | bpf_htons((__u16)o->total) << 16;
	w1 = id | frag << 16;
	w2 = o->ttl | proto << 8;
	w2 |= (__u32)(__u16)~mux_fold((__u64)w0 + w1 + w2 + end->local +
				      end->remote) << 16;
	word[0] = w0;
	word[1] = w1;
	word[2] = w2;
	word[3] = end->local;
	word[4] = end->remote;
}

/* The IPv6 header; its flow label spreads tunnels without ports (RFC 6438). */
static __always_inline void
mux_write_v6(__u32 *word, const struct mux_hop *hop, const struct mux_outer *o,
	     __u32 proto)
{
	word[0] = bpf_htonl(6u << 28 | o->tos << 20 | (o->hash >> 12));
	word[1] = bpf_htons((__u16)(o->total - 40)) | proto << 16 | o->ttl << 24;
	__builtin_memcpy(word + 2, hop->local, 32);
}

/*
 * Fills in the checksum of the UDP or GRE header at off, l4_len bytes long with
 * what follows it. GRE has no pseudo header (RFC 2784).
 */
__noinline int
mux_fill_csum(struct xdp_md *ctx, __u32 off, __u32 l4_len, __u32 udp)
{
	void *data, *data_end;
	__s64 part = mux_sum(ctx, off, l4_len);
	__u64 sum = part;
	__u16 csum;
	__u32 i, *at;

	if (part < 0)
		return -1;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (off != 34 && off != 54)
		return -1;
	if (data + off + 8 > data_end)
		return -1;
	if (!udp) {
		*(__u16 *)(data + off + 4) = ~mux_fold(sum);
		return 0;
	}
	if (off == 34) {
		at = data + 26;
		sum += (__u64)at[0] + at[1];
	} else {
		at = data + 22;
		for (i = 0; i < 8; i++)
			sum += at[i];
	}
	sum += bpf_htons(IPPROTO_UDP) + bpf_htons((__u16)l4_len);
	csum = ~mux_fold(sum);
	*(__u16 *)(data + off + 6) = csum ? csum : 0xffff;
	return 0;
}

/* Geneve options behind the base header, word by word. */
__noinline int
mux_write_options(struct xdp_md *ctx, __u32 more_at, __u32 off, __u32 len)
{
	const struct mux_more *more = bpf_map_lookup_elem(&mux_more, &more_at);
	void *data_end = (void *)(long)ctx->data_end;
	void *data = (void *)(long)ctx->data;
	__u32 i, *word;

	if (!more || off > 128)
		return -1;
	for (i = 0; i < MUX_OPTIONS_MAX; i += 4) {
		if (i >= len)
			return 0;
		word = MUX_AT(data, off + i, 0xff);
		if ((void *)(word + 1) > data_end)
			return -1;
		*word = *(__u32 *)(more->options + i);
	}
	return 0;
}

/* The inner MACs are set while they still are the frame's first bytes. */
static __always_inline void
mux_write_inner_macs(void *data, const struct mux_more *more, __u32 flags)
{
	if (flags & MUX_DMAC) {
		*(__u32 *)data = *(__u32 *)more->dmac;
		*(__u16 *)(data + 4) = *(__u16 *)(more->dmac + 4);
	}
	if (flags & MUX_SMAC) {
		*(__u16 *)(data + 6) = *(__u16 *)more->smac;
		*(__u32 *)(data + 8) = *(__u32 *)(more->smac + 2);
	}
}

static __always_inline int
mux_too_big(struct xdp_md *ctx, const struct mux_port *port, struct mux_packet *p,
	    __u32 id, __u32 flags, __s32 mtu)
{
	int rc = -1;

	if (mtu >= 68 && p->l3_len)
		rc = p->v6 ? mux_too_big_v6(ctx, p->l3, mtu, p->len)
			   : mux_too_big_v4(ctx, port->addr4, p->l3, mtu, p->len);
	if (rc)
		return MUX_DROP(ctx, id, MUX_R_TOO_BIG, flags);
	mux_stat(MUX_R_ICMP_SENT, XDP_TX, p->len);
	if (flags & MUX_DEBUG)
		mux_report(ctx, id, MUX_R_ICMP_SENT, XDP_TX);
	return XDP_TX;
}

/* Which of the tunnel's payload: the frame, or the IP packet in it. */
static __always_inline int
mux_measure(struct mux_outer *o, const struct mux_packet *p, __u32 l3, __u32 headers)
{
	o->type = bpf_htons(MUX_ETH_P_TEB);
	o->total = headers + p->len;
	if (!l3)
		return 0;
	if (!p->l3_len)
		return -1;
	o->type = p->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	o->total = headers + p->l3_len;
	return 0;
}

/*
 * Everything is decided before the first byte is changed. v6 and protocol are
 * constants: each of the eight headers is code of its own, at fixed offsets.
 */
static __always_inline int
mux_push_ip(struct xdp_md *ctx, const struct mux_port *port, struct mux_end *end,
	    __u32 id, struct mux_packet *p, const __u32 v6, const __u32 protocol)
{
	const __u32 ip_len = v6 ? 40 : 20;
	const __u32 udp = protocol == MUX_GENEVE || protocol == MUX_VXLAN;
	__u32 flags = end->flags, l3 = flags & MUX_L3 || protocol == MUX_IPIP;
	void *data = (void *)(long)ctx->data, *data_end;
	struct mux_more *more = NULL;
	struct mux_outer o = {};
	struct mux_hop *hop;
	__u32 proto;
	int rc;

	hop = mux_hop_of(end);
	o.l4 = mux_l4_len(protocol, flags);
	if (flags & (MUX_OPTIONS | MUX_DMAC | MUX_SMAC)) {
		more = mux_more_of(end);
		if (!more)
			return MUX_DROP(ctx, id, MUX_R_NO_END, flags);
		if (protocol == MUX_GENEVE && flags & MUX_OPTIONS) {
			o.options = more->options_len & 0x7c;
			if (o.options > MUX_OPTIONS_MAX)
				o.options = MUX_OPTIONS_MAX;
			o.l4 += o.options;
		}
	}
	if (!hop || (v6 && !end->hop))
		return MUX_DROP(ctx, id, MUX_R_NO_END, flags);
	if (mux_measure(&o, p, l3, ip_len + o.l4))
		return MUX_DROP(ctx, id, MUX_R_NOT_L3, flags);
	if (o.total > (end->mtu ? end->mtu : 0xffff))
		return mux_too_big(ctx, port, p, id, flags,
				   end->mtu - ip_len - o.l4 - (l3 ? 0 : p->l3));
	o.ttl = end->ttl ? end->ttl : p->ttl;
	if (!o.ttl)
		return MUX_DROP(ctx, id, MUX_R_TTL, flags);
	o.tos = p->tos;
	if (flags & MUX_DSCP)
		o.tos = (end->tos & 0xfc) | (p->tos & 3);
	if (flags & MUX_ECN_COMPAT)
		o.tos &= 0xfc;
	o.hash = mux_flow_hash(p);
	if (end->hop && mux_needs_route(hop)) {
		rc = mux_way(ctx, end->hop, flags, port->flags);
		if (rc < 0)
			return MUX_DROP(ctx, id, -rc, flags);
		flags = rc;
	}
	if (flags & MUX_REDIRECT) {
		rc = mux_leave(ctx, hop->egress, port->flags, p->l3_len ? p->l3 : 0, p->v6);
		if (rc)
			return MUX_DROP(ctx, id, rc, flags);
		data = (void *)(long)ctx->data;
	}

	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) > data_end)
		return mux_stat(MUX_R_SHORT, XDP_PASS, p->len);
	o.macs = *(__u64 *)hop->dmac;
	o.macs_end = *(__u32 *)(hop->smac + 2);
	if (!end->hop || flags & MUX_OWN_MACS) {
		/* none given: the frame is already addressed to who forwards it */
		o.macs = *(__u64 *)data;
		o.macs_end = *(__u32 *)(data + 8);
	}
	if (more && !l3)
		mux_write_inner_macs(data, more, flags);

	if (bpf_xdp_adjust_head(ctx, (l3 ? (int)p->l3 : 0) -
				(int)(sizeof(struct ethhdr) + ip_len + o.l4)))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + sizeof(struct ethhdr) + ip_len + 16 > data_end)
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	*(__u64 *)data = o.macs;
	*(__u32 *)(data + 8) = o.macs_end;
	*(__u16 *)(data + 12) = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	proto = mux_ip_protocol(protocol, o.type);
	if (v6)
		mux_write_v6(data + sizeof(struct ethhdr), hop, &o, proto);
	else
		mux_write_v4(data + sizeof(struct ethhdr), port, end, p, &o, proto);
	if (protocol != MUX_IPIP)
		mux_write_l4(data + sizeof(struct ethhdr) + ip_len, end, &o,
			     protocol, ip_len);
	if (o.options && mux_write_options(ctx, end->more, sizeof(struct ethhdr) +
					   ip_len + 16, o.options))
		return MUX_DROP(ctx, id, MUX_R_HEADROOM, flags);
	if ((udp && v6 && !(flags & MUX_CSUM_ZERO)) ||
	    (!(udp && v6) && protocol != MUX_IPIP && flags & MUX_CSUM)) {
		if (mux_fill_csum(ctx, sizeof(struct ethhdr) + ip_len,
				  o.total - ip_len, udp))
			return MUX_DROP(ctx, id, MUX_R_TOO_BIG, flags);
	}
	return mux_sent(ctx, port, end, id, MUX_R_PUSH_REDIRECT, flags, p->len);
}

#endif
