/* SPDX-License-Identifier: GPL-2.0 */
/* What is known of a packet once it has been read. */
#ifndef L4LB_PACKET_H
#define L4LB_PACKET_H

#include <linux/types.h>

enum lb_kind {
	LB_SEGMENT,		/* TCP or UDP, with ports */
	LB_FRAGMENT,		/* a later fragment, without */
	LB_ECHO,		/* an echo request */
	LB_ERROR,		/* an ICMP error: addresses and ports are the flow's it is about */
};

struct lb_packet {
	__u32	len;		/* of the frame */
	__u32	l3_len;		/* of the IP packet */
	__u32	l4;		/* offset of what follows the IP header */
	__u32	v6;
	__u32	tos;
	__u32	protocol;
	__u32	ports;		/* source, destination, as they lie in memory */
	__u32	tcp_flags;
	__u32	kind;
	__u32	first;		/* of fragments */
	__u32	id;		/* of fragments */
	__u32	pad;
	__u64	src[2];		/* IPv4 mapped */
	__u64	dst[2];
};

#endif
