import { kernelModule } from "../../../lib/kinds/kernel-module";
import {
  dkmsVersion,
  moduleDigest,
  modulePath,
  optionsText,
  bootText,
} from "../../../lib/kinds/kernel-module/files";
import type { Fact, Facts, ModuleFact } from "../../../lib/kinds/step";

const input = {
  name: "nlt",
  units: ["a.c", "b.c"],
  sources: { "a.c": "a", "b.c": "b" },
  parameters: { loud: "1" },
};
const parse = (change: object = {}) => kernelModule.schema.parse({ ...input, ...change });
const spec = parse();
const other = parse({ sources: { "a.c": "x", "b.c": "b" } });
const owner = { owner: "x" };
const file = (of: typeof spec) => modulePath("nlt", moduleDigest(of));
const SUM = "a".repeat(64);

/** A host with a module that is as it should be, but for what is said. */
interface Host {
  readonly module?: Partial<ModuleFact>;
  readonly built?: readonly (typeof spec)[];
  readonly release?: string;
  readonly compiler?: string;
  readonly sum?: string;
  readonly files?: Readonly<Record<string, string>>;
}
function facts({
  module,
  built = [spec],
  release = "6.1",
  compiler = "gcc 12",
  sum = SUM,
  files,
}: Host): Facts {
  const there: Record<string, string> = files ?? {
    "/etc/modprobe.d/netloom-nlt.conf": optionsText(spec),
    "/etc/modules-load.d/netloom-nlt.conf": bootText("nlt"),
  };
  const records = Object.fromEntries(
    built.map((of) => [file(of).replace(/\.ko$/, ".record"), `${SUM}\ngcc 12\n${release}\n`]),
  );
  const loaded = { isInstalled: true, references: 0, parameters: { loud: "Y" } };
  const value: ModuleFact = {
    release: "6.1",
    installed: SUM,
    dkms: { isThere: false, added: [], installed: [] },
    loaded,
    ...module,
  };
  return {
    get(query): Fact {
      if (query.tool === "kernel-module") return { ok: true, value };
      if (query.tool === "cc") return { ok: true, value: compiler };
      const [path = ""] = "paths" in query ? query.paths : [];
      if (query.tool === "sha256sum")
        return { ok: true, value: built.some((of) => file(of) === path) ? { [path]: sum } : {} };
      const content = { ...there, ...records }[path];
      return {
        ok: true,
        value: content === undefined ? {} : { [path]: { content, mode: "0644", owner: "root:root" } },
      };
    },
  };
}
/** What DKMS knows, on a host that has it. */
const dkms = (change: Partial<ModuleFact["dkms"]> = {}) => ({
  dkms: { isThere: true, added: [moduleDigest(spec)], installed: [], ...change },
});
const tools = (steps: readonly { tool: string }[]) => steps.map(({ tool }) => tool).join(" ");
const look = (host: Host, ...earlier: (typeof spec)[]) =>
  kernelModule.observe(facts(host), [spec, ...earlier]);

test("a module that is as wanted needs nothing", () => {
  expect(look({})).toEqual(spec);
  expect(kernelModule.plan(spec, spec, owner)).toEqual([]);
});

test("what is not there is built, configured and then loaded", () => {
  const steps = kernelModule.plan(undefined, spec, owner);
  expect(tools(steps)).toBe("kbuild write write module-load module-dkms");
  expect(steps[0]).toMatchObject({
    module: "nlt",
    object: file(spec),
    files: { Kbuild: "obj-m := nlt.o\nnlt-y := a.o b.o\nccflags-y := -I$(src)\n" },
  });
  expect(steps[4]).toMatchObject({
    version: moduleDigest(spec),
    files: { "dkms.conf": expect.stringContaining(`PACKAGE_VERSION="${moduleDigest(spec)}"`) },
  });
});

