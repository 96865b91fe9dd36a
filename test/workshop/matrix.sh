#!/usr/bin/env bash
# matrix.sh: the suites on every supported major version of PostgreSQL that a
# suite of Debian has; see "make help".
#
#   MAJORS="15 17 18"      the versions to try; 16 is in no suite of Debian
#   PRERELEASES=19         those to build for only: what the compiler says of
#                          them is information, and no failure
#   SUITES="unit regress isolation tap"
#   MAX_AGE=14             days after which a chroot is made again; 0: now
#   MIRROR=URL             where Debian's packages are had from; by default
#                          where this machine's own are
#   TEST_NAME=matrix       the folder in tmp/
#
# Each version lives in a chroot of the suite of Debian that has it, in
# ${XDG_CACHE_HOME:-/var/cache}/apikeys-matrix, which tests share and do not
# change.  The suites run as in "make test", in namespaces of their own: no
# mount, process or port of theirs outlives or meets another's.  Logs are in
# tmp/matrix/MAJOR/tmp/test/log.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/chroot.sh"

MAJORS=${MAJORS-15 17 18}
PRERELEASES=${PRERELEASES-19}
SUITES=${SUITES:-unit regress isolation tap}
CACHE=${XDG_CACHE_HOME:-/var/cache}/apikeys-matrix

# The suite of Debian that a major version comes from; 16 is in none.
debian_suite() {
  case $1 in
    15) say bookworm ;;
    17) say trixie ;;
    18) say forky ;;
    *) return 1 ;;
  esac
}

# --- The chroots -----------------------------------------------------------

# make_chroot MAJOR: a pre-release is among the experimental packages, which go
# with those of the next suite.
make_chroot() {
  local major=$1 begin=$SECONDS suite mirror=${MIRROR:-$(find_mirror)} sources
  if suite=$(debian_suite "$major"); then
    sources=("deb $mirror $suite main")
  else
    suite=forky
    sources=("deb $mirror forky main" "deb $mirror experimental main")
  fi
  say "$major  making a chroot of Debian $suite"
  chroot_make "$CACHE/$major" "$suite" \
    "postgresql-$major,libpq-dev,iproute2" "$major" "${sources[@]}"
  say "$major  made in $((SECONDS - begin)) s"
}

# in_chroot MAJOR OPTION… -- COMMAND…: runs a command in a chroot, where the
# folder $WORK/MAJOR is /apikeys; the options are those of unshare.  The first
# process of a namespace only hears the signals that it has a trap for; with it
# all others end.
in_chroot() {
  local major=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  # shellcheck disable=SC2016
  unshare --mount --ipc --pid --fork --kill-child "${options[@]}" \
    bash -ec '
      root=$1 work=$2
      shift 2
      mount --bind "$work" "$root/apikeys"
      mount -t proc proc "$root/proc"
      mount --rbind /dev "$root/dev"
      mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
      mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
      for file in /etc/hosts /etc/resolv.conf; do
        touch "$root$file"
        mount --bind "$file" "$root$file"
      done
      trap "exit 1" INT TERM
      chroot "$root" env -i HOME=/root http_proxy="${http_proxy:-}" \
        with_llvm=no PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" &
      wait $!
    ' in_chroot "$CACHE/$major" "$WORK/$major" "$@"
}

# prepare_chroot MAJOR COMMAND…: a fresh chroot, in which the command installs
# what is needed: that may be other things than when it was made.
prepare_chroot() {
  as_user cp -R "$WORK/tree" "$WORK/$1"
  exec 8>"$CACHE/$1.lock"
  flock 8
  chroot_is_fresh "$CACHE/$1" || make_chroot "$1"
  quietly "deps-$1" in_chroot "$1" -- "${@:2}"
  exec 8>&-
}

# --- The suites ------------------------------------------------------------

run_major() {
  # shellcheck disable=SC2086 # names, many to a line
  prepare_chroot "$1" /apikeys/test/install-deps.sh test $SUITES
  # shellcheck disable=SC2086,SC2016
  count_run "$1" in_chroot "$1" --net -- sh -c \
    'ip link set lo up && exec /apikeys/test/run-tests.sh "$@"' sh $SUITES
}

# Says which errors the compiler finds, of each kind and file the first.
try_prerelease() {
  local log=$WORK/log/build-$1.log
  prepare_chroot "$1" sh -c 'apt-get -qq update && apt-get -qq -y install \
    gcc make libc6-dev pkg-config libsodium-dev'
  if in_chroot "$1" --net -- make -C /apikeys -k -j"$(nproc)" all \
    SUPPORTED_MAJORS="$1" COPT=-DAK_ANY_VERSION with_llvm=no \
    PG_CONFIG="/usr/lib/postgresql/$1/bin/pg_config" >"$log" 2>&1; then
    say "$1  builds (a pre-release: for information)"
  else
    say "$1  does not build (a pre-release: for information)"
    sed -n "s/^src\/\([^:]*\):[0-9:]* error: \(.*\)/$1  \1: \2/p" "$log" |
      awk '!seen[$0]++'
  fi
}

main() {
  local major
  [ "$(id -u)" -eq 0 ] ||
    die "make matrix makes chroots, which takes root: sudo make matrix"
  command -v apt-get >/dev/null || die "make matrix takes a Debian"
  "$TOP/test/install-deps.sh" matrix
  work_open "${TEST_NAME:-matrix}"
  copy_sources
  mkdir -p "$CACHE"
  for major in $MAJORS; do
    if debian_suite "$major" >/dev/null; then
      run_major "$major"
    else
      say "$major  not tried: no suite of Debian has it"
    fi
  done
  for major in $PRERELEASES; do try_prerelease "$major"; done
  report_counts
}

main
