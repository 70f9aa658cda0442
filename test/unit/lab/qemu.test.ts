import { macsOf, qemuArguments, type MachineSpec } from "../../../lib/lab/qemu";

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

describe("hardware addresses", () => {
  test("are the same each time, and others for each interface, machine and lab", () => {
    expect(macsOf("l", "a")).toEqual(macsOf("l", "a"));
    const all = [...macsOf("l", "a"), ...macsOf("l", "b"), ...macsOf("m", "a")];
    expect(new Set(all).size).toBe(12);
    // Locally administered, and no group address.
    for (const mac of all) expect(mac).toMatch(/^52:54(:[0-9a-f]{2}){4}$/);
  });
});
