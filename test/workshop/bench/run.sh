#!/usr/bin/env bash
# run.sh: measures what a decision costs, beside other things that a server does,
# how fast keys are created and brought in, and what it costs to look at them,
# in a folder tmp/bench and against a server of its own; see "make help".
#
#   KEYS=1000000           keys in the tables
#   CLIENTS=2              connections that call at the same time
#   ROUNDS=5 SECONDS_EACH=5
#                          each measurement over the socket is made ROUNDS
#                          times, in turn with the others, for that long
#   IMPORT=200000          keys that are brought in at once
#   CALLS=50000            calls in one measurement inside the server
#   SHARED_BUFFERS=2GB     more than all tables: a million keys are 1.2 GB
#   LOCATOR_SIZE=15625kB   apikeys.locator_size; by default 16 bytes a key
#   USAGE_MAX_ENTRIES=2510000
#                          apikeys.usage_max_entries; by default enough for
#                          all keys
#   KEEP=1                 leaves the server running
#   TEST_NAME=bench        the folder in tmp/
#
# The figures and a picture of them are in tmp/bench/out.  Everything is
# measured in one run: compare ratios, the rest says how fast the machine is.
# This is no test, no figure is wrong.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

KEYS=${KEYS:-1000000}
CLIENTS=${CLIENTS:-2}
ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-5}
CALLS=${CALLS:-50000}
IMPORT=${IMPORT:-200000}
SHARED_BUFFERS=${SHARED_BUFFERS:-2GB}
LOCATOR_SIZE=${LOCATOR_SIZE:-$((KEYS < 4096 ? 64 : KEYS / 64))kB}
USAGE_MAX_ENTRIES=${USAGE_MAX_ENTRIES:-$((KEYS * 5 / 2 + 10000))}

# The keys are spread over so many, as policy.sql expects.
ORGANIZATIONS=1000

# Sent as parameters, as an application would.
ADDRESS=10.1.2.3
SCOPE=clusters.read

# What is measured over the socket: name, script in wire/, apikeys.track_usage.
WIRE=(
  'SELECT 1|select_1|off'
  'primary-key SELECT|primary_key|off'
  'authorize|authorize|off'
  'authorize, usage counted|authorize|on'
  'authorize, one key, usage counted|one_key|on'
  'PL/pgSQL|plpgsql|off'
  'PL/pgSQL, last use updated|plpgsql_update|off'
)

psql_file() {
  as_user "$WORK/bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -v keys="$KEYS" \
    -v calls="$CALLS" -v rounds="$ROUNDS" -v import="$IMPORT" \
    -v organizations="$ORGANIZATIONS" -d bench \
    -f "$WORK/tree/test/workshop/bench/$1" "${@:2}"
}

# --- The keys --------------------------------------------------------------

start_server() {
  server_start bench \
    "shared_preload_libraries = 'apikeys'" \
    "shared_buffers = $SHARED_BUFFERS" \
    "apikeys.locator_size = $LOCATOR_SIZE" \
    "apikeys.usage_max_entries = $USAGE_MAX_ENTRIES" \
    "max_wal_size = 8GB" \
    "checkpoint_timeout = 1h" \
    "synchronous_commit = off" \
    "maintenance_work_mem = 256MB" \
    "track_functions = none" \
    "autovacuum = off" \
    "jit = off"
  as_user "$WORK/bin/createdb" bench
}

make_hashes() {
  # shellcheck disable=SC2046 # flags, many to a line
  quietly hashes as_user "${CC:-gcc}" -O2 -o "$WORK/hashes" \
    "$WORK/tree/test/workshop/bench/hashes.c" $(pkg-config --cflags --libs libsodium)
}

load() {
  local begin=$SECONDS
  make_hashes
  as_user "$WORK/hashes" $((KEYS + 2)) | psql_file load.sql
  psql_file plpgsql.sql
  psql_file settle.sql
  say "loaded in $((SECONDS - begin)) s"
}

# --- Over the socket -------------------------------------------------------

