#!/usr/bin/env bash
# run.sh: pg_upgrade of a database with live keys, from PostgreSQL 15 to 17; see
# "make upgrade".
#
#   MAX_AGE=14             days after which the chroot is made again; 0: now
#   MIRROR=URL             where Debian's packages are had from; by default
#                          where this machine's own are
#   TEST_NAME=upgrade      the folder in tmp/
#
# Both versions live in a chroot of Debian 13, with 15 from Debian 12, in
# ${XDG_CACHE_HOME:-/var/cache}/apikeys-upgrade.  What is built and installed
# goes into a layer over it, which is gone afterwards.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"
. "$(dirname "$0")/../chroot.sh"

CACHE=${XDG_CACHE_HOME:-/var/cache}/apikeys-upgrade

make_chroot() {
  local mirror=${MIRROR:-$(find_mirror)} begin=$SECONDS
  say "making a chroot of Debian 13 with PostgreSQL 15 and 17"
  chroot_make "$CACHE/root" trixie \
    "postgresql-15,postgresql-17,libpq-dev,libsodium-dev,gcc,make,libc6-dev,pkg-config" \
    "15 17" "deb $mirror trixie main" "deb $mirror bookworm main"
  say "made in $((SECONDS - begin)) s"
}

# In namespaces of its own: no mount or process outlives it.
run_inside() {
  # shellcheck disable=SC2016
  unshare --mount --ipc --pid --net --fork --kill-child bash -ec '
    cache=$1 work=$2
    mkdir -p "$work/layer"
    mount -t tmpfs tmpfs "$work/layer"
    root=$work/layer/root
    mkdir "$work/layer/upper" "$work/layer/work" "$root"
    mount -t overlay overlay -o "lowerdir=$cache/root" \
      -o "upperdir=$work/layer/upper,workdir=$work/layer/work" "$root"
    mount --bind "$work/tree" "$root/apikeys"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 \
      PATH=/usr/sbin:/usr/bin:/sbin:/bin /apikeys/test/workshop/upgrade/inside.sh
  ' run_inside "$CACHE" "$WORK" 2>&1 | tee "$WORK/log/upgrade.log"
}

main() {
  [ "$(id -u)" -eq 0 ] ||
    die "make upgrade makes a chroot, which takes root: sudo make upgrade"
  command -v apt-get >/dev/null || die "make upgrade takes a Debian"
  "$TOP/test/install-deps.sh" upgrade
  work_open "${TEST_NAME:-upgrade}"
  copy_sources
  mkdir -p "$CACHE"
  exec 8>"$CACHE/lock"
  flock 8
  chroot_is_fresh "$CACHE/root" || make_chroot
  exec 8>&-
  run_inside
}

main
