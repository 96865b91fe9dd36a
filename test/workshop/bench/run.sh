#!/usr/bin/env bash
# run.sh: measures what a decision costs, beside other things that a server does,
# how fast keys are created and brought in, and what it costs to look at them,
# in a folder tmp/bench and against a server of its own; see "make help".
#
#   KEYS=1000000           keys in the tables
#   ORGANIZATIONS=2000     which the keys are spread over
#   LIST=1000000           networks in the longest access list; at most KEYS
#   PROJECTS=20000 LARGE=100000
#                          projects, and keys, of two special organizations; by
#                          default a fiftieth and a tenth of KEYS
#   IN_USE=10000           keys that are called where not all are
#   CLIENTS=2              connections that call at the same time
#   ROUNDS=7 SECONDS_EACH=2
#                          each measurement over the socket is made ROUNDS
#                          times, in turn with the others, for that long
#   SECONDS_COUNTED=10     the same, where uses are counted, and what that is compared
#                          with: the default of apikeys.usage_flush_interval, so that
#                          as much is written as in the long run
#   CHANGES=100            changes a second while decisions are measured: a fifth of
#                          them new organizations, two fifths members, a fifth
#                          keys, a fifth changed keys; also five times as many
#   IMPORT=200000          keys that are brought in at once
#   CALLS=50000            calls in one measurement inside the server
#   SHARED_BUFFERS=4GB     more than all tables of all databases: a million keys are
#                          2 GB, with those that are compared
#   LOCATOR_SIZE=15625kB   apikeys.locator_size; by default 16 bytes a key
#   USAGE_MAX_ENTRIES=2510000
#                          apikeys.usage_max_entries; by default enough for
#                          all keys
#   ONLY_SIZES=1           only compares databases with few and many keys
#   KEEP=1                 leaves the server running
#   TEST_NAME=bench        the folder in tmp/
#
# PostgreSQL has its default settings, including JIT, except those in start_server:
# all tables are in memory, no background work runs meanwhile, and nothing waits
# for a disk.  If JIT makes a difference, it is also measured without.
#
# The figures and a picture of them are in tmp/bench/out.  Everything is
# measured in one run, in turn: compare ratios, the rest says how fast the machine
# is.  What each ratio should be stands at the end of the report; it is the median
# of the ratios of the rounds, so that a machine that is slower for some minutes
# does not matter.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

KEYS=${KEYS:-1000000}
IN_USE=${IN_USE:-$((KEYS < 10000 ? KEYS : 10000))}
CLIENTS=${CLIENTS:-2}
ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-2}
SECONDS_COUNTED=${SECONDS_COUNTED:-10}
CALLS=${CALLS:-50000}
IMPORT=${IMPORT:-200000}
SHARED_BUFFERS=${SHARED_BUFFERS:-4GB}
LOCATOR_SIZE=${LOCATOR_SIZE:-$((KEYS < 4096 ? 64 : KEYS / 64))kB}
USAGE_MAX_ENTRIES=${USAGE_MAX_ENTRIES:-$((KEYS * 5 / 2 + 10000))}
ORGANIZATIONS=${ORGANIZATIONS:-$((KEYS < 20000 ? 10 : KEYS / 500))}
PROJECTS=${PROJECTS:-$((KEYS / 50))}
LARGE=${LARGE:-$((KEYS / 10))}
LIST=${LIST:-$((KEYS < 1000000 ? KEYS : 1000000))}

# Databases with fewer keys, which authorize is compared in.
SIZES=()
for size in 10000 1000000; do
  if ((size < KEYS)); then SIZES+=("$size"); fi
done

CHANGES=${CHANGES:-100}

# Sent as parameters, as an application would.
ADDRESS=10.1.2.3
SCOPE=clusters.read

