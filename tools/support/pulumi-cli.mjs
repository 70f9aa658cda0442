// The Pulumi CLI: the one on PATH, else one built from source at the version that tools/pulumi/go.mod pins.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { ensurePackages } from "./debian.mjs";
import { cacheFolder, find, root } from "./places.mjs";
import { output, SetupError, step } from "./steps.mjs";

const folder = join(root, "tools", "pulumi");
const module = "github.com/pulumi/pulumi/pkg/v3";
/** The oldest version whose engine does what the plugin expects of it. */
const oldest = [3, 200];

/** The folder that the Pulumi CLI is in; it is built there when there is none (some minutes, once). */
export async function ensurePulumi() {
  const onPath = find("pulumi");
  if (onPath && isRecent(onPath)) return dirname(onPath);
  const version = pinned(new RegExp(`^\\s*${module} (v\\S+)`, "m"));
  const target = join(cacheFolder(), `pulumi-${version}`, "pulumi");
  if (!existsSync(target)) await build(version, target);
  return dirname(target);
}

function isRecent(file) {
  const env = { ...process.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
  const said = spawnSync(file, ["version"], { encoding: "utf8", env }).stdout ?? "";
  const match = /^v(\d+)\.(\d+)/.exec(said.trim());
  if (!match) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

async function build(version, target) {
  const go = await ensureGo();
  mkdirSync(dirname(target), { recursive: true });
  // Built under another name and renamed: what is there is whole, also when two build at once.
  const unfinished = `${target}.${process.pid}`;
  const flags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`;
  const args = ["build", "-ldflags", flags, "-o", unfinished, `${module}/cmd/pulumi`];
  try {
    await step(`Pulumi CLI ${version}, built from source (about 5 minutes, once)`, () =>
      output(go, args, goOptions),
    );
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** go.sum decides what is built; a C compiler would make the result depend on this machine. */
const goOptions = { cwd: folder, env: { GOFLAGS: "-mod=readonly", CGO_ENABLED: "0", GOTOOLCHAIN: "auto" } };

/**
 * A Go that can build the CLI. Since 1.21 Go fetches the toolchain that a module asks for by itself; Debian 12 has
 * 1.19, with which that toolchain is fetched as the module it is.
 */
async function ensureGo() {
  if (!find("go")) await ensurePackages(["go"]);
  const go = find("go");
  if (!go) throw new SetupError("no go to build the Pulumi CLI with, although its package is installed");
  const match = /go(\d+)\.(\d+)/.exec(await output(go, ["version"], { env: { GOTOOLCHAIN: "local" } }));
  if (match && (Number(match[1]) > 1 || Number(match[2]) >= 21)) return go;
  const name = `v0.0.1-go${pinned(/^go (\S+)$/m)}.linux-${process.arch === "x64" ? "amd64" : process.arch}`;
  return step("Go toolchain", () => fetchToolchain(go, name));
}

async function fetchToolchain(go, version) {
  // Away from our go.mod, which a Go as old as this cannot read.
  const args = ["mod", "download", "-json", `golang.org/toolchain@${version}`];
  const said = await output(go, args, { cwd: tmpdir() });
  const { Dir: there } = JSON.parse(said);
  // Modules carry no permission to execute.
  for (const tools of ["bin", join("pkg", "tool", `linux_${version.split("-").at(-1)}`)]) {
    const programs = join(there, tools);
    if (!existsSync(programs)) continue;
    for (const name of readdirSync(programs)) chmodSync(join(programs, name), 0o755);
  }
  return join(there, "bin", "go");
}

function pinned(pattern) {
  const match = pattern.exec(readFileSync(join(folder, "go.mod"), "utf8"));
  if (!match) throw new SetupError(`tools/pulumi/go.mod does not say ${pattern}`);
  return match[1];
}