const drifts: [string, Host, object, string][] = [
  ["was unloaded", { module: { loaded: undefined } }, { loaded: false }, "module-load"],
  ["was altered", { sum: "b".repeat(64) }, { sources: {}, reason: /altered/ }, "kbuild module-load"],
  [
    "was built for another kernel",
    { release: "6.0" },
    { reason: /built for 6\.0, and the kernel is 6\.1/ },
    "kbuild module-load",
  ],
  [
    "was built by another compiler",
    { compiler: "gcc 13" },
    { reason: /built by gcc 12, .* gcc 13/ },
    "kbuild module-load",
  ],
  ["is not installed", { module: { installed: undefined } }, { reason: /not installed/ }, "module-load"],
  [
    "is another one's",
    { module: { installed: "c".repeat(64) } },
    { reason: /another module is installed/ },
    "module-load",
  ],
  [
    "is not the one that is loaded",
    { module: { loaded: { isInstalled: false, references: 0, parameters: {} } } },
    { reason: /not the one that is installed/ },
    "module-load",
  ],
  [
    "has another parameter",
    { module: { loaded: { isInstalled: true, references: 0, parameters: { loud: "N" } } } },
    { reason: /another loud/ },
    "module-load",
  ],
  [
    "is not loaded at boot",
    { files: { "/etc/modprobe.d/netloom-nlt.conf": optionsText(spec) } },
    { loadAtBoot: false },
    "write",
  ],
  ["DKMS does not know", { module: dkms({ added: [] }) }, { dkms: false }, "module-dkms"],
  [
    "DKMS knows in another version",
    { module: dkms({ added: ["0".repeat(16)] }) },
    { dkms: false },
    "module-dkms",
  ],
];
test.each(drifts)("one that %s shows, and is put right by what that takes", (_, host, shown, steps) => {
  const current = look(host)!;
  for (const [property, value] of Object.entries(shown) as [keyof typeof current, unknown][])
    if (value instanceof RegExp) expect(current[property]).toMatch(value);
    else expect(current[property]).toEqual(value);
  expect(tools(kernelModule.plan(current, spec, owner))).toBe(steps);
});

test("a new version is built before it takes the place of the old one, which goes last", () => {
  const current = kernelModule.observe(facts({ built: [other] }), [spec, other])!;
  expect(current.sources).toEqual(other.sources);
  const steps = kernelModule.plan(current, spec, owner);
  expect(tools(steps)).toBe("kbuild module-load module-dkms remove remove");
  expect(steps.slice(3)).toEqual([
    expect.objectContaining({ path: file(other).replace(/\.ko$/, ".record") }),
    expect.objectContaining({ path: file(other) }),
  ]);
});

test("an upgrade that was interrupted after the build goes on with loading", () => {
  // The old one is installed still.
  const host = { built: [spec, other], module: { installed: "d".repeat(64) } };
  const current = look(host, other)!;
  expect(tools(kernelModule.plan(current, spec, owner))).toBe("module-load remove remove");
});

test("DKMS's module for a kernel that came later is as wanted, and is loaded without a build", () => {
  const host = {
    release: "6.0",
    module: { installed: undefined, ...dkms({ installed: [moduleDigest(spec)] }) },
  };
  expect(look(host)).toEqual(spec);
  const unloaded = look({ ...host, module: { ...host.module, loaded: undefined } });
  expect(tools(kernelModule.plan(unloaded, spec, owner))).toBe("module-load");
});

test("a host with DKMS has it build the module where that is wanted, and only there", () => {
  expect(look({ module: dkms() })).toEqual(spec);
  const own = parse({ dkms: false });
  const known = kernelModule.observe(facts({ module: dkms() }), [own])!;
  expect(known.dkms).toBe(true);
  expect(kernelModule.plan(known, own, owner)).toEqual([{ tool: "module-dkms", module: "nlt" }]);
  expect(kernelModule.observe(facts({ module: dkms({ added: [] }) }), [own])).toEqual(own);
});

test("a module that is signed is DKMS's under another version, which tells it to sign with the key", () => {
  const sign = { key: "/etc/keys/a.pem", certificate: "/etc/keys/a.crt" };
  const signed = parse({ sign });
  const [step] = kernelModule.plan({ ...signed, dkms: false }, signed, owner);
  expect(step).toMatchObject({
    tool: "module-dkms",
    version: dkmsVersion(signed),
    files: {
      "dkms.conf": expect.stringMatching(/^POST_BUILD="netloom-sign \$kernelver \$arch"$/m) as unknown,
      "netloom-sign": expect.stringMatching(
        /^#!\/bin\/sh\n[^]*sign-file" sha256 '\/etc\/keys\/a\.pem' '\/etc\/keys\/a\.crt' "\$new"\n/,
      ) as unknown,
    },
  });
  const look = (version: string) =>
    kernelModule.observe(
      facts({
        built: [signed],
        release: "6.0",
        module: { installed: undefined, dkms: { isThere: true, added: [version], installed: [version] } },
      }),
      [signed],
    );
  expect(look(dkmsVersion(signed))).toEqual(signed);
  // What DKMS was told of without a key is neither registered nor built as is wanted.
  const unsigned = look(moduleDigest(signed))!;
  expect(unsigned).toMatchObject({ dkms: false, reason: expect.stringMatching(/built for 6\.0/) as unknown });
  expect(tools(kernelModule.plan(unsigned, signed, owner))).toBe("kbuild module-load module-dkms");
  expect(dkmsVersion(spec)).toBe(moduleDigest(spec));
});

