import { mkdirSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/**
 * Compiles `bench/NAME/harness.bpf.c` and `bench/NAME/bench.c`, and returns the program and the object that it takes as
 * its first argument. Needs clang, a C compiler and libbpf's headers.
 */
export async function buildBpfBench(name: string): Promise<{ bench: string; harness: string }> {
  const build = join("dist", "bpf");
  const source = join("bench", name);
  mkdirSync(build, { recursive: true });
  const harness = join(build, `bench-${name}.bpf.o`);
  const bench = join(build, `bench-${name}`);
  const triplet = `${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  const flags = ["-g", "-O2", "-target", "bpf", "-mcpu=v3", `-I/usr/include/${triplet}`];
  await execa("clang", [...flags, "-c", join(source, "harness.bpf.c"), "-o", harness]);
  await execa("cc", ["-O2", "-o", bench, join(source, "bench.c"), "-lbpf"]);
  return { bench, harness };
}
