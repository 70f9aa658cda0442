import { systemCommand, systemQuestion } from "../../../lib/host/system-tools";

const answer = (stdout: string, status = 0, stderr = "") => ({ status, stdout: Buffer.from(stdout), stderr });

describe("questions to systemd and dpkg", () => {
  test("a unit's properties are read by name, values with equals signs in them whole", () => {
    const { read, script } = systemQuestion({ tool: "systemctl", args: ["show", "--", "a'b.service"] });
    expect(script).toBe(`systemctl --no-pager 'show' '--' 'a'\\''b.service' </dev/null`);
    expect(read(answer("LoadState=loaded\nEnvironment=A=1 B=2\nResult=\n"))).toEqual({
      ok: true,
      value: { LoadState: "loaded", Environment: "A=1 B=2", Result: "" },
    });
    expect(read(answer("", 1, "Failed to connect to bus"))).toEqual({
      ok: false,
      error: "Failed to connect to bus",
    });
  });

  test("packages are read with their state, and one that dpkg never heard of is left out", () => {
    const { read } = systemQuestion({ tool: "dpkg-query", args: ["bash", "nonesuch"] });
    expect(read(answer("bash\tii \t5.2-1\n", 1, "dpkg-query: no packages found matching nonesuch"))).toEqual({
      ok: true,
      value: { bash: { state: "ii ", version: "5.2-1" } },
    });
    expect(read(answer("", 127, "no dpkg on this host"))).toEqual({
      ok: false,
      error: "no dpkg on this host",
    });
    expect(read(answer("", 2, "dpkg-query: error: cannot open database"))).toMatchObject({ ok: false });
  });
});

describe("commands to systemd and the package managers", () => {
  test("never wait for an answer, and pass arguments on as they are", () => {
    expect(systemCommand({ tool: "systemctl", args: ["start", "--", "a;b.service"] }).script).toBe(
      "systemctl --no-ask-password --no-pager 'start' '--' 'a;b.service' </dev/null",
    );
    const { script, needs } = systemCommand({ tool: "apt-get", args: ["install", "--", "$(id)"] });
    expect(needs).toEqual(["apt-get"]);
    expect(script).toMatch(/^env DEBIAN_FRONTEND=noninteractive .* apt-get '-q' '-y' /);
    expect(script).toMatch(/'APT::Cmd::Pattern-Only=true' 'install' '--' '\$\(id\)' <\/dev\/null$/);
  });

  test("refuse an argument with a line end", () => {
    expect(() => systemCommand({ tool: "dpkg", args: ["--remove", "a\nb"] })).toThrow(/control character/);
  });
});