# measure_wire NUMBER NAME SCRIPT TRACK_USAGE ROUND: appends to wire.csv, and a
# sample of the latencies to NUMBER.latencies.
measure_wire() {
  local logs=$WORK/wire/$1.$5 printed tps
  as_user mkdir -p "$WORK/wire"
  printed=$(
    PGOPTIONS="-c apikeys.track_usage=$4" as_user "$WORK/bin/pgbench" -n \
      -M prepared -c "$CLIENTS" -j "$CLIENTS" -T "$SECONDS_EACH" \
      -D keys="$KEYS" -D ip="$ADDRESS" -D scope="$SCOPE" \
      --log --log-prefix="$logs" --sampling-rate=0.05 \
      -f "$WORK/tree/test/workshop/bench/wire/$3.sql" bench \
      2>>"$WORK/log/pgbench.log"
  ) || say "$2: pgbench failed, see $WORK/log/pgbench.log" >&2
  tps=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' <<<"$printed")
  say "\"$2\",$5,${tps:-0}" | as_user tee -a "$WORK/out/wire.csv" >/dev/null
  cat "$logs".* 2>/dev/null | awk '{ print $3 }' |
    as_user tee -a "$WORK/wire/$1.latencies" >/dev/null || true
}

wire_rounds() {
  local round number name script track_usage
  for round in $(seq "$ROUNDS"); do
    for number in "${!WIRE[@]}"; do
      IFS='|' read -r name script track_usage <<<"${WIRE[number]}"
      measure_wire "$number" "$name" "$script" "$track_usage" "$round"
    done
  done
}

# --- New keys --------------------------------------------------------------

# measure_create ROUND: by a role with the access manage; appends to create.csv.
measure_create() {
  local tps
  tps=$(
    PGUSER=bench_owner as_user "$WORK/bin/pgbench" -n -M prepared -c "$CLIENTS" -j "$CLIENTS" \
      -T "$SECONDS_EACH" -f "$WORK/tree/test/workshop/bench/wire/create_key.sql" bench \
      2>>"$WORK/log/pgbench.log" | sed -n 's/^tps = \([0-9]*\).*/\1/p'
  ) || say "create_key: pgbench failed, see $WORK/log/pgbench.log" >&2
  say "create_key,$1,${tps:-0}" | as_user tee -a "$WORK/out/create.csv" >/dev/null
}

# measure_import_in_two ROUND: two sessions at the same time, each half of the
# keys; appends to import.csv.
measure_import_in_two() {
  local begin=$EPOCHREALTIME half
  for half in 1 2; do psql_file import_half.sql -v half="$half" & done
  wait
  awk -v begin="$begin" -v end="$EPOCHREALTIME" -v round="$1" -v keys="$IMPORT" \
    'BEGIN { printf "\"import_keys, a half in each of two sessions\",%s,%s\n",
      round, keys / (end - begin) }' |
    as_user tee -a "$WORK/out/import.csv" >/dev/null
  as_user "$WORK/bin/psql" -X -q -d bench -c VACUUM
}

new_key_rounds() {
  local round
  psql_file import_tables.sql
  for round in $(seq "$ROUNDS"); do
    measure_create "$round"
    psql_file import.sql -v round="$round" |
      as_user tee -a "$WORK/out/import.csv" >/dev/null
    measure_import_in_two "$round"
  done
}

# --- Reading ---------------------------------------------------------------

# The first organization alone, in a database of its own.
load_alone() {
  local keys=$((KEYS / ORGANIZATIONS))
  as_user "$WORK/bin/createdb" alone
  as_user "$WORK/hashes" $((keys + 2)) |
    psql_file load.sql -d alone -v keys="$keys" -v organizations=1
  psql_file settle.sql -d alone
  psql_file reading_rows.sql -d alone -v keys="$keys" -v organizations=1
}

# measure_reading DATABASE ROUND: with PostgreSQL's default settings, JIT on;
# appends to DATABASE.csv.
measure_reading() {
  PGOPTIONS='-c jit=on' as_user "$WORK/bin/psql" -X -q -A -t -d "$1" \
    -c "SELECT * FROM bench.read_all($2, 20)" |
    as_user tee -a "$WORK/out/$1.csv" >/dev/null
}

reading_rounds() {
  local round
  psql_file reading_rows.sql
  load_alone
  for round in $(seq "$ROUNDS"); do
    measure_reading bench "$round"
    measure_reading alone "$round"
  done
}

