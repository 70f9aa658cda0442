/**
 * Drivers of hardware that the emulated board has and nobody uses, and the ciphers for vector instructions, which are
 * slower here than the plain ones: loading and testing each costs boot time.
 */
const unused = [
  ...[
    "kvm_amd",
    "kvm_intel",
    "powernow_k8",
    "ata_piix",
    "ata_generic",
    "psmouse",
    "pcspkr",
    "button",
    "evdev",
  ],
  ...["serio_raw", "aesni_intel", "ghash_clmulni_intel", "sha1_ssse3", "sha256_ssse3", "sha512_ssse3"],
  ...["crct10dif_pclmul", "crc32_pclmul"],
];

/** Files laid over the packages of an image, by their path in it. */
export const imageFiles = (release: number): Readonly<Record<string, string>> => ({
  ...commonFiles,
  // Since OpenSSH 9.8 an address from which connections are dropped is shut out for a while: here all come from one.
  ...(release >= 13 ? { "etc/ssh/sshd_config.d/penalties.conf": "PerSourcePenalties no\n" } : {}),
});

const commonFiles: Readonly<Record<string, string>> = {
  "etc/hostname": "lab\n",
  "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 lab\n::1 localhost ip6-localhost\n",
  // No name server: nothing outside the lab can be reached, and nothing should wait to find that out.
  "etc/resolv.conf": "",
  "etc/fstab": "/dev/vda / ext4 noatime,errors=remount-ro 0 0\n",
  // Loaded at boot, so that the devices these modules bring along (gre0, sit0, ...) are there from the start and do
  // not look like something that a test left behind.
  "etc/modules-load.d/lab.conf": "ip_gre\nip6_gre\nipip\nsit\nfou\ngeneve\nvxlan\ndummy\n8021q\nifb\n",
  "etc/modprobe.d/lab.conf": unused.map((module) => `blacklist ${module}\n`).join(""),
  "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
  // The management interface has an address and neither a default route nor anything that manages it, so that the
  // whole routing table is the user's.
  "etc/systemd/system/lab-management.service": `[Unit]
Description=Management address of the lab
DefaultDependencies=no
Wants=sys-subsystem-net-devices-eth0.device
After=sys-subsystem-net-devices-eth0.device local-fs.target
Before=network.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/ip address replace 10.0.2.15/24 dev eth0
ExecStart=/bin/ip link set eth0 up

[Install]
WantedBy=multi-user.target
`,
  // Every ping asks for time stamps and has the kernel rewrite its own code for it, with an int3 in the place for a
  // moment. When both processors come by just then, QEMU 7.2 goes on with the int3 that it has translated after memory
  // has another instruction again, and the machine is dead. A ping that never ends keeps the time stamps on.
  "etc/systemd/system/lab-timestamps.service": `[Unit]
Description=Keeps time stamps of packets on

[Service]
ExecStart=/bin/ping -n -q -i 3600 127.0.0.1

[Install]
WantedBy=multi-user.target
`,
  // One host key and one quick key exchange: an emulated processor feels the others. No limit that a test with many
  // connections at once would meet.
  "etc/ssh/sshd_config.d/lab.conf": `HostKey /etc/ssh/ssh_host_ed25519_key
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256
PasswordAuthentication no
ChallengeResponseAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
PrintLastLog no
MaxSessions 256
MaxStartups 256
LogLevel ERROR
`,
  "etc/sudoers.d/admin": "admin ALL=(ALL) NOPASSWD: ALL\n",
  // Just what mounts the root file system: unpacking a general initrd takes seconds when emulated.
  "etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=lz4\n",
  "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
};

/** What would wake up on its own and make a restored machine busy, or only make its boot longer. */
const quiet = [
  "dev-hugepages.mount",
  "dev-mqueue.mount",
  "sys-fs-fuse-connections.mount",
  "systemd-pstore.service",
  "apt-daily.timer",
  "apt-daily-upgrade.timer",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
  "getty@tty1.service",
  "man-db.timer",
  "serial-getty@ttyS0.service",
  // Nobody sits at these machines, and a session over ssh does without it.
  "systemd-logind.service",
  "systemd-networkd.service",
  "systemd-tmpfiles-clean.timer",
  "systemd-timesyncd.service",
];

/**
 * Runs as root on the machine that builds, with the image's root folder as its argument; beside it lie `files/`, the
 * host key and the public key of the lab's users.
 */
export const customizeScript = `#!/bin/sh
set -eu
umask 022
root=$1
here=$(dirname "$0")

rm -f "$root/etc/resolv.conf" "$root"/etc/ssh/ssh_host_*
cp -r "$here/files/." "$root/"
chmod 440 "$root/etc/sudoers.d/admin"
install -o 0 -g 0 -m 600 "$here/host_ed25519" "$root/etc/ssh/ssh_host_ed25519_key"
install -o 0 -g 0 -m 644 "$here/host_ed25519.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"

for user in admin guest; do
  chroot "$root" useradd --create-home --shell /bin/bash "$user"
  # No password, but not a locked account either: sshd refuses keys for those.
  chroot "$root" usermod --password '*' "$user"
done
for home in root home/admin home/guest; do
  mkdir -p -m 700 "$root/$home/.ssh"
  install -m 600 "$here/id_ed25519.pub" "$root/$home/.ssh/authorized_keys"
done
for user in admin guest; do chroot "$root" chown -R "$user:$user" "/home/$user"; done

for unit in ${quiet.join(" ")}; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" systemctl enable lab-management.service lab-timestamps.service ssh.service
chroot "$root" update-initramfs -u -k all

rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/*
`;
