// What the verifier makes of the eBPF programs, against bpf/ceilings: node tools/bpf-verify.mjs [--kernels] [--record]
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { main, setUp } from "./setup.mjs";
import { figuresOf, withFigures } from "./support/ceilings.mjs";
import { root } from "./support/places.mjs";
import { output, outliveSignals, SetupError } from "./support/steps.mjs";

const usage = `usage: npm run bpf:verify -- [--kernels] [--record]

Builds every program, loads it, and prints what the verifier and the JIT of this
kernel make of it. More than 10 % above bpf/ceilings fails. Needs root.

  --kernels  on the kernels of the lab's Debian 11, 12 and 13 as well
  --record   writes the figures into bpf/ceilings instead of comparing them`;

/** Loads every object where it is told to, and returns the table and whether it held. */
async function verify(file, args) {
  try {
    const { stdout } = await promisify(execFile)(file, args);
    return { table: stdout, held: true };
  } catch (error) {
    if (error.code !== 1 || !error.stdout) throw new SetupError(error.stderr || error.message);
    return { table: error.stdout, held: false };
  }
}

/** The same on the kernel of a Debian release, in a virtual machine that is gone afterwards. */
async function verifyIn(release, archive) {
  const { Lab } = (await import(pathToFileURL(join(root, "dist/lib/lab/index.js")).href)).default;
  const name = `verify-${process.pid}-${randomBytes(3).toString("hex")}`;
  const lab = await Lab.up({ names: ["verify"], release, lab: name, ephemeral: true });
  try {
    const unpack = ["sh", "-c", "mkdir -p /root/bpf && base64 -d | tar -xz -C /root/bpf"];
    await lab.ssh("verify", unpack, { input: archive });
    const result = await lab.run("verify", ["/root/bpf/bpf/verify", "/root/bpf/dist/bpf"]);
    if (!result.stdout.startsWith("Linux ")) throw new SetupError(`Debian ${release}: ${result.stderr}`);
    return { table: result.stdout, held: result.exitCode === 0 };
  } finally {
    await lab.down();
  }
}

/** Programs, runner, script and ceilings as text that ssh can carry. */
async function packed() {
  const command = "tar -cz bpf/verify bpf/ceilings dist/bpf/bpf-run dist/bpf/*.bpf.o | base64";
  const options = { cwd: root, maxBuffer: 1 << 26 };
  return (await promisify(execFile)("sh", ["-c", command], options)).stdout;
}

await main(async () => {
  const asked = new Set(process.argv.slice(2));
  const [kernels, record] = [asked.delete("--kernels"), asked.delete("--record")];
  if (asked.size > 0) {
    console.error(usage);
    return asked.has("--help") && asked.size === 1 ? 0 : 2;
  }
  if (process.getuid() !== 0)
    throw new SetupError("bpf:verify loads programs into the kernel: run it as root");
  await setUp({ packages: kernels ? ["kernel", "lab"] : ["kernel"], npm: kernels, build: kernels });
  outliveSignals();
  await output("make", ["-s", "-C", "bpf"], { cwd: root });

  const ceilings = join(root, "bpf", "ceilings");
  let held = true;
  const show = (result) => {
    console.log(result.table);
    if (record) writeFileSync(ceilings, withFigures(readFileSync(ceilings, "utf8"), figuresOf(result.table)));
    else held &&= result.held;
  };
  show(await verify(join(root, "bpf", "verify"), [join(root, "dist", "bpf")]));
  if (kernels) {
    const archive = await packed();
    for (const release of [11, 12, 13]) show(await verifyIn(release, archive));
  }
  if (!held) console.error("a program has grown by more than 10 %, or does not load: see above");
  return held ? 0 : 1;
});
