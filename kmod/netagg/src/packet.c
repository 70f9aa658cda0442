// SPDX-License-Identifier: GPL-2.0
/* Reading packets, and giving them other addresses and ports. */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/version.h>
#include <net/addrconf.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/tcp.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#include "netagg_int.h"

/* Where the TCP header of an unfragmented TCP packet is; 0: it is none. */
static unsigned int transport_offset(struct sk_buff *skb, u8 family)
{
	if (family == NFPROTO_IPV4) {
		const struct iphdr *iph;

		if (!pskb_may_pull(skb, sizeof(*iph)))
			return 0;
		iph = ip_hdr(skb);
		if (iph->protocol != IPPROTO_TCP || iph->ihl < 5 ||
		    ip_is_fragment(iph))
			return 0;
		return iph->ihl * 4;
	}
	if (!pskb_may_pull(skb, sizeof(struct ipv6hdr)) ||
	    ipv6_hdr(skb)->nexthdr != IPPROTO_TCP)
		return 0;
	return sizeof(struct ipv6hdr);
}

/* False: not TCP, a fragment, or too short to be told. */
bool netagg_parse(struct sk_buff *skb, u8 family, struct netagg_packet *p)
{
	unsigned int total, header;
	const struct tcphdr *th;

	p->thoff = transport_offset(skb, family);
	if (!p->thoff || !pskb_may_pull(skb, p->thoff + sizeof(*th)))
		return false;
	th = (const struct tcphdr *)(skb_network_header(skb) + p->thoff);
	header = th->doff * 4;
	total = skb->len;
	if (header < sizeof(*th) || total < p->thoff + header)
		return false;
	p->family = family;
	if (family == NFPROTO_IPV4) {
		memset(&p->src, 0, sizeof(p->src));
		memset(&p->dst, 0, sizeof(p->dst));
		p->src.ip = ip_hdr(skb)->saddr;
		p->dst.ip = ip_hdr(skb)->daddr;
	} else {
		p->src.in6 = ipv6_hdr(skb)->saddr;
		p->dst.in6 = ipv6_hdr(skb)->daddr;
	}
	p->sport = th->source;
	p->dport = th->dest;
	p->seq = ntohl(th->seq);
	p->syn = th->syn;
	p->fin = th->fin;
	p->rst = th->rst;
	p->data = total - p->thoff - header;
	p->len = p->data + th->syn + th->fin;
	return true;
}

static void replace_addr(struct sk_buff *skb, u8 family, bool source,
			 __sum16 *check, const union nf_inet_addr *addr)
{
	if (family == NFPROTO_IPV4) {
		struct iphdr *iph = ip_hdr(skb);
		__be32 *field = source ? &iph->saddr : &iph->daddr;

		inet_proto_csum_replace4(check, skb, *field, addr->ip, true);
		csum_replace4(&iph->check, *field, addr->ip);
		*field = addr->ip;
	} else {
		struct ipv6hdr *ip6h = ipv6_hdr(skb);
		struct in6_addr *field = source ? &ip6h->saddr : &ip6h->daddr;

		inet_proto_csum_replace16(check, skb, field->s6_addr32,
					  addr->in6.s6_addr32, true);
		*field = addr->in6;
	}
}

/*
 * Gives a packet another source or destination. The checksum functions know
 * all states: partial (this host's own), complete, unnecessary and none.
 * False: there was no memory; the packet is as it was.
 */
bool netagg_rewrite(struct sk_buff *skb, const struct netagg_packet *p,
		    bool source, const union nf_inet_addr *addr, __be16 port)
{
	struct tcphdr *th;
	__be16 *field;

	if (skb_ensure_writable(skb, p->thoff + sizeof(*th)))
		return false;
	th = (struct tcphdr *)(skb_network_header(skb) + p->thoff);
	replace_addr(skb, p->family, source, &th->check, addr);
	field = source ? &th->source : &th->dest;
	if (*field != port) {
		inet_proto_csum_replace2(&th->check, skb, *field, port, false);
		*field = port;
	}
	return true;
}

