import type { Fact, ModuleFact, Step } from "../kinds/step";
import { sourceWrites } from "./build-tools";
import type { Answer } from "./exchange";
import { HostError } from "./operation";
import { absolutePath, quote, quoteAll } from "./quote";

/**
 * How a host builds, installs, loads and unloads kernel modules: make(1) in the kernel's headers, modprobe(8),
 * depmod(8), and dkms(8) where it is there. Ours are in `updates/netloom` of each kernel's modules.
 */

type ModuleStep = Extract<
  Step,
  { tool: "kbuild" | "module-load" | "module-dkms" | "module-unload" | "module-remove" }
>;

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
    case "module-dkms":
      return register(step);
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
    `nl_kready ${quoteAll(keys)}`,
    ...sourceWrites(folder, files),
    `nl_kbuild ${quoteAll([folder, object, absolutePath(record), module, ...keys])}`,
  ].join(" &&\n");
  return { needs: ["make", "cc", "sha256sum", "mkdir", "mv", "rm"], script };
}

function load({ module, object, keep }: Extract<Step, { tool: "module-load" }>) {
  // The words of the keeper, as functions that the shell calls in each network namespace.
  const words = (args: readonly string[]) => `"$@" ${quoteAll([absolutePath(keep!.executable), ...args])}`;
  const keeper =
    keep === undefined
      ? "nl_save() { :; }; nl_clear() { :; }; nl_restore() { :; }"
      : `nl_save() { ${words(keep.save)}; }; nl_clear() { ${words(keep.clear)}; }; nl_restore() { ${words(keep.restore)}; }`;
  const script = `${keeper}\nnl_load ${quoteAll([module, absolutePath(object), keep === undefined ? "" : "keep"])}`;
  return { needs: ["modprobe", "depmod", "cp", "mv", "mkdir", "rm"], script };
}

