/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the bridge and whoever fills its maps must agree on. Includes nothing but
 * <linux/types.h>, so that user space can use it as is. Integers are in host
 * order.
 */
#ifndef XDP_BRIDGE_H
#define XDP_BRIDGE_H

#include <linux/types.h>

#define BRIDGE_QUEUED	(1 << 0)  /* IP goes through the other side's qdisc */

/* bridge_ports: where frames go that come in at an interface. */
struct bridge_port {
	__u32	other;		/* interface number of the other side */
	__u32	flags;
};

/* bridge_stats: what became of the frames that came in at an interface. */
struct bridge_stat {
	__u64	redirected_packets;	/* straight out, past the qdisc */
	__u64	redirected_bytes;
	__u64	queued_packets;		/* through the other side's qdisc */
	__u64	queued_bytes;
};

#endif