/* Lowers the MSS option of a SYN. False: there was no memory. */
bool netagg_clamp_mss(struct sk_buff *skb, const struct netagg_packet *p,
		      u16 mss)
{
	unsigned int header, i;
	struct tcphdr *th;
	u8 *opt;

	th = (struct tcphdr *)(skb_network_header(skb) + p->thoff);
	header = th->doff * 4;
	if (skb_ensure_writable(skb, p->thoff + header))
		return false;
	th = (struct tcphdr *)(skb_network_header(skb) + p->thoff);
	opt = (u8 *)th;
	for (i = sizeof(*th); i + 1 < header;) {
		if (opt[i] == TCPOPT_EOL)
			break;
		if (opt[i] == TCPOPT_NOP) {
			i++;
			continue;
		}
		if (opt[i + 1] < 2 || i + opt[i + 1] > header)
			break;
		if (opt[i] == TCPOPT_MSS && opt[i + 1] == TCPOLEN_MSS) {
			u16 old = get_unaligned_be16(opt + i + 2);

			if (old > mss) {
				put_unaligned_be16(mss, opt + i + 2);
				/* At an odd offset the sum has it swapped. */
				if (i & 1)
					inet_proto_csum_replace2(&th->check,
						skb, htons(swab16(old)),
						htons(swab16(mss)), false);
				else
					inet_proto_csum_replace2(&th->check,
						skb, htons(old), htons(mss),
						false);
			}
			break;
		}
		i += opt[i + 1];
	}
	return true;
}

/* What is on its way to another host is not ours to change. */
bool netagg_is_ours(struct net *net, u8 family,
		    const union nf_inet_addr *addr)
{
	if (family == NFPROTO_IPV4)
		return inet_addr_type(net, addr->ip) == RTN_LOCAL;
#if IS_ENABLED(CONFIG_IPV6)
	return ipv6_chk_addr(net, &addr->in6, NULL, 0);
#else
	return false;
#endif
}

/* The rule and path of a packet that an ICMP error quotes. */
static struct netagg_path *quoted_path(struct netagg_net *nn, u8 family,
				       const union nf_inet_addr *src,
				       __be16 sport,
				       const union nf_inet_addr *dst,
				       __be16 dport, bool *source)
{
	struct netagg_path *path;

	*source = false;
	path = netagg_end_find(nn, NETAGG_ROLE_SENDER, family, dst, dport);
	if (path)
		return path;
	*source = true;
	return netagg_end_find(nn, NETAGG_ROLE_RECEIVER, family, src, sport);
}

static bool map_icmp4(struct netagg_net *nn, struct sk_buff *skb)
{
	unsigned int at = ip_hdrlen(skb), inner, end;
	union nf_inet_addr src = {}, dst = {};
	struct netagg_path *path, *primary;
	struct icmphdr *icmph;
	struct iphdr *iph;
	__be16 *ports, *port;
	bool source;

	if (ip_is_fragment(ip_hdr(skb)) ||
	    !pskb_may_pull(skb, at + sizeof(*icmph) + sizeof(*iph) + 8))
		return false;
	icmph = (struct icmphdr *)(skb_network_header(skb) + at);
	if (icmph->type != ICMP_DEST_UNREACH &&
	    icmph->type != ICMP_TIME_EXCEEDED &&
	    icmph->type != ICMP_PARAMETERPROB)
		return false;
	inner = at + sizeof(*icmph);
	iph = (struct iphdr *)(skb_network_header(skb) + inner);
	if (iph->version != 4 || iph->ihl < 5 || iph->protocol != IPPROTO_TCP ||
	    (iph->frag_off & htons(IP_OFFSET)))
		return false;
	end = inner + iph->ihl * 4 + 8;
	if (!pskb_may_pull(skb, end))
		return false;
	iph = (struct iphdr *)(skb_network_header(skb) + inner);
	ports = (__be16 *)((u8 *)iph + iph->ihl * 4);
	src.ip = ip_hdr(skb)->daddr;
	if (!netagg_is_ours(nn->net, NFPROTO_IPV4, &src))
		return false;
	src.ip = iph->saddr;
	dst.ip = iph->daddr;
	path = quoted_path(nn, NFPROTO_IPV4, &src, ports[0], &dst, ports[1],
			   &source);
	if (!path || path->index == 0)
		return path != NULL;
	if (skb_ensure_writable(skb, end))
		return false;
	primary = &path->rule->path[0];
	icmph = (struct icmphdr *)(skb_network_header(skb) + at);
	iph = (struct iphdr *)(skb_network_header(skb) + inner);
	ports = (__be16 *)((u8 *)iph + iph->ihl * 4);
	port = &ports[source ? 0 : 1];
	/* The quoted header's own sum makes up for the address. */
	csum_replace4(&iph->check, source ? iph->saddr : iph->daddr,
		      primary->addr.ip);
	*(source ? &iph->saddr : &iph->daddr) = primary->addr.ip;
	csum_replace2(&icmph->checksum, *port, primary->port);
	*port = primary->port;
	atomic64_inc(&path->rule->icmp);
	return true;
}

