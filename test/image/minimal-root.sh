#!/bin/sh
# Runs the binary in a root directory that holds only what the image's base holds: glibc, the user
# database, certificates, time zones. The root is read-only and the user is 65532, as in the image.
#
#   test/image/minimal-root.sh ROOT BINARY [-v HOST_PATH:PATH]... -- ARGUMENTS
#
# ROOT is an empty directory that the script fills. Each -v mounts a file or directory of the host
# into the root, as a container runtime mounts the driver. Needs root, or user namespaces.
set -eu
# chroot and unshare are system commands, which an ordinary PATH may leave out.
PATH=$PATH:/usr/sbin:/sbin

die() { echo "minimal-root: $*" >&2; exit 1; }
[ $# -ge 2 ] || die "usage: minimal-root.sh ROOT BINARY [-v HOST_PATH:PATH]... -- ARGUMENTS"
root=$1 binary=$2
shift 2

case $(uname -m) in
  x86_64) triplet=x86_64-linux-gnu loader=/lib64/ld-linux-x86-64.so.2 ;;
  aarch64) triplet=aarch64-linux-gnu loader=/lib/ld-linux-aarch64.so.1 ;;
  *) die "no glibc base is known for $(uname -m)" ;;
esac

mkdir -p "$root/etc/ssl/certs" "$root/proc" "$root/dev" "$root/tmp" "$root/usr/bin" \
  "$root/usr/share" "$root/usr/lib/$triplet" "$root/home/nonroot" "$root${loader%/*}" \
  "$root/lib/$triplet"

# The shared objects of Debian's libc6, and nothing that a package beyond the base would bring.
for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libresolv.so.2 \
  libnss_dns.so.2 libnss_files.so.2 libutil.so.1; do
  for directory in "/lib/$triplet" "/usr/lib/$triplet" /lib64 /usr/lib64; do
    if [ -e "$directory/$name" ]; then
      cp -L "$directory/$name" "$root/lib/$triplet/$name"
      break
    fi
  done
done
cp -L "$loader" "$root$loader"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
[ ! -e /etc/ssl/certs/ca-certificates.crt ] ||
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
cp "$binary" "$root/usr/bin/keda-gpu-scaler"

mounts=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ "$1" = -v ] && [ $# -ge 2 ] || die "unexpected argument $1"
  from=${2%%:*} to=${2#*:}
  if [ -d "$from" ]; then mkdir -p "$root$to"; else
    mkdir -p "$(dirname "$root$to")"
    : >"$root$to"
  fi
  mounts="$mounts mount --bind '$from' '$root$to';"
  shift 2
done
[ "${1:-}" = -- ] || die "the arguments of the binary come after --"
shift

# Without root, the caller becomes root of a namespace that has no other user to change to.
if [ "$(id -u)" -eq 0 ]; then
  map= userspec=--userspec=65532:65532
else
  map=--map-root-user userspec=
fi
exec unshare --mount --pid --fork --kill-child $map sh -eu -c "
  mount --bind '$root' '$root'
  $mounts
  mount -t proc proc '$root/proc'
  : >'$root/dev/null'
  mount --bind /dev/null '$root/dev/null'
  mount -o remount,ro,bind '$root'
  cd /
  exec chroot $userspec '$root' /usr/bin/keda-gpu-scaler \"\$@\"
" minimal-root "$@"