function register({ module, version = "", files = {} }: Extract<Step, { tool: "module-dkms" }>) {
  const folder = `/usr/src/netloom-${moduleName(module)}-${version}`;
  const sources = version === "" ? [] : sourceWrites(folder, files);
  // DKMS runs what may be run.
  const scripts = Object.keys(files).filter((name) => files[name]?.startsWith("#!"));
  const modes = scripts.map((name) => `chmod 0755 ${quote(`${folder}/${name}`)}`);
  const commands = [...sources, ...modes, `nl_dkms ${quoteAll([module, version])}`];
  return { needs: [], script: `if command -v dkms >/dev/null; then ${commands.join(" && ")}; fi` };
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
  const dkms = { isThere: false, added: [] as string[], installed: [] as string[] };
  const parameters: Record<string, string> = {};
  for (const line of answer.stdout.toString("utf8").split("\n")) {
    const [, word = "", first = "", rest = ""] = /^(\S+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word === "release") release = first;
    if (word === "installed") installed = first;
    if (word === "dkms") dkms.isThere = true;
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
  ! command -v dkms >/dev/null || echo "dkms there"
  for nl_p in /var/lib/dkms/netloom-"$1"/*/source; do
    [ ! -e "$nl_p" ] || { nl_p=\${nl_p%/source}; echo "dkms-added \${nl_p##*/}"; }
  done
  nl_q=$(nl_bydkms "$1" "$nl_v" as-wanted); [ -z "$nl_q" ] || echo "dkms-installed $nl_q"
  nl_s=/sys/module/$1
  [ -e "$nl_s/initstate" ] || return 0
  nl_alike=
  if nl_f=$(modinfo -n "$1" 2>/dev/null </dev/null) && [ -f "$nl_f" ]; then
    case $nl_f in *.xz) nl_c="xz -dc" ;; *.gz) nl_c="gzip -dc" ;; *.zst) nl_c="zstd -dc" ;; *) nl_c=cat ;; esac
    nl_i=$(od -An -v -tx1 "$nl_s/notes/.note.gnu.build-id" 2>/dev/null | tr -d ' \\n')
    [ -z "$nl_i" ] || ! $nl_c <"$nl_f" | od -An -v -tx1 | tr -d ' \\n' | grep -q "$nl_i" || nl_alike=same
  fi
  nl_i=$(cat "$nl_s/refcnt" 2>/dev/null); echo "loaded \${nl_i:-0} $nl_alike"
  for nl_p in "$nl_s"/parameters/*; do
    [ ! -r "$nl_p" ] || { nl_i=$(cat "$nl_p" 2>/dev/null) && printf 'parameter %s %s\\n' "\${nl_p##*/}" "$(printf %s "$nl_i" | head -n1)"; } || :
  done
}
nl_bydkms() {
  # The version that DKMS has put where modprobe finds it, for a kernel; it links what it installed. As wanted is one
  # that is to be signed only if it is the file that got our signature.
  for nl_w in /var/lib/dkms/netloom-"$1"/kernel-"$2"-*; do
    for nl_i in "/lib/modules/$2/updates/dkms/$1.ko"*; do
      case $nl_i in *.before) continue ;; esac
      [ -L "$nl_w" ] && [ -f "$nl_i" ] || continue
      nl_q=$(readlink "$nl_w"); nl_q=\${nl_q%%/*}
      [ -z "$3" ] || [ ! -e "/var/lib/dkms/netloom-$1/$nl_q/source/netloom-sign" ] ||
        [ "$(sha256sum <"$nl_i")" = "$(cat "$nl_w/log/netloom-signed" 2>/dev/null)" ] || return 0
      echo "$nl_q"; return
    done
  done
}
nl_kready() {
  nl_v=$(uname -r)
  [ -e "/lib/modules/$nl_v/build/Makefile" ] || { echo "nl-no-headers $nl_v" >&2; return 1; }
  for nl_p in "$@"; do [ -r "$nl_p" ] || { echo "nl-no-key $nl_p" >&2; return 1; }; done
  [ $# = 0 ] || return 0
  nl_i=
  [ "$(cat /sys/module/module/parameters/sig_enforce 2>/dev/null)" != Y ] || nl_i="module.sig_enforce is set"
  ! grep -q '\\[\\(integrity\\|confidentiality\\)\\]' /sys/kernel/security/lockdown 2>/dev/null || nl_i="the kernel is locked down, as by Secure Boot"
  [ -z "$nl_i" ] || { echo "nl-unsigned $nl_i" >&2; return 1; }
}
nl_kbuild() {
  nl_d=$1 nl_o=$2 nl_w=$3 nl_n=$4 nl_v=$(uname -r); shift 4
  nl_b=/lib/modules/$nl_v/build
  make -s -j "$(nproc)" -C "$nl_b" M="$nl_d" modules </dev/null >/dev/null 2>"$nl_d/errors"; nl_r=$?
  [ $nl_r = 0 ] && [ -f "$nl_d/$nl_n.ko" ] || nl_r=1
  if [ $nl_r = 0 ] && [ $# = 2 ]; then
    "$nl_b/scripts/sign-file" sha256 "$1" "$2" "$nl_d/$nl_n.ko" >"$nl_d/errors" 2>&1 </dev/null || nl_r=1
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
  [ -z "$nl_g" ] || {
    if [ -f "$nl_f.before" ]; then mv -f -- "$nl_f.before" "$nl_f"; else rm -f -- "$nl_f"; rmdir -- "$nl_k" "\${nl_k%/*}" 2>/dev/null; fi
    for nl_p in "$nl_d/$nl_n.ko"*.before; do [ ! -f "$nl_p" ] || mv -f -- "$nl_p" "\${nl_p%.before}"; done
    depmod </dev/null
  }
}
nl_install() {
  [ -d "$nl_k" ] || mkdir -p -- "$nl_k" || return
  # What a load that was cut short has kept is still the one before.
  [ ! -f "$nl_f" ] || [ -f "$nl_f.before" ] || cp -f -- "$nl_f" "$nl_f.before" || return
  # Of two of one name it is chance which of them modprobe takes.
  for nl_p in "$nl_d/$nl_n.ko"*; do
    case $nl_p in *.before) continue ;; esac
    [ ! -f "$nl_p" ] || [ -z "$(nl_bydkms "$nl_n" "$nl_v")" ] || mv -f -- "$nl_p" "$nl_p.before" || return
  done
  cp -f -- "$nl_o" "$nl_k/.$nl_n.new" && mv -f -- "$nl_k/.$nl_n.new" "$nl_f" && depmod -A </dev/null
}
nl_refused() {
  nl_q=$(dmesg 2>/dev/null | tail -n "+$((nl_l + 1))" | grep -e "$nl_n" -e 'Loading of .* rejected' | tail -n2)
  echo "nl-not-loaded $1 $nl_i\${nl_q:+; dmesg: $nl_q}" | tr '\\n' ' ' >&2; return 1
}
nl_load() {
  nl_n=$1 nl_o=$2 nl_e=$3 nl_z=/run/netloom-modules/$1 nl_v=$(uname -r) nl_g=
  nl_d=/lib/modules/$nl_v/updates/dkms nl_k=/lib/modules/$nl_v/updates/netloom; nl_f=$nl_k/$nl_n.ko
  # What was built for another kernel is DKMS's for this one.
  [ "$(sed -n 3p "\${nl_o%.ko}.record")" != "$nl_v" ] || { nl_g=new; nl_install || { nl_before; return 1; }; }
  umask 077; mkdir -p -- "$nl_z"; umask 022
  nl_h=; [ ! -e "/sys/module/$nl_n/initstate" ] || nl_h=loaded
  nl_l=$(dmesg 2>/dev/null | wc -l)
  if [ -n "$nl_h" ]; then
    # The kernel looks at signature and version before it sees that one of the name is there.
    nl_i=$(insmod "$(modinfo -n "$nl_n" </dev/null)" 2>&1 </dev/null) ||
      case $nl_i in *"File exists"*) ;; *) nl_before; nl_restored; nl_refused kept; return 1 ;; esac
    [ -z "$nl_e" ] || nl_spaces nl_save_one || { nl_before; nl_restored; return 1; }
    nl_unload "$nl_n" || { nl_before; nl_restored; return 1; }
  fi
  nl_i=$(modprobe "$nl_n" 2>&1 </dev/null) || {
    nl_before
    [ -z "$nl_h" ] || { modprobe "$nl_n" </dev/null 2>/dev/null && nl_restored && nl_h=kept; } || nl_h=lost
    nl_refused "\${nl_h:-none}"; return 1
  }
  nl_restored || return
  rm -f -- "$nl_f.before" "$nl_d/$nl_n.ko"*.before; rmdir -- /run/netloom-modules 2>/dev/null || :
}
nl_dkms() {
  for nl_p in /var/lib/dkms/netloom-"$1"/*/source; do
    [ -L "$nl_p" ] || [ -e "$nl_p" ] || continue
    nl_p=\${nl_p%/source}; nl_p=\${nl_p##*/}
    [ "$nl_p" != "$2" ] || continue
    if command -v dkms >/dev/null; then dkms remove "netloom-$1/$nl_p" --all </dev/null >/dev/null || return; fi
    rm -rf -- "/usr/src/netloom-$1-$nl_p" "/var/lib/dkms/netloom-$1/$nl_p"; rmdir -- "/var/lib/dkms/netloom-$1" 2>/dev/null
  done
  [ -z "$2" ] || [ -e "/var/lib/dkms/netloom-$1/$2/source" ] || dkms add "netloom-$1/$2" </dev/null >/dev/null
}
nl_uninstall() {
  nl_dkms "$1" "" || return
  for nl_f in /lib/modules/*/updates/netloom/"$1".ko; do
    [ -e "$nl_f" ] || continue
    nl_k=\${nl_f%/*}; rm -f -- "$nl_f" "$nl_f.before" || return
    rmdir -- "$nl_k" "\${nl_k%/*}" 2>/dev/null
    nl_k=\${nl_k%/updates/netloom}; depmod "\${nl_k##*/}" </dev/null
  done
  rm -rf -- "/run/netloom-modules/$1"; rmdir -- /run/netloom-modules 2>/dev/null || :
}`;
