import type { z } from "zod";
import { disagreements } from "../../../lib/kinds/agree";
import { queryKey, type Fact, type Facts, type Step } from "../../../lib/kinds/step";
import { unit } from "../../../lib/kinds/unit";

type Input = z.input<typeof unit.schema>;
type Spec = z.output<typeof unit.schema>;

const SERVICE = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n";

const spec = (given: Partial<Input> = {}): Spec => unit.schema.parse({ name: "a.service", ...given });

const problems = (given: object) => {
  const parsed = unit.schema.safeParse({ name: "a.service", ...given });
  const found = parsed.success ? (unit.check?.(parsed.data) ?? []) : parsed.error.issues;
  return found.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n");
};

/** Steps in a word or two each. */
const words = (step: Step): string => {
  if (step.tool === "write") return `write ${step.path}`;
  if (step.tool === "remove") return `remove ${step.path}`;
  return "args" in step ? `${step.tool} ${step.args.join(" ")}` : step.tool;
};
const plan = (current: Spec | undefined, desired: Spec | undefined) =>
  unit.plan(current, desired, { owner: "" }).map(words);

const UNIT = "/etc/systemd/system/a.service";
const MARK = "/var/lib/netloom-units/a.service.json";

/** What systemd and the files say, as the host's session would hand it over. */
function observed(
  shown: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
  specs: readonly [Partial<Spec>, ...Partial<Spec>[]] = [spec()],
) {
  const facts = new Map<string, Fact>();
  for (const query of specs.flatMap((one) => unit.queries(one))) {
    const found =
      query.tool === "file"
        ? Object.fromEntries(
            query.paths.flatMap((path) =>
              files[path] === undefined
                ? []
                : [[path, { content: files[path], mode: "0644", owner: "root:root" }] as const],
            ),
          )
        : shown;
    facts.set(queryKey(query), { ok: true, value: found });
  }
  const get: Facts["get"] = (query) => {
    const fact = facts.get(queryKey(query));
    if (fact === undefined) throw new Error(`not asked for: ${queryKey(query)}`);
    return fact;
  };
  return unit.observe({ get }, specs);
}

const shown = (LoadState: string, ActiveState: string, UnitFileState = "") => ({
  LoadState,
  ActiveState,
  UnitFileState,
});

describe("a unit in its canonical form", () => {
  test("drop-ins and triggers are sorted and there even when empty", () => {
    expect(spec()).toEqual({ name: "a.service", dropIns: {}, restartTriggers: {} });
    const parsed = spec({ restartTriggers: { b: "2", a: "1" }, dropIns: { "b.conf": "x", "a.conf": "y" } });
    expect(Object.keys(parsed.restartTriggers)).toEqual(["a", "b"]);
    expect(Object.keys(parsed.dropIns)).toEqual(["a.conf", "b.conf"]);
    expect(unit.schema.parse(parsed)).toEqual(parsed);
  });

  test.each<[object, RegExp]>([
    [{ name: "a" }, /^name: "a" is no name of a unit/],
    [{ name: "-a.service" }, /^name: /],
    [{ name: "a b.service" }, /^name: /],
    [{ name: "../a.service" }, /^name: /],
    [{ name: "$(id).service" }, /^name: /],
    [{ name: "a@.service" }, /^name: /],
    [{ name: "dev-sda.device" }, /^name: /],
    [{ name: `${"a".repeat(200)}.service` }, /^name: has 208 characters/],
    [{ content: "  \n" }, /^content: is blank/],
    [{ content: "a\0b" }, /^content: holds a NUL/],
    [{ dropIns: { "../x.conf": "x" } }, /no name of a drop-in/],
    [{ dropIns: { x: "x" } }, /ending in \.conf/],
    [{ dropIns: { "x.conf": "" } }, /^dropIns\.x\.conf: is empty/],
    [{ state: "up" }, /^state: must be "running" or "stopped"/],
    [{ restartTriggers: { "unit file": "x" } }, /no name of a trigger/],
    [{ restartTriggers: { a: "x y" } }, /must be a digest/],
    [{ content: "[Service]\nExecStart=/bin/true\n", enabled: true }, /^enabled: .*\[Install\]/],
    [
      { content: "[Service]\nType=oneshot\nExecStart=/bin/true\n", state: "running" },
      /^state: a oneshot ends/,
    ],
    [{ extra: 1 }, /Unrecognized key/],
  ])("%j is refused", (given, message) => {
    expect(problems(given)).toMatch(message);
  });

  test.each<[object]>([
    [{ name: "getty@tty1.service", state: "running" }],
    [{ name: "a-b_c.d:e.timer" }],
    [{ content: SERVICE, enabled: true, state: "running" }],
    [{ content: "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n", state: "running" }],
    [{ content: "[Service]\nType=oneshot\nExecStart=/bin/true\n", state: "stopped" }],
    [{ content: "[Unit]\nDescription=WantedBy= is text here\n", enabled: false }],
  ])("%j is accepted", (given) => {
    expect(problems(given)).toBe("");
  });
});

