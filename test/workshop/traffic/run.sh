#!/usr/bin/env bash
# run.sh crash|failover|partition|load: puts servers of its own under traffic in
# a folder tmp/crash, tmp/failover, tmp/partition or tmp/load, and breaks them; see
# "make help" and the head of crash.js, failover.js, partition.js and load.js.
#
#   CLIENTS                who use and change keys, with two connections each:
#                          16; partition: 12; load: 500
#   ROUNDS SECONDS_EACH    crash: 25 times, each after at most 6 s;
#                          failover: 3 times, each after at most 10 s;
#                          partition: 5 s before a cut and after it;
#                          load: once, for 40 s
#   NODES=3                failover: how many servers
#   TTL=10                 failover, partition: the seconds after which a leader
#                          that is silent is none any more
#   COLD_KEYS=100000       load: keys that hardly anybody uses
#
# The last line counts the tests; the exit status is 0 if all have passed.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

# --- What each starts -------------------------------------------------------

# Nothing is left to luck: what was acknowledged is on the disk.
start_crash() {
  server_start crash \
    "shared_preload_libraries = 'apikeys'" \
    "apikeys.usage_flush_interval = 1s" \
    "fsync = on" \
    "synchronous_commit = on" \
    "checkpoint_timeout = 30s"
  as_user "$WORK/bin/createdb" crash
}

start_load() {
  server_start load \
    "shared_preload_libraries = 'apikeys'" \
    "apikeys.usage_max_entries = 500000" \
    "shared_buffers = 512MB" \
    "max_wal_size = 4GB" \
    "synchronous_commit = off"
  as_user "$WORK/bin/createdb" load
}

# The cluster manager starts the servers.
start_failover() { :; }
start_partition() { :; }

# A network of one's own, to cut links in: in a user namespace that asks for no rights
# outside.  All of it is gone with its last process.
in_network() {
  # shellcheck disable=SC2016 # the inner shell expands it
  as_user env PATH="$PATH:/usr/sbin:/sbin" \
    unshare --user --map-current-user --keep-caps --net --mount \
    sh -c 'mount -t tmpfs run /run && exec "$@"' sh "$@"
}

finish() {
  local status=$?
  if [ -n "${WORK:-}" ]; then stop_servers; fi
  exit "$status"
}

main() {
  local profile=traffic run=as_user
  case $1 in
    failover) profile=failover ;;
    partition) profile=partition run=in_network ;;
  esac
  "$TOP/test/install-deps.sh" "$profile"
  trap finish EXIT
  trap 'exit 130' INT TERM
  work_open "$1"
  copy_sources
  private_build WERROR=1
  find_driver
  "start_$1"
  export WORK
  "$run" node "$WORK/tree/test/workshop/traffic/$1.js"
}

case ${1:-} in
  crash | failover | partition | load) main "$1" ;;
  *) die "usage: run.sh crash|failover|partition|load" ;;
esac
