#!/bin/sh
# Builds a Linux 6.1 that catches mistakes (netloom.config says which) from Debian's source, into the cache folder:
#   tools/debug-kernel/build.sh
#   NETLOOM_LAB_KERNEL=FOLDER npm run lab -- up edge        FOLDER is what it says last
# The first time takes ten minutes or more; after that, only what has changed is built. FOLDER has bzImage, and build/
# for modules from outside the kernel: make -C kmod/netagg module HEADERS=FOLDER/build OUT=...
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${NETLOOM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netloom}/debug-kernel
release=6.1
archive=/usr/src/linux-source-$release.tar.xz

say() { echo "debug kernel: $*" >&2; }

packages="linux-source-$release gcc make flex bison bc libelf-dev xz-utils"
missing=$(for package in $packages; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
done)
if [ -n "$missing" ]; then
  say "installing" $missing
  if [ "$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi
  $as_root apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq --no-install-recommends $missing >&2
fi

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9

# A new version of the package is a new source, and a build of its own.
source=$folder/linux-source-$release
version=$(dpkg-query -W -f '${Version}' "linux-source-$release")
if [ "$(cat "$folder/version" 2>/dev/null)" != "$version" ]; then
  say "unpacking $archive"
  rm -rf "$folder/version" "$source" "$folder/build" "$folder/netloom.config"
  tar -x -f "$archive" -C "$folder"
  echo "$version" >"$folder/version"
fi

mkdir -p "$folder/build"
if ! cmp -s "$here/netloom.config" "$folder/netloom.config"; then
  make -s -C "$source" O="$folder/build" KCONFIG_ALLCONFIG="$here/netloom.config" allnoconfig >&2
  # What depends on something that is off is left out without a word.
  lost=$(grep '^CONFIG_' "$here/netloom.config" | grep -vxF -f "$folder/build/.config" || :)
  if [ -n "$lost" ]; then
    say "these are not as netloom.config says, for want of what they depend on:" $lost
    exit 1
  fi
  cp "$here/netloom.config" "$folder/netloom.config"
fi

say "building in $folder/build"
make -C "$folder/build" -j"$(($(nproc) + 2))" bzImage modules >"$folder/build.log" 2>&1 || {
  grep -B2 -A5 -i 'error' "$folder/build.log" | tail -40 >&2
  say "failed: $folder/build.log"
  exit 1
}
cmp -s "$folder/build/arch/x86/boot/bzImage" "$folder/bzImage" ||
  cp "$folder/build/arch/x86/boot/bzImage" "$folder/bzImage"
say "built"
echo "$folder"
