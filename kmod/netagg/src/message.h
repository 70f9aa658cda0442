/* SPDX-License-Identifier: GPL-2.0 */
/* What the modules of both ends say to each other, over UDP. */
#ifndef _NETAGG_MESSAGE_H
#define _NETAGG_MESSAGE_H

#include <linux/types.h>

#include "../netagg.h"

#define NETAGG_MAGIC	0x4e414747	/* NAGG */

enum netagg_message_type {
	NETAGG_PROBE = 1,	/* a sender's, over every path */
	NETAGG_REPLY,		/* the receiver's, over the path it came on */
	NETAGG_DATA,		/* an IP packet follows */
	NETAGG_REPORT,		/* the receiver's, of paths that fell silent */
};

#define NETAGG_MSG_IDLE	0x01	/* probes come slowly just now */

/* An age is in units of 4 ms; this says longer, or never. */
#define NETAGG_AGE_US	4000
#define NETAGG_AGE_MAX	0xff

/* Every message starts so; a packet follows at once where it is data. */
struct netagg_head {
	__be32 magic;
	u8 type;
	u8 index;	/* the path */
	u8 best;	/* the path that what must arrive should take */
	u8 flags;
};

/*
 * A probe or its reply. Behind it are the addresses of the sender's
 * connections and of the rule's primary path, 4 or 16 bytes each.
 */
struct netagg_message {
	struct netagg_head head;
	__be32 cookie;		/* of the sender's rule, sent back */
	__be32 seq;		/* of this path's probes, sent back */
	__be32 sent_us;		/* this end's clock */
	__be32 echo_us;		/* a reply's: sent_us of the probe */
	__be16 port;		/* of the primary path */
	__be16 reserved;
	/* How long ago this end last heard the other on each path. */
	u8 age[NETAGG_MAX_PATHS];
};

#endif /* _NETAGG_MESSAGE_H */
