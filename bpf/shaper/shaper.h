/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the classifier and whoever fills its maps must agree on. Includes
 * nothing but <linux/types.h>, so that user space can use it as is.
 *
 * Integers are in host order unless typed __be32.
 */
#ifndef SHAPER_H
#define SHAPER_H

#include <linux/types.h>

/*
 * The classes of a subscriber as HTB writes them, major << 16 | minor: 1:1001
 * is 0x00011001. 0 leaves that direction to the qdisc's default class.
 */
struct shaper_class {
	__u32	download;	/* found by destination address */
	__u32	upload;		/* found by source address */
};

/* Keys of the hash maps are the address alone, 4 or 16 bytes in network order. */

struct shaper_net4 {
	__u32	prefixlen;
	__be32	addr;
};

struct shaper_net6 {
	__u32	prefixlen;
	__u8	addr[16];
};

/* Indices of shaper_stats: what was left to the default class, and why. */
enum shaper_reason {
	SHAPER_DOWNLOAD_UNKNOWN,	/* no address or prefix of ours */
	SHAPER_UPLOAD_UNKNOWN,
	SHAPER_DOWNLOAD_NOT_IP,		/* ARP and the like, or cut short */
	SHAPER_UPLOAD_NOT_IP,
	SHAPER_REASONS,
};

struct shaper_stat {
	__u64	packets;	/* as they leave the device: segments of a GSO packet */
	__u64	bytes;
};

#endif