# The medians of both databases, and their ratio.
compare_reading() {
  paste <(summarize bench 'first page of keys') \
    <(summarize alone 'first page of keys') |
    awk -F '\t' '{ printf "%s\t%d\t%d\t%.2f\n", $1, $2, $7, $2 / ($7 + !$7) }' |
    as_user tee "$WORK/out/reading.tsv"
}

# --- The report ------------------------------------------------------------

# summarize CSV BASELINE: a table of medians, separated by tabs.
summarize() {
  awk -v BASELINE="$2" -f "$TOP/test/workshop/bench/summary.awk" "$WORK/out/$1.csv" |
    as_user tee "$WORK/out/$1.tsv"
}

summarize_latencies() {
  local number
  for number in "${!WIRE[@]}"; do
    printf '%s\t%s\n' "${WIRE[number]%%|*}" "$(
      sort -n "$WORK/wire/$number.latencies" |
        awk -f "$TOP/test/workshop/bench/latency.awk"
    )"
  done | as_user tee "$WORK/out/latency.tsv"
}

# show FORMAT: a table, separated by tabs, with FORMAT for the rest of a row.
show() {
  awk -F '\t' -v format="  %-44s $1\n" \
    '{ printf format, $1, $2, $3, $4, $5 }'
}

describe_machine() {
  local model
  model=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null |
    head -n 1)
  say "$(nproc) cores, ${model:-$(uname -m)}, $("$WORK/bin/postgres" --version)"
  say "$KEYS keys, $CLIENTS clients, $ROUNDS rounds of $SECONDS_EACH s," \
    "shared_buffers $SHARED_BUFFERS, apikeys.locator_size $LOCATOR_SIZE," \
    "apikeys.usage_max_entries $USAGE_MAX_ENTRIES" |
    paste -sd ' '
}

plot() {
  if command -v gnuplot >/dev/null; then
    as_user env --chdir="$WORK/out" gnuplot \
      "$WORK/tree/test/workshop/bench/plot.gp" || say "gnuplot failed: no picture"
  fi
}

report() {
  say "" "Over the socket, prepared statements: calls per second"
  printf 'measurement\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
  summarize wire 'primary-key SELECT' | show '%10d %10d %10d %8s'
  say "" "Latency over the socket: microseconds"
  printf 'measurement\tp50\tp95\tp99\n' | show '%10s %10s %10s'
  summarize_latencies | show '%10s %10s %10s'
  say "" "Inside the server: nanoseconds per call"
  printf 'measurement\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
  summarize inside 'primary-key subquery' | show '%10d %10d %10d %8s'
  say "" "Counting a million rows under row-level security: milliseconds"
  printf 'policy\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
  summarize policy 'current_setting() in a sub-select' |
    show '%10d %10d %10d %8s'
  say "" "Creating keys, synchronous_commit off: keys per second"
  printf 'measurement\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
  summarize create create_key | show '%10d %10d %10d %8s'
  say "" "Bringing in $IMPORT keys at once: keys per second"
  printf 'measurement\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
  summarize import 'plain INSERT, no triggers and foreign keys' |
    show '%10d %10d %10d %8s'
  say "" "Reading, default settings: microseconds"
  printf 'measurement\tof all\talone\tratio\n' | show '%10s %10s %8s'
  compare_reading | show '%10d %10d %8s'
  say ""
  describe_machine | as_user tee "$WORK/out/machine.txt"
  plot
  say "figures: $TOP/tmp/$NAME/out"
}

finish() {
  if [ -z "${WORK:-}" ] || [ -n "${KEEP:-}" ]; then return; fi
  stop_servers
  # What is left is small.
  rm -rf "$WORK/bench.data" "$WORK/wire"
}

main() {
  "$TOP/test/install-deps.sh" bench
  NAME=${TEST_NAME:-bench}
  trap finish EXIT
  work_open "$NAME"
  as_user mkdir "$WORK/out"
  copy_sources
  private_build WERROR=
  start_server
  load
  psql_file inside.sql | as_user tee "$WORK/out/inside.csv" >/dev/null
  psql_file policy.sql | as_user tee "$WORK/out/policy.csv" >/dev/null
  wire_rounds
  reading_rounds
  new_key_rounds
  report
}

main
