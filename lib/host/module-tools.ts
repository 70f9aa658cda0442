import type { Fact, ModuleFact, Step } from "../kinds/step";
import { sourceWrites } from "./build-tools";
import type { Answer } from "./exchange";
import { HostError } from "./operation";
import { absolutePath, quote, quoteAll } from "./quote";

/**
 * How a host builds, installs, loads and unloads kernel modules: make(1) in the kernel's headers, modprobe(8),
 * depmod(8), and dkms(8) where it is there. Ours are in `updates/netloom` of each kernel's modules.
 */

type ModuleStep = Extract<Step, { tool: "kbuild" | "module-load" | "module-unload" | "module-remove" }>;

/** @throws HostError for a name that no module can have */
function moduleName(name: string): string {
  if (!/^[A-Za-z0-9_]{1,55}$/.test(name))
    throw new HostError(`${JSON.stringify(name)} is no name of a kernel module`);
  return name;
}

/**
 * Renders a step.
 *
 * @throws HostError for a path or a name that is none
 */
export function moduleCommand(step: ModuleStep): { needs: readonly string[]; script: string } {
  const name = quote(moduleName(step.module));
  switch (step.tool) {
    case "kbuild":
      return build(step);
    case "module-load":
      return load(step);
    case "module-unload":
      return { needs: ["modprobe"], script: `nl_unload ${name}` };
    case "module-remove":
      return { needs: ["depmod"], script: `nl_uninstall ${name}` };
  }
}

function build(step: Extract<Step, { tool: "kbuild" }>) {
  const { files, module, object, record, sign } = step;
  const folder = `${absolutePath(object)}_build`;
  const keys = sign === undefined ? [] : [absolutePath(sign.key), absolutePath(sign.certificate)];
  const script = [
    "nl_kready",
    ...sourceWrites(folder, files),
    `nl_kbuild ${quoteAll([folder, object, absolutePath(record), module, ...keys])}`,
  ].join(" &&\n");
  return { needs: ["make", "cc", "sha256sum", "mkdir", "mv", "rm"], script };
}

function load({ module, object, keep, dkms }: Extract<Step, { tool: "module-load" }>) {
  // The words of the keeper, as functions that the shell calls in each network namespace.
  const words = (args: readonly string[]) => `"$@" ${quoteAll([absolutePath(keep!.executable), ...args])}`;
  const keeper =
    keep === undefined
      ? "nl_save() { :; }; nl_clear() { :; }; nl_restore() { :; }"
      : `nl_save() { ${words(keep.save)}; }; nl_clear() { ${words(keep.clear)}; }; nl_restore() { ${words(keep.restore)}; }`;
  const lines = [keeper];
  if (dkms !== undefined) {
    const source = `/usr/src/netloom-${module}-${dkms.version}`;
    lines.push(`if command -v dkms >/dev/null; then ${sourceWrites(source, dkms.files).join(" && ")}; fi`);
  }
  lines.push(
    `nl_load ${quoteAll([module, absolutePath(object), keep === undefined ? "" : "keep", dkms?.version ?? ""])}`,
  );
  return { needs: ["modprobe", "depmod", "cp", "mv", "mkdir", "rm"], script: lines.join("\n") };
}

/** A module as the shell looks at it, and how its answer becomes a fact. */
export function moduleQuestion(name: string) {
  return { needs: ["modprobe"], script: `nl_module ${quote(moduleName(name))}`, read: readModule };
}

function readModule(answer: Answer): Fact {
  if (answer.status !== 0)
    return { ok: false, error: answer.stderr || `it ended with status ${answer.status}` };
  let release = "";
  let installed: string | undefined;
  let loaded: { isInstalled: boolean; references: number } | undefined;
  const dkms = { added: [] as string[], installed: [] as string[] };
  const parameters: Record<string, string> = {};
  for (const line of answer.stdout.toString("utf8").split("\n")) {
    const [, word = "", first = "", rest = ""] = /^(\S+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word === "release") release = first;
    if (word === "installed") installed = first;
    if (word === "dkms-added") dkms.added.push(first);
    if (word === "dkms-installed") dkms.installed.push(first);
    if (word === "loaded") loaded = { isInstalled: rest === "same", references: Number(first) };
    if (word === "parameter") parameters[first] = rest;
  }
  const value: ModuleFact = {
    release,
    dkms,
    ...(installed !== undefined && { installed }),
    ...(loaded && { loaded: { ...loaded, parameters } }),
  };
  return { ok: true, value };
}

/**
 * Shell functions that these use; sent once, when the shell starts. A loaded module is the installed one when the
 * build id that the kernel shows of it is in the file.
 */
