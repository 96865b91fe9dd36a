#!/usr/bin/env bash
# run.sh: the suites on a server built with assertions, AddressSanitizer
# and UndefinedBehaviorSanitizer, and some tests under valgrind; see "make help".
#
#   SUITES="regress isolation tap"
#                          those for the sanitizers; none: ""
#   VALGRIND_TESTS="access_list secret_hash decisions ..."
#                          tests of the suite regress for valgrind; none: ""
#   TEST_NAME=sanitize     the folder in tmp/
#
# The server is PostgreSQL 15 from Debian's source package.  It is built once,
# which takes some twelve minutes, in
# ${XDG_CACHE_HOME:-/var/cache}/apikeys-sanitize; remove that for a new one.
# Whatever a sanitizer finds ends the process, so that a test fails, and stands
# in the log of the server.  The server's own memory at exit is not looked
# through for leaks: it frees by ending.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

MAJOR=15
SUITES=${SUITES-regress isolation tap}
VALGRIND_TESTS=${VALGRIND_TESTS-access_list bound_key decisions explain identity
  key_image policy secret_hash usage}
CACHE=${XDG_CACHE_HOME:-/var/cache}/apikeys-sanitize
NAME=${TEST_NAME:-sanitize}
SANITIZERS='-fsanitize=address,undefined -fno-sanitize-recover=all'

# Without a redirected stack, on which the server measures its depth; and a test may
# preload its clock before the sanitizer's library.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0:verify_asan_link_order=0
export UBSAN_OPTIONS=print_stacktrace=1

# --- The server ------------------------------------------------------------

# in_cache COMMAND…: as the unprivileged user, so that a server's makefiles
# cannot install anything elsewhere, whatever their paths.
in_cache() {
  as_user env --chdir="$CACHE" HOME="$CACHE" "$@"
}

# The package's source, with lists of packages of our own, because most machines
# have none of sources.  Those of the security archive are left out: it does not
# keep all sources.  Debian's patches are left out as well: they install into
# the folders of the distribution.
fetch_source() {
  local folder=$CACHE/apt options
  in_cache mkdir -p "$folder/lists/partial" "$folder/parts" "$CACHE/download"
  # shellcheck disable=SC2016 # apt's, not the shell's
  apt-get indextargets \
    --format '$(ORIGIN) $(LABEL) deb-src $(REPO_URI) $(RELEASE) main' \
    'Created-By: Packages' |
    sed -n 's/^Debian Debian //p' | sort -u |
    in_cache tee "$folder/sources.list"
  options=(-o Dir::Etc::SourceList="$folder/sources.list"
    -o Dir::Etc::SourceParts="$folder/parts"
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder")
  in_cache apt-get "${options[@]}" update
  in_cache env --chdir="$CACHE/download" apt-get "${options[@]}" source \
    --download-only "postgresql-$MAJOR"
  in_cache dpkg-source --skip-patches -x \
    "$(find "$CACHE/download" -name '*.dsc')" "$CACHE/source"
}

build_server() {
  local folder
  in_cache env --chdir="$CACHE/source" ./configure --prefix="$CACHE/server" \
    --enable-cassert --enable-debug --enable-tap-tests \
    --without-readline --without-zlib \
    CFLAGS="-O1 -g -fno-omit-frame-pointer $SANITIZERS" LDFLAGS="$SANITIZERS"
  in_cache make -s -C source -j"$(nproc)"
  for folder in . contrib/pg_stat_statements contrib/auto_explain \
    src/test/isolation src/test/perl; do
    in_cache make -s -C "source/$folder" install
  done
}

require_server() {
  local begin=$SECONDS
  mkdir -p "$CACHE"
  own_folder "$CACHE"
  exec 8>"$CACHE/lock"
  flock 8
  if [ ! -e "$CACHE/server/made" ]; then
    say "building a server in $CACHE"
    find "$CACHE" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf {} +
    quietly source fetch_source
    quietly server build_server
    in_cache touch "$CACHE/server/made"
    rm -rf "$CACHE/source" "$CACHE/download" "$CACHE/apt"
    say "built in $((SECONDS - begin)) s"
  fi
  exec 8>&-
}

# --- The suites ------------------------------------------------------------

# What a sanitizer prints goes to the log of the server, and that of a server
# started for a TAP test to the results.
count_findings() {
  local name=$1 findings
  findings=$(grep -rlE "$2" "${@:3}" 2>/dev/null || true)
  if [ -n "$findings" ]; then
    say "$name  findings:" "$findings"
    FAILED=$((FAILED + 1))
  else
    PASSED=$((PASSED + 1))
  fi
}

run_sanitized() {
  require_server
  # With these sanitizers gcc takes inlined variables for changed before a longjmp.
  # shellcheck disable=SC2086 # names, many to a line
  count_run sanitizers env PG_CONFIG="$CACHE/server/bin/pg_config" \
    COPT="$SANITIZERS -Wno-clobbered" TEST_NAME="$NAME-suites" \
    "$TOP/test/run-tests.sh" $SUITES
  count_findings sanitizers 'AddressSanitizer|runtime error:|TRAP:' \
    "$TOP/tmp/$NAME-suites/log/" "$TOP/tmp/$NAME-suites/results/"
}

# The tests of SQL in a server whose every process runs under valgrind: Debian's,
# which has no assertions that would read what valgrind watches over.
run_valgrind() {
  local test log=$WORK/log/valgrind
  copy_sources
  private_build COPT='-O1 -g'
  valgrind_server
  as_user "$WORK/bin/createdb" valgrind
  for test in $VALGRIND_TESTS; do
    as_user "$WORK/bin/psql" -X -q -d valgrind \
      -f "$WORK/tree/test/sql/$test.sql" >"$log.$test.out" 2>&1 </dev/null ||
      die "valgrind  $test: psql failed, see $log.$test.out"
    say "valgrind  $test has run"
  done
  server_stop valgrind
  compgen -G "$log.pid.*" >/dev/null || die "valgrind has not run"
  count_findings valgrind 'ERROR SUMMARY: [1-9]' "$log".pid.*
}

# As server_start does, with the server's program under valgrind.
valgrind_server() {
  local data=$WORK/valgrind.data postgres=$WORK/bin/postgres
  server_start valgrind "shared_preload_libraries = 'apikeys'"
  server_stop valgrind
  as_user mv "$postgres" "$postgres.bin"
  as_user tee "$postgres" >/dev/null <<END
#!/bin/sh
exec valgrind --trace-children=yes --error-exitcode=0 \\
  --suppressions="$WORK/tree/test/workshop/sanitize/valgrind.supp" \\
  --log-file="$WORK/log/valgrind.pid.%p" --num-callers=20 \\
  "$postgres.bin" "\$@"
END
  as_user chmod +x "$postgres"
  quietly start-valgrind as_user "$WORK/bin/pg_ctl" -D "$data" -w -t 120 \
    -l "$WORK/log/server-valgrind.log" start
}

finish() {
  if [ -n "${WORK:-}" ]; then stop_servers; fi
}

main() {
  "$TOP/test/install-deps.sh" sanitize
  work_open "$NAME"
  trap finish EXIT
  if [ -n "$SUITES" ]; then run_sanitized; fi
  if [ -n "$VALGRIND_TESTS" ]; then run_valgrind; fi
  report_counts
}

main
