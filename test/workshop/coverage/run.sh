#!/usr/bin/env bash
# run.sh: which lines of C the suites reach, by gcov and lcov; see "make
# help".
#
#   SUITES="unit regress isolation tap"
#   TEST_NAME=coverage     the folder in tmp/
#
# Prints for each file how many of its lines are reached, then every line that
# is not: first those that unreached says the reason of, then the rest.
# Annotated sources are in tmp/coverage/html.  The last line counts the suites'
# tests; whether all is covered is for the reader to judge.
#
# Counters are written when a process ends, so one that is killed counts nothing.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

SUITES=${SUITES:-unit regress isolation tap}
NAME=${TEST_NAME:-coverage}

# Two versions of one counter are two processes that wrote it at a time.
collect() {
  quietly lcov as_user lcov --quiet --capture --directory "$WORK/tree" \
    --output-file "$WORK/all.info" --ignore-errors source
  quietly lcov-src as_user lcov --quiet --extract "$WORK/all.info" \
    "$WORK/tree/src/*" --output-file "$WORK/src.info"
  quietly genhtml as_user genhtml --quiet --output-directory "$WORK/html" \
    --prefix "$WORK/tree" "$WORK/src.info"
}

main() {
  "$TOP/test/install-deps.sh" coverage
  mkdir -p "$TOP/tmp"
  # The unit tests are built by their own Makefile, which takes COPT too.
  # shellcheck disable=SC2086 # names, many to a line
  TEST_NAME=$NAME COPT='--coverage -O0' with_llvm=no \
    "$TOP/test/run-tests.sh" $SUITES | tee "$TOP/tmp/$NAME.log" |
    sed '$d' || true
  WORK=$(readlink -f "$TOP/tmp/$NAME")
  collect
  say ""
  awk -v top="$WORK/tree/" -f "$TOP/test/workshop/coverage/report.awk" \
    "$TOP/test/workshop/coverage/unreached" "$WORK/src.info"
  say "" "sources with their counts: tmp/$NAME/html/index.html" ""
  tail -n 1 "$TOP/tmp/$NAME.log"
  grep -q ', 0 failed$' <(tail -n 1 "$TOP/tmp/$NAME.log")
}

main