test("a loaded module of somebody else's is there, and not ours", () => {
  const foreign = kernelModule.observe(facts({ built: [], files: {}, module: { installed: undefined } }), [
    spec,
  ]);
  expect(foreign).toMatchObject({ name: "nlt", sources: {}, loaded: true });
  const nothing = facts({ built: [], files: {}, module: { installed: undefined, loaded: undefined } });
  expect(kernelModule.observe(nothing, [spec])).toBeUndefined();
});

test("it goes out of the kernel before any of its files", () => {
  expect(tools(kernelModule.plan(spec, undefined, owner))).toBe(
    "module-unload remove remove module-remove remove remove",
  );
});

const wrong: [string, object, RegExp][] = [
  ["a name with a dash", { name: "a-b" }, /no name of a kernel module/],
  ["a parameter with a blank", { parameters: { a: "x y" } }, /parameters\.a must be 1 to 256/],
  ["a flag that reads a file", { flags: ["-include/etc/shadow"] }, /not among the flags/],
  ["a key that climbs", { sign: { key: "/etc/../x", certificate: "/c" } }, /not the absolute path/],
  [
    "a program that is not built here",
    { keep: { executable: "/bin/sh", save: ["-c"], clear: ["-F"], restore: ["-I"] } },
    /not below \/var\/lib\/netloom\/executables/,
  ],
  [
    "words for a shell",
    {
      keep: {
        executable: "/var/lib/netloom/executables/a/b",
        save: ["$(id)"],
        clear: ["-F"],
        restore: ["-I"],
      },
    },
    /not a plain word/,
  ],
];
test.each(wrong)("%s is refused", (_, change, message) => {
  const { error } = kernelModule.schema.safeParse({ ...input, ...change });
  expect(error?.issues.map(({ path, message: said }) => `${path.join(".")} ${said}`).join("\n")).toMatch(
    message,
  );
});

test("sources that do not fit together are told", () => {
  const findings = (change: object) =>
    kernelModule.check?.(parse(change)).map(({ path, message }) => `${path.join(".")} ${message}`);
  expect(findings({ units: ["a.c", "c.c"] })).toEqual(['units.1 "c.c" is not among the sources']);
  expect(findings({ name: "a" })).toEqual([
    "units.0 the build makes a.o of all the sources, so none of them can be a.c: rename it",
  ]);
  expect(findings({ sources: { ...input.sources, Kbuild: "" }, flags: ["-DX"] })).toEqual([
    "flags the sources have a Kbuild file: write them there, in ccflags-y",
  ]);
  expect(findings({ reason: "x" })).toEqual(["reason is reported: it cannot be set"]);
});

test("what a host says becomes what to do about it", () => {
  const explain = (error: string) => kernelModule.explain?.(error, spec);
  expect(explain('host "e": nl-no-headers 6.1.0-9')).toMatch(
    /no headers of its kernel, 6\.1\.0-9: install the package linux-headers-6\.1\.0-9/,
  );
  expect(explain("nl-unsigned module.sig_enforce is set")).toMatch(
    /signed modules only \(module\.sig_enforce is set\).*give sign/,
  );
  expect(explain("nl-in-use 2 references: rmmod: ERROR")).toMatch(
    /nlt is in use and stays loaded: 2 references/,
  );
  expect(explain('host "e": nl-no-key /etc/keys/a.pem')).toMatch(/the host has no file \/etc\/keys\/a\.pem/);
  const rejected = "modprobe: ERROR: could not insert 'nlt': Key was rejected by service";
  expect(explain(`nl-not-loaded kept ${rejected}`)).toMatch(
    /did not take the module nlt, and what was there before is in its place:[^]*rejected[^]*signed modules only.*give sign/,
  );
  const sign = { key: "/etc/keys/a.pem", certificate: "/etc/keys/a.crt" };
  expect(kernelModule.explain?.(`nl-not-loaded none ${rejected}`, { ...spec, sign })).toMatch(
    /did not take the module nlt:[^]*does not trust the key it is signed with: enrol its certificate, \/etc\/keys\/a\.crt \(mokutil/,
  );
  expect(explain("nl-not-loaded lost modprobe: ERROR: No such device")).toMatch(
    /did not take the module nlt, nor the one before it again: none is loaded:\nmodprobe[^]*No such device$/,
  );
});
