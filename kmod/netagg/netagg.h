/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The generic netlink interface of netagg: one TCP connection over several
 * paths. Everything here is kept: a number is never given another meaning.
 *
 * Addresses and ports are in network byte order; all other numbers are in
 * the byte order of the host. Every command needs CAP_NET_ADMIN in the user
 * namespace that owns the network namespace of the socket, and acts on that
 * network namespace alone.
 */
#ifndef _UAPI_NETAGG_H
#define _UAPI_NETAGG_H

#define NETAGG_GENL_NAME	"netagg"
#define NETAGG_GENL_VERSION	1
#define NETAGG_MCGRP_EVENTS	"events"

/* Fewest and most paths of a rule. Path 0 is the primary one. */
#define NETAGG_MIN_PATHS	2
#define NETAGG_MAX_PATHS	8
#define NETAGG_MAX_RULES	1024
#define NETAGG_MAX_WEIGHT	1000000

/* UDP port of probes and of encapsulated packets unless a rule has its own. */
#define NETAGG_PROBE_PORT	7481

/**
 * enum netagg_cmd - commands of the family
 * @NETAGG_CMD_RULE_ADD: add a rule. With NLM_F_REPLACE in the header, put it
 *	in the place of the rule with the same role and primary path, which
 *	must exist: weights and options change, the flows stay. -EEXIST where
 *	a path belongs to another rule of the role.
 * @NETAGG_CMD_RULE_DEL: delete the rule of %NETAGG_A_ROLE and the primary
 *	path in %NETAGG_A_PATHS (its other paths are not looked at).
 *	-ENOENT where there is none.
 * @NETAGG_CMD_RULE_GET: dump all rules, with their statistics.
 * @NETAGG_CMD_RULE_FLUSH: delete all rules; those of %NETAGG_A_ROLE alone
 *	where it is given. There being none is no error.
 * @NETAGG_CMD_EVENT: sent to the group "events": see %NETAGG_A_EVENT.
 */
enum netagg_cmd {
	NETAGG_CMD_UNSPEC,
	NETAGG_CMD_RULE_ADD,
	NETAGG_CMD_RULE_DEL,
	NETAGG_CMD_RULE_GET,
	NETAGG_CMD_RULE_FLUSH,
	NETAGG_CMD_EVENT,
	__NETAGG_CMD_MAX,
};
#define NETAGG_CMD_MAX	(__NETAGG_CMD_MAX - 1)

enum netagg_role {
	NETAGG_ROLE_UNSPEC,
	NETAGG_ROLE_SENDER,	/* the end that connects */
	NETAGG_ROLE_RECEIVER,	/* the end that has the addresses */
	__NETAGG_ROLE_MAX,
};
#define NETAGG_ROLE_MAX	(__NETAGG_ROLE_MAX - 1)

enum netagg_mode {
	NETAGG_MODE_PACKET,	/* each packet on the path that is due */
	NETAGG_MODE_FLOWLET,	/* a path is left only after a pause */
	__NETAGG_MODE_MAX,
};
#define NETAGG_MODE_MAX	(__NETAGG_MODE_MAX - 1)

/* The weights follow what the paths turn out to carry. */
#define NETAGG_F_ADAPT	(1U << 0)
/* Packets travel inside UDP, past NAT and stateful firewalls. */
#define NETAGG_F_ENCAP	(1U << 1)
#define NETAGG_F_ALL	(NETAGG_F_ADAPT | NETAGG_F_ENCAP)

enum netagg_event {
	NETAGG_EVENT_UNSPEC,
	NETAGG_EVENT_RULE_ADDED,
	NETAGG_EVENT_RULE_DELETED,
	NETAGG_EVENT_PATH_UP,
	NETAGG_EVENT_PATH_DOWN,
};

/**
 * enum netagg_attr - attributes of a rule
 * @NETAGG_A_ROLE: u8, &enum netagg_role
 * @NETAGG_A_PATHS: nest of %NETAGG_A_PATH, the primary path first
 * @NETAGG_A_PATH: nest of &enum netagg_path_attr, inside %NETAGG_A_PATHS
 * @NETAGG_A_MODE: u8, &enum netagg_mode; default packet
 * @NETAGG_A_FLAGS: u32, NETAGG_F_*; default 0
 * @NETAGG_A_FLOWLET_US: u32, the pause after which a flowlet ends, 100 to
 *	10,000,000; default 20,000
 * @NETAGG_A_MAX_HOLD_US: u32, the longest that a packet waits for an earlier
 *	one, 0 (never) to 2,000,000; default 300,000. Within it the time is
 *	the measured difference of the paths' delays and a margin.
 * @NETAGG_A_PROBE_PORT: be16, UDP port of probes on both ends; 0 sends none
 *	and takes every path for alive. Default NETAGG_PROBE_PORT
 * @NETAGG_A_PROBE_US: u32, the time between probes of a path, 5,000 to
 *	1,000,000; default 25,000
 * @NETAGG_A_DEAD_US: u32, the silence after which a path is dead, at least
 *	two probes' time and at most 10,000,000; default 125,000
 * @NETAGG_A_STATS: nest of &enum netagg_stat, from the kernel
 * @NETAGG_A_EVENT: u8, &enum netagg_event, from the kernel
 * @NETAGG_A_INDEX: u8, which path an event is about, from the kernel
 * @NETAGG_A_PAD: nothing, keeps 64 bit numbers aligned
 */
