import { randomBytes } from "node:crypto";

/**
 * The script that makes a woken clone a computer of its own. All clones wake up as the machine that was saved: same
 * name, same machine id, same addresses on their cables, and with the clock of that moment.
 */
export function identityScript(name: string, macs: readonly string[], now = Date.now()): string {
  return `set -eu
date --utc --set=@${(now / 1000).toFixed(3)} >/dev/null
hostname ${name}
echo ${name} >/etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 ${name}\\n::1 localhost ip6-localhost\\n' >/etc/hosts
echo ${randomBytes(16).toString("hex")} >/etc/machine-id
echo ${randomBytes(64).toString("hex")} >/dev/urandom
${macs.map((mac, index) => `ip link set dev eth${index + 1} address ${mac}`).join("\n")}
`;
}
