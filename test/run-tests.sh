#!/usr/bin/env bash
# run-tests.sh [SUITE…]: builds the extension and runs its tests, in a folder
# tmp/test and against servers of its own; see "make help".
#
# A suite is a function suite_NAME.  It prints a log, and fails when one of its
# tests does; count.awk finds the single tests in the log.  To add a suite,
# write the function and name it in SUITES.
#
# What a test printed is in tmp/test/results/SUITE/results: to accept it, copy it
# to expected/ or test/isolation/expected/.
#
# TEST_NAME=other makes the folder tmp/other, for two runs at a time.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

SUITES=(unit fuzz regress isolation model console clients tap plpgsql catalog lint)

# --- The suites ------------------------------------------------------------

# What needs no server, under the sanitizers.
suite_unit() {
  need_files 'test/unit/test_*.c'
  as_user make -C "$WORK/tree/test/unit" check \
    PG_CONFIG="$WORK/bin/pg_config"
}

suite_fuzz() {
  need_files 'test/fuzz/*.c'
  as_user make -C "$WORK/tree/test/fuzz" -j"$(nproc)" run \
    PG_CONFIG="$WORK/bin/pg_config" SECONDS_EACH="${FUZZ_SECONDS:-30}"
}

# pg_regress.
suite_regress() {
  need_files 'test/sql/*.sql'
  fill_in_outputs test/sql expected
  server_start regress "shared_preload_libraries = 'apikeys'" \
    "apikeys.locator_size = 64kB" "apikeys.usage_flush_interval = 1h"
  installcheck regress ISOLATION=
}

suite_isolation() {
  need_files 'test/isolation/specs/*.spec'
  fill_in_outputs test/isolation/specs test/isolation/expected
  server_start isolation "shared_preload_libraries = 'apikeys'" \
    "max_prepared_transactions = 10" "apikeys.usage_flush_interval = 1h"
  installcheck isolation REGRESS=
}

# These make their own clusters.
suite_tap() {
  need_files 'test/t/*.pl'
  installcheck tap REGRESS= ISOLATION= TAP_TESTS=1 \
    PROVE_TESTS='test/t/*.pl' PROVE_FLAGS="--timer -j$(nproc)"
}

# Random verbs, held against a model of the rules.
suite_model() {
  need_files 'test/model/*.js'
  find_driver
  # Nothing that is spent comes back: limits of deleted keys stay in memory.
  server_start model "shared_preload_libraries = 'apikeys'" \
    "apikeys.limit_max_entries = 500000"
  as_user env NODE_PATH="$NODE_PATH" MODEL_STEPS="${MODEL_STEPS:-4000}" \
    MODEL_PAIRS="${MODEL_PAIRS:-500}" node "$WORK/tree/test/model/run.js"
}

# Starts a server for the console, with a pepper, which HTTP Digest needs.
console_server() {
  write_pepper "$WORK/pepper"
  server_start "$1" "shared_preload_libraries = 'apikeys'" \
    "apikeys.pepper_file = '$WORK/pepper'"
}

# The example of a console, with HTTP clients.
suite_console() {
  local status=0
  need_files 'test/console/*.js'
  console_packages
  quietly npm-clients as_user npm --prefix "$WORK/tree/test/demo/console" \
    install --no-save --no-audit --no-fund digest-fetch@3 mongodb-atlas-api-client@4
  console_server console
  run_node api || status=1
  run_node pages || status=1
  run_node attacks || status=1
  run_node recipes || status=1
  return "$status"
}

