import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { ownKernel } from "../../../lib/lab/image";
import { macsOf, qemuArguments, type MachineSpec } from "../../../lib/lab/qemu";
import { temporaryFolder } from "../../support/folder";

const spec: MachineSpec = {
  title: "netloom-default-edge",
  image: { kernel: "/i/vmlinuz", initrd: "/i/initrd.img", base: "/i/base.raw" },
  disk: "/r/edge/disk.qcow2",
  wakeFrom: "ready",
  folder: "/r/edge",
  sshPort: 4022,
  macs: macsOf("default", "edge"),
};

const valuesOf = (name: string, args: readonly string[]) =>
  args.filter((_, index) => args[index - 1] === name);

describe("the arguments of a machine", () => {
  const args = qemuArguments(spec);

  test("emulate the processor: where /dev/kvm is there but unusable, trying it hangs", () => {
    expect(valuesOf("-accel", args)).toEqual(["tcg,thread=multi"]);
    expect(valuesOf("-cpu", args)).toEqual(["max"]);
  });

  test("reach nothing outside: one forwarded port on the loopback address, and sockets in the machine's folder", () => {
    const networks = valuesOf("-netdev", args);
    expect(networks[0]).toBe("user,id=mgmt,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:4022-10.0.2.15:22");
    expect(networks.slice(1)).toEqual(
      [1, 2, 3, 4].map(
        (nic) =>
          `dgram,id=data${nic},local.type=unix,local.path=/r/edge/eth${nic}.sock,` +
          `remote.type=unix,remote.path=/r/edge/eth${nic}.peer`,
      ),
    );
    expect(valuesOf("-nic", args)).toEqual([]);
    expect(args).toContain("-nodefaults");
  });

  test("wake up from a saved state, or boot", () => {
    const { wakeFrom, ...booting } = spec;
    expect(valuesOf("-loadvm", args)).toEqual([wakeFrom]);
    // The devices must be the same ones in both, or a saved state could not be loaded.
    expect(valuesOf("-device", qemuArguments(booting))).toEqual(valuesOf("-device", args));
    expect(qemuArguments(booting)).not.toContain("-loadvm");
  });

  test("boot a kernel of one's own without an initrd, and without loading what is built in", () => {
    const own = qemuArguments({ ...spec, image: { kernel: "/k/bzImage", base: "/i/base.raw" } });
    expect(valuesOf("-kernel", own)).toEqual(["/k/bzImage"]);
    expect(own).not.toContain("-initrd");
    expect(valuesOf("-append", own)[0]).toBe(
      `${valuesOf("-append", args)[0]} systemd.mask=systemd-modules-load.service`,
    );
    // All else is the same computer.
    const rest = (all: readonly string[]) =>
      all.filter(
        (one, index) => ![one, all[index - 1] ?? ""].some((word) => /^-(kernel|initrd|append)$/.test(word)),
      );
    expect(rest(own)).toEqual(rest(args));
  });

  test("carry a comma in a path as part of the path", () => {
    const odd = qemuArguments({
      ...spec,
      disk: "/a,b/disk",
      folder: "/a,b",
      image: { ...spec.image, base: "/a,b/base" },
    });
    expect(valuesOf("-drive", odd)[0]).toContain(
      "file=/a,,b/disk,backing.driver=raw,backing.file.filename=/a,,b/base",
    );
    expect(valuesOf("-netdev", odd)[1]).toContain("local.path=/a,,b/eth1.sock");
  });
});

describe("a kernel of one's own", () => {
  const folder = temporaryFolder();

  test("is the bzImage in the folder that NETLOOM_LAB_KERNEL names, and known by what it holds", () => {
    expect(ownKernel({})).toBeUndefined();
    const file = join(folder.path, "bzImage");
    const keys = ["one", "two", "one"].map((content) => {
      writeFileSync(file, content);
      const own = ownKernel({ NETLOOM_LAB_KERNEL: folder.path });
      expect(own?.file).toBe(file);
      return own?.key;
    });
    expect(keys[0]).toBe(keys[2]);
    expect(keys[0]).not.toBe(keys[1]);
  });

  test("that is not there is an error with what to do", () => {
    expect(() => ownKernel({ NETLOOM_LAB_KERNEL: "/nowhere" })).toThrow(
      "NETLOOM_LAB_KERNEL: there is no /nowhere/bzImage; tools/debug-kernel/build.sh",
    );
  });
});

describe("hardware addresses", () => {
  test("are the same each time, and others for each interface, machine and lab", () => {
    expect(macsOf("l", "a")).toEqual(macsOf("l", "a"));
    const all = [...macsOf("l", "a"), ...macsOf("l", "b"), ...macsOf("m", "a")];
    expect(new Set(all).size).toBe(12);
    // Locally administered, and no group address.
    for (const mac of all) expect(mac).toMatch(/^52:54(:[0-9a-f]{2}){4}$/);
  });
});
