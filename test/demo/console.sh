#!/usr/bin/env bash
# console.sh start|stop: a private server in tmp/console-server, with the demo's
# data, and the console of test/demo/console on loopback in front of it.
# PORT=8080 says where it listens; without, a free port is taken.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

USERS=(anna bert gustav dora)

start() {
  local begin=$SECONDS
  "$TOP/test/install-deps.sh" console
  end_console
  work_open console-server
  trap 'if [ $? -ne 0 ]; then end_console; stop_servers; fi' EXIT
  copy_sources
  private_build WERROR=
  console_packages
  write_pepper "$WORK/pepper"
  server_start demo "shared_preload_libraries = 'apikeys'" "apikeys.pepper_file = '$WORK/pepper'"
  as_user "$WORK/bin/createdb" demo
  run_script demo/demo.sql
  run_script demo/console/schema.sql
  run_script demo/console/data.sql
  start_console
  say "" "ready in $((SECONDS - begin)) s: $(address)" ""
  print_users
  say "" "End it with: make console-stop"
}

run_script() {
  quietly "$(basename "$1" .sql)" as_user "$WORK/bin/psql" -X -q -v ON_ERROR_STOP=1 -d demo \
    -f "$WORK/tree/test/$1"
}

# Each user gets a password of its own, for this run.
make_users() {
  local user separator='{'
  for user in "${USERS[@]}"; do
    printf '%s"%s":"%s"' "$separator" "$user" "$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
    separator=,
  done
  printf '}'
}

# The console does not hold the lock of the folder (9): stop waits for nobody.
start_console() {
  make_users | as_user tee "$WORK/users.json" >/dev/null
  as_user chmod 600 "$WORK/users.json"
  as_user env PGUSER=console PGDATABASE=demo PORT="${PORT:-0}" NODE_PATH="$NODE_PATH" \
    CONSOLE_USERS="$(cat "$WORK/users.json")" \
    setsid node "$WORK/tree/test/demo/console/server.js" \
    </dev/null >"$WORK/log/console.log" 2>&1 9>&- &
  for _ in $(seq 100); do
    if [ -n "$(address)" ]; then
      pgrep -f "^node $WORK/tree/test/demo/console/server.js" >"$WORK/console.pid"
      return
    fi
    sleep 0.1
  done
  die "the console did not start: $(cat "$WORK/log/console.log")"
}

address() { sed -n 's/^listening on //p' "$WORK/log/console.log"; }

print_users() {
  local user
  say "These can sign in:" ""
  for user in "${USERS[@]}"; do
    printf '    %-8s %s   %s\n' "$user" \
      "$(sed "s/.*\"$user\":\"\([^\"]*\)\".*/\1/" "$WORK/users.json")" "$(role_of "$user")"
  done
}

role_of() {
  case $1 in
    anna) say "owner of organization Acme" ;;
    bert) say "user administrator of Acme's project production" ;;
    gustav) say "reads everything in Acme" ;;
    dora) say "owner of organization Globex" ;;
  esac
}

# Ends the console that was started before, if it runs.
end_console() {
  local file=$TOP/tmp/console-server/console.pid pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  if grep -qsaz 'demo/console/server.js$' "/proc/$pid/cmdline"; then kill "$pid"; fi
  rm -f "$file"
}

stop() {
  mkdir -p "$TOP/tmp"
  end_console
  work_lock console-server
  work_remove console-server
}

case ${1:-} in
  start | stop) "$1" ;;
  *) die "usage: console.sh start|stop" ;;
esac
