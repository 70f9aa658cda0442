import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import { LabError } from "./errors";
import { withLock } from "./lock";
import { imagesFolder } from "./paths";
import { runProgram } from "./programs";
import { step, type Progress } from "./progress";
import { aptSources, digest, imageKey, recipeOf, type Recipe, type Release } from "./recipe";

/** A disk image with what it takes to boot it and to log in. */
export interface Image {
  readonly release: Release;
  /** Of what it is made of; with a kernel of one's own, of that one too. */
  readonly key: string;
  readonly folder: string;
  readonly kernel: string;
  /** A kernel of one's own has all it takes to mount the disk built in. */
  readonly initrd?: string;
  readonly base: string;
  /** The machines' own key, as known_hosts has it: `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
  /** The key that root, `admin` (passwordless sudo) and `guest` (no sudo) let in. */
  readonly privateKeyFile: string;
}

/** The image of a release; it is built (about a minute) unless the cache has it. */
export async function imageOf(release: Release, progress: Progress = step): Promise<Image> {
  const recipe = recipeOf(release);
  const key = imageKey(recipe);
  const folder = join(imagesFolder(), key);
  if (!existsSync(folder)) {
    await withLock(join(imagesFolder(), `${key}.lock`), async () => {
      if (!existsSync(folder)) await build(recipe, folder, progress);
    });
  }
  const own = ownKernel();
  return {
    release,
    key: own ? `${key}-${own.key}` : key,
    folder,
    kernel: own?.file ?? join(folder, "vmlinuz"),
    ...(own ? {} : { initrd: join(folder, "initrd.img") }),
    base: join(folder, "base.raw"),
    hostKey: readFileSync(join(folder, "host_ed25519.pub"), "utf8").split(" ").slice(0, 2).join(" ").trim(),
    privateKeyFile: join(folder, "id_ed25519"),
  };
}

/**
 * The kernel that machines boot in place of their release's: `NETLOOM_LAB_KERNEL` names the folder that its `bzImage`
 * is in. Machines that have booted it are saved apart from others.
 */
export function ownKernel(
  env: NodeJS.ProcessEnv = process.env,
): { readonly file: string; readonly key: string } | undefined {
  if (!env.NETLOOM_LAB_KERNEL) return undefined;
  const file = join(resolve(env.NETLOOM_LAB_KERNEL), "bzImage");
  if (!existsSync(file)) {
    throw new LabError(
      `NETLOOM_LAB_KERNEL: there is no ${file}; tools/debug-kernel/build.sh builds one and says where`,
    );
  }
  return { file, key: digest(readFileSync(file)) };
}

async function build(recipe: Recipe, folder: string, progress: Progress): Promise<void> {
  mkdirSync(imagesFolder(), { recursive: true });
  // Built aside and renamed whole: an image that is there is complete. What a build that was cut short has left goes.
  const work = join(imagesFolder(), `.build-${basename(folder)}`);
  await discard(work);
  mkdirSync(work, { mode: 0o700 });
  try {
    await makeKeys(work);
    writeHook(recipe, work);
    await progress(`lab image: Debian ${recipe.release} packages`, () => bootstrap(recipe, work));
    await progress(`lab image: Debian ${recipe.release} disk`, () => makeDisk(recipe, work));
    for (const left of ["rootfs", "files", "customize"])
      rmSync(join(work, left), { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    await discard(work);
  }
}

/** A root folder has files that only root may remove. */
async function discard(work: string): Promise<void> {
  await runProgram("rm", ["-rf", "--one-file-system", work], { asRoot: existsSync(join(work, "rootfs")) });
}

async function makeKeys(work: string): Promise<void> {
  for (const name of ["id_ed25519", "host_ed25519"]) {
    await runProgram("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", join(work, name)]);
  }
}

function writeHook(recipe: Recipe, work: string): void {
  for (const [path, content] of Object.entries(recipe.files)) {
    const file = join(work, "files", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o644 });
  }
  writeFileSync(join(work, "customize"), recipe.customize);
  chmodSync(join(work, "customize"), 0o755);
}

async function bootstrap(recipe: Recipe, work: string): Promise<void> {
  const root = join(work, "rootfs");
  await runProgram(
    "mmdebstrap",
    [
      ...["--mode=root", "--variant=minbase", "--format=directory", "--architectures=amd64"],
      `--include=${recipe.packages.join(",")}`,
      `--customize-hook=${join(work, "customize")}`,
      ...["--aptopt=Acquire::Retries 3", "--aptopt=Acquire::http::Timeout 60"],
      ...[recipe.suite, root, ...aptSources(recipe.release)],
    ],
    { asRoot: true },
  );
}

async function makeDisk(recipe: Recipe, work: string): Promise<void> {
  const root = join(work, "rootfs");
  copyFileSync(only(join(root, "boot"), "vmlinuz-"), join(work, "vmlinuz"));
  copyFileSync(only(join(root, "boot"), "initrd.img-"), join(work, "initrd.img"));
  const base = join(work, "base.raw");
  await runProgram("truncate", ["-s", `${recipe.diskGiB}G`, base]);
  const options = "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0";
  await runProgram("mkfs.ext4", ["-q", "-F", "-L", "lab", "-E", options, "-d", root, base], { asRoot: true });
  await runProgram("rm", ["-rf", "--one-file-system", root], { asRoot: true });
  chmodSync(base, 0o444);
}

function only(folder: string, prefix: string): string {
  const found = readdirSync(folder).filter((name) => name.startsWith(prefix));
  const [name] = found;
  if (found.length !== 1 || name === undefined) {
    throw new LabError(`the image has ${found.length} files ${prefix}* in /boot, not one`);
  }
  return join(folder, name);
}
