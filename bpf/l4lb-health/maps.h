/* SPDX-License-Identifier: GPL-2.0 */
/* The balancer's pinned maps, by bpf(2) alone. */
#ifndef L4LB_HEALTH_MAPS_H
#define L4LB_HEALTH_MAPS_H

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "l4lb/lb.h"

static char pins[PATH_MAX - 64];	/* the folder that the maps are pinned in */

static long bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/*
 * Opened anew each time: another version of the program may have brought maps of
 * its own, and a pin that is held keeps the old ones.
 */
static int map_open(const char *name)
{
	char path[PATH_MAX];
	union bpf_attr attr;

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	memset(&attr, 0, sizeof(attr));
	attr.pathname = (uintptr_t)path;
	return bpf(BPF_OBJ_GET, &attr);
}

static int map_get(int fd, uint32_t key, void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static int map_set(int fd, uint32_t key, const void *value)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)value;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* A service and a backend of it, as the maps name them. */
struct target {
	uint8_t vip[16], address[16];
	__be16 port;
	uint8_t protocol;
};

/* Is this index the target's? */
static int is_target(int services, const struct lb_backend *backend, const struct target *t)
{
	struct lb_service service;

	return backend->state != LB_UNUSED && !memcmp(backend->address, t->address, 16) &&
	       !map_get(services, backend->service, &service) &&
	       service.protocol == t->protocol && service.port == t->port &&
	       !memcmp(service.vip, t->vip, 16);
}

/* The target's index, beginning with the one it had; -1 if there is none. */
static int target_index(const struct target *t, int last)
{
	int backends = map_open("lb_backends"), services = map_open("lb_services");
	struct lb_backend backend;
	int index = -1, i;

	if (backends < 0 || services < 0)
		goto out;
	if (last >= 0 && !map_get(backends, last, &backend) && is_target(services, &backend, t)) {
		index = last;
		goto out;
	}
	for (i = 0; !map_get(backends, i, &backend); i++)
		if (is_target(services, &backend, t)) {
			index = i;
			break;
		}
out:
	if (backends >= 0)
		close(backends);
	if (services >= 0)
		close(services);
	return index;
}

/* Says that a backend is down, or not; -1 with errno when it cannot be said. */
static int set_down(int index, uint32_t down)
{
	uint32_t now;
	int fd = map_open("lb_health"), error;

	if (fd < 0)
		return -1;
	error = map_get(fd, index, &now);
	if (!error && now != down)
		error = map_set(fd, index, &down);
	close(fd);
	return error;
}

static int is_down(int index)
{
	uint32_t down = 0;
	int fd = map_open("lb_health");

	if (fd < 0)
		return 0;
	map_get(fd, index, &down);
	close(fd);
	return down != 0;
}

#endif
