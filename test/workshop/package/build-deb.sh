#!/usr/bin/env bash
# build-deb.sh: makes the Debian package postgresql-NN-apikeys, and its source
# package, in tmp/deb, out of a copy of the tree; NN is the major version of the
# server to build for.  The build runs the regression tests.
#
# Root gets a mount namespace of its own, so that nobody else sees the mounts made
# here, and "nobody" builds.
set -euo pipefail
if [ "$(id -u)" -eq 0 ] && [ -z "${OWN_MOUNTS:-}" ]; then
  OWN_MOUNTS=yes exec unshare --mount "$0" "$@"
fi
. "$(dirname "$0")/../../lib.sh"

# Debian's tools test with the server in its place.  Where that is older than
# the headers, a later one is mounted over it, for us alone.
use_matching_server() {
  local folder
  server_is_outdated "$1" || return 0
  [ "$(id -u)" -eq 0 ] ||
    die "PostgreSQL $(server_version "$1") is older than its headers" \
      "($(header_version "$1")): upgrade it, or run this as root"
  private_install
  for folder in lib share; do
    folder=/usr/$folder/postgresql/$(pg_major "$1")
    mount --bind "$WORK/root$folder" "$folder"
  done
}

# The sources without debian/, as a source package wants them.
make_tarball() {
  local version
  version=$(dpkg-parsechangelog -l "$WORK/tree/debian/changelog" -S Version)
  as_user tar -C "$WORK/tree" --exclude=./debian --sort=name --owner=root:0 \
    --group=root:0 --transform "s,^\\.,apikeys-${version%-*}," -czf \
    "$WORK/apikeys_${version%-*}.orig.tar.gz" .
}

in_tree() {
  as_user env --chdir="$WORK/tree" PG_SUPPORTED_VERSIONS="$MAJOR" \
    DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-parallel=$(nproc)}" "$@"
}

# The packages that the build depends on include all of PostgreSQL's
# (postgresql-all): what one server needs is there, the rest is not asked for.
build() {
  quietly control in_tree pg_buildext updatecontrol
  quietly build in_tree dpkg-buildpackage --unsigned-source \
    --unsigned-changes --no-check-builddeps
}

main() {
  local config begin=$SECONDS
  command -v apt-get >/dev/null || die "only Debian can make its packages"
  "$TOP/test/install-deps.sh" deb
  MAJOR=$(pg_major "$(find_pg_config)")
  config=/usr/lib/postgresql/$MAJOR/bin/pg_config
  work_open deb
  copy_sources
  make_tarball
  use_matching_server "$config"
  build
  say "$(grep -c '^\(test \|ok \)' "$WORK/log/build.log") tests passed;" \
    "built in $((SECONDS - begin)) s:" "$WORK"/*.deb
}

main "$@"
