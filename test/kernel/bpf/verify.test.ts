import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { bpfBuild, bpfSources, BpfRun, buildBpf, XDP } from "../../support/bpf";

const verify = (...more: string[]) =>
  execa(join(bpfSources, "verify"), [bpfBuild, ...more], { reject: false });

describe("what the verifier makes of the programs", () => {
  beforeAll(buildBpf, 120_000);

  it("is within the ceilings of this kernel", async () => {
    const { stdout, exitCode } = await verify();
    expect({ stdout, exitCode }).toMatchObject({ exitCode: 0 });
    const programs = ["mux_push", "mux_pop", "mux_both", "xdp_pass"];
    programs.push("shape_download", "shape_upload", "bridge_xdp", "bridge_tc");
    for (const program of programs) expect(stdout).toContain(program);
  });

  it("fails when a program has grown by more than a tenth", async () => {
    const folder = mkdtempSync(join(tmpdir(), "nlt-verify-"));
    const ceilings = readFileSync(join(bpfSources, "ceilings"), "utf8");
    const { stdout: release } = await execa("uname", ["-r"]);
    const kernel = release.split(".").slice(0, 2).join(".");
    const lower = (share: number) =>
      ceilings.replace(
        new RegExp(`^(${kernel.replace(".", "\\.")} geneve-mux mux_pop) (\\d+)`, "m"),
        (_, what: string, most: string) => `${what} ${Math.floor(Number(most) * share)}`,
      );
    const file = join(folder, "ceilings");
    writeFileSync(file, lower(0.95));
    expect((await verify(file)).exitCode).toBe(0);
    writeFileSync(file, lower(0.85));
    const grown = await verify(file);
    expect(grown.exitCode).toBe(1);
    expect(grown.stdout).toMatch(/mux_pop .*ABOVE \d+ by more than 10 %/);
    rmSync(folder, { recursive: true });
  });
});

describe("xdp-pass", () => {
  it("passes everything as it came", async () => {
    const run = await BpfRun.start();
    await run.load("xdp-pass");
    for (const size of [14, 60, 1514, 3000]) {
      const packet = Buffer.alloc(size, 0x33);
      expect(await run.run("xdp_pass", 1, packet)).toEqual({ verdict: XDP.pass, packet });
    }
    await run.close();
  });
});
