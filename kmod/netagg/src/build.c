// SPDX-License-Identifier: GPL-2.0
/*
 * The whole module in one translation unit: nearly all of the time that its
 * files would take one by one is spent on the kernel's headers.
 */
#include "main.c"
#include "rule.c"
#include "flow.c"
#include "packet.c"
#include "choose.c"
#include "transmit.c"
#include "receive.c"
#include "resequence.c"
#include "peer.c"
#include "socket.c"
#include "probe.c"
#include "encap.c"
#include "read.c"
#include "netlink.c"
