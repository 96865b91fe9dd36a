#!/usr/bin/env bash
# run.sh: 200 people look at pages of the console, with 100,000 keys in 200
# organizations, in a folder tmp/console-load and against a server of its own; see
# "make help".
#
#   LOAD_SECONDS=60   for so long
#   PAUSE=5           seconds between two pages of a person, on average
#   BROWSERS=200      people
#
# The statements of a page take less than 30 ms together, the median of all pages,
# and none of them reads a table of more than a few rows without an index.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

LOAD_SECONDS=${LOAD_SECONDS:-60}
PAUSE=${PAUSE:-5}
BROWSERS=${BROWSERS:-200}
HERE=test/workshop/console
CONSOLE=

finish() {
  local status=$?
  if [ -n "$CONSOLE" ]; then kill "$CONSOLE" 2>/dev/null || true; fi
  if [ -n "${WORK:-}" ]; then stop_servers; fi
  exit "$status"
}

query() {
  as_user "$WORK/bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"
}

users() {
  local n separator='{'
  for n in $(seq "$BROWSERS"); do
    printf '%s"u%s":"a password"' "$separator" "$n"
    separator=,
  done
  printf '}'
}

start_console() {
  local log=$WORK/log/console.log
  as_user env PGUSER=console PGDATABASE=postgres PORT=0 NODE_PATH="$NODE_PATH" \
    CONSOLE_USERS="$(users)" node "$WORK/tree/test/demo/console/server.js" >"$log" 2>&1 &
  CONSOLE=$!
  for _ in $(seq 100); do
    URL=$(sed -n "s/^listening on //p" "$log" 2>/dev/null || true)
    if [ -n "$URL" ]; then return; fi
    sleep 0.1
  done
  die "the console did not start: $(cat "$log")"
}

# log SETTING…: sets settings of the log, and empties it.
log() {
  local setting
  for setting in "$@"; do query -c "ALTER SYSTEM SET $setting"; done
  query -c "SELECT pg_reload_conf()" >/dev/null
  sleep 1
  : | as_user tee "$WORK/log/server-load.log" >/dev/null
}

visit() {
  node "$WORK/tree/$HERE/visit.js" "$URL" "$@"
}

report() {
  if node "$WORK/tree/$HERE/report.js" "$1" "$WORK/log/server-load.log" | column -t -s $'\t'; then
    say "ok - $2" ""
  else
    say "not ok - $2" ""
    return 1
  fi
}

main() {
  local status=0
  trap finish EXIT
  "$TOP/test/install-deps.sh" console
  work_open "${TEST_NAME:-console-load}"
  copy_sources
  private_build WERROR=1
  console_packages
  server_start load "shared_preload_libraries = 'apikeys'" "synchronous_commit = off" \
    "max_wal_size = 4GB" "log_line_prefix = '%p '" "session_preload_libraries = 'auto_explain'" \
    "auto_explain.log_format = json" "auto_explain.log_analyze = on" \
    "auto_explain.log_timing = off" "auto_explain.log_nested_statements = on"
  query -c 'CREATE EXTENSION apikeys'
  query -f "$WORK/tree/test/demo/console/schema.sql" >/dev/null
  query -v keys=100000 -v organizations=200 -f "$WORK/tree/$HERE/load.sql"
  start_console
  log "log_min_duration_statement = 0"
  visit "$LOAD_SECONDS" "$PAUSE" "$BROWSERS" | as_user tee "$WORK/pages" >/dev/null || status=1
  report times "the median page takes less than 30 ms in the database" || status=1
  column -t -s $'\t' "$WORK/pages"
  log "log_min_duration_statement = -1" "auto_explain.log_min_duration = 0"
  visit 10 0.5 10 >/dev/null || status=1
  report plans "no statement reads a table without an index" || status=1
  return "$status"
}

main
