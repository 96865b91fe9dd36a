#!/usr/bin/env bash
# run.sh [CASE…]: what happens when the machine fails, in a folder tmp/faults and
# against servers of its own; see "make help" and the head of each case:
#
#   disk slow killed clock small standby
#
# As root, for a small file system and a control group; the servers and their
# clients run as nobody.  All is in namespaces of its own: no mount and no process
# outlives it.  The last line counts, and the exit status is 0 if all has passed.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

CASES=(disk slow killed clock small standby)

# How large the small file system is, and what the control group may have.
DISK_SIZE=128m
MEMORY_LIMIT=$((300 * 1024 * 1024))

# The group, and the file that limits its memory, by version of control groups.
find_group() {
  if [ -w /sys/fs/cgroup/memory ]; then
    GROUP=/sys/fs/cgroup/memory/apikeys-faults
    MEMORY_FILE=memory.limit_in_bytes
  elif grep -qsw memory /sys/fs/cgroup/cgroup.subtree_control; then
    GROUP=/sys/fs/cgroup/apikeys-faults
    MEMORY_FILE=memory.max
  else
    GROUP=
  fi
}

# Sets OOM_DATA to a cluster in a group that has little memory, if that can be had.
# What joins the group is this function's subshell: the server inherits it.
start_poor() {
  find_group
  if [ -z "$GROUP" ] || ! mkdir -p "$GROUP" 2>/dev/null ||
    ! say "$MEMORY_LIMIT" >"$GROUP/$MEMORY_FILE"; then
    say "killed  # no memory control group can be made here: no real lack of memory"
    return
  fi
  (
    say "$BASHPID" >"$GROUP/cgroup.procs"
    server_start poor "shared_preload_libraries = 'apikeys'" \
      "apikeys.usage_flush_interval = 1s" "shared_buffers = 16MB" "port = 5440"
  )
  export POOR_PORT=5440
  PGHOST=$(readlink -f "$WORK/poor.socket")
  export POOR_HOST=$PGHOST
}

end_group() {
  if [ -n "${GROUP:-}" ] && [ -d "$GROUP" ]; then rmdir "$GROUP" || true; fi
}

mount_disk() {
  as_user mkdir "$WORK/disk"
  mount -t tmpfs -o "size=$DISK_SIZE,mode=700,uid=$(id -u nobody)" faults "$WORK/disk"
}

finish() {
  local status=$?
  if [ -n "${WORK:-}" ]; then
    stop_servers
    rm -rf "$(readlink -f "$WORK/faults.socket")"
    if mountpoint -q "$WORK/disk"; then umount -l "$WORK/disk"; fi
  fi
  end_group
  exit "$status"
}

inside() {
  local name
  trap finish EXIT
  trap 'exit 130' INT TERM
  work_open "${TEST_NAME:-faults}"
  copy_sources
  private_build WERROR=1
  find_driver
  quietly library as_user "${CC:-cc}" -shared -fPIC -O1 -o "$WORK/faults.so" \
    "$WORK/tree/test/workshop/faults/faults.c" -ldl
  mount_disk
  SOCKETS=$(socket_folder faults)
  export WORK SOCKETS
  for name in "$@"; do
    if [ "$name" = killed ]; then start_poor; fi
    count_run "$name" as_user node "$WORK/tree/test/workshop/faults/$name.js"
  done
  report_counts
}

main() {
  [ "$(id -u)" -eq 0 ] || die "this mounts a small file system: run it as root"
  "$TOP/test/install-deps.sh" faults
  exec unshare --mount --pid --fork --kill-child --mount-proc \
    "${BASH_SOURCE[0]}" inside "$@"
}

if [ "${1:-}" = inside ]; then
  shift
  inside "$@"
else
  if [ $# -eq 0 ]; then set -- "${CASES[@]}"; fi
  main "$@"
fi