describe("what is read of a unit", () => {
  test.each([
    ["one that systemd never heard of", shown("not-found", "inactive"), {}, undefined],
    [
      "one of a package's, enabled and running",
      shown("loaded", "active", "enabled"),
      {},
      { content: "", enabled: true, state: "running" },
    ],
    [
      "one that failed is stopped",
      shown("loaded", "failed", "disabled"),
      {},
      { enabled: false, state: "stopped" },
    ],
    [
      "one that is started over and over is not running",
      shown("loaded", "activating", "enabled"),
      {},
      { state: "stopped" },
    ],
    ["one that reloads is running", shown("loaded", "reloading", "enabled"), {}, { state: "running" }],
    ["a masked one", shown("masked", "inactive", "masked"), {}, { enabled: false, state: "stopped" }],
    [
      "one that runs on though its file is gone",
      shown("not-found", "active"),
      {},
      { content: "", state: "running" },
    ],
    [
      "a file that systemd has not loaded yet",
      shown("not-found", "inactive"),
      { [UNIT]: SERVICE },
      { content: SERVICE, state: "stopped" },
    ],
    [
      "what it was last started with",
      shown("loaded", "active", "enabled"),
      { [MARK]: '{"b":"2","a":"1"}\n' },
      { restartTriggers: { a: "1", b: "2" } },
    ],
    [
      "a mark that is not ours is none",
      shown("loaded", "active", "enabled"),
      { [MARK]: "[1" },
      { restartTriggers: {} },
    ],
  ] as const)("%s", (_, systemd, files, wanted) => {
    const state = observed(systemd, files);
    if (wanted === undefined) expect(state).toBeUndefined();
    else expect(state).toMatchObject(wanted);
  });

  test("a static one is neither enabled nor disabled", () => {
    const state = observed(shown("loaded", "active", "static"));
    expect(state?.state).toBe("running");
    expect(state).not.toHaveProperty("enabled");
  });

  test("drop-ins of all the specs are looked at, and no others", () => {
    const dropIn = (name: string) => `/etc/systemd/system/a.service.d/${name}`;
    const state = observed(
      shown("loaded", "active", "enabled"),
      { [dropIn("old.conf")]: "1", [dropIn("foreign.conf")]: "2" },
      [spec({ dropIns: { "new.conf": "3" } }), spec({ dropIns: { "old.conf": "1" } })],
    );
    expect(state?.dropIns).toEqual({ "old.conf": "1" });
  });

  test("a host that systemd does not run is an error and no unit that is gone", () => {
    const get: Facts["get"] = (query) =>
      query.tool === "systemctl"
        ? {
            ok: false,
            error: "System has not been booted with systemd as init system (PID 1). Can't operate.",
          }
        : { ok: true, value: {} };
    expect(() => unit.observe({ get }, [spec()])).toThrow(/not been booted with systemd/);
  });
});

const there = (given: Partial<Input> = {}): Spec => ({
  enabled: true,
  ...spec({ content: SERVICE, state: "running", ...given }),
});