# What is measured over the socket: name, script in wire/, apikeys.track_usage, how
# many keys are called, and for how long.
COUNTED='authorize, usage counted'
WIRE=(
  "SELECT 1|select_1|off|$KEYS|$SECONDS_EACH"
  "no-op with the same arguments|no_op|off|$KEYS|$SECONDS_COUNTED"
  "primary-key SELECT|primary_key|off|$KEYS|$SECONDS_COUNTED"
  "authorize|authorize|off|$KEYS|$SECONDS_COUNTED"
  "$COUNTED|authorize|on|$KEYS|$SECONDS_COUNTED"
  "primary-key SELECT, $IN_USE keys in use|primary_key|off|$IN_USE|$SECONDS_COUNTED"
  "authorize, $IN_USE keys in use|authorize|off|$IN_USE|$SECONDS_COUNTED"
  "$COUNTED, $IN_USE keys in use|authorize|on|$IN_USE|$SECONDS_COUNTED"
  "PL/pgSQL|plpgsql|off|$KEYS|$SECONDS_EACH"
  "PL/pgSQL, last use updated|plpgsql_update|off|$KEYS|$SECONDS_EACH"
)

# The keys that are called to see what a limit costs.
LIMITED=('one key without a limit' 'one key with a rate limit')

psql_file() {
  as_user "$WORK/bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -v keys="$KEYS" \
    -v calls="$CALLS" -v rounds="$ROUNDS" -v import="$IMPORT" \
    -v organizations="$ORGANIZATIONS" -v projects="$PROJECTS" \
    -v large="$LARGE" -v list="$LIST" -v special=1 -d bench \
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
    "autovacuum = off"
}

make_hashes() {
  # shellcheck disable=SC2046 # flags, many to a line
  quietly hashes as_user "${CC:-gcc}" -O2 -o "$WORK/hashes" \
    "$WORK/tree/test/workshop/bench/hashes.c" $(pkg-config --cflags --libs libsodium)
}

# load_database NAME KEYS ORGANIZATIONS SPECIAL
load_database() {
  as_user "$WORK/bin/createdb" "$1"
  as_user "$WORK/hashes" $(($2 + ($4 ? 506 + LARGE : 0))) |
    psql_file load.sql -d "$1" -v keys="$2" -v organizations="$3" \
      -v special="$4"
}

# Databases like the first one, with fewer keys.
load_sizes() {
  local size
  for size in ${SIZES[@]+"${SIZES[@]}"}; do
    load_database "keys_$size" "$size" $((size / 500)) 0
    psql_file settle.sql -d "keys_$size"
  done
}

load() {
  local keys=$((KEYS / ORGANIZATIONS))
  load_database bench "$KEYS" "$ORGANIZATIONS" 1
  psql_file plpgsql.sql
  psql_file settle.sql
  psql_file reading_rows.sql
  # The first organization alone.
  load_database alone "$keys" 1 0
  psql_file settle.sql -d alone
  psql_file reading_rows.sql -d alone -v keys="$keys" -v organizations=1 \
    -v special=0
  load_sizes
}

# --- Over the socket -------------------------------------------------------

# flush DATABASE: writes what is counted, so that this is no part of what is
# measured next.
flush() {
  as_user "$WORK/bin/psql" -X -q -A -t -d "$1" -o /dev/null \
    -c 'SELECT apikeys.flush_usage()'
}

seconds_of() {
  if [ "$1" = on ]; then say "$SECONDS_COUNTED"; else say "${SECONDS_NOW:-$SECONDS_EACH}"; fi
}

# call SCRIPT TRACK_USAGE DATABASE KEYS [ARGUMENT...]: prints how many calls were made.
call() {
  PGOPTIONS="-c apikeys.track_usage=$2" as_user "$WORK/bin/pgbench" -n \
    -M prepared -c "${CLIENTS_NOW:-$CLIENTS}" -j "$CLIENTS" -T "$(seconds_of "$2")" \
    -D keys="$4" -D ip="$ADDRESS" -D scope="$SCOPE" "${@:5}" \
    -f "$WORK/tree/test/workshop/bench/wire/$1.sql" "$3" \
    2>>"$WORK/log/pgbench.log" |
    sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' ||
    say "$1: pgbench failed, see $WORK/log/pgbench.log" >&2
}

