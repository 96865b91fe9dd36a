#!/usr/bin/env bash
# matrix.sh: the suites on every supported major version of PostgreSQL that a
# suite of Debian has; see "make help".
#
#   MAJORS="15 17 18"      the versions to try
#   SUITES="unit regress plain isolation tap"
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
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/chroot.sh"

MAJORS=${MAJORS:-15 17 18}
SUITES=${SUITES:-unit regress plain isolation tap}
CACHE=${XDG_CACHE_HOME:-/var/cache}/apikeys-matrix

# The suite of Debian that a major version comes from.
debian_suite() {
  case $1 in
    15) say bookworm ;;
    17) say trixie ;;
    18) say forky ;;
    *) return 1 ;;
  esac
}

explain_absence() {
  case $1 in
    16) say "no suite of Debian has it" ;;
    19) say "a pre-release, and src/compat.h refuses it" ;;
    *) say "it is not supported" ;;
  esac
}

# --- The chroots -----------------------------------------------------------

make_chroot() {
  local major=$1 begin=$SECONDS
  say "$major  making a chroot of Debian $(debian_suite "$major")"
  chroot_make "$CACHE/$major" "$(debian_suite "$major")" \
    "postgresql-$major,libpq-dev,iproute2" "$major" \
    "${MIRROR:-$(find_mirror)}"
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

# A fresh chroot with all that the suites need.  What tests need may be other
# things than when it was made.
prepare_chroot() {
  exec 8>"$CACHE/$1.lock"
  flock 8
  chroot_is_fresh "$CACHE/$1" || make_chroot "$1"
  # shellcheck disable=SC2086 # names, many to a line
  quietly "deps-$1" in_chroot "$1" -- \
    /apikeys/test/install-deps.sh test $SUITES
  exec 8>&-
}

# --- The suites ------------------------------------------------------------

run_major() {
  as_user cp -R "$WORK/tree" "$WORK/$1"
  prepare_chroot "$1"
  # shellcheck disable=SC2086,SC2016
  count_run "$1" in_chroot "$1" --net -- sh -c \
    'ip link set lo up && exec /apikeys/test/run-tests.sh "$@"' sh $SUITES
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
      say "$major  not tried: $(explain_absence "$major")"
    fi
  done
  for major in 16 19; do
    say "$major  not tried: $(explain_absence "$major")"
  done
  report_counts
}

main