export const modulePreamble = `
nl_module() {
  nl_v=$(uname -r); echo "release $nl_v"
  nl_f=/lib/modules/$nl_v/updates/netloom/$1.ko
  [ ! -f "$nl_f" ] || { nl_h=$(sha256sum <"$nl_f") || return; echo "installed \${nl_h%% *}"; }
  for nl_p in /var/lib/dkms/netloom-"$1"/*/source; do
    [ -e "$nl_p" ] || continue
    nl_p=\${nl_p%/source}; echo "dkms-added \${nl_p##*/}"
    for nl_q in "$nl_p/$nl_v"/*/module/"$1".ko*; do
      [ ! -f "$nl_q" ] || echo "dkms-installed \${nl_p##*/}"
    done
  done
  nl_s=/sys/module/$1
  [ -e "$nl_s/initstate" ] || return 0
  nl_same=
  if nl_f=$(modinfo -n "$1" 2>/dev/null </dev/null) && [ -f "$nl_f" ]; then
    case $nl_f in *.xz) nl_c="xz -dc" ;; *.gz) nl_c="gzip -dc" ;; *.zst) nl_c="zstd -dc" ;; *) nl_c=cat ;; esac
    nl_i=$(od -An -v -tx1 "$nl_s/notes/.note.gnu.build-id" 2>/dev/null | tr -d ' \\n')
    [ -z "$nl_i" ] || ! $nl_c <"$nl_f" | od -An -v -tx1 | tr -d ' \\n' | grep -q "$nl_i" || nl_same=same
  fi
  nl_i=$(cat "$nl_s/refcnt" 2>/dev/null); echo "loaded \${nl_i:-0} $nl_same"
  for nl_p in "$nl_s"/parameters/*; do
    [ ! -r "$nl_p" ] || { nl_i=$(cat "$nl_p" 2>/dev/null) && printf 'parameter %s %s\\n' "\${nl_p##*/}" "$(printf %s "$nl_i" | head -n1)"; } || :
  done
}
nl_kready() {
  nl_v=$(uname -r)
  [ -e "/lib/modules/$nl_v/build/Makefile" ] || { echo "nl-no-headers $nl_v" >&2; return 1; }
}
nl_kbuild() {
  nl_d=$1 nl_o=$2 nl_w=$3 nl_n=$4 nl_v=$(uname -r); shift 4
  nl_b=/lib/modules/$nl_v/build
  if [ $# = 0 ]; then
    nl_e=
    [ "$(cat /sys/module/module/parameters/sig_enforce 2>/dev/null)" != Y ] || nl_e="module.sig_enforce is set"
    ! grep -q '\\[\\(integrity\\|confidentiality\\)\\]' /sys/kernel/security/lockdown 2>/dev/null || nl_e="the kernel is locked down, as by Secure Boot"
    [ -z "$nl_e" ] || { echo "nl-unsigned $nl_e" >&2; rm -rf -- "$nl_d"; rmdir -- "\${nl_o%/*}" 2>/dev/null; return 1; }
  fi
  make -s -j "$(nproc)" -C "$nl_b" M="$nl_d" modules </dev/null >/dev/null 2>"$nl_d/errors"; nl_r=$?
  [ $nl_r = 0 ] && [ -f "$nl_d/$nl_n.ko" ] || nl_r=1
  if [ $nl_r = 0 ] && [ $# = 2 ]; then
    if [ -r "$1" ] && [ -r "$2" ]; then
      "$nl_b/scripts/sign-file" sha256 "$1" "$2" "$nl_d/$nl_n.ko" >"$nl_d/errors" 2>&1 </dev/null || nl_r=1
    else echo "the key $1 or the certificate $2 is not there" >"$nl_d/errors"; nl_r=1; fi
  fi
  if [ $nl_r != 0 ]; then
    sed "s|$nl_d/||g" <"$nl_d/errors" >&2
    rm -rf -- "$nl_d"; rmdir -- "\${nl_o%/*}" 2>/dev/null; return 1
  fi
  nl_h=$(sha256sum <"$nl_d/$nl_n.ko") &&
    { printf '%s\\n' "\${nl_h%% *}"; cc --version </dev/null | head -n1; echo "$nl_v"; } >"$nl_d/record" &&
    mv -f -- "$nl_d/$nl_n.ko" "$nl_o" && mv -f -- "$nl_d/record" "$nl_w"; nl_r=$?
  rm -rf -- "$nl_d"; return $nl_r
}
nl_spaces() {
  "$1" || return
  for nl_p in /run/netns/*; do
    nl_p=\${nl_p##*/}
    # What is there of a namespace that is gone holds no state.
    ! ip netns exec "$nl_p" true 2>/dev/null </dev/null || "$1" "$nl_p" || return
  done
}
nl_save_one() {
  nl_y=$nl_z/host; nl_x=; [ -z "$1" ] || { nl_y=$nl_z/netns-$1; nl_x="ip netns exec $1"; }
  nl_save $nl_x >"$nl_y.new" </dev/null || { rm -f -- "$nl_y.new"; return 1; }
  if [ -s "$nl_y.new" ] || [ ! -e "$nl_y" ]; then mv -f -- "$nl_y.new" "$nl_y"; else rm -f -- "$nl_y.new"; fi
  nl_clear $nl_x </dev/null
}
nl_restore_one() {
  nl_y=$nl_z/host; nl_x=; [ -z "$1" ] || { nl_y=$nl_z/netns-$1; nl_x="ip netns exec $1"; }
  [ ! -s "$nl_y" ] || { nl_clear $nl_x </dev/null && nl_restore $nl_x <"$nl_y" && rm -f -- "$nl_y"; }
}
nl_restored() { nl_spaces nl_restore_one && rm -rf -- "$nl_z"; }
nl_uses() {
  nl_i=$(ls "/sys/module/$1/holders" 2>/dev/null | tr '\\n' ' ')
  echo "$(cat "/sys/module/$1/refcnt" 2>/dev/null) references\${nl_i:+, held by $nl_i}"
}
nl_unload() {
  [ -e "/sys/module/$1/initstate" ] || return 0
  nl_e=$(rmmod "$1" 2>&1 </dev/null) && return
  [ -e "/sys/module/$1/initstate" ] || return 0
  echo "nl-in-use $(nl_uses "$1"): $nl_e" >&2; return 1
}
nl_before() {
  if [ -f "$nl_f.before" ]; then mv -f -- "$nl_f.before" "$nl_f"; else rm -f -- "$nl_f"; rmdir -- "$nl_k" 2>/dev/null; fi
  depmod -A </dev/null
}
nl_load() {
  nl_n=$1 nl_o=$2 nl_e=$3 nl_a=$4 nl_z=/run/netloom-modules/$1 nl_v=$(uname -r)
  nl_k=/lib/modules/$nl_v/updates/netloom; nl_f=$nl_k/$nl_n.ko
  nl_g=; [ -z "$nl_a" ] || ! command -v dkms >/dev/null || nl_g=dkms
  [ -d "$nl_k" ] || mkdir -p -- "$nl_k" || return
  { [ ! -f "$nl_f" ] || cp -f -- "$nl_f" "$nl_f.before"; } &&
    cp -f -- "$nl_o" "$nl_k/.$nl_n.new" && mv -f -- "$nl_k/.$nl_n.new" "$nl_f" && depmod -A </dev/null ||
    { nl_before; return 1; }
  umask 077; mkdir -p -- "$nl_z"; umask 022
  [ -z "$nl_g" ] || nl_dkms "$nl_n" "$nl_a" || { nl_before; return 1; }
  if [ -e "/sys/module/$nl_n/initstate" ]; then
    [ -z "$nl_e" ] || nl_spaces nl_save_one || { nl_before; nl_restored; return 1; }
    nl_unload "$nl_n" || { nl_before; nl_restored; return 1; }
  fi
  nl_i=$(modprobe "$nl_n" 2>&1 </dev/null) || {
    nl_q=$(dmesg 2>/dev/null | grep -F "$nl_n" | tail -n2)
    nl_before; [ ! -f "$nl_f" ] || { modprobe "$nl_n" </dev/null 2>/dev/null && nl_restored; }
    echo "nl-not-loaded $nl_i\${nl_q:+; dmesg: $nl_q}" | tr '\\n' ' ' >&2; return 1
  }
  nl_restored || return
  rm -f -- "$nl_f.before"; rmdir -- /run/netloom-modules 2>/dev/null || :
}
nl_dkms() {
  for nl_p in /var/lib/dkms/netloom-"$1"/*/source; do
    [ -e "$nl_p" ] || continue
    nl_p=\${nl_p%/source}; nl_p=\${nl_p##*/}
    [ "$nl_p" = "$2" ] || { dkms remove "netloom-$1/$nl_p" --all </dev/null >/dev/null 2>&1; rm -rf -- "/usr/src/netloom-$1-$nl_p"; }
  done
  [ -e "/var/lib/dkms/netloom-$1/$2/source" ] || dkms add "netloom-$1/$2" </dev/null >/dev/null
}
nl_uninstall() {
  for nl_p in /var/lib/dkms/netloom-"$1"/*/source; do
    [ -e "$nl_p" ] || continue
    nl_p=\${nl_p%/source}; nl_p=\${nl_p##*/}
    dkms remove "netloom-$1/$nl_p" --all </dev/null >/dev/null || return
    rm -rf -- "/usr/src/netloom-$1-$nl_p"
  done
  nl_q=
  for nl_f in /lib/modules/*/updates/netloom/"$1".ko; do
    [ -e "$nl_f" ] || continue
    nl_k=\${nl_f%/*}; rm -f -- "$nl_f" "$nl_f.before" || return
    rmdir -- "$nl_k" "\${nl_k%/*}" 2>/dev/null
    nl_k=\${nl_k%/updates/netloom}; depmod "\${nl_k##*/}" </dev/null
  done
  rm -rf -- "/run/netloom-modules/$1"; rmdir -- /run/netloom-modules 2>/dev/null || :
}`;