# run_wire SCRIPT TRACK_USAGE DATABASE KEYS [ARGUMENT...]: prints calls per second.
# What was written before is on disk.  What is counted is written once, as in the long
# run: the first flush starts the worker's interval, which ends with the calls, and the
# second one is in the figure, as if all cores had done it while the calls were made.
run_wire() {
  local calls begin
  as_user "$WORK/bin/psql" -X -q -d "$3" -c CHECKPOINT
  if [ "$2" = on ]; then flush "$3"; fi
  calls=$(call "$@")
  begin=$EPOCHREALTIME
  if [ "$2" = on ]; then flush "$3"; fi
  awk -v calls="${calls:-0}" -v seconds="$(seconds_of "$2")" -v begin="$begin" \
    -v end="$EPOCHREALTIME" -v cores="$(nproc)" \
    'BEGIN { printf "%.0f", calls / (seconds + (end - begin) / cores) }'
}

# add_figure FILE NAME ROUND FIGURE: appends to FILE.csv.
add_figure() {
  say "\"$2\",$3,${4:-0}" | as_user tee -a "$WORK/out/$1.csv" >/dev/null
}

# measure_wire NUMBER NAME SCRIPT TRACK_USAGE KEYS SECONDS ROUND: appends to wire.csv,
# and a sample of the latencies to NUMBER.latencies.
measure_wire() {
  local logs=$WORK/wire/$1.$7
  as_user mkdir -p "$WORK/wire"
  add_figure wire "$2" "$7" "$(SECONDS_NOW=$6 run_wire "$3" "$4" bench "$5" \
    --log --log-prefix="$logs" --sampling-rate=0.05)"
  cat "$logs".* 2>/dev/null | awk '{ print $3 }' |
    as_user tee -a "$WORK/wire/$1.latencies" >/dev/null || true
}

# measure_under CHANGES NAME ROUND SCRIPT TRACK_USAGE: while others make so many
# changes a second, five in each transaction.
measure_under() {
  local manager
  as_user "$WORK/bin/pgbench" -n -M prepared -c 2 -R $(($1 / 5)) \
    -T $(($(seconds_of "$5") + 1)) -f "$WORK/tree/test/workshop/bench/wire/manage.sql" bench \
    2>&1 | as_user tee -a "$WORK/log/manage.log" >/dev/null &
  manager=$!
  add_figure management "$2, $1 changes a second" "$3" \
    "$(run_wire "$4" "$5" bench "$IN_USE")"
  wait "$manager" ||
    say "manage: pgbench failed, see $WORK/log/manage.log" >&2
}

# Decisions alone, and while others are busy with organizations, members and keys;
# beside them what is not the extension's, which shares the cores too.
measure_management() {
  add_figure management "primary-key SELECT, alone" "$1" \
    "$(run_wire primary_key off bench "$IN_USE")"
  measure_under $((5 * CHANGES)) 'primary-key SELECT' "$1" primary_key off
  add_figure management "$COUNTED, alone" "$1" \
    "$(run_wire authorize on bench "$IN_USE")"
  measure_under "$CHANGES" "$COUNTED" "$1" authorize on
  measure_under $((5 * CHANGES)) "$COUNTED" "$1" authorize on
}

# Among few keys and among many, of which all are in use, or as many as of the few.
measure_sizes() {
  local size database
  for size in ${SIZES[@]+"${SIZES[@]}"} "$KEYS"; do
    database=keys_$size
    if [ "$size" = "$KEYS" ]; then database=bench; fi
    add_figure sizes "authorize, $size keys" "$1" \
      "$(run_wire authorize off "$database" "$size")"
    add_figure sizes "$COUNTED, $IN_USE of $size keys" "$1" \
      "$(run_wire authorize on "$database" "$((IN_USE < size ? IN_USE : size))")"
  done
}

