import { execa } from "execa";

import { LabError } from "./errors";
import { qemuProgram } from "./qemu";

/** Where Debian keeps programs for root, which a user's PATH may lack. */
const path = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

/** Runs a program of this computer; a failure tells what it said last. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly asRoot?: boolean; readonly timeoutMs?: number } = {},
): Promise<string> {
  const sudo = options.asRoot === true && process.getuid?.() !== 0;
  const [file, argv] = sudo ? ["sudo", ["-n", "--", program, ...args]] : [program, args];
  const result = await execa(file, argv, {
    stdin: "ignore",
    env: { PATH: path, LC_ALL: "C" },
    reject: false,
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  });
  if (result.code === "ENOENT") throw new LabError(`${file} is not installed: run npm run setup`);
  if (result.exitCode !== 0) {
    const said = result.stderr.trim().split("\n").slice(-15).join("\n");
    throw new LabError(`${program} failed: ${said || (result.shortMessage ?? "for no reason it gave")}`);
  }
  return result.stdout;
}

/** The version of QEMU, which a saved state depends on; refuses one without datagram links. */
export async function qemuVersion(): Promise<string> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new LabError(`the lab runs on Linux on x86-64, not on ${process.platform} ${process.arch}`);
  }
  const text = await runProgram(qemuProgram, ["--version"]);
  const match = /version (\d+)\.(\d+)\S*(?: \(([^)]*)\))?/.exec(text);
  if (!match) throw new LabError(`${qemuProgram} --version says ${JSON.stringify(text.split("\n")[0])}`);
  const [whole, major, minor] = match;
  if (Number(major) * 100 + Number(minor) < 702) {
    throw new LabError(
      `QEMU ${major}.${minor} is too old for the lab's links: 7.2 is needed (Debian 12, Ubuntu 24.04)`,
    );
  }
  return whole;
}