static bool map_icmp6(struct netagg_net *nn, struct sk_buff *skb)
{
	const unsigned int at = sizeof(struct ipv6hdr);
	const unsigned int inner = at + sizeof(struct icmp6hdr);
	const unsigned int end = inner + sizeof(struct ipv6hdr) + 8;
	struct netagg_path *path, *primary;
	union nf_inet_addr src, dst;
	struct icmp6hdr *icmph;
	struct in6_addr *field;
	struct ipv6hdr *ip6h;
	__be16 *ports, *port;
	bool source;

	if (!pskb_may_pull(skb, end))
		return false;
	icmph = (struct icmp6hdr *)(skb_network_header(skb) + at);
	ip6h = (struct ipv6hdr *)(skb_network_header(skb) + inner);
	if (icmph->icmp6_type & ICMPV6_INFOMSG_MASK ||
	    ip6h->nexthdr != IPPROTO_TCP)
		return false;
	ports = (__be16 *)(ip6h + 1);
	src.in6 = ipv6_hdr(skb)->daddr;
	if (!netagg_is_ours(nn->net, NFPROTO_IPV6, &src))
		return false;
	src.in6 = ip6h->saddr;
	dst.in6 = ip6h->daddr;
	path = quoted_path(nn, NFPROTO_IPV6, &src, ports[0], &dst, ports[1],
			   &source);
	if (!path || path->index == 0)
		return path != NULL;
	if (skb_ensure_writable(skb, end))
		return false;
	primary = &path->rule->path[0];
	icmph = (struct icmp6hdr *)(skb_network_header(skb) + at);
	ip6h = (struct ipv6hdr *)(skb_network_header(skb) + inner);
	field = source ? &ip6h->saddr : &ip6h->daddr;
	ports = (__be16 *)(ip6h + 1);
	port = &ports[source ? 0 : 1];
	inet_proto_csum_replace16(&icmph->icmp6_cksum, skb, field->s6_addr32,
				  primary->addr.in6.s6_addr32, false);
	*field = primary->addr.in6;
	csum_replace2(&icmph->icmp6_cksum, *port, primary->port);
	*port = primary->port;
	atomic64_inc(&path->rule->icmp);
	return true;
}

/*
 * An ICMP error about a packet of another path than the primary one quotes
 * addresses that no socket has: they become the primary path's. True: the
 * error was about one of the rules.
 */
bool netagg_map_icmp(struct netagg_net *nn, struct sk_buff *skb, u8 family)
{
	if (family == NFPROTO_IPV4)
		return pskb_may_pull(skb, sizeof(struct iphdr)) &&
		       ip_hdr(skb)->protocol == IPPROTO_ICMP &&
		       map_icmp4(nn, skb);
	return pskb_may_pull(skb, sizeof(struct ipv6hdr)) &&
	       ipv6_hdr(skb)->nexthdr == IPPROTO_ICMPV6 && map_icmp6(nn, skb);
}
