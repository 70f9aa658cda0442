import { kernelModule } from "../../../lib/kinds/kernel-module";
import { dkmsVersion } from "../../../lib/kinds/kernel-module/files";
import { moduleHost } from "../../support/module-host";

/** What the host says of a module, where no module is loaded: the lab tests have the real kernel and dkms(8). */
const { apply, read, remove, sh } = moduleHost();

const name = "nlt_note";
const input = { name, units: ["a.c"], sources: { "a.c": "int one;" } };
const sign = { key: "/root/key.pem", certificate: "/root/key.crt" };
const loaded = () => sh(`cat /sys/module/${name}/notes/.note.gnu.build-id 2>/dev/null || :`);
/** Everything that a module leaves on its host. */
const left = () =>
  sh(`ls -d /var/lib/netloom/modules/* /sys/module/${name} /etc/modules-load.d/netloom-* /etc/modprobe.d/netloom-* \
    /lib/modules/*/updates /usr/src/netloom-* /var/lib/dkms/* /run/netloom-modules 2>/dev/null || :`);

test("a host without its kernel's headers is told what to install before anything is built", async () => {
  await sh("mv /lib/modules/6.1.0-1/build /lib/modules/6.1.0-1/away");
  await expect(apply(kernelModule, input, { create: true })).rejects.toThrow(
    /the host has no headers of its kernel, 6\.1\.0-1: install the package linux-headers-6\.1\.0-1 \(or kernel-devel\), or reboot/,
  );
  await sh("mv /lib/modules/6.1.0-1/away /lib/modules/6.1.0-1/build");
  expect(await left()).toBe("");
});

test("a kernel that loads signed modules only is told of before anything is built", async () => {
  await sh("echo Y >/sys/module/module/parameters/sig_enforce");
  await expect(apply(kernelModule, input, { create: true })).rejects.toThrow(
    /loads signed modules only \(module\.sig_enforce is set\), and nlt_note would not be signed: give sign/,
  );
  await expect(apply(kernelModule, { ...input, sign }, { create: true })).rejects.toThrow(
    /the host has no file \/root\/key\.pem, or not one that can be read/,
  );
  expect(await left()).toBe("");
});

test("a kernel that does not trust the key takes nothing, and what is to be enrolled is named", async () => {
  await sh("touch /root/key.pem /root/key.crt /root/other.crt");
  const other = { ...sign, certificate: "/root/other.crt" };
  await expect(apply(kernelModule, { ...input, sign: other }, { create: true })).rejects.toThrow(
    /did not take the module nlt_note:\n.*Key was rejected by service[^]*enrol its certificate, \/root\/other\.crt/,
  );
  expect(await sh(`ls /sys/module /lib/modules/6.1.0-1/updates 2>/dev/null || :`)).not.toContain(name);
  await remove(kernelModule, { ...input, sign: other });
  expect(await left()).toBe("");
});

describe("a module that is signed", () => {
  const signed = { ...input, sign };
  const version = dkmsVersion(kernelModule.schema.parse(signed));
  const last = (release: string) => sh(`tail -n1 /lib/modules/${release}/updates/dkms/${name}.ko`);
  const update = async (release: string) => {
    await sh(`install-kernel ${release}; dkms autoinstall ${release}`);
    await sh(`start ${release}`);
  };

  test("is DKMS's to build for a kernel that comes later, with the key that was given", async () => {
    await apply(kernelModule, signed, { create: true });
    expect(await sh("dkms status")).toBe(`netloom-${name}/${version}`);
    await update("6.1.0-2");
    expect(await last("6.1.0-2")).toBe("signed by /root/key.crt");
    expect(await loaded()).not.toBe("");
    expect(await apply(kernelModule, signed)).toBe(0);
  });

  test("that DKMS could not sign with that key is built and signed by us, and takes its place", async () => {
    await sh("mv /root/key.pem /root/away");
    await update("6.1.0-3");
    expect([await last("6.1.0-3"), await loaded()]).toEqual(["signed by mok.pub", ""]);
    await expect(apply(kernelModule, signed)).rejects.toThrow(/the host has no file \/root\/key\.pem/);
    await sh("mv /root/away /root/key.pem");
    expect(await read(kernelModule, signed)).toMatchObject({
      loaded: false,
      reason: "it was built for 6.1.0-1, and the kernel is 6.1.0-3",
    });
    expect(await apply(kernelModule, signed)).toBe(2);
    expect(await loaded()).not.toBe("");
    expect(await sh(`modinfo -n ${name}`)).toBe(`/lib/modules/6.1.0-3/updates/netloom/${name}.ko`);
    expect(await apply(kernelModule, signed)).toBe(0);
  });

  test("that DKMS was told of by an earlier Netloom, without a key, is told of again", async () => {
    await sh(`dkms remove netloom-${name}/${version} --all
              mkdir -p /usr/src/netloom-${name}-0123456789abcdef; dkms add netloom-${name}/0123456789abcdef`);
    expect(await read(kernelModule, signed)).toMatchObject({ dkms: false });
    expect(await apply(kernelModule, signed)).toBe(1);
    expect(await sh("dkms status")).toBe(`netloom-${name}/${version}`);
  });

  test("in use stays loaded, with all that is its own, and the error says what holds it", async () => {
    await sh(`echo 2 >/sys/module/${name}/refcnt; mkdir /sys/module/${name}/holders/nlt_user`);
    const before = [await left(), await loaded()];
    await expect(remove(kernelModule, signed)).rejects.toThrow(
      /the kernel module nlt_note is in use and stays loaded: 2 references, held by nlt_user ?: rmmod: ERROR: Module nlt_note is in use\. Remove what uses it first/,
    );
    expect([await left(), await loaded()]).toEqual(before);
    expect(await apply(kernelModule, signed)).toBe(0);
    await sh(`echo 0 >/sys/module/${name}/refcnt; rmdir /sys/module/${name}/holders/nlt_user`);
    expect(await remove(kernelModule, signed)).toBe("removed");
    expect(await left()).toBe("");
  });
});
