import { openSession, type OpenSession } from "../../lib/host";
import { packages } from "../../lib/kinds/packages";
import type { Facts, Query, Step } from "../../lib/kinds/step";
import { unit } from "../../lib/kinds/unit";
import type { AnyKind, AnySpec } from "../../lib/kinds/kind";
import type { Release } from "../../lib/lab";
import { applyObject, readObject, removeObject } from "../../lib/provider/objects";
import { converges } from "../support/converge";
import { withLab } from "../support/lab";
import { unitSpecs } from "../support/specs/unit";

// `NETLOOM_LAB_RELEASE=11` (or 13) tries another Debian: its image takes minutes to build once.
const release = Number(process.env.NETLOOM_LAB_RELEASE ?? 12) as Release;
const machines = withLab(["edge"], [], { release });
const cases = Number(process.env.NETLOOM_CASES ?? 2);

let session: OpenSession;
let nth = 0;

async function run(steps: readonly Step[], queries: readonly Query[]): Promise<Facts> {
  const label = `system/${++nth}`;
  return (await session.run({ label, stack: "test/lab", queries, decide: () => ({ steps }) })).facts;
}

/** A shell script on the machine: what an administrator might do there. */
const sh = async (script: string) => (await machines.lab.ssh("edge", ["sh", "-ec", script])).trim();

const target = (kind: AnyKind, spec: AnySpec) => {
  const id = ["edge", ...kind.identity(spec)].join("/");
  const urn = `urn:pulumi:lab::test::${kind.token}::${id}`;
  return { kind, id, urn, host: "edge", stack: "test/lab", secrets: [] };
};

/** Makes a spec of its input, and an object of the spec; tells how many steps it took. */
async function apply(kind: AnyKind, input: object, more: object = {}): Promise<number> {
  const spec = (kind.schema as typeof unit.schema).parse(input) as AnySpec;
  const { steps } = await applyObject(session, target(kind, spec), { desired: spec, create: false, ...more });
  return steps;
}

async function remove(kind: AnyKind, input: object) {
  const spec = (kind.schema as typeof unit.schema).parse(input) as AnySpec;
  return (await removeObject(session, target(kind, spec), { spec, deleteAdopted: false })).removal;
}

/** What systemd and the file system know of a unit that is nothing but a name. */
const traces = (name: string) =>
  sh(`systemctl show -p LoadState,ActiveState,UnitFileState -- ${name}
      ls -d /etc/systemd/system/${name}* /etc/systemd/system/*.wants/${name} /var/lib/netloom-units 2>/dev/null || :`);

beforeAll(() => {
  const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
  session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
});

afterAll(() => session?.close());

