import { kernelModule } from "../../lib/kinds/kernel-module";
import { moduleDigest } from "../../lib/kinds/kernel-module/files";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { dkmsPackage } from "../support/dkms";
import { withLab } from "../support/lab";
import { labObjects } from "../support/lab-objects";
import { labRelease } from "../support/lab-runner";
import { noteModule, type NoteVariant } from "../support/note-module";

// The machines of the lab have no DKMS, which would build every module of every test again.
const archive =
  process.env.NETLOOM_MODULES === undefined ? { why: "NETLOOM_MODULES is not set" } : dkmsPackage();
const machines = withLab(["edge"], [], { release: labRelease });
const { apply, read, remove } = labObjects(machines);

const name = "nlt_note";
const note = (change: NoteVariant = {}) => noteModule(name, { keep: false, ...change });
const [one, two] = [note(), note({ version: 2 })];
const [first, second] = [moduleDigest(one), moduleDigest(two)];

/** A shell script on the machine: what an administrator might do there. */
const sh = async (script: string) => (await machines.lab.ssh("edge", ["sh", "-ec", script])).trim();
const version = () => sh(`cat /sys/module/${name}/parameters/version`);
/** What DKMS says, and where modprobe(8) takes the module from. */
const known = () => sh("dkms status");
const taken = () => sh(`modinfo -n ${name}`);
const sources = () => sh("ls -d /usr/src/netloom-* /var/lib/dkms/netloom-*/*/source 2>/dev/null || :");

const base64 = "why" in archive ? undefined : archive.base64;
const whenThere = base64 === undefined ? test.skip : test;
const installDkms = async () => {
  await machines.lab.ssh("edge", ["sh", "-c", "base64 -d >/root/dkms.deb"], { input: base64! });
  await sh("dpkg -i --force-depends /root/dkms.deb 2>&1; dkms --version");
};
/** What a start with a kernel that came later is like: nothing is there but what DKMS built of the module. */
const update = (ours: string) =>
  sh(`rmmod ${name}; rm ${ours}; sed -i 3s/.*/5.0.0-earlier/ /var/lib/netloom/modules/*/${name}.record
      sh /etc/kernel/postinst.d/dkms $(uname -r) >/root/dkms.log 2>&1 || { cat /root/dkms.log >&2; exit 1; }
      modprobe ${name}`);

whenThere(
  `a host's DKMS has the sources that are wanted, builds them for each kernel, and lets go of them${"why" in archive ? ` (${archive.why})` : ""}`,
  async () => {
    await installDkms();
    const before = await hostState((argv) => machines.lab.ssh("edge", argv));
    const ours = `/lib/modules/${await sh("uname -r")}/updates/netloom/${name}.ko`;
    const theirs = `/lib/modules/${await sh("uname -r")}/updates/dkms/${name}.ko`;

    // It is built once, by us; DKMS is told of the sources.
    await apply(kernelModule, one, { create: true });
    expect(await known()).toMatch(new RegExp(`^netloom-${name}/${first}: added$`));
    expect([await version(), await taken()]).toEqual(["1", ours]);
    expect(await apply(kernelModule, one)).toBe(0);

    await update(ours);
    expect(await known()).toMatch(new RegExp(`^netloom-${name}/${first}, [^,]+, x86_64: installed$`));
    expect(await taken()).toContain(theirs);
    expect(await apply(kernelModule, one)).toBe(0);
    await sh(`rmmod ${name}`);
    expect(await read(kernelModule, one)).toMatchObject({ loaded: false, dkms: true });
    expect(await apply(kernelModule, one)).toBe(1);
    expect([await version(), await taken()]).toEqual(["1", expect.stringContaining(theirs)]);

    // A version that does not start leaves DKMS's where it was.
    await expect(apply(kernelModule, note({ version: 3, code: "return -ENODEV;" }))).rejects.toThrow(
      /did not take the module nlt_note, and what was there before is in its place:[^]*No such device/,
    );
    expect([await version(), await taken()]).toEqual(["1", expect.stringContaining(theirs)]);
    expect(await known()).toContain(`${first}, `);

    // One that does takes its place there as well.
    await apply(kernelModule, two);
    expect([await version(), await taken()]).toEqual(["2", ours]);
    expect(await known()).toMatch(new RegExp(`^netloom-${name}/${second}: added$`));
    expect(await sources()).toBe(
      `/usr/src/netloom-${name}-${second}\n/var/lib/dkms/netloom-${name}/${second}/source`,
    );

    // DKMS forgets it behind our back; then it is to.
    await sh(`dkms remove netloom-${name}/${second} --all`);
    expect(await read(kernelModule, two)).toMatchObject({ loaded: true, dkms: false });
    expect(await apply(kernelModule, two)).toBe(1);
    expect(await known()).toContain(second);
    expect(await apply(kernelModule, { ...two, dkms: false })).toBe(1);
    expect([await known(), await sources(), await version()]).toEqual(["", "", "2"]);
    await apply(kernelModule, two);

    expect(await remove(kernelModule, two)).toBe("removed");
    expect([await known(), await sources()]).toEqual(["", ""]);
    await sh(`! ls /sys/module/${name} /lib/modules/*/updates /var/lib/dkms/netloom-* 2>/dev/null`);
    expect(stateDifferences(before, await hostState((argv) => machines.lab.ssh("edge", argv)))).toEqual([]);
  },
);

whenThere(
  "DKMS's module for a later kernel is signed with the key that was given, after DKMS's own",
  async () => {
    await installDkms();
    const sign = { key: "/root/key.pem", certificate: "/root/key.crt" };
    await sh(
      `openssl req -new -x509 -nodes -newkey rsa:2048 -subj /CN=somebody -keyout ${sign.key} -out ${sign.certificate} 2>&1`,
    );
    const signed = { ...one, sign };
    await apply(kernelModule, signed, { create: true });
    const ours = await taken();
    expect(await sh(`modinfo -F signer ${name}`)).toBe("somebody");

    await update(ours);
    expect(await sh("cat /root/dkms.log")).toMatch(/Running the post_build script/);
    expect(await taken()).toContain("/updates/dkms/");
    expect(await sh(`modinfo -F signer ${name}`)).toBe("somebody");
    // The last signature is of all that is before it (struct module_signature in scripts/sign-file.c).
    expect(
      await sh(`
    file=$(modinfo -n ${name}); case $file in *.xz) xz -dc $file ;; *) cat $file ;; esac >/root/whole
    length=$(tail -c 32 /root/whole | head -c 4 | od -An -tu1 | awk '{ print ($1 * 256 + $2) * 65536 + $3 * 256 + $4 }')
    head -c -$((length + 40)) /root/whole >/root/body; tail -c $((length + 40)) /root/whole | head -c $length >/root/signature
    openssl cms -verify -binary -inform DER -in /root/signature -content /root/body -certfile ${sign.certificate} \
      -noverify -out /dev/null 2>&1; tail -c 28 /root/body | tr -d '\\n'`),
    ).toMatch(/Verification successful\n~Module signature appended~$/);
    expect(await apply(kernelModule, signed)).toBe(0);

    expect(await remove(kernelModule, signed)).toBe("removed");
    expect([await known(), await sources()]).toEqual(["", ""]);
    await sh(`! ls /sys/module/${name} /lib/modules/*/updates /var/lib/dkms/netloom-* 2>/dev/null`);
  },
);
