import { objectDigest, objectPath } from "../../lib/kinds/bpf/object";

/** Small eBPF objects for tests of their life: what they do shows in their maps. */

/** How the program of {@link tableObject} is to differ. */
export interface Variant {
  /** Told by the program; another number makes another version. */
  readonly mark?: number;
  /** Entries of the table. */
  readonly size?: number;
  /** Whether a value has one more member, which makes another layout of it. */
  readonly wide?: boolean;
  /** C of its own in the XDP program. */
  readonly code?: string;
}

const header = (wide: boolean) => `
struct value { __u32 rate; __u8 mac[6]; __u16 vlan; ${wide ? "__u64 more; " : ""}};
`;

/** An XDP program `count_xdp` that passes what its table does not have, and a tc one `count_tc`. */
function source({ mark = 0, size = 1024, code = "" }: Variant): string {
  return `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "value.h"
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ${size});
	__type(key, __u32);
	__type(value, struct value);
} table SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");
static const volatile int mark = ${mark};
static int count(__u32 key)
{
	__u64 *counter = bpf_map_lookup_elem(&seen, &key);
	if (counter)
		__sync_fetch_and_add(counter, 1);
	return bpf_map_lookup_elem(&table, &key) ? 1 : mark & 0;
}
SEC("xdp") int count_xdp(struct xdp_md *ctx)
{
	${code}
	return count(0) ? XDP_DROP : XDP_PASS;
}
SEC("tc") int count_tc(struct __sk_buff *ctx)
{
	return count(1) ? 2 : 0;
}
char _license[] SEC("license") = "GPL";
`;
}

/** The inputs of a bpf:Object. */
export function tableObject(name: string, variant: Variant = {}) {
  const sources = { "table/table.bpf.c": source(variant), "table/value.h": header(variant.wide === true) };
  return { name, main: "table/table.bpf.c", sources, flags: [`-DMARK=${variant.mark ?? 0}`] };
}

/** The inputs of a bpf:Program of it. */
export function tableProgram(name: string, variant: Variant = {}) {
  const version = objectDigest(tableObject(name, variant));
  return { name, object: objectPath(name, version), version };
}
