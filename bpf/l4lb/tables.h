/* SPDX-License-Identifier: GPL-2.0 */
/* The maps. */
#ifndef L4LB_TABLES_H
#define L4LB_TABLES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "lb.h"
#include "packet.h"

/* Sizes, to be given otherwise when it is built: -DLB_REGIONS=131072. */
#ifndef LB_SERVICES
#define LB_SERVICES	1024	/* at most 65536 */
#endif
#ifndef LB_BACKENDS
#define LB_BACKENDS	4096	/* at most 16384 */
#endif
#ifndef LB_RING_LINES
#define LB_RING_LINES	16384	/* of 32 entries and 64 bytes */
#endif
#ifndef LB_REGIONS
#define LB_REGIONS	65536	/* of 16 flows and 256 bytes; a power of two */
#endif
#ifndef LB_DEVS
#define LB_DEVS		1024
#endif
#define LB_HINTS	4096	/* powers of two */
#define LB_LOCKS	256

#define LB_TABLE(name, kind, entries, flags, value_type)	\
struct {							\
	__uint(type, kind);					\
	__uint(max_entries, entries);				\
	__uint(map_flags, flags);				\
	__type(key, __u32);					\
	__type(value, value_type);				\
} name SEC(".maps")

#define LB_ARRAY(name, entries, value_type)			\
	LB_TABLE(name, BPF_MAP_TYPE_ARRAY, entries, BPF_F_MMAPABLE, value_type)
#define LB_PERCPU(name, entries, value_type)			\
	LB_TABLE(name, BPF_MAP_TYPE_PERCPU_ARRAY, entries, 0, value_type)

/* User space's. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * LB_SERVICES);
	__type(key, struct lb_vip);
	__type(value, __u32);
} lb_vips SEC(".maps");

LB_ARRAY(lb_control, 1, struct lb_control);
LB_ARRAY(lb_services, LB_SERVICES, struct lb_service);
LB_ARRAY(lb_backends, LB_BACKENDS, struct lb_backend);
LB_ARRAY(lb_ring, LB_RING_LINES, struct lb_ring_line);

/* Health checks': not 0 = down, whatever lb_backends says. */
LB_ARRAY(lb_health, LB_BACKENDS, __u32);
/* Backends' or their agents': how loaded each is, in any unit they share. */
LB_ARRAY(lb_reported, LB_BACKENDS, __u32);

/* Interfaces that packets may leave by other than the one they came in at. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, LB_DEVS);
	__type(key, __u32);
	__type(value, __u32);
} lb_devs SEC(".maps");

/* The program's. */
LB_ARRAY(lb_flows, LB_REGIONS, struct lb_region);
LB_ARRAY(lb_active, LB_BACKENDS, struct lb_active);
LB_ARRAY(lb_hops, LB_BACKENDS, struct lb_hop);
LB_ARRAY(lb_clock, 1, struct lb_clock);
LB_ARRAY(lb_hints, LB_HINTS, __u32);
LB_PERCPU(lb_stats, LB_R_MAX, struct lb_count);
LB_PERCPU(lb_service_stats, LB_SERVICES, struct lb_stat);
LB_PERCPU(lb_backend_stats, LB_BACKENDS, struct lb_stat);

/* The packet a CPU is at, as lb_parse() has read it. */
LB_PERCPU(lb_packets, 1, struct lb_packet);

/* Held while a region gets a flow; a line each. */
struct lb_lock {
	struct bpf_spin_lock lock;
	__u32 pad[15];
};

LB_TABLE(lb_locks, BPF_MAP_TYPE_ARRAY, LB_LOCKS, 0, struct lb_lock);

#endif
