#!/usr/bin/env bash
# try-deb.sh: installs what "make deb" has made in a bare Debian, a chroot in
# tmp/deb-check, and does what a new user would: README's first key and tour, and
# preloading.  Needs root.
#
# The server runs in namespaces of its own, and they end with this script.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

# Where this machine gets its Debian packages from.
list_sources_of_debian() {
  # shellcheck disable=SC2016 # apt's own variables
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | sort -u
}

# README's SQL examples above one of its headings.
examples_above() {
  awk -v heading="## $1" '
    $0 == heading { exit }
    /^```/ { block = $0 == "```sql"; next }
    block
  ' "$TOP/README.md"
}

make_chroot() {
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  list_sources_of_debian >"$WORK/sources.list"
  [ -s "$WORK/sources.list" ] || die "apt knows of no Debian to take it from"
  quietly mmdebstrap mmdebstrap --mode=root --variant=apt "$codename" \
    "$ROOT" "$WORK/sources.list"
  quietly update in_chroot apt-get -qq update
  cp "$DEB" "$ROOT/tmp/apikeys.deb"
  examples_above 'Use It from an Application' >"$ROOT/tmp/tour.sql"
  # Services are started by us.
  printf '#!/bin/sh\nexit 101\n' >"$ROOT/usr/sbin/policy-rc.d"
  chmod 755 "$ROOT/usr/sbin/policy-rc.d"
}

# in_chroot COMMAND…: with no process left when it ends.
in_chroot() {
  # shellcheck disable=SC2016 # for the inner shell
  unshare --mount --pid --fork --kill-child bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
    exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
      DEBIAN_FRONTEND=noninteractive "$@"' "$ROOT" "$@" 9>&-
}

# Does apt refuse a server that is older than what the package was built with?
check_older_server() {
  local versions older
  versions=$(in_chroot apt-cache madison "postgresql-$MAJOR" |
    awk '{ print $3 }' | sort -V -u)
  older=$(say "$versions" | head -n 1)
  if [ "$(say "$versions" | wc -l)" -lt 2 ]; then
    say "skipped: Debian has no older server to refuse"
  elif in_chroot apt-get install -s /tmp/apikeys.deb \
    "postgresql-$MAJOR=$older" >"$WORK/log/older.log" 2>&1; then
    die "it can be installed beside PostgreSQL $older"
  elif ! grep -q "Depends: postgresql-$MAJOR (>" "$WORK/log/older.log"; then
    die "apt did not refuse PostgreSQL $older, but failed: $WORK/log/older.log"
  else
    say "ok: refuses PostgreSQL $older"
  fi
}

check_install() {
  quietly install in_chroot apt-get -qq -y install --no-install-recommends \
    /tmp/apikeys.deb
  say "ok: installed, with what it depends on"
}

# The server's side of the tour; what it prints is what check_tour expects.
tour() {
  cat <<'END'
set -eu
run() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }
pg_conftool "$1" main set listen_addresses ''
pg_ctlcluster "$1" main start
run -f /tmp/tour.sql 2>&1 || true
run -c 'DROP EXTENSION apikeys CASCADE'
pg_conftool "$1" main set shared_preload_libraries apikeys
pg_ctlcluster "$1" main restart
run -f /tmp/tour.sql -c "SELECT 'preloaded', preloaded FROM apikeys.status()"
pg_ctlcluster "$1" main stop
END
}

# The tour, with three requests allowed and one denied, three functions
# that say they have changed something, and an error where the library is
# not preloaded.
check_tour() {
  tour >"$ROOT/tmp/tour.sh"
  quietly tour in_chroot sh /tmp/tour.sh "$MAJOR"
  expect_lines 6 '^t$'
  expect_lines 1 '^f|address_denied|ak_pub_'
  expect_lines 1 'apikeys must be loaded via "shared_preload_libraries"'
  expect_lines 1 '^preloaded|t$'
  say "ok: the tour, with shared_preload_libraries and not without"
}

# expect_lines COUNT PATTERN: in what the tour has printed
expect_lines() {
  local found
  found=$(grep -c "$2" "$WORK/log/tour.log") || true
  [ "$found" -eq "$1" ] ||
    die "$found lines like $2, and not $1, in $WORK/log/tour.log"
}

check_removal() {
  quietly remove in_chroot apt-get -qq -y purge "postgresql-$MAJOR-apikeys"
  [ -z "$(find "$ROOT/usr" -name '*apikeys*')" ] || die "files are left"
  say "ok: removed"
}

main() {
  if [ "$(id -u)" -ne 0 ]; then
    say "skipped: a bare Debian can be made by root only"
    return
  fi
  DEB=$(compgen -G "$TOP/tmp/deb/postgresql-[0-9]*-apikeys_*.deb") ||
    die 'there is no package in tmp/deb: run "make deb" first'
  MAJOR=$(basename "$DEB" | cut -d- -f2)
  "$TOP/test/install-deps.sh" deb-check
  work_open deb-check
  ROOT=$WORK/chroot
  make_chroot
  say "a bare Debian in $SECONDS s"
  check_older_server
  check_install
  check_tour
  check_removal
}

main
