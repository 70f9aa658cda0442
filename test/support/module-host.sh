# A host with a kernel that has modules, in a mount namespace of its own: the programs that a module's life needs, over
# folders that nobody else sees. A module is a file with a line `ko ID` and a line for each signature.
set -e
work=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
for folder in usr/lib usr/src etc var/lib; do
  mkdir -p "$work/$folder/upper" "$work/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$work/$folder/upper,workdir=$work/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /root
mkdir -p "$work/sys/module/parameters" "$work/bin" /run/keys
echo N >"$work/sys/module/parameters/sig_enforce"
mount --bind "$work/sys" /sys/module
mount -t tmpfs tmpfs /sys/kernel/security 2>/dev/null || :

program() { { echo '#!/bin/sh'; cat; } >"$work/bin/$1"; chmod 0755 "$work/bin/$1"; }
program uname <<'P'
[ "$*" = -r ] && exec cat /run/release
exec /bin/uname "$@"
P
program make <<'P'
for word; do case $word in M=*) folder=${word#M=} ;; esac; done
name=$(sed -n 's/^obj-m := \(.*\)\.o$/\1/p' "$folder/Kbuild")
echo "ko $(find "$folder" -name '*.[ch]' | sort | xargs cat | sha256sum | cut -c1-40)" >"$folder/$name.ko"
P
program modinfo <<'P'
for file in "/lib/modules/$(uname -r)/updates"/*/"$2.ko"; do [ ! -f "$file" ] || { echo "$file"; exit; }; done
echo "modinfo: ERROR: Module $2 not found." >&2; exit 1
P
# What the kernel does with a file; it trusts one certificate.
program take <<'P'
name=${1##*/}; name=${name%.ko}
if [ "$(cat /sys/module/module/parameters/sig_enforce)" = Y ]; then
  [ "$(tail -n1 "$1")" = "signed by /root/key.crt" ] || { echo "could not insert '$name': Key was rejected by service" >&2; exit 1; }
fi
[ ! -e "/sys/module/$name" ] || { echo "File exists" >&2; exit 1; }
mkdir -p "/sys/module/$name/notes" "/sys/module/$name/holders"
sed -n 's/^ko //p' "$1" | tr -d '\n' >"/sys/module/$name/notes/.note.gnu.build-id"
echo 0 >"/sys/module/$name/refcnt"; echo live >"/sys/module/$name/initstate"
P
program insmod <<'P'
exec take "$1"
P
program modprobe <<'P'
file=$(modinfo -n "$1") && exec take "$file"
P
program rmmod <<'P'
[ "$(cat "/sys/module/$1/refcnt")" = 0 ] || { echo "rmmod: ERROR: Module $1 is in use" >&2; exit 1; }
rm -r "/sys/module/$1"
P
for one in depmod dmesg; do echo : | program "$one"; done
# As dkms(8) of Debian 12: built, signed with a key of its own, then POST_BUILD, whatever that ends with; then installed.
program dkms <<'P'
case $1 in
  status) cd /var/lib/dkms 2>/dev/null && ls -d -- */* ;;
  add) mkdir -p "/var/lib/dkms/$2" && ln -s "/usr/src/$(echo "$2" | tr / -)" "/var/lib/dkms/$2/source" ;;
  remove)
    name=${2%/*}
    rm -rf "/var/lib/dkms/$2" "/var/lib/dkms/$name"/kernel-* /lib/modules/*/updates/dkms/"${name#netloom-}.ko"
    rmdir /lib/modules/*/updates/dkms /lib/modules/*/updates 2>/dev/null || : ;;
  autoinstall)
    for tree in /var/lib/dkms/netloom-*/*; do
      [ -e "$tree/source" ] || continue
      kernelver=$2 arch=x86_64 out=$tree/$2/x86_64 POST_BUILD=
      . "$tree/source/dkms.conf"
      mkdir -p "$out/module" "$out/log" "/lib/modules/$2/updates/dkms"
      cp -aL "$tree/source" "$tree/build" && make "M=$tree/build"
      name=${PACKAGE_NAME#netloom-}
      cp "$tree/build/$name.ko" "$out/module/$name.ko" && echo "signed by mok.pub" >>"$out/module/$name.ko"
      [ -z "$POST_BUILD" ] || [ ! -x "$tree/build/${POST_BUILD%% *}" ] || (cd "$tree/build" && ./$POST_BUILD) || :
      cp "$out/module/$name.ko" "/lib/modules/$2/updates/dkms/$name.ko"
      ln -sfn "${tree##*/}/$2/x86_64" "${tree%/*}/kernel-$2-x86_64" && rm -rf "$tree/build"
    done ;;
esac
P
# A kernel that is installed with its headers; and a start of the host with it.
program install-kernel <<'P'
mkdir -p "/lib/modules/$1/build/scripts" && : >"/lib/modules/$1/build/Makefile"
printf '#!/bin/sh\n[ -r "$2" ] && echo "signed by $3" >>"$4"\n' >"/lib/modules/$1/build/scripts/sign-file"
chmod 0755 "/lib/modules/$1/build/scripts/sign-file"
P
program start <<'P'
echo "$1" >/run/release
for name in $(cat /etc/modules-load.d/netloom-*.conf 2>/dev/null | grep -v '^#'); do
  rm -rf "/sys/module/$name"; modprobe "$name" 2>/dev/null || :
done
P
mount --bind "$work/bin" /usr/local/sbin
install-kernel 6.1.0-1
start 6.1.0-1
echo ready
exec sleep infinity