enum netagg_attr {
	NETAGG_A_UNSPEC,
	NETAGG_A_ROLE,
	NETAGG_A_PATHS,
	NETAGG_A_PATH,
	NETAGG_A_MODE,
	NETAGG_A_FLAGS,
	NETAGG_A_FLOWLET_US,
	NETAGG_A_MAX_HOLD_US,
	NETAGG_A_PROBE_PORT,
	NETAGG_A_PROBE_US,
	NETAGG_A_DEAD_US,
	NETAGG_A_STATS,
	NETAGG_A_EVENT,
	NETAGG_A_INDEX,
	NETAGG_A_PAD,
	__NETAGG_A_MAX,
};
#define NETAGG_A_MAX	(__NETAGG_A_MAX - 1)

/**
 * enum netagg_path_attr - attributes of a path
 * @NETAGG_PATH_A_ADDRESS4: struct in_addr, the address of the receiver
 * @NETAGG_PATH_A_ADDRESS6: struct in6_addr, the same in IPv6
 * @NETAGG_PATH_A_PORT: be16, the port of the receiver, from 1
 * @NETAGG_PATH_A_WEIGHT: u32, 1 to NETAGG_MAX_WEIGHT; a receiver's is that of
 *	what it sends itself
 * @NETAGG_PATH_A_STATS: nest of &enum netagg_stat, from the kernel
 */
enum netagg_path_attr {
	NETAGG_PATH_A_UNSPEC,
	NETAGG_PATH_A_ADDRESS4,
	NETAGG_PATH_A_ADDRESS6,
	NETAGG_PATH_A_PORT,
	NETAGG_PATH_A_WEIGHT,
	NETAGG_PATH_A_STATS,
	__NETAGG_PATH_A_MAX,
};
#define NETAGG_PATH_A_MAX	(__NETAGG_PATH_A_MAX - 1)

/**
 * enum netagg_stat - what is counted and measured
 * @NETAGG_STAT_TX_PACKETS: u64, packets sent, as they are on the wire
 * @NETAGG_STAT_TX_BYTES: u64, their bytes from the IP header on
 * @NETAGG_STAT_RX_PACKETS: u64, packets received, as the stack got them
 * @NETAGG_STAT_RX_BYTES: u64, their bytes
 * @NETAGG_STAT_RETRANSMITS: u64, retransmissions of what this path was given
 * @NETAGG_STAT_ALIVE: u8, 1 where the path carries packets
 * @NETAGG_STAT_RTT_US: u32, round trip of the last probes, a sender's
 * @NETAGG_STAT_DELAY_US: u32, how much later than on the fastest path packets
 *	come, a receiver's
 * @NETAGG_STAT_LOSS_PPM: u32, probes lost of a million, a sender's
 * @NETAGG_STAT_WEIGHT: u32, the weight in use (differs with NETAGG_F_ADAPT)
 * @NETAGG_STAT_FLOWS: u32, connections known; of a rule
 * @NETAGG_STAT_HELD: u64, packets that waited for an earlier one; of a rule
 * @NETAGG_STAT_FILLED: u64, gaps that the missing packet closed; of a rule
 * @NETAGG_STAT_EXPIRED: u64, gaps given up because time was up; of a rule
 * @NETAGG_STAT_LOST: u64, gaps given up because every path was past them; of
 *	a rule
 * @NETAGG_STAT_ICMP: u64, ICMP errors led back to their socket; of a rule
 */
enum netagg_stat {
	NETAGG_STAT_UNSPEC,
	NETAGG_STAT_TX_PACKETS,
	NETAGG_STAT_TX_BYTES,
	NETAGG_STAT_RX_PACKETS,
	NETAGG_STAT_RX_BYTES,
	NETAGG_STAT_RETRANSMITS,
	NETAGG_STAT_ALIVE,
	NETAGG_STAT_RTT_US,
	NETAGG_STAT_DELAY_US,
	NETAGG_STAT_LOSS_PPM,
	NETAGG_STAT_WEIGHT,
	NETAGG_STAT_FLOWS,
	NETAGG_STAT_HELD,
	NETAGG_STAT_FILLED,
	NETAGG_STAT_EXPIRED,
	NETAGG_STAT_LOST,
	NETAGG_STAT_ICMP,
	NETAGG_STAT_PAD,
	__NETAGG_STAT_MAX,
};
#define NETAGG_STAT_MAX	(__NETAGG_STAT_MAX - 1)

#endif /* _UAPI_NETAGG_H */