# measure_limits ROUND: a key with a rate limit beside one without, of which each
# client calls one or the other at random: the mean of all but the slowest tenth of
# the calls, in nanoseconds; and 64 clients on one of them: calls per second.
measure_limits() {
  local logs=$WORK/wire/limits.$1 wire=$WORK/tree/test/workshop/bench/wire script
  as_user "$WORK/bin/pgbench" -n -M prepared -c "$CLIENTS" -j "$CLIENTS" \
    -T "$SECONDS_EACH" -D keys="$KEYS" -D ip="$ADDRESS" -D scope="$SCOPE" \
    --log --log-prefix="$logs" --sampling-rate=0.2 \
    -f "$wire/no_limit.sql" -f "$wire/rate_limit.sql" bench \
    >>"$WORK/log/pgbench.log" 2>&1 ||
    say "limits: pgbench failed, see $WORK/log/pgbench.log" >&2
  for script in 0 1; do
    add_figure limits "${LIMITED[script]}" "$1" "$(
      awk -v script="$script" '$4 == script { print $3 }' "$logs".* | sort -n |
        awk '{ latency[NR] = $1 }
          END { for (i = 1; i <= NR * 0.9; i++) sum += latency[i]
            printf "%.0f", (i > 1 ? 1000 * sum / (i - 1) : 0) }'
    )"
  done
  rm -f "$logs".*
  add_figure limits_64 "${LIMITED[0]}" "$1" \
    "$(CLIENTS_NOW=64 run_wire no_limit on bench "$KEYS")"
  add_figure limits_64 "${LIMITED[1]}" "$1" \
    "$(CLIENTS_NOW=64 run_wire rate_limit on bench "$KEYS")"
}

wire_rounds() {
  local round number name script track_usage keys seconds
  for round in $(seq "$ROUNDS"); do
    for number in "${!WIRE[@]}"; do
      IFS='|' read -r name script track_usage keys seconds <<<"${WIRE[number]}"
      measure_wire "$number" "$name" "$script" "$track_usage" "$keys" "$seconds" \
        "$round"
    done
    measure_sizes "$round"
    measure_limits "$round"
    measure_management "$round"
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
  # From here on WAL is written to files that exist, as on a server in use.
  as_user "$WORK/bin/psql" -X -q -d bench -c CHECKPOINT
  for round in $(seq "$ROUNDS"); do
    measure_create "$round"
    psql_file import.sql -v round="$round" |
      as_user tee -a "$WORK/out/import.csv" >/dev/null
    measure_import_in_two "$round"
  done
}

# --- Reading ---------------------------------------------------------------

# measure_reading FILE DATABASE JIT ROUND NAME: appends to FILE.csv.
measure_reading() {
  PGOPTIONS="-c jit=$3" psql_file reading.sql -d "$2" -v round="$4" -v name="$5" |
    as_user tee -a "$WORK/out/$1.csv" >/dev/null
}

list_readings() {
  as_user "$WORK/bin/psql" -X -q -A -t -d bench \
    -c 'SELECT name FROM bench.reading ORDER BY position'
}

# Each statement among all organizations and, just after it, alone.
reading_rounds() {
  local round name names
  readarray -t names < <(list_readings)
  for round in $(seq "$ROUNDS"); do
    for name in "${names[@]}"; do
      measure_reading reading bench on "$round" "$name"
      measure_reading reading_alone alone on "$round" "$name"
      measure_reading reading_jit_off bench off "$round" "$name"
    done
  done
}

# While what was counted is in memory.
reading_in_use() {
  local name
  call authorize on bench "$KEYS" >/dev/null
  for name in 'first page of keys' 'page of usage'; do
    measure_reading reading_in_use bench on 1 "$name"
  done
}

