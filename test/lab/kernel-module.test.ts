import { executable } from "../../lib/kinds/executable";
import { kernelModule } from "../../lib/kinds/kernel-module";
import { hostState, stateDifferences } from "../../lib/lab/host-state";
import { withLab } from "../support/lab";
import { labObjects } from "../support/lab-objects";
import { labRelease } from "../support/lab-runner";
import { keeper, noteModule } from "../support/note-module";

const machines = withLab(["edge"], [], { release: labRelease });
const { apply, read, remove } = labObjects(machines);
const name = "nlt_note";
// Each build of a module takes a while on an emulated processor.
const whenAsked = process.env.NETLOOM_MODULES === undefined ? test.skip : test;

/** A shell script on the machine: what an administrator might do there. */
const sh = async (script: string) => (await machines.lab.ssh("edge", ["sh", "-ec", script])).trim();
const states = () => hostState((argv) => machines.lab.ssh("edge", argv));

const version = () => sh(`cat /sys/module/${name}/parameters/version`);
/** What the module wrote down, in the host's namespace and in one of its own. */
const notes = () => sh(`cat /proc/net/${name}; ip netns exec side cat /proc/net/${name}`);

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
        `make could not build it:\\nsrc/${name}\\.c: In function[^]*src/${name}\\.c:\\d+:\\d+: error`,
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
    expect(await read(kernelModule, two)).toMatchObject({ loaded: false });
    expect(await apply(kernelModule, two)).toBe(1);
    expect(await version()).toBe("2");
    await sh(`rmmod ${name}; insmod /var/lib/netloom/modules/*/${name}.ko version=9 loud=0`);
    expect(await read(kernelModule, two)).toMatchObject({
      sources: {},
      reason: "it was loaded with another loud",
    });
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
  "a host without its kernel's headers is told what to install before anything is built",
  async () => {
    const build = "/lib/modules/$(uname -r)/build";
    await sh(`mv ${build} ${build}.away`);
    try {
      await expect(apply(kernelModule, noteModule(name), { create: true })).rejects.toThrow(
        /the host has no headers of its kernel, \S+: install the package linux-headers-/,
      );
      await sh(`! ls /var/lib/netloom/modules /sys/module/${name} /etc/modules-load.d/netloom-* 2>/dev/null`);
    } finally {
      await sh(`mv ${build}.away ${build}`);
    }
    await remove(kernelModule, noteModule(name));
  },
);

// The last one: a kernel that is told to take signed modules only does so until it is started again.
whenAsked(
  "a kernel that loads signed modules only keeps what is loaded, and the error says why",
  async () => {
    await apply(executable, keeper(name), { create: true });
    const one = noteModule(name);
    await apply(kernelModule, one, { create: true });
    await sh(`echo kept >/proc/net/${name}; echo Y >/sys/module/module/parameters/sig_enforce`);
    const stays = async () => {
      expect([await version(), await sh(`cat /proc/net/${name}`)]).toEqual(["1", "kept"]);
      expect(await apply(kernelModule, one)).toBe(0);
      expect(await sh("ls /var/lib/netloom/modules; ls -A /run/netloom-modules 2>/dev/null || :")).toMatch(
        /^[0-9a-f]{16}$/,
      );
    };

    const two = noteModule(name, { version: 2 });
    await expect(apply(kernelModule, two)).rejects.toThrow(
      /loads signed modules only \(module\.sig_enforce is set\)[^]*give sign/,
    );
    await stays();

    const sign = { key: "/root/key.pem", certificate: "/root/key.crt" };
    await expect(apply(kernelModule, { ...two, sign })).rejects.toThrow(/has no file \/root\/key\.pem/);
    await stays();

    await sh(
      `openssl req -new -x509 -nodes -newkey rsa:2048 -subj /CN=nobody -keyout ${sign.key} -out ${sign.certificate} 2>&1`,
    );
    await expect(apply(kernelModule, { ...two, sign })).rejects.toThrow(
      /did not take the module nlt_note, and what was there before is in its place:[^]*(Key was rejected|Required key not)[^]*enrol its certificate/,
    );
    // What was built is there to be loaded, as soon as the kernel knows the key.
    expect([await version(), await sh(`cat /proc/net/${name}`)]).toEqual(["1", "kept"]);
    expect(await apply(kernelModule, one, { previous: { ...two, sign } })).toBe(2);
    await stays();

    expect(await remove(kernelModule, one)).toBe("removed");
    expect(await remove(executable, keeper(name))).toBe("removed");
    await sh(`! ls /var/lib/netloom/modules /sys/module/${name} /lib/modules/*/updates 2>/dev/null`);
  },
);