describe(`units on Debian ${release}`, () => {
  /** A service that notes each of its starts and runs on. */
  const counting = (name: string, more = "") => ({
    name: `${name}.service`,
    content: `[Unit]\nDescription=counts\n${more}[Service]\nType=exec\nExecStartPre=/bin/sh -c 'echo start >>/run/${name}.starts'\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n`,
  });
  const starts = async (name: string) => Number(await sh(`cat /run/${name}.starts 2>/dev/null | wc -l`));

  test("converge from any to any other, also after an interruption", async () => {
    await converges({ kind: unit, specs: unitSpecs("nlt-any.service"), run, cases, interruptions: 2 });
    expect(await traces("nlt-any.service")).toBe("LoadState=not-found\nActiveState=inactive\nUnitFileState=");
  });

  test("a changed trigger restarts one once, no change does not, and it goes without a trace", async () => {
    const made = { ...counting("nlt-counts"), enabled: true, state: "running" };
    const before = await traces("nlt-counts.service");
    await apply(unit, { ...made, restartTriggers: { conf: "1" } }, { create: true });
    expect(await starts("nlt-counts")).toBe(1);
    expect(await apply(unit, { ...made, restartTriggers: { conf: "1" } })).toBe(0);
    await apply(unit, { ...made, restartTriggers: { conf: "2", plans: "1" } });
    expect(await starts("nlt-counts")).toBe(2);
    // A drop-in is part of what it is started with.
    const dropIns = { "x.conf": "[Service]\nEnvironment=A=1\n" };
    await apply(unit, { ...made, dropIns, restartTriggers: { conf: "2", plans: "1" } });
    expect(await starts("nlt-counts")).toBe(3);
    expect(await apply(unit, { ...made, dropIns, restartTriggers: { conf: "2" } })).toBe(1);
    expect(await starts("nlt-counts")).toBe(3);
    expect(
      await sh("systemctl is-enabled nlt-counts; systemctl show -P Environment,NeedDaemonReload nlt-counts"),
    ).toBe("enabled\nA=1\nno");
    expect(await remove(unit, { ...made, dropIns, restartTriggers: { conf: "2" } })).toBe("removed");
    expect(await traces("nlt-counts.service")).toBe(before);
  });

  test("what was stopped or disabled behind our back is seen and put right", async () => {
    const made = { ...counting("nlt-drift"), enabled: true, state: "running" };
    await apply(unit, made, { create: true });
    await sh("systemctl disable --now nlt-drift; echo '# edited' >>/etc/systemd/system/nlt-drift.service");
    const spec = unit.schema.parse(made) as AnySpec;
    const { state } = await readObject(session, target(unit, spec), spec);
    expect(state).toMatchObject({ enabled: false, state: "stopped", content: `${made.content}# edited\n` });
    await apply(unit, made);
    expect(await sh("systemctl is-active nlt-drift; systemctl is-enabled nlt-drift")).toBe("active\nenabled");
    expect(await remove(unit, made)).toBe("removed");
  });

  test("a unit of a package is given back as it was: disabled or enabled, stopped or running", async () => {
    await sh(`printf '%s\\n' '[Service]' 'ExecStart=/bin/sleep infinity' '[Install]' 'WantedBy=multi-user.target' \
        >/usr/lib/systemd/system/nlt-theirs.service
      systemctl daemon-reload; systemctl enable --now nlt-theirs.service`);
    const theirs = { name: "nlt-theirs.service", enabled: false, state: "stopped" };
    await expect(apply(unit, theirs, { create: true })).rejects.toThrow(/adopt: true/);
    await apply(unit, theirs, { create: true, adopt: true });
    expect(await sh("systemctl is-active nlt-theirs || :; systemctl is-enabled nlt-theirs || :")).toBe(
      "inactive\ndisabled",
    );
    expect(await remove(unit, theirs)).toBe("restored");
    expect(await sh("systemctl is-active nlt-theirs; systemctl is-enabled nlt-theirs")).toBe(
      "active\nenabled",
    );

    const dropIns = { "netloom.conf": "[Service]\nNice=5\n" };
    const tuned = { name: "nlt-theirs.service", state: "running", dropIns, restartTriggers: { tab: "1" } };
    const since = "systemctl show -P ActiveEnterTimestampMonotonic nlt-theirs";
    const first = await sh(since);
    await apply(unit, tuned, { create: true, adopt: true });
    expect(await sh("systemctl show -P Nice nlt-theirs")).toBe("5");
    const second = await sh(since);
    expect(Number(second)).toBeGreaterThan(Number(first));
    expect(await apply(unit, tuned)).toBe(0);
    expect(await remove(unit, tuned)).toBe("restored");
    expect(
      await sh(
        "systemctl show -P Nice nlt-theirs; ls /etc/systemd/system/nlt-theirs.service.d 2>/dev/null || :",
      ),
    ).toBe("0");
  });

  test("one that nobody brings, one that is masked and one that does not start are told so", async () => {
    const nobodys = apply(unit, { name: "nlt-nobody.service", state: "running" }, { create: true });
    await expect(nobodys).rejects.toThrow(/there is no unit nlt-nobody\.service/);

    await sh("systemctl mask --now nlt-theirs.service");
    const masked = apply(
      unit,
      { name: "nlt-theirs.service", state: "running" },
      { create: true, adopt: true },
    );
    await expect(masked).rejects.toThrow(/systemctl unmask nlt-theirs\.service/);
    await remove(unit, { name: "nlt-theirs.service", state: "running" });
    await sh("systemctl unmask nlt-theirs.service; systemctl start nlt-theirs.service");

    const failing = {
      name: "nlt-fails.service",
      content: "[Service]\nType=exec\nExecStart=/nonexistent/program\n",
      state: "running",
    };
    await expect(apply(unit, failing, { create: true })).rejects.toThrow(/journalctl -u nlt-fails\.service/);
    expect(await remove(unit, failing)).toBe("removed");
    expect(await sh("systemctl list-units --all --no-legend 'nlt-fails*'")).toBe("");
  });
});

