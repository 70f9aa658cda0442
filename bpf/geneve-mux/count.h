/* SPDX-License-Identifier: GPL-2.0 */
/* How every packet's fate is counted and, for a tunnel in debug, reported. */
#ifndef MUX_COUNT_H
#define MUX_COUNT_H

#include "tables.h"

/* A packet's length as it came in; the frame may have grown or shrunk since. */
static __always_inline int mux_stat(__u32 reason, int action, __u32 len)
{
	struct mux_stat *stat = bpf_map_lookup_elem(&mux_stats, &reason);

	if (stat) {
		stat->packets++;
		stat->bytes += len;
	}
	return action;
}

__noinline int
mux_report(struct xdp_md *ctx, __u32 end, __u32 reason, int action)
{
	struct mux_event *event;
	__u8 *data, *data_end;
	__u32 i;

	event = bpf_ringbuf_reserve(&mux_debug, sizeof(*event), 0);
	if (!event)
		return action;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	event->ns = bpf_ktime_get_ns();
	event->end = end;
	event->ifindex = ctx->ingress_ifindex;
	event->reason = reason;
	event->action = action;
	event->length = data_end - data;
	for (i = 0; i < MUX_EVENT_BYTES; i++) {
		if (data + i + 1 > data_end)
			break;
		event->data[i] = data[i];
	}
	event->captured = i;
	bpf_ringbuf_submit(event, 0);
	return action;
}

/* A packet of a tunnel that may not go on. */
__noinline int
mux_drop(struct xdp_md *ctx, __u32 end, __u32 reason, __u32 debug)
{
	struct mux_drop key = { .end = end, .reason = reason };
	__u64 *count, one = 1;

	mux_stat(reason, XDP_DROP, (long)ctx->data_end - (long)ctx->data);
	count = bpf_map_lookup_elem(&mux_drops, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&mux_drops, &key, &one, BPF_ANY);
	if (debug)
		mux_report(ctx, end, reason, XDP_DROP);
	return XDP_DROP;
}

#define MUX_DROP(ctx, id, reason, flags)	\
	mux_drop(ctx, id, reason, (flags) & MUX_DEBUG)

/*
 * A packet that went on its way; the reason without redirection is the one
 * after that with it. With a line for each CPU nobody else writes it; with one
 * for all, the adds are atomic.
 */
static __always_inline int
mux_sent(struct xdp_md *ctx, const struct mux_port *port, struct mux_end *end,
	 __u32 id, __u32 reason, __u32 flags, __u32 len)
{
	int action = XDP_REDIRECT;

	if (!(flags & MUX_REDIRECT)) {
		action = XDP_PASS;
		reason++;
	}
	if (port->stride) {
		end->packets++;
		end->bytes += len;
	} else {
		__sync_fetch_and_add(&end->packets, 1);
		__sync_fetch_and_add(&end->bytes, len);
	}
	mux_stat(reason, action, len);
	if (flags & MUX_DEBUG)
		mux_report(ctx, id, reason, action);
	return action;
}

#endif
