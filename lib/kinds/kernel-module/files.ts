import type { Artifact } from "../build/artifact";
import { buildDigest, sortedSources } from "../build/sources";
import type { FileFact } from "../step";
import type { Part, Spec } from "./schema";

/** Where modules are built. */
const MODULES = "/var/lib/netloom/modules";

/** The file that says how a module is built (Documentation/kbuild/modules.rst). */
export const KBUILD = "Kbuild";

/** What a module is built from. */
export interface ModuleSources extends Pick<Spec, "sources">, Partial<Pick<Spec, "sign">> {
  readonly units: readonly string[];
  readonly flags?: readonly string[];
}

/** What a module is built from, told in 16 hexadecimal digits. */
export function moduleDigest({ units, sources, flags = [], sign }: ModuleSources): string {
  return buildDigest([units, sortedSources(sources), flags, sign ? [sign.key, sign.certificate] : []]);
}

/** Where a module is built on its host. */
export const modulePath = (name: string, digest: string) => `${MODULES}/${digest}/${name}.ko`;

/** The module at a path, with its record. */
export const artifactAt = (object: string): Artifact => ({
  object,
  record: object.replace(/\.ko$/, ".record"),
});

/** The artifact of a spec, as far as it names one. */
export function artifactOf({ name, units, sources, flags, sign }: Part): Artifact | undefined {
  if (name === undefined || units === undefined || sources === undefined) return undefined;
  return artifactAt(modulePath(name, moduleDigest({ units, sources, flags, ...(sign && { sign }) })));
}

/** A Kbuild file for units and flags; folders of `-I` are those of the sources. */
function kbuildOf({ name, units, flags }: Spec): string {
  const objects = units.map((unit) => unit.replace(/\.c$/, ".o"));
  const own = flags.map((flag) => flag.replace(/^-I/, "-I$(src)/"));
  return [
    `obj-m := ${name}.o`,
    // One that is made of a source of its own name is that source's object.
    ...(objects.length === 1 && objects[0] === `${name}.o` ? [] : [`${name}-y := ${objects.join(" ")}`]),
    `ccflags-y := ${["-I$(src)", ...own].join(" ")}`,
    "",
  ].join("\n");
}

/** The files that make(1) is given. */
export const buildFiles = (spec: Spec): Readonly<Record<string, string>> =>
  KBUILD in spec.sources ? spec.sources : { ...spec.sources, [KBUILD]: kbuildOf(spec) };

/** The script that signs what DKMS has built. */
const SIGN = "netloom-sign";

/**
 * What DKMS runs when it has built a module that is to be signed. Until then DKMS 3 (Debian 12 and later) has signed it
 * with a key of its own; 2.8 (Debian 11) signs later, and only by Ubuntu's kmodsign. Of several signatures the kernel
 * looks at the last. The sum in `log/` says which file has ours last. A failure is none of DKMS's, which else fails the
 * installation of the kernel: the module stays as it was.
 */
const signScript = (name: string, { key, certificate }: NonNullable<Spec["sign"]>) => `#!/bin/sh
# Netloom wrote this file. DKMS runs it after a build, with the kernel's release and architecture.
set -e
trap '[ $? = 0 ] || echo "netloom: ${name} for $1 is not signed with ${key}" >&2; rm -f "$new" "$new.packed"; exit 0' EXIT
cd "../$1/$2"
new=$PWD/log/${name}.ko
for file in module/${name}.ko module/${name}.ko.*; do
  [ -f "$file" ] || continue
  # As the kernel takes them apart.
  case $file in
    *.gz) unpack="gzip -dc" pack="gzip -9c" ;;
    *.xz) unpack="xz -dc" pack="xz -c --check=crc32 --lzma2=dict=1MiB" ;;
    *.zst) unpack="zstd -qdc" pack="zstd -qc" ;;
    *) unpack=cat pack=cat ;;
  esac
  $unpack <"$file" >"$new"
  "/lib/modules/$1/build/scripts/sign-file" sha256 '${key}' '${certificate}' "$new"
  $pack <"$new" >"$new.packed"
  mv -f "$new.packed" "$file"
  sha256sum <"$file" >log/netloom-signed
done
`;

/** The version that DKMS knows the sources by: of a module that is signed it tells how, too. */
export const dkmsVersion = (spec: Spec): string =>
  spec.sign === undefined
    ? moduleDigest(spec)
    : buildDigest([moduleDigest(spec), signScript(spec.name, spec.sign)]);

/** What DKMS gets of a module, for kernels that are installed later: its sources and dkms.conf (dkms(8)). */
export const dkmsFiles = (spec: Spec): Readonly<Record<string, string>> => ({
  ...buildFiles(spec),
  ...(spec.sign && { [SIGN]: signScript(spec.name, spec.sign) }),
  "dkms.conf": [
    `PACKAGE_NAME="netloom-${spec.name}"`,
    `PACKAGE_VERSION="${dkmsVersion(spec)}"`,
    `BUILT_MODULE_NAME[0]="${spec.name}"`,
    'DEST_MODULE_LOCATION[0]="/updates/dkms"',
    'AUTOINSTALL="yes"',
    // DKMS sets these two for whoever reads the file.
    ...(spec.sign ? [`POST_BUILD="${SIGN} $kernelver $arch"`] : []),
    "",
  ].join("\n"),
});

/** Files of the host that say how and when a module is loaded. */
export const paths = {
  options: (name: string) => `/etc/modprobe.d/netloom-${name}.conf`,
  boot: (name: string) => `/etc/modules-load.d/netloom-${name}.conf`,
};

const NOTE = "# Netloom wrote this file; a change here is undone.\n";

/** What modprobe(8) reads of the parameters. */
export const optionsText = ({ name, parameters }: Pick<Spec, "name" | "parameters">) =>
  `${NOTE}options ${name} ${Object.entries(parameters)
    .map(([parameter, value]) => `${parameter}=${value}`)
    .join(" ")}\n`;

/** The parameters of such a file; one that somebody else wrote has none of ours. */
export function readOptions(name: string, file: FileFact | undefined): Record<string, string> {
  const line = file?.content.split("\n").find((one) => one.startsWith(`options ${name} `)) ?? "";
  const entries = line.split(" ").slice(2).filter(Boolean);
  return Object.fromEntries(
    entries
      .map((entry): [string, string] => [entry.replace(/=.*$/, ""), entry.replace(/^[^=]*=/, "")])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** What systemd reads when the host starts. */
export const bootText = (name: string) => `${NOTE}${name}\n`;