# The medians of all, without JIT, alone, and the ratio to alone.
compare_reading() {
  awk -F '\t' '
    FILENAME ~ /alone/ { alone[$1] = $2; next }
    FILENAME ~ /jit_off/ { without[$1] = $2; next }
    { printf "%s\t%d\t%d\t%s\t%s\n", $1, $2, without[$1],
      alone[$1] ? alone[$1] : "-",
      alone[$1] ? sprintf("%.2f", $2 / alone[$1]) : "-" }
  ' "$WORK/out/reading_alone.tsv" "$WORK/out/reading_jit_off.tsv" \
    "$WORK/out/reading.tsv" | as_user tee "$WORK/out/compared.tsv"
}

# --- The report ------------------------------------------------------------

# summarize CSV BASELINE: a table of medians, separated by tabs.
summarize() {
  awk -v BASELINE="$2" -f "$TOP/test/workshop/bench/csv.awk" \
    -f "$TOP/test/workshop/bench/summary.awk" "$WORK/out/$1.csv" |
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

# promise FILE NAME TITLE RELATION BOUND [FILE NAME]: see promises.awk.
promise() {
  printf '%s\t' "$@"
  say ""
}

size_promises() {
  local size
  for size in ${SIZES[@]+"${SIZES[@]}"}; do
    promise sizes "$COUNTED, $IN_USE of $KEYS keys" \
      "$IN_USE of $KEYS keys / of $size keys" '>=' 0.77 \
      sizes "$COUNTED, $IN_USE of $size keys"
    promise sizes "authorize, $KEYS keys" "$KEYS keys / $size keys, all in use" \
      '>=' 0.77 sizes "authorize, $size keys"
  done
}

# judge: says of each promise what was measured.
judge() {
  (cd "$WORK/out" && awk -f "$TOP/test/workshop/bench/csv.awk" \
    -f "$TOP/test/workshop/bench/promises.awk") |
    as_user tee "$WORK/out/promises.tsv"
}

promises() {
  local size roles temperature in_use=", $IN_USE keys in use" which
  {
    for which in "$in_use" ''; do
      promise wire "$COUNTED$which" "counted / primary-key SELECT$which" \
        '>=' 1.0 wire "primary-key SELECT$which"
      promise wire "$COUNTED$which" "counted / no-op$which" '>=' 0.8 \
        wire 'no-op with the same arguments'
      promise wire "$COUNTED$which" "counted / not counted$which" '>=' 0.95 \
        wire "authorize$which"
    done
    promise inside "$COUNTED" 'counted / primary-key subquery, in the server' \
      '<=' 0.5 inside 'primary-key subquery'
    for size in "$CHANGES" $((5 * CHANGES)); do
      promise management "$COUNTED, $size changes a second" \
        "$size changes a second / none" '>=' 0.9 management "$COUNTED, alone"
    done
    promise management "$COUNTED, $((5 * CHANGES)) changes a second" \
      'the same / primary-key SELECT' '>=' 0.9 \
      management "primary-key SELECT, $((5 * CHANGES)) changes a second"
    promise limits "${LIMITED[1]}" 'rate limit / none, a call over a socket' \
      '<=' 1.05 limits "${LIMITED[0]}"
    promise limits_64 "${LIMITED[1]}" 'rate limit / none, 64 clients on one key' \
      '>=' 0.8 limits_64 "${LIMITED[0]}"
    size_promises
    promise inside "authorize, list of $LIST" "list of $LIST / of 10" \
      '<=' 2 inside 'authorize, list of 10'
    promise inside 'decide, plain key' 'key without features / with all' \
      '<=' 1 inside 'decide, key with all'
    promise inside 'decide, plain key, usage counted' \
      'the same, usage counted' '<=' 1 inside \
      'decide, key with all, usage counted'
    promise inside 'decide_token, plain key' 'decide_token / decide' \
      '<=' 1.2 inside 'decide, plain key'
    for temperature in cold warm; do
      for roles in 'no roles' '99 project roles' '10,000 project roles'; do
        promise denials "wrong secret, $roles, $temperature" \
          "wrong secret, $roles / unknown key, $temperature" '<=' 1.1 \
          denials "unknown key, $temperature"
        promise denials "unknown key, $temperature" \
          "unknown key / wrong secret, $roles, $temperature" '<=' 1.1 \
          denials "wrong secret, $roles, $temperature"
      done
    done
    promise policy 'permits()' 'permits() / two settings in sub-selects' \
      '<=' 1 policy 'current_setting() in a sub-select'
    promise policy 'permits(), JIT off' 'the same, JIT off' '<=' 1 \
      policy 'current_setting() in a sub-select, JIT off'
    promise import 'import_keys by a superuser' 'import_keys / plain INSERT' \
      '>=' 0.4 import 'plain INSERT, no triggers and foreign keys'
    reading_promises
  } | judge
}

# In microseconds; by those who read one organization also the ratio to alone.
reading_promises() {
  local name bound reader
  while IFS='|' read -r name bound; do
    for reader in '' ', through act_as' ', project administrator'; do
      promise reading "$name$reader" "$name$reader" '<=' "$bound"
      promise reading "$name$reader" "the same / alone" '<=' 1.3 \
        reading_alone "$name$reader"
    done
    promise reading "$name, organization with many projects" \
      "$name, organization with many projects" '<=' 20000
  done <<'END'
first page of keys|3000
number of keys|2000
one key|500
page of usage|5000
last events|1000
expiring_keys|20000
unused_keys|20000
END
  promise reading_in_use 'first page of keys' \
    'first page of keys, with uses in memory' '<=' 3000
  promise reading_in_use 'page of usage' 'page of usage, with uses in memory' \
    '<=' 5000
  while IFS='|' read -r name bound; do
    promise reading "$name" "$name" '<=' "$bound"
  done <<'END'
page of projects, organization with many projects|20000
first page of keys, owner of half of the organizations|20000
first page of keys, organization with many keys|10000
first page of keys, superuser|10000
END
}

# chart TITLE FILE [OWN]: of the medians in FILE.tsv, those whose name matches OWN
# are the extension's.
chart() {
  printf 'chart\t%s\n' "$1"
  awk -F '\t' -v OFS='\t' -v own="${3:-^(authorize|decide)}" \
    '{ print "bar", $1, $2, $3, $4, $1 ~ own ? "own" : "other" }' \
    "$WORK/out/$2.tsv"
}

# Each statement among all organizations, and alone; of other readers than the owner
# of one, the first page.
chart_reading() {
  printf 'chart\tReading, default settings: microseconds\n'
  awk -F '\t' -v OFS='\t' '
    /,/ && !/^first page of keys/ && !/^first page, naming the organization$/ { next }
    { print "bar", $1, $2, $2, $2, "own" }
    $4 != "-" { print "bar", "the organization alone", $4, $4, $4, "other" }
  ' "$WORK/out/compared.tsv"
}

draw() {
  {
    chart 'Over a socket, prepared: calls per second' wire
    chart 'Among few and many keys, over a socket: calls per second' sizes
    chart 'Limits, a call over a socket: nanoseconds' limits rate
    chart 'Limits, 64 clients over a socket: calls per second' limits_64 rate
    chart 'Under management, over a socket: calls per second' management
    chart 'Inside the server: nanoseconds per call' inside
    chart 'Denials inside the server: nanoseconds per call' denials .
    chart 'Counting a million rows under row-level security: milliseconds' \
      policy '^permits'
    chart_reading
    chart 'Bringing in keys: keys per second' import '^import'
  } | awk -f "$TOP/test/workshop/bench/chart.awk" |
    as_user tee "$WORK/out/bench.svg" >/dev/null
}

# chapter TITLE: the heads of a table.
chapter() {
  say "" "$1"
  printf 'measurement\tmedian\tlowest\thighest\tratio\n' |
    show '%10s %10s %10s %8s'
}

report_sizes() {
  chapter "Among few and many keys, over the socket: calls per second"
  summarize sizes "authorize, $KEYS keys" |
    show '%10d %10d %10d %8s'
}

show_promises() {
  say "" "What should hold"
  awk -F '\t' '{ printf "  %-68s %10s %9s  %s\n", $1, $2, $3, $4 }'
  say ""
  describe_machine | as_user tee "$WORK/out/machine.txt"
}

report() {
  local reading
  chapter "Over the socket, prepared statements: calls per second"
  summarize wire 'primary-key SELECT' | show '%10d %10d %10d %8s'
  say "" "Latency over the socket: microseconds"
  printf 'measurement\tp50\tp95\tp99\n' | show '%10s %10s %10s'
  summarize_latencies | show '%10s %10s %10s'
  chapter "Inside the server: nanoseconds per call"
  summarize inside 'primary-key subquery' | show '%10d %10d %10d %8s'
  report_sizes
  chapter "Limits: a call over the socket, $CLIENTS clients, usage counted: nanoseconds"
  summarize limits "${LIMITED[0]}" | show '%10d %10d %10d %8s'
  chapter "Limits: 64 clients over the socket, usage counted: calls per second"
  summarize limits_64 "${LIMITED[0]}" | show '%10d %10d %10d %8s'
  chapter "While organizations, members and keys are made and changed: calls per second"
  summarize management "$COUNTED, alone" |
    show '%10d %10d %10d %8s'
  chapter "Denials inside the server: nanoseconds per call"
  summarize denials 'unknown key, warm' | show '%10d %10d %10d %8s'
  chapter "Counting a million rows under row-level security: milliseconds"
  summarize policy 'current_setting() in a sub-select' |
    show '%10d %10d %10d %8s'
  chapter "Creating keys, synchronous_commit off: keys per second"
  summarize create create_key | show '%10d %10d %10d %8s'
  chapter "Bringing in $IMPORT keys at once: keys per second"
  summarize import 'plain INSERT, no triggers and foreign keys' |
    show '%10d %10d %10d %8s'
  say "" "Reading, default settings: microseconds"
  printf 'measurement\tof all\tJIT off\talone\tratio\n' |
    show '%10s %10s %10s %8s'
  for reading in reading reading_jit_off reading_alone reading_in_use; do
    summarize "$reading" 'first page of keys' >/dev/null
  done
  compare_reading | show '%10d %10d %10s %8s'
  promises | show_promises
  draw
  say "figures: $TOP/tmp/$NAME/out"
}

finish() {
  if [ -z "${WORK:-}" ] || [ -n "${KEEP:-}" ]; then return; fi
  stop_servers
  # What is left is small.
  rm -rf "$WORK/bench.data" "$WORK/wire"
}

measure_all() {
  load
  psql_file inside.sql | as_user tee "$WORK/out/inside.csv" >/dev/null
  psql_file denials.sql | as_user tee "$WORK/out/denials.csv" >/dev/null
  psql_file policy.sql | as_user tee "$WORK/out/policy.csv" >/dev/null
  reading_rounds
  wire_rounds
  reading_in_use
  new_key_rounds
  report
}

measure_only_sizes() {
  local round
  load_database bench "$KEYS" "$ORGANIZATIONS" 0
  psql_file settle.sql
  load_sizes
  for round in $(seq "$ROUNDS"); do measure_sizes "$round"; done
  report_sizes
  size_promises | judge | show_promises
}

main() {
  "$TOP/test/install-deps.sh" bench
  NAME=${TEST_NAME:-bench}
  trap finish EXIT
  work_open "$NAME"
  as_user mkdir "$WORK/out"
  copy_sources
  private_build WERROR=
  make_hashes
  start_server
  if [ -n "${ONLY_SIZES:-}" ]; then measure_only_sizes; else measure_all; fi
}

main
