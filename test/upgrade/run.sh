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
. "$(dirname "$0")/../lib.sh"

MAX_AGE=${MAX_AGE:-14}
CACHE=${XDG_CACHE_HOME:-/var/cache}/apikeys-upgrade

# Where the distribution's own packages come from.
find_mirror() {
  # shellcheck disable=SC2016 # apt's, not the shell's
  apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
    'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "Debian" && !found { found = 1; print $3 }'
}

is_fresh() {
  [ -n "$(find "$CACHE/made" -mtime "-$MAX_AGE" 2>/dev/null)" ]
}

# The servers' headers are only unpacked: as packages they would bring along a
# compiler for the bitcode of JIT.
make_chroot() {
  local root=$CACHE/root mirror=${MIRROR:-$(find_mirror)} begin=$SECONDS hook
  say "making a chroot of Debian 13 with PostgreSQL 15 and 17"
  hook="cd /tmp && apt-get -qq update && apt-get -qq download "
  hook+="postgresql-server-dev-15 postgresql-server-dev-17 && "
  # shellcheck disable=SC2016 # $deb is for the shell in the chroot
  hook+='for deb in *.deb; do dpkg -x "$deb" /; done && rm -f *.deb'
  rm -rf "$root" "$CACHE/made"
  # shellcheck disable=SC2016 # $1 is for mmdebstrap's shell
  quietly chroot mmdebstrap --mode=root --variant=minbase \
    --aptopt='Acquire::Check-Valid-Until "false"' \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="postgresql-15,postgresql-17,libpq-dev,libsodium-dev" \
    --include="gcc,make,libc6-dev,pkg-config" \
    --setup-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d"
      echo "create_main_cluster = false" \
        >"$1/etc/postgresql-common/createcluster.d/apikeys.conf"
      mkdir "$1/apikeys"' \
    --customize-hook="chroot \"\$1\" sh -c '$hook'" \
    trixie "$root" "deb $mirror trixie main" "deb $mirror bookworm main"
  touch "$CACHE/made"
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
      PATH=/usr/sbin:/usr/bin:/sbin:/bin /apikeys/test/upgrade/inside.sh
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
  is_fresh || make_chroot
  exec 8>&-
  run_inside
}

main