# The same with a real browser; not among SUITES, because it takes minutes.
suite_browser() {
  local status=0
  need_files 'test/console/*.js'
  console_packages
  quietly npm-browser as_user npm --prefix "$WORK/tree/test/demo/console" \
    install --no-save --no-audit --no-fund playwright-core@1 axe-core@4
  console_server browser
  SCREENSHOTS=$WORK/screenshots run_node browser || status=1
  mkdir -p "$TOP/tmp/console"
  cp "$WORK"/screenshots/*.png "$TOP/tmp/console"
  return "$status"
}

run_node() {
  as_user env NODE_PATH="$NODE_PATH" SCREENSHOTS="${SCREENSHOTS:-}" \
    node --test-reporter=tap "$WORK/tree/test/console/$1.js"
}

# Programs with the drivers of several languages, all of one shape.
suite_clients() {
  local status=0
  start_for_clients clients
  client node node-postgres.js || status=1
  client node postgres-js.js || status=1
  client node postgrest.js || status=1
  client java -cp /usr/share/java/postgresql.jar Jdbc.java || status=1
  client /usr/bin/python3 psycopg-2.py || status=1
  client /usr/bin/python3 psycopg-3.py || status=1
  return "$status"
}

# The others; not among SUITES, because npm fetches a lot for them.
suite_more_clients() {
  local status=0
  start_for_clients more_clients
  quietly npm-more as_user npm --prefix "$WORK/tree/test/clients" install \
    --no-save --no-audit --no-fund prisma@6 @prisma/client@6 \
    @prisma/adapter-pg@6 postgraphile@4
  client node prisma.js || status=1
  client node postgraphile.js || status=1
  client ruby ruby-pg.rb || status=1
  client php php-pgsql.php || status=1
  client perl dbd-pg.pl || status=1
  return "$status"
}

# start_for_clients NAME: a server that listens on loopback, because not every
# driver knows Unix sockets, and asks for a password there.
start_for_clients() {
  need_files 'test/clients/*'
  quietly npm as_user npm --prefix "$WORK/tree/test/clients" install \
    --no-audit --no-fund
  say "local all all trust" "host all client 127.0.0.1/32 scram-sha-256" |
    as_user tee "$WORK/clients.hba" >/dev/null
  CLIENT_PORT=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(
    Listen => 1, LocalAddr => "127.0.0.1")->sockport')
  CLIENT_PASSWORD=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n')
  server_start "$1" "shared_preload_libraries = 'apikeys'" \
    "listen_addresses = '127.0.0.1'" "port = $CLIENT_PORT" \
    "hba_file = '$WORK/clients.hba'"
  export PGPORT=$CLIENT_PORT
  as_superuser postgres -c "CREATE ROLE web" \
    -c "CREATE ROLE client LOGIN PASSWORD '$CLIENT_PASSWORD' IN ROLE web"
}

as_superuser() {
  as_user "$WORK/bin/psql" -X -q -v ON_ERROR_STOP=1 -d "$@"
}

# client COMMAND…: runs a program of test/clients, in a database of its own.
client() {
  local folder=$WORK/tree/test/clients
  as_superuser postgres -c "DROP DATABASE IF EXISTS client WITH (FORCE)" \
    -c "CREATE DATABASE client"
  as_superuser client -f "$folder/schema.sql" >/dev/null
  as_user env --chdir="$folder" PGHOST=127.0.0.1 PGUSER=client \
    PGPASSWORD="$CLIENT_PASSWORD" PGDATABASE=client "$@"
}

# All of the extension's PL/pgSQL, checked by plpgsql_check.
suite_plpgsql() {
  need_files 'sql/parts/*.sql'
  server_start plpgsql "shared_preload_libraries = 'apikeys'"
  as_user "$WORK/bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d postgres \
    -f "$WORK/tree/test/lint/plpgsql.sql"
}

# What the catalog says of the extension, and doc/reference.md after it.  With
# REFERENCE=write the generated tables of the reference are written.
suite_catalog() {
  need_files 'test/lint/*.sql'
  server_start catalog "shared_preload_libraries = 'apikeys'"
  local psql=("$WORK/bin/psql" -X -q -v ON_ERROR_STOP=1 -d postgres) file
  as_user "${psql[@]}" -c 'CREATE EXTENSION apikeys'
  as_user "${psql[@]}" <"$WORK/tree/test/lint/catalog.sql"
  as_user "${psql[@]}" <"$WORK/tree/test/lint/reference.sql" |
    as_user tee "$WORK/catalog.tsv" >/dev/null
  file=$WORK/tree/doc/reference.md
  if perl "$WORK/tree/test/lint/reference.pl" "$file" <"$WORK/catalog.tsv" |
    as_user tee "$WORK/reference.md" >/dev/null; then
    say "ok - the reference has everything that is in schema apikeys"
  else
    say "not ok - the reference has everything that is in schema apikeys"
  fi
  if [ "${REFERENCE:-}" = write ]; then
    cat "$WORK/reference.md" >"$TOP/doc/reference.md"
  elif diff -u "$file" "$WORK/reference.md"; then
    say "ok - the reference is up to date"
  else
    say "not ok - the reference is up to date: make reference"
  fi
}

suite_lint() {
  need_files 'src/*.c'
  as_user "$WORK/tree/test/lint/run.sh" "$WORK/bin/pg_config"
}

# --- Running one -----------------------------------------------------------

need_files() {
  compgen -G "$WORK/tree/$1" >/dev/null || die "there is no $1"
}

# installcheck NAME MAKE-ARGUMENT…: the tests of the Makefile's installcheck
# against the server that is running; leaves what they printed in results/NAME.
installcheck() {
  local status=0 file
  as_user make -C "$WORK/tree" installcheck PG_CONFIG="$WORK/bin/pg_config" \
    "${@:2}" || status=$?
  as_user mkdir -p "$WORK/results/$1"
  for file in "$WORK"/tree/{results,regression.diffs,tmp_check/log} \
    "$WORK"/tree/output_iso/{results,regression.diffs}; do
    if [ -e "$file" ]; then as_user mv "$file" "$WORK/results/$1"; fi
  done
  return "$status"
}

# fill_in_outputs TESTS EXPECTED: an empty output in the folder EXPECTED for each
# test in TESTS that has none yet, because pg_regress gives up at the first.
fill_in_outputs() {
  local outputs
  readarray -t outputs < <(
    find "$WORK/tree/$1" -type f -printf "$WORK/tree/$2/%f\n" |
      sed 's/[^.]*$/out/'
  )
  as_user mkdir -p "$WORK/tree/$2"
  as_user touch "${outputs[@]}"
}

run_suite() {
  local log=$WORK/log/$1.log begin=$SECONDS status passed failed
  # Not as a condition: in one, "set -e" would not end the suite.
  set +e
  (
    set -e
    "suite_$1"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  stop_servers

  read -r passed failed < <(awk -f "$TOP/test/count.awk" "$log")
  if [ "$failed" -eq 0 ] && [ $((status != 0 || passed == 0)) -eq 1 ]; then
    failed=1
  fi
  printf '%-10s %5d passed, %d failed, in %d s\n' \
    "$1" "$passed" "$failed" $((SECONDS - begin))
  if [ "$failed" -gt 0 ]; then show_failure "$1"; fi
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
}

show_failure() {
  local diffs=$WORK/results/$1/regression.diffs
  tail -n 60 "$WORK/log/$1.log" | sed 's/^/    /'
  if [ -s "$diffs" ]; then head -n 200 "$diffs" | sed 's/^/    /'; fi
  printf '    logs: %s/log/*%s*.log' "$WORK" "$1"
  if [ -d "$WORK/results/$1" ]; then
    printf '; results: %s/results/%s' "$WORK" "$1"
  fi
  printf '\n'
}

finish() {
  local status=$?
  if [ -n "${WORK:-}" ]; then stop_servers; fi
  # Whatever kept the suites from running is a failure too.
  if [ "$status" -ne 0 ]; then FAILED=$((FAILED + 1)); fi
  report_counts || exit 1
}

main() {
  local suite
  if [ $# -eq 0 ]; then set -- "${SUITES[@]}"; fi
  for suite in "$@"; do
    declare -F "suite_$suite" >/dev/null || die "no suite $suite: ${SUITES[*]}"
  done
  trap finish EXIT
  "$TOP/test/install-deps.sh" test "$@"
  work_open "${TEST_NAME:-test}"
  copy_sources
  private_build WERROR=1
  say "built for $("$WORK/bin/postgres" --version) in $SECONDS s"
  for suite in "$@"; do run_suite "$suite"; done
}

main "$@"
