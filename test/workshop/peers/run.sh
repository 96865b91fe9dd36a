#!/usr/bin/env bash
# run.sh: what limits cost and hold beside other ways to limit API keys, in one run, in a
# folder tmp/peers; see "make help" and the head of peers.js.  npm fetches the peers,
# Debian's Redis is used without its service.
#
#   CLIENTS=16 SECONDS_EACH=4 ROUNDS=3   callers in one process of Node.js
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

finish() {
  local status=$?
  if [ -n "${WORK:-}" ]; then stop_servers; fi
  exit "$status"
}

main() {
  "$TOP/test/install-deps.sh" peers
  trap finish EXIT
  trap 'exit 130' INT TERM
  work_open peers
  copy_sources
  private_build WERROR=1
  quietly npm as_user npm install --prefix "$WORK" --no-audit --no-fund pg@8 ioredis@5 \
    rate-limiter-flexible@11 better-auth@1.7.5 @better-auth/api-key@1.7.5 \
    @better-auth/core@1.7.5 @better-auth/utils@0.4.2 better-call@1.4.0
  # An ECMAScript module is found from where it stands alone.
  as_user cp "$WORK/tree/test/workshop/peers/peers.mjs" "$WORK/peers.mjs"
  server_start peers \
    "shared_preload_libraries = 'apikeys'" \
    "fsync = on" \
    "synchronous_commit = on" \
    "max_connections = 100"
  as_user "$WORK/bin/createdb" peers
  export WORK
  as_user env TOP="$WORK/tree" node "$WORK/peers.mjs"
}

main
