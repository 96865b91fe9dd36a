#!/usr/bin/env bash
# run.sh start|stop: a private server in tmp/demo, with the extension and what
# test/demo/demo.sql puts there.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

start() {
  local begin=$SECONDS
  "$TOP/test/install-deps.sh" demo
  work_open demo
  trap 'if [ $? -ne 0 ]; then stop_servers; fi' EXIT
  copy_sources
  private_build WERROR=
  server_start demo "shared_preload_libraries = 'apikeys'"
  as_user "$WORK/bin/createdb" demo
  run_script
  say "" "ready in $((SECONDS - begin)) s; go on in psql with" "" \
    "    ${SUDO_USER:+sudo }$WORK/bin/psql -h $PGHOST -U postgres demo" "" \
    "and end it with: make demo-stop"
}

run_script() {
  local script=$WORK/tree/test/demo/demo.sql
  if [ -f "$script" ]; then
    as_user "$WORK/bin/psql" -X -q -v ON_ERROR_STOP=1 -d demo <"$script"
  else
    as_user "$WORK/bin/psql" -X -q -d demo -c 'CREATE EXTENSION apikeys'
  fi
}

stop() {
  mkdir -p "$TOP/tmp"
  work_lock demo
  work_remove demo
}

case ${1:-} in
  start | stop) "$1" ;;
  *) die "usage: run.sh start|stop" ;;
esac
