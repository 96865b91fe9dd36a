#!/usr/bin/env bash
# run.sh [PG_CONFIG]: what a reader should not have to look for.  Each check is
# a function check_NAME that prints what it finds.  Writes nothing, so it can be
# run in the tree: test/lint/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

PG_CONFIG=${1:-pg_config}

check_shell() {
  local scripts
  readarray -t scripts < <(
    find . \( -path ./tmp -o -name node_modules \) -prune -o -name '*.sh' -print \
      -o -path ./.ci/run -print -o -path ./debian/tests/installcheck -print
  )
  shellcheck "${scripts[@]}"
}

check_clang_tidy() {
  # shellcheck disable=SC2016 # the arguments are the inner shell's
  printf '%s\n' src/*.c src/*/*.c | xargs -P "$(nproc)" -n 8 sh -c '
    server=$1 client=$2
    shift 2
    clang-tidy --quiet "$@" -- -D_GNU_SOURCE -I src \
      -isystem "$server" -isystem "$client" 2>/dev/null ||
      echo "clang-tidy failed"' \
    clang-tidy "$("$PG_CONFIG" --includedir-server)" \
    "$("$PG_CONFIG" --includedir)"
}

# Across the functions of a file, with the compiler that builds it; what it
# writes is thrown away.
check_scan_build() {
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2016 # the arguments are the inner shell's
  printf '%s\n' src/*.c src/*/*.c |
    scan-build --status-bugs -o "$folder" xargs -P "$(nproc)" -n 8 sh -c '
      folder=$1 server=$2 client=$3
      shift 3
      for file; do
        "$CC" -O2 -D_GNU_SOURCE -I src -isystem "$server" -isystem "$client" \
          -c -o "$folder/$(basename "$file").o" "$file" || exit
      done' \
      scan-build "$folder" "$("$PG_CONFIG" --includedir-server)" \
      "$("$PG_CONFIG" --includedir)" >"$folder/log" 2>&1 ||
    cat "$folder/log"
  rm -rf "$folder"
}

# Nothing acts as its owner but through the door, the install script never takes
# over what somebody else has planted, and no access writes, locks or truncates a
# table.
check_sql() {
  sed -s 's/--.*//' sql/parts/*.sql |
    grep -iE 'security +definer|create +or +replace' || true
  sed -s 's/--.*//' sql/parts/*.sql |
    grep -E "(GRANT|'[a-z]+', ')[ ]*(ALL|INSERT|UPDATE|DELETE|TRUNCATE|REFERENCES|TRIGGER)"
}

check_version_conditions() {
  grep -rn PG_VERSION_NUM src --exclude=compat.h
}

check_leftovers() {
  grep -rnwE 'TODO|FIXME|XXX' src sql test --include='*.[ch]' \
    --include='*.sql' --include='*.sh' --include='*.pl' --include='*.spec' \
    --exclude-dir=lint --exclude-dir=node_modules
}

# No word of test/lint/words is used anywhere.
check_words() {
  grep -rnwiF -f <(sed -n 's/^\([^#\t]*\)\t.*/\1/p' test/lint/words) \
    ./*.md .github Makefile apikeys.control doc src sql/parts test \
    --include='*.[ch]' --include='*.sql' --include='*.sh' --include='*.pl' \
    --include='*.pm' --include='*.spec' --include='*.md' --include='*.js' \
    --include='*.py' --include='*.java' --include='*.rb' --include='*.php' \
    --include='*.awk' --include='*.psql' --include='*.yml' --include=Makefile \
    --include='*.control' --exclude-dir=lint --exclude-dir=build \
    --exclude-dir=node_modules
}

# Relative links, files that documents name, and the tests of the threats.
check_documents() {
  local documents
  readarray -t documents < <(
    find . \( -path ./tmp -o -name node_modules \) -prune -o -name '*.md' \
      -printf '%P\n'
  )
  perl test/lint/links.pl "${documents[@]}"
  awk 'END { if (NR > 400) print "README.md: over 400 lines" }' README.md
}

# Every action of an event is in the table of doc/reference.md.
check_actions() {
  grep -rhoE "'(organization|project|member|role|key|digests|token_key|audit)\.[a-z_]+'" \
    --include='*.[ch]' --include='*.sql' sql/parts src |
    sort -u | tr -d "'" |
    while IFS=. read -r object action; do
      grep -qE "^[^|]*\|.*\`$object\.[a-z_]+\`.*\`($object)?\.$action\`|^[^|]*\|.*\`$object\.$action\`" \
        doc/reference.md ||
        echo "doc/reference.md: no action $object.$action"
    done
}

# What PGXN and Debian are told agrees with the rest.
check_meta() {
  perl test/lint/meta.pl
}

# Files include only what stands in their own folder or below.
check_layers() {
  awk -f test/lint/layers.awk test/lint/layers src/*.c src/*/*.[ch]
}

# Files of at most 600 lines, functions in C and PL/pgSQL of at most 100.
check_sizes() {
  awk '
    FNR > 600 && !told[FILENAME]++ { print FILENAME ": over 600 lines" }
    /^{/ { start = FNR }
    /^}/ && FNR - start > 100 { print FILENAME ":" start ": over 100 lines" }
  ' src/*.c src/*/*.[ch]
  awk '
    FNR > 600 && !told[FILENAME]++ { print FILENAME ": over 600 lines" }
    /^AS \$\$/ { start = FNR }
    /^\$\$;/ {
      if (start && FNR - start > 100)
        print FILENAME ":" start ": over 100 lines"
      start = 0
    }
  ' sql/parts/*.sql
}

failed=0
for check in shell clang_tidy scan_build sql version_conditions leftovers words \
  documents actions meta layers sizes; do
  # A tool that is missing says so on its standard error.
  findings=$("check_$check" 2>&1 || true)
  if [ -z "$findings" ]; then
    printf 'ok - %s\n' "$check"
  else
    printf '%s\nnot ok - %s\n' "$findings" "$check"
    failed=1
  fi
done
exit "$failed"
