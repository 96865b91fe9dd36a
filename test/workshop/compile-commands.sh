#!/usr/bin/env bash
# compile-commands.sh: writes compile_commands.json at the top of the tree, for
# editors with code navigation, from what make would run.
set -euo pipefail
cd "$(dirname "$0")/../.."

# MAKEFLAGS of the make that started this must not reach the inner one.
unset MAKEFLAGS MFLAGS MAKELEVEL
make -nB all with_llvm=no PG_CONFIG="${PG_CONFIG:-pg_config}" |
  awk -v folder="$PWD" '
    BEGIN { print "[" }
    / -c -o .*\.c$/ {
      gsub(/[\\"]/, "\\\\&")
      printf "%s{\"directory\": \"%s\", \"file\": \"%s\", \"command\": \"%s\"}",
        count++ ? ",\n" : "", folder, $NF, $0
    }
    END { print "\n]" }' >compile_commands.json
