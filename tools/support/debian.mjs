// Debian packages: only what is missing, and no question asked.
import { spawnSync } from "node:child_process";

import { find } from "./places.mjs";
import { foreground, output, SetupError, step } from "./steps.mjs";

/** Packages are missing, and this user or this distribution has no way to install them. */
export class CannotInstall extends SetupError {}

/** What each part of the project needs from the distribution: the program that shows it is there, and its package. */
const needs = {
  kernel: [
    ["ip", "iproute2"],
    ["nft", "nftables"],
    ["ping", "iputils-ping"],
    ["traceroute", "traceroute"],
    ["tcpdump", "tcpdump"],
    ["ssh", "openssh-client"],
    ["bpftool", "bpftool"],
    ["clang", "clang"],
    ["llvm-strip", "llvm"],
    ["gcc", "gcc"],
    ["make", "make"],
    // No program shows these: their packages are asked for.
    [undefined, "libbpf-dev"],
    [undefined, "libc6-dev"],
  ],
  lab: [
    ["qemu-system-x86_64", "qemu-system-x86"],
    ["qemu-img", "qemu-utils"],
    ["mmdebstrap", "mmdebstrap"],
    ["ssh", "openssh-client"],
    ["mkfs.ext4", "e2fsprogs"],
    ["flock", "util-linux"],
    [undefined, "debian-archive-keyring"],
  ],
  // Tests and benchmarks dial a server of their own; who only runs a demo gets none.
  sshd: [["sshd", "openssh-server"]],
  go: [["go", "golang-go"]],
};

/** Ubuntu has no package of this name: the program comes with the kernel's tools. */
const ubuntu = { bpftool: ["linux-tools-common", "linux-tools-generic"] };

/** The packages that are missing for these parts. */
export function missingPackages(parts) {
  const wanted = parts.flatMap((part) => needs[part]);
  const byProgram = wanted
    .filter(([program]) => program !== undefined && !find(program))
    .map(([, name]) => name);
  const asked = wanted.filter(([program]) => program === undefined).map(([, name]) => name);
  return [...new Set([...byProgram, ...asked.filter((name) => !isInstalled(name))])];
}

function isInstalled(name) {
  const asked = spawnSync("dpkg-query", ["--show", "--showformat=${db:Status-Status}", name], {
    encoding: "utf8",
  });
  // Without dpkg there is nothing to say about packages: what needs them will tell.
  return asked.error !== undefined || asked.stdout === "installed";
}

/** Installs what is missing for these parts. */
export async function ensurePackages(parts) {
  const missing = missingPackages(parts);
  if (missing.length === 0) return;
  if (!find("apt-get")) {
    throw new CannotInstall(
      `missing: ${missing.join(", ")} (Debian's names), and there is no apt-get to install them with`,
    );
  }
  const names = missing.flatMap((name) => (isUbuntu() ? (ubuntu[name] ?? [name]) : [name]));
  const asRoot = await rootPrefix(names);
  const apt = (...args) => {
    const [program, ...rest] = [
      ...asRoot,
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      "-q",
      "-y",
      ...args,
    ];
    return output(program, rest);
  };
  await step("Debian package lists", () => apt("update"));
  await step(`Debian packages: ${names.join(" ")}`, () =>
    apt("install", "--no-install-recommends", ...names),
  );
}

const isUbuntu = () =>
  spawnSync("sh", ["-c", ". /etc/os-release && echo $ID"], { encoding: "utf8" }).stdout === "ubuntu\n";

/** What to put before a command that needs root. A password is asked for by sudo itself, once, where it can be. */
async function rootPrefix(names) {
  if (process.getuid() === 0) return [];
  const hint = `run as root: apt-get install ${names.join(" ")}`;
  if (!find("sudo")) throw new CannotInstall(`neither root nor sudo: ${hint}`);
  const ready = process.stdin.isTTY
    ? await foreground("sudo", ["-v"])
    : spawnSync("sudo", ["-n", "true"]).status;
  if (ready !== 0) throw new CannotInstall(`sudo does not let this user in without a password: ${hint}`);
  return ["sudo", "-n"];
}