describe("plans of a unit", () => {
  test("one that is made is written, loaded, enabled and started, and what it was started with is noted last", () => {
    expect(
      plan(undefined, there({ dropIns: { "x.conf": "[Service]\n" }, restartTriggers: { conf: "1" } })),
    ).toEqual([
      `write ${UNIT}`,
      "write /etc/systemd/system/a.service.d/x.conf",
      "systemctl daemon-reload",
      "systemctl enable -- a.service",
      "systemctl start -- a.service",
      `write ${MARK}`,
    ]);
  });

  test("nothing is done to one that is as it should be", () => {
    const current = there({ restartTriggers: { conf: "1" } });
    expect(plan(current, current)).toEqual([]);
    expect(plan(current, spec({ restartTriggers: { conf: "1" } }))).toEqual([]);
  });

  test("a changed trigger restarts it once, and nothing else happens", () => {
    expect(
      plan(there({ restartTriggers: { a: "1", b: "1" } }), there({ restartTriggers: { a: "2", b: "2" } })),
    ).toEqual(["systemctl restart -- a.service", `write ${MARK}`]);
  });

  test("a trigger that is dropped restarts nothing", () => {
    expect(
      plan(there({ restartTriggers: { a: "1", b: "1" } }), there({ restartTriggers: { a: "1" } })),
    ).toEqual([`write ${MARK}`]);
    expect(plan(there({ restartTriggers: { a: "1" } }), there())).toEqual([`remove ${MARK}`]);
  });

  test("a changed file restarts it once, and until then it is noted that it has to be", () => {
    const [first, ...rest] = unit.plan(there(), there({ content: `${SERVICE}# more\n` }), { owner: "" });
    expect(first).toMatchObject({
      tool: "write",
      path: MARK,
      file: { content: expect.stringMatching("unit file") },
    });
    expect(rest.map(words)).toEqual([
      `write ${UNIT}`,
      "systemctl daemon-reload",
      "systemctl restart -- a.service",
      `remove ${MARK}`,
    ]);
  });

  test("a restart that an interrupted run owes is made up for", () => {
    const owed: Spec = { ...there(), restartTriggers: { "unit file": "changed since its last start" } };
    expect(disagreements(there(), owed)).toEqual(["restartTriggers"]);
    expect(plan(owed, there())).toEqual([
      "systemctl daemon-reload",
      "systemctl restart -- a.service",
      `remove ${MARK}`,
    ]);
  });

  test("one that is stopped is not started by a trigger, and one that is to stop is not restarted before", () => {
    const [old, next] = [{ restartTriggers: { a: "1" } }, { restartTriggers: { a: "2" } }];
    expect(plan(there({ ...old, state: "stopped" }), there({ ...next, state: "stopped" }))).toEqual([
      `write ${MARK}`,
    ]);
    expect(plan(there(old), there({ ...next, state: "stopped" }))).toEqual([
      "systemctl stop -- a.service",
      `write ${MARK}`,
    ]);
    expect(plan(there({ ...old, state: "stopped" }), there(next))).toEqual([
      "systemctl start -- a.service",
      `write ${MARK}`,
    ]);
  });

  test("one whose state is nobody's business is restarted by a trigger if it runs, and left alone if not", () => {
    const next = spec({ restartTriggers: { a: "2" } });
    expect(plan(there(), next)).toEqual(["systemctl restart -- a.service", `write ${MARK}`]);
    expect(plan(there({ state: "stopped" }), next)).toEqual([`write ${MARK}`]);
  });

  test("one that goes is stopped and disabled before its files do, and systemd forgets that it may have failed", () => {
    expect(plan(there({ dropIns: { "x.conf": "x" }, restartTriggers: { a: "1" } }), undefined)).toEqual([
      "systemctl stop -- a.service",
      "systemctl disable -- a.service",
      `remove ${UNIT}`,
      "remove /etc/systemd/system/a.service.d/x.conf",
      `remove ${MARK}`,
      "systemctl daemon-reload",
      "systemctl reset-failed -- a.servic[e]",
    ]);
  });

  test("a package's unit is given back as it was without a restart", () => {
    const before = spec({ content: "", enabled: false, state: "stopped" });
    expect(plan({ ...there({ content: "", restartTriggers: { a: "1" } }) }, before)).toEqual([
      "systemctl disable -- a.service",
      "systemctl stop -- a.service",
      `remove ${MARK}`,
    ]);
  });

  test("a unit that nobody brings is refused before anything is touched", () => {
    expect(() => plan(undefined, spec({ state: "running" }))).toThrow(
      /there is no unit a\.service: give its content, or install the package/,
    );
  });

  test("one without [Install] that is to be enabled is refused, unless a drop-in gives it one", () => {
    const current: Spec = { ...there({ content: "" }), enabled: undefined };
    expect(() => plan(current, spec({ enabled: true }))).toThrow(/no \[Install\] section/);
    const dropIns = { "on.conf": "[Install]\nWantedBy=multi-user.target\n" };
    expect(plan(current, spec({ enabled: true, dropIns }))).toContain("systemctl enable -- a.service");
  });
});

test.each([
  ["systemctl start failed: Job for a.service failed", /journalctl -u a\.service -n 20/],
  [
    "systemctl start failed: Failed to start a.service: Unit a.service is masked.",
    /systemctl unmask a\.service/,
  ],
  [
    "systemctl enable failed: Failed to enable unit: Unit file a.service does not exist.",
    /Install the package/,
  ],
  ["systemctl start failed: Unit a.service has a bad unit file setting.", /systemd-analyze verify/],
  ["System has not been booted with systemd as init system (PID 1).", /not run by it/],
])("%s is explained", (said, meant) => {
  expect(unit.explain?.(said, spec())).toMatch(meant);
});
