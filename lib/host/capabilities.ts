import type { Answer } from "./exchange";
import { HostError } from "./operation";

/** What a host can do, found once when a session opens. */
export interface Capabilities {
  /** Kernel release, as `uname -r`. */
  readonly kernel: string;
  /** `/etc/machine-id`; empty where there is none. */
  readonly machineId: string;
  /** Programs found on the host, of those a session may need. */
  readonly tools: ReadonlySet<string>;
  /** Version of iproute2, such as `6.1.0`; empty where `ip` is missing or another's. */
  readonly iproute2: string;
  /** Whether systemd runs the host. */
  readonly systemd: boolean;
}

/** Which package of Debian, and mostly of others too, brings a program. */
const packages: Readonly<Record<string, string>> = {
  ip: "iproute2",
  tc: "iproute2",
  nft: "nftables",
  ethtool: "ethtool",
  modprobe: "kmod",
  sysctl: "procps",
  flock: "util-linux",
  nsenter: "util-linux",
  mount: "mount",
  bpftool: "bpftool",
  clang: "clang",
  cc: "gcc",
  make: "make",
  depmod: "kmod",
  cp: "coreutils",
  awk: "mawk",
  sha256sum: "coreutils",
  ln: "coreutils",
  base64: "coreutils",
  stat: "coreutils",
  mkdir: "coreutils",
  rmdir: "coreutils",
  rm: "coreutils",
  mv: "coreutils",
  cat: "coreutils",
  chmod: "coreutils",
  chown: "coreutils",
  wc: "coreutils",
  grep: "grep",
  systemctl: "systemd",
  "apt-get": "apt",
  dpkg: "dpkg",
};

/** The opening look at a host, one answer for each. */
export const probes: readonly string[] = [
  "uname -r </dev/null",
  "cat /etc/machine-id </dev/null",
  "id -u </dev/null",
  `for t in ${Object.keys(packages).join(" ")}; do command -v $t >/dev/null && echo $t; done; :`,
  "ip -V </dev/null",
  "[ -d /run/systemd/system ]",
];

/**
 * Reads the answers to {@link probes}.
 *
 * @throws HostError when the shell is not root's.
 */
export function readCapabilities(answers: readonly (Answer | undefined)[]): Capabilities {
  const text = (index: number) => answers[index]?.stdout.toString("utf8").trim() ?? "";
  const uid = text(2);
  if (uid !== "0")
    throw new HostError(
      `the shell on the host runs as uid ${uid || "?"}: root is needed (user root, or sudo -n)`,
    );
  const iproute2 = /iproute2-(?:ss)?(\S+?),?(?:\s|$)/.exec(text(4))?.[1] ?? "";
  const tools = new Set(text(3).split("\n").filter(Boolean));
  // BusyBox has an `ip` of its own, which knows neither -json nor -batch.
  if (iproute2 === "") for (const tool of ["ip", "tc"]) tools.delete(tool);
  return { kernel: text(0), machineId: text(1), tools, iproute2, systemd: answers[5]?.status === 0 };
}

/** What to say when a host lacks programs; undefined when it has all of them. */
export function missingTools(needs: Iterable<string>, capabilities: Capabilities): string | undefined {
  const missing = [...new Set(needs)].filter((tool) => !capabilities.tools.has(tool));
  if (missing.length === 0) return undefined;
  const wanted = [...new Set(missing.map((tool) => packages[tool] ?? tool))];
  return `${missing.join(", ")} missing on the host: install the package ${wanted.join(", ")}`;
}
