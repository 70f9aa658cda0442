import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainLoad } from "../../../lib/host/bpf-words";
import { PINS } from "../../../lib/kinds/bpf/names";
import { object } from "../../../lib/kinds/bpf/object";
import { program } from "../../../lib/kinds/bpf/program";

/** What is said of a kernel that lacks something, in the words of the real tools. */

const folder = mkdtempSync(join(tmpdir(), "nlt-errors-"));
const file = join(folder, "core.bpf.o");

// It asks which members a kernel's struct has: that needs the kernel's own BTF when it is loaded.
const source = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
struct net_device { int ifindex; } __attribute__((preserve_access_index));
SEC("xdp") int core(struct xdp_md *ctx)
{
	return bpf_core_field_exists(struct net_device, ifindex) ? XDP_PASS : XDP_DROP;
}
char _license[] SEC("license") = "GPL";
`;

afterAll(() => rmSync(folder, { recursive: true }));

test("a kernel without BTF is told as one, with what to do", () => {
  writeFileSync(join(folder, "core.bpf.c"), source);
  const sources = { "core.bpf.c": source };
  const spec = object.schema.parse({ name: "core", main: "core.bpf.c", sources });
  const [build] = object.plan(undefined, spec, { owner: "netloom:test" });
  const built = spawnSync("clang", [...(build as unknown as { args: string[] }).args, "-o", file], {
    cwd: folder,
  });
  expect(built.status).toBe(0);
  // In a mount namespace in which there is no /sys/kernel/btf, as on a kernel that was built without.
  const pins = `${PINS}-${process.pid}`;
  const load = `prog loadall ${file} ${pins}`;
  const script = `mount -t tmpfs none /sys/kernel/btf && exec bpftool ${load}`;
  const { status, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", script], { encoding: "utf8" });
  expect(status).not.toBe(0);
  const said = explainLoad(load, stderr) ?? "";
  const loaded = program.schema.parse({ name: "core", object: file, version: "1" });
  expect(program.explain?.(said, loaded)).toMatch(
    /failed to find valid kernel BTF[^]*\nThe host's kernel has no BTF \(\/sys\/kernel\/btf\/vmlinux\), which this object needs: use a kernel with CONFIG_DEBUG_INFO_BTF/,
  );
});
