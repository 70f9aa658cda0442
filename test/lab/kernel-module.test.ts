import { openSession, type OpenSession } from "../../lib/host";
import { executable } from "../../lib/kinds/executable";
import type { AnyKind, AnySpec } from "../../lib/kinds/kind";
import { kernelModule } from "../../lib/kinds/kernel-module";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { applyObject, readObject, removeObject } from "../../lib/provider/objects";
import { withLab } from "../support/lab";
import { labRelease } from "../support/lab-runner";
import { keeper, noteModule } from "../support/note-module";

const machines = withLab(["edge"], [], { release: labRelease });
const name = "nlt_note";
// Each build of a module takes a while on an emulated processor.
const whenAsked = process.env.NETLOOM_MODULES === undefined ? test.skip : test;

let session: OpenSession;

/** A shell script on the machine: what an administrator might do there. */
const sh = async (script: string) => (await machines.lab.ssh("edge", ["sh", "-ec", script])).trim();
const states = () => hostState((argv) => machines.lab.ssh("edge", argv));

const parse = (kind: AnyKind, input: object) =>
  (kind.schema as typeof kernelModule.schema).parse(input) as AnySpec;
const target = (kind: AnyKind, spec: AnySpec) => {
  const id = ["edge", ...kind.identity(spec)].join("/");
  return {
    kind,
    id,
    urn: `urn:pulumi:lab::test::${kind.token}::${id}`,
    host: "edge",
    stack: "test/lab",
    secrets: [],
  };
};
async function apply(kind: AnyKind, input: object, more: object = {}): Promise<number> {
  const spec = parse(kind, input);
  return (await applyObject(session, target(kind, spec), { desired: spec, create: false, ...more })).steps;
}
const read = async (input: object) => {
  const spec = parse(kernelModule, input);
  return (await readObject(session, target(kernelModule, spec), spec)).state;
};
async function remove(kind: AnyKind, input: object) {
  const spec = parse(kind, input);
  return (await removeObject(session, target(kind, spec), { spec, deleteAdopted: false })).removal;
}
const version = () => sh(`cat /sys/module/${name}/parameters/version`);
/** What the module wrote down, in the host's namespace and in one of its own. */
const notes = () => sh(`cat /proc/net/${name}; ip netns exec side cat /proc/net/${name}`);

beforeAll(() => {
  const { name: host, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name: host, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
});
afterAll(() => session?.close());

whenAsked(
  "a module is built, loaded, kept through a new version, held while it is in use, and goes without a trace",
  async () => {
    const before = await states();
    const modules = await sh(
      "lsmod | cut -d' ' -f1 | sort; ls /lib/modules/$(uname -r)/updates 2>/dev/null || :",
    );
    await sh("ip netns add side");
    await apply(executable, keeper(name), { create: true });

    // It is as wanted, with its parameter, now and after a start of the host.
    const one = { ...noteModule(name), parameters: { loud: "1" } };
    await apply(kernelModule, one, { create: true });
    expect(await version()).toBe("1");
    expect(
      await sh(`cat /sys/module/${name}/parameters/loud /etc/modules-load.d/netloom-${name}.conf`),
    ).toMatch(new RegExp(`^Y\n[^]*\n${name}$`));
    expect(await apply(kernelModule, one)).toBe(0);

    // A source that does not compile changes nothing.
    await sh(`echo first >/proc/net/${name}; ip netns exec side sh -c 'echo second >/proc/net/${name}'`);
    await expect(
      apply(kernelModule, { ...noteModule(name, { code: "no_such_thing(1)" }), parameters: { loud: "1" } }),
    ).rejects.toThrow(
      new RegExp(
        `make could not build the module:\\nsrc/${name}\\.c: In function[^]*src/${name}\\.c:\\d+:\\d+: error`,
      ),
    );
    expect([await version(), await notes()]).toEqual(["1", "first\nsecond"]);

    // A new version takes its place, and what it knew goes over to that in every namespace.
    const two = { ...noteModule(name, { version: 2 }), parameters: { loud: "1" } };
    await apply(kernelModule, two);
    expect([await version(), await notes()]).toEqual(["2", "first\nsecond"]);
    expect(
      await sh(
        "find /var/lib/netloom/modules -name '*.ko' | wc -l; ls -A /run/netloom-modules 2>/dev/null || :",
      ),
    ).toBe("1");

    // Taken out behind our back, and then another one put in its place.
    await sh(`rmmod ${name}`);
    expect(await read(two)).toMatchObject({ loaded: false });
    expect(await apply(kernelModule, two)).toBe(1);
    expect(await version()).toBe("2");
    await sh(`rmmod ${name}; insmod /var/lib/netloom/modules/*/${name}.ko version=9 loud=0`);
    expect(await read(two)).toMatchObject({ sources: {}, reason: "it was loaded with another loud" });
    await apply(kernelModule, two);
    expect(await version()).toBe("2");

    // One that refuses to start leaves the one before, with what it knew.
    await sh(`echo third >/proc/net/${name}`);
    const refusing = {
      ...noteModule(name, { version: 3, code: "return -ENODEV;" }),
      parameters: { loud: "1" },
    };
    await expect(apply(kernelModule, refusing)).rejects.toThrow(
      /did not take the module nlt_note, and what was there before is in its place:[^]*No such device/,
    );
    expect([await version(), await sh(`cat /proc/net/${name}`)]).toEqual(["2", "third"]);
    await apply(kernelModule, two);

    // In use, it stays, and says why.
    await sh(`echo + >/proc/net/${name}`);
    await expect(remove(kernelModule, two)).rejects.toThrow(
      /nlt_note is in use and stays loaded: 1 references/,
    );
    expect(await version()).toBe("2");
    await sh(`echo = >/proc/net/${name}`);

    expect(await remove(kernelModule, two)).toBe("removed");
    expect(await remove(executable, keeper(name))).toBe("removed");
    await sh("ip netns del side");
    expect(stateDifferences(before, await states())).toEqual([]);
    expect(
      await sh("lsmod | cut -d' ' -f1 | sort; ls /lib/modules/$(uname -r)/updates 2>/dev/null || :"),
    ).toBe(modules);
  },
);

whenAsked(
  "a host without the kernel's headers, or one that wants a signature, is told what to do before anything is built",
  async () => {
    const module = noteModule(name);
    const build = "/lib/modules/$(uname -r)/build";
    await sh(`mv ${build} ${build}.away`);
    await expect(apply(kernelModule, module, { create: true })).rejects.toThrow(
      /the host has no headers of its kernel, \S+: install the package linux-headers-/,
    );
    await sh(`mv ${build}.away ${build}; ! ls /var/lib/netloom/modules /sys/module/${name} 2>/dev/null`);
    await sh(
      "mount -t tmpfs none /sys/module/module/parameters; echo Y >/sys/module/module/parameters/sig_enforce",
    );
    await expect(apply(kernelModule, module)).rejects.toThrow(
      /loads signed modules only \(module\.sig_enforce is set\)/,
    );
    await sh(
      `umount /sys/module/module/parameters; ! ls /var/lib/netloom/modules /sys/module/${name} 2>/dev/null`,
    );
    await remove(kernelModule, module);
  },
);
