#!/usr/bin/env bash
# run.sh: uses, binds, denies and manages keys at full speed for a long time, in
# a folder tmp/soak and against a server of its own; see "make help".
#
#   SOAK_SECONDS=600   for so long, a quarter of it to warm up
#   CLIENTS=4          connections, which stay the same all the time
#   GROWTH_KB=4096     what a process may grow by after that
#
# No process grows, nothing fails, and every use and denial is counted.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

SOAK_SECONDS=${SOAK_SECONDS:-600}
CLIENTS=${CLIENTS:-4}
GROWTH_KB=${GROWTH_KB:-4096}
PASSED=0
FAILED=0

query() {
  as_user "$WORK/bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"
}

# check DESCRIPTION COMMAND…
check() {
  local description=$1
  shift
  if "$@"; then
    say "ok - $description"
    PASSED=$((PASSED + 1))
  else
    say "not ok - $description"
    FAILED=$((FAILED + 1))
  fi
}

# The private memory of each process that has to stay as large as it is: a line
# "PID kB" each.
measure() {
  local pid
  for pid in $(query -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' OR backend_type = 'apikeys worker'"); do
    awk -v pid="$pid" '/^RssAnon:/ { print pid, $2 }' "/proc/$pid/status"
  done | sort -n
}

# One thread, for those of pgbench lose counts of each other's scripts.
start_traffic() {
  local scripts=("$WORK"/tree/test/workshop/soak/{authorize,denied,bound,manage}.sql)
  as_user "$WORK/bin/pgbench" -n -M prepared -c "$CLIENTS" -j 1 \
    -T "$SOAK_SECONDS" -f "${scripts[0]}@10" -f "${scripts[1]}@2" \
    -f "${scripts[2]}@4" -f "${scripts[3]}@1" postgres \
    >"$WORK/log/pgbench.log" 2>&1 &
  TRAFFIC=$!
}

# transactions NUMBER: how often that script was done.
transactions() {
  awk -v number="$1" '
    $1 == "SQL" && $2 == "script" { script = $3 + 0 }
    script == number && $2 == "transactions" && $1 == "-" { print $2 }
    script == number && $1 == "-" && $3 == "transactions" { print $2 }' \
    "$WORK/log/pgbench.log"
}

# How often something was counted of the keys that are there all the time.
counted() {
  query -c "SELECT sum($1) FROM apikeys.usage WHERE public_key LIKE 'soak%'"
}

# Which processes are larger than they were, and by how many kB.
list_grown() {
  join <(printf '%s\n' "$1") <(printf '%s\n' "$2") |
    awk -v limit="$GROWTH_KB" '$3 - $2 > limit { print $1, $3 - $2 }'
}

finish() {
  local status=$?
  if [ -n "${WORK:-}" ]; then stop_servers; fi
  if [ "$status" -ne 0 ]; then FAILED=$((FAILED + 1)); fi
  say "$PASSED passed, $FAILED failed"
  if [ "$FAILED" -gt 0 ]; then exit 1; fi
}

main() {
  local before after grown allowed denied
  trap finish EXIT
  "$TOP/test/install-deps.sh" demo
  work_open "${TEST_NAME:-soak}"
  copy_sources
  private_build WERROR=1
  server_start soak "shared_preload_libraries = 'apikeys'" \
    "apikeys.usage_flush_interval = 1s" "max_wal_size = 4GB" \
    "synchronous_commit = off" "log_min_messages = warning"
  query -f "$WORK/tree/test/workshop/soak/load.sql"
  start_traffic
  sleep $((SOAK_SECONDS / 4))
  before=$(measure)
  sleep $((SOAK_SECONDS / 2))
  after=$(measure)
  say "kB of private memory, after a quarter and after three quarters:"
  join <(printf '%s\n' "$before") <(printf '%s\n' "$after")
  grown=$(list_grown "$before" "$after")
  check "$CLIENTS backends and the worker were measured" \
    test "$(wc -l <<<"$before")" -eq $((CLIENTS + 1))
  check "they are the same processes still" test \
    "$(cut -d ' ' -f 1 <<<"$before")" = "$(cut -d ' ' -f 1 <<<"$after")"
  check "none has grown by more than $GROWTH_KB kB" test -z "$grown"
  check "all that was asked was done" wait "$TRAFFIC"
  check "nothing has failed" grep -q '^number of failed transactions: 0 ' \
    "$WORK/log/pgbench.log"
  query -c "SELECT apikeys.flush_usage()" >/dev/null
  allowed=$(($(transactions 1) + $(transactions 3)))
  denied=$(transactions 2)
  say "$allowed uses, $denied denials, $(transactions 4) lives of a key;" \
    "counted: $(counted use_count) uses, $(counted denial_count) denials"
  check "every use was counted" test "$(counted use_count)" -eq "$allowed"
  check "every denial was counted" test "$(counted denial_count)" -eq "$denied"
  check "nothing is pending, and nothing was lost" test \
    "$(query -c 'SELECT pending_entries, lost_count FROM apikeys.status()')" = '0|0'
  check "the audit is whole" test \
    "$(query -c 'SELECT intact FROM apikeys.verify_audit()')" = t
  check "no image of a key has been left behind or differs" test "$(query -c "
    SELECT count(*) FROM apikeys.key_image AS i
      FULL JOIN apikeys.key_image_source AS s USING (public_key)
    WHERE i::text IS DISTINCT FROM s::text")" -eq 0
  check "the server's log has no word of it" test ! -s <(
    grep -E 'ERROR|FATAL|PANIC|WARNING' "$WORK/log/server-soak.log"
  )
}

main
