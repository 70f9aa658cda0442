// SPDX-License-Identifier: GPL-2.0
/*
 * Passes everything. A veth delivers frames that its peer transmits or
 * redirects from XDP only when it has NAPI on, which this switches on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
