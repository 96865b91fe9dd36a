#!/usr/bin/env bash
# try-dist.sh: builds what "make dist" has made as a user might: in a folder of
# any name, in another than that of the sources, with and without bitcode, into
# DESTDIR and into a server of its own; and takes it away again.  All of it in
# tmp/dist-check.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

# The names and contents of all files in a folder.
fingerprint() {
  (cd "$1" && find . -type f -exec sha256sum {} + | sort -k 2)
}

count_files() { find "$1" -name "$2" -type f | wc -l; }

make_in() {
  as_user env --chdir="$WORK/$1" make PG_CONFIG="$CONFIG" "${@:2}"
}

unpack() {
  local name
  quietly unzip as_user unzip -q -d "$WORK/unzipped" "$ZIP"
  name=$(basename "$ZIP" .zip)
  [ "$(ls "$WORK/unzipped")" = "$name" ] || die "not all is in a folder $name"
  as_user mv "$WORK/unzipped/$name" "$WORK/any_name"
  fingerprint "$WORK/any_name" >"$WORK/log/unpacked"
}

# expect_installed FOLDER: what an installation without bitcode consists of.
expect_installed() {
  local file
  for file in "$("$CONFIG" --pkglibdir)/apikeys.so" \
    "$("$CONFIG" --sharedir)"/extension/apikeys{.control,--"$VERSION".sql}; do
    [ -s "$1$file" ] || die "there is no $1$file"
  done
}

check_build() {
  local modules
  quietly build make_in any_name -j"$(nproc)" all WERROR=1
  [ -s "$WORK/any_name/$PROVIDED" ] ||
    die "META.json provides $PROVIDED, and it was not made"
  quietly install make_in any_name install DESTDIR="$WORK/destdir"
  expect_installed "$WORK/destdir"
  modules=$(count_files "$WORK/any_name/src" '*.c')
  case $(count_files "$WORK/destdir" 'apikeys*.bc')-$(
    count_files "$WORK/destdir" '*.bc'
  ) in
    0-0 | 2-$((modules + 1))) ;;
    *) die "not all bitcode is in $WORK/destdir" ;;
  esac
  say "ok: builds and installs into DESTDIR"
}

check_uninstall() {
  quietly uninstall make_in any_name uninstall DESTDIR="$WORK/destdir"
  [ "$(count_files "$WORK/destdir" '*')" -eq 0 ] ||
    die "files are left in $WORK/destdir"
  say "ok: uninstalls"
}

check_clean() {
  quietly clean make_in any_name clean
  fingerprint "$WORK/any_name" >"$WORK/log/cleaned"
  diff "$WORK/log/unpacked" "$WORK/log/cleaned" || die "make clean leaves these"
  say "ok: cleans"
}

check_repacking() {
  quietly dist make_in any_name dist
  diff <(list_zip "$ZIP") \
    <(list_zip "$WORK/any_name/tmp/dist/$(basename "$ZIP")") ||
    die "another zip is made without git"
  as_user rm -r "$WORK/any_name/tmp"
  say "ok: makes the same zip again, without git"
}

list_zip() { unzip -Z1 "$1" | grep -v '/$' | sort; }

# From here on the sources cannot be written to.
check_other_folder() {
  as_user chmod -R a-w "$WORK/any_name"
  as_user mkdir "$WORK/other_folder"
  quietly other make_in other_folder -j"$(nproc)" -f ../any_name/Makefile install \
    with_llvm=no DESTDIR="$WORK/other_destdir"
  expect_installed "$WORK/other_destdir"
  [ "$(count_files "$WORK/other_destdir" '*')" -eq 3 ] ||
    die "more than three files are in $WORK/other_destdir"
  quietly other-clean make_in other_folder -f ../any_name/Makefile clean
  [ "$(count_files "$WORK/other_folder" '*')" -eq 0 ] ||
    die "make clean leaves files in $WORK/other_folder"
  say "ok: builds in a folder of its own, without bitcode"
}

# A server that is the user's own needs no root.
check_own_server() {
  private_install
  CONFIG=$WORK/bin/pg_config
  quietly own make_in other_folder -j"$(nproc)" -f ../any_name/Makefile install
  server_start own
  quietly create as_user "$WORK/bin/psql" -X -v ON_ERROR_STOP=1 -d postgres \
    -c 'CREATE EXTENSION apikeys' -c 'SELECT * FROM apikeys.status()'
  stop_servers
  say "ok: installs into a server of one's own, without root"
}

main() {
  "$TOP/test/install-deps.sh" dist-check
  ZIP=$("$TOP/test/workshop/package/make-dist.sh")
  VERSION=$(basename "$ZIP" .zip)
  VERSION=${VERSION#apikeys-}
  PROVIDED=$(sed -n 's/^ *"file": "\(.*\)",/\1/p' "$TOP/META.json")
  CONFIG=$(find_pg_config)
  work_open dist-check
  trap 'stop_servers; chmod -R u+w "$WORK"' EXIT
  unpack
  check_build
  check_uninstall
  check_clean
  check_repacking
  check_other_folder
  check_own_server
}

main
