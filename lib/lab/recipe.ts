import { createHash } from "node:crypto";

import { LabError } from "./errors";
import { customizeScript, imageFiles } from "./recipe-files";

/** Debian releases an image can be made of, by their number. */
export type Release = 11 | 12 | 13;

/** The release a lab gets when none is asked for. */
export const defaultRelease: Release = 12;

/** What there is to know of a release: the name its archive has, and the kernel it brings. */
export interface ReleaseFacts {
  readonly suite: string;
  readonly kernel: string;
  /** Whether its security archive is still kept up: of 11's, mirrors have the lists but not all that is in them. */
  readonly security: boolean;
}

/** The releases. */
export const releases: Readonly<Record<Release, ReleaseFacts>> = {
  11: { suite: "bullseye", kernel: "5.10", security: false },
  12: { suite: "bookworm", kernel: "6.1", security: true },
  13: { suite: "trixie", kernel: "6.12", security: true },
};

/** Reads a release as typed: `12`, or `bookworm`. */
export function parseRelease(text: string): Release {
  const found = ([11, 12, 13] as const).find(
    (release) => text === String(release) || text === releases[release].suite,
  );
  if (found === undefined)
    throw new LabError(`${JSON.stringify(text)} is no release of the lab: 11, 12 or 13`);
  return found;
}

/**
 * What an image is made of. The cloud kernel is enough: it has the tunnels (gre, ip6gre, ipip, sit, fou, geneve,
 * vxlan), vlan, dummy, ifb, CAKE, HTB, netem, the BPF classifier, flower, IPVS and MPTCP as modules.
 */
const packages = [
  ["linux-image-cloud-amd64", "linux-headers-cloud-amd64", "initramfs-tools", "lz4", "kmod"],
  ["systemd", "systemd-sysv", "udev", "dbus", "openssh-server", "sudo", "procps", "less", "vim-tiny"],
  ["iproute2", "nftables", "iputils-ping", "traceroute", "tcpdump", "iperf3", "ethtool", "conntrack"],
  ["curl", "netcat-openbsd", "ca-certificates", "python3-minimal"],
  ["bpftool", "clang", "llvm", "libbpf-dev", "gcc", "make", "libc6-dev"],
].flat();

/** Everything an image is built from; two equal recipes give the same image. */
export interface Recipe {
  readonly release: Release;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly files: Readonly<Record<string, string>>;
  readonly customize: string;
  readonly diskGiB: number;
}

/** The recipe of a release. */
export function recipeOf(release: Release): Recipe {
  return {
    release,
    suite: releases[release].suite,
    packages,
    files: imageFiles(release),
    customize: customizeScript,
    diskGiB: 8,
  };
}

/** The folder name of a recipe's image: its release, and a digest of all it is built from. */
export function imageKey(recipe: Recipe): string {
  return `${recipe.release}-${digest(JSON.stringify(recipe))}`;
}

/** A short digest for names of folders and files. */
export const digest = (text: string | Uint8Array): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Where the packages of a release come from; `NETLOOM_DEBIAN_MIRROR` names another mirror of deb.debian.org. */
export function aptSources(release: Release, env: NodeJS.ProcessEnv = process.env): string[] {
  const { suite, security } = releases[release];
  const mirror = (env.NETLOOM_DEBIAN_MIRROR ?? "http://deb.debian.org").replace(/\/+$/, "");
  const signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
  return [
    `deb ${signed} ${mirror}/debian ${suite} main`,
    `deb ${signed} ${mirror}/debian ${suite}-updates main`,
    ...(security ? [`deb ${signed} ${mirror}/debian-security ${suite}-security main`] : []),
  ];
}