describe(`packages on Debian ${release}`, () => {
  /** A source of packages on the machine itself, the only one that apt is to know. */
  const SOURCE = `
    mkdir -p /srv/nlt-repo; cd /srv/nlt-repo; : >Packages
    for p in "$@"; do
      mkdir -p build/$p/DEBIAN build/$p/usr/share/$p; echo $p >build/$p/usr/share/$p/text
      { echo "Package: $p"; echo "Version: 1.0"; echo "Architecture: all"; echo "Maintainer: test <test@example.org>"
        [ $p != nlt-needs ] || echo "Depends: nlt-one"
        echo "Description: for a test"; } >build/$p/DEBIAN/control
      dpkg-deb -b build/$p $p.deb >/dev/null
      { dpkg-deb -f $p.deb; echo "Filename: ./$p.deb"; echo "Size: $(stat -c %s $p.deb)"
        echo "SHA256: $(sha256sum $p.deb | cut -d' ' -f1)"; echo; } >>Packages
    done
    mkdir -p /etc/apt/kept; mv /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/kept/ 2>/dev/null || :
    echo 'deb [trusted=yes] file:/srv/nlt-repo ./' >/etc/apt/sources.list.d/nlt.list`;

  const installed = async (...names: string[]) =>
    (await sh(`dpkg-query -W -f '\${Package} \${db:Status-Abbrev}\\n' ${names.join(" ")} 2>/dev/null || :`))
      .split("\n")
      .filter((line) => / ii *$/.test(line))
      .map((line) => line.split(" ")[0]);
  const set = (names: readonly string[], more: object = {}) => ({
    name: "nlt",
    packages: Object.fromEntries(names.map((name) => [name, "installed"])),
    ...more,
  });

  beforeAll(async () => {
    await machines.lab.ssh("edge", ["sh", "-ec", SOURCE, "sh", "nlt-one", "nlt-two", "nlt-needs"]);
  });

  test("what is there already takes no step, and stays when the set goes", async () => {
    expect(await apply(packages, set(["bash", "iproute2"]), { create: true })).toBe(0);
    expect(await remove(packages, set(["bash", "iproute2"], { removeOnDelete: true }))).toBe("restored");
    expect(await installed("bash", "iproute2")).toEqual(["bash", "iproute2"]);
  });

  test("one that no source has is named in the error, and what its name might be a pattern for is not installed", async () => {
    await expect(apply(packages, set(["nlt-nonesuch"]), { create: true })).rejects.toThrow(
      /sources have no nlt-nonesuch: check the name, have the lists fetched first \(updateLists: true\)/,
    );
    await expect(apply(packages, set(["nlt.*"].map(() => "nlt.one")), { create: true })).rejects.toThrow(
      /no nlt\.one/,
    );
    await remove(packages, set(["nlt-nonesuch", "nlt.one"]));
    expect(await installed("nlt-one", "nlt-two")).toEqual([]);
  });

  test("what was missing is installed, and of it alone what the set is asked to take goes with it", async () => {
    const both = set(["bash", "nlt-one", "nlt-two"], { updateLists: true, removeOnDelete: true });
    expect(await apply(packages, both, { create: true })).toBe(2);
    expect(await installed("nlt-one", "nlt-two")).toEqual(["nlt-one", "nlt-two"]);
    expect(await apply(packages, both)).toBe(0);
    const previous = packages.schema.parse(both) as AnySpec;
    const one = set(["bash", "nlt-one"], { removeOnDelete: true });
    expect(await apply(packages, one, { previous })).toBe(2);
    expect(await installed("nlt-one", "nlt-two")).toEqual(["nlt-one"]);

    // Somebody else has come to need it: it is not taken from them.
    await sh("DEBIAN_FRONTEND=noninteractive apt-get -y -q install nlt-needs");
    await expect(remove(packages, one)).rejects.toThrow(/Another package needs it by now/);
    expect(await installed("nlt-one", "nlt-needs")).toEqual(["nlt-needs", "nlt-one"]);
    await sh("dpkg --remove nlt-needs");
    expect(await remove(packages, one)).toBe("restored");
    expect(await installed("bash", "nlt-one")).toEqual(["bash"]);
  });

  test("what was installed stays when nothing else was asked", async () => {
    await apply(packages, set(["nlt-two"], { updateLists: true }), { create: true });
    expect(await remove(packages, set(["nlt-two"], { updateLists: true }))).toBe("restored");
    expect(await installed("nlt-two")).toEqual(["nlt-two"]);
    await sh("dpkg --remove nlt-two");
  });
});
