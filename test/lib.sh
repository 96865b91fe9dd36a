# shellcheck shell=bash
# What the scripts in test/ share: an unprivileged user, a work folder, and a
# PostgreSQL server of one's own in it.  To be sourced.
#
# Nothing outside the work folder is written to: the server is a copy of the
# installed one (PostgreSQL finds its files relative to its programs), so the
# extension is installed into the copy.

set -euo pipefail

# Neither a make that started us nor a server that the user works with matters.
unset MAKEFLAGS MFLAGS MAKELEVEL PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD \
  PGSERVICE PGOPTIONS PGDATA PGAPPNAME PGSSLMODE PGTZ
export LC_ALL=C.UTF-8

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$@"; }

die() {
  printf 'apikeys: %s\n' "$*" >&2
  exit 1
}

# --- The installed PostgreSQL ----------------------------------------------

pg_major() {
  { "$1" --version 2>/dev/null || true; } | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
}

# Does this pg_config speak of a server, and of its headers?
has_server() {
  [ -x "$("$1" --bindir 2>/dev/null)/postgres" ]
}

has_headers() {
  [ -f "$("$1" --includedir-server 2>/dev/null)/postgres.h" ]
}

SUPPORTED_MAJORS=$(sed -n 's/^SUPPORTED_MAJORS = //p' "$TOP/Makefile")

is_supported() {
  [[ " $SUPPORTED_MAJORS " == *" $1 "* ]]
}

# Did the user choose a server?
is_chosen() { [ "${PG_CONFIG:-pg_config}" != pg_config ]; }

# Prints the pg_config to build with.  Where none was chosen, the one in the
# PATH may be a client's only, while Debian's servers each bring their own.
find_pg_config() {
  local candidate candidates=("${PG_CONFIG:-pg_config}") major
  if ! is_chosen; then
    # shellcheck disable=SC2086 # numbers, many to a line
    for major in $(say $SUPPORTED_MAJORS | sort -r); do
      candidates+=("/usr/lib/postgresql/$major/bin/pg_config")
    done
  fi
  for candidate in "${candidates[@]}"; do
    if has_server "$candidate" && has_headers "$candidate" &&
      is_supported "$(pg_major "$candidate")"; then
      say "$candidate"
      return
    fi
  done
  die "${PG_CONFIG:-pg_config} knows of no PostgreSQL $SUPPORTED_MAJORS that has its" \
    "server and headers installed: say PG_CONFIG=/path/to/pg_config"
}

# --- Who runs it -----------------------------------------------------------

# A PostgreSQL server refuses to run as root: then "nobody" does everything.
# That user must be able to enter the current folder.  The lock's file handle (9) is
# not for servers that outlive us.
as_user() {
  if [ "$(id -u)" -eq 0 ]; then
    setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups \
      env --chdir="$WORK" HOME="$WORK" "$@" 9>&-
  else
    env --chdir="$WORK" "$@" 9>&-
  fi
}

# Runs a command quietly; shows the end of what it printed if it fails.
quietly() {
  local log=$WORK/log/$1.log
  shift
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    die "failed: $* (the whole of it: $log)"
  fi
}

# --- The work folder -------------------------------------------------------

# work_open NAME: makes a fresh folder $WORK, tmp/NAME in the tree.  Where the
# unprivileged user cannot get at that (a tree below /root), tmp/NAME is a
# link to a folder that it can.
work_open() {
  local link=$TOP/tmp/$1
  work_lock "$1"
  work_remove "$1"

  WORK=$link
  mkdir "$WORK"
  own_folder "$WORK"
  if ! as_user test -w "$WORK" 2>/dev/null; then
    rmdir "$WORK"
    WORK=$(mktemp -d /var/tmp/apikeys-"$1".XXXXXX)
    own_folder "$WORK"
    ln -s "$WORK" "$link"
  fi
  as_user mkdir "$WORK/log" "$WORK/tree" "$WORK/root"
}

work_lock() {
  mkdir -p "$TOP/tmp"
  exec 9>"$TOP/tmp/$1.lock"
  flock --nonblock 9 || die "tmp/$1 is in use by another run"
}

own_folder() {
  if [ "$(id -u)" -eq 0 ]; then
    chown nobody: "$1"
  fi
}

# work_remove NAME: ends the servers in it and removes the folder.
work_remove() {
  local link=$TOP/tmp/$1
  [ -e "$link" ] || [ -L "$link" ] || return 0
  WORK=$(readlink -f "$link")
  if [ -d "$WORK" ]; then
    stop_servers
    rm -rf "$WORK"
  fi
  rm -rf "$link"
}

# Prints the names of the sources, each ended by a zero byte: what git knows or
# would add, or all that is not built where this is no git checkout.
list_sources() {
  local file
  {
    if is_checkout; then
      in_git ls-files -z -co --exclude-standard
    else
      find . -path ./tmp -prune -o -path ./.git -prune -o -type f \
        ! -name '*.o' ! -name '*.bc' ! -name '*.so' \
        \( ! -name 'apikeys--*.sql' -o -name 'apikeys--*--*.sql' \) -print0
    fi
  } | while IFS= read -r -d '' file; do
    # A file listed may be gone already.
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done
}

in_git() { git -c safe.directory="$TOP" -C "$TOP" "$@"; }

# Is the tree a git checkout of its own, and no folder in another?
is_checkout() { [ "$(in_git rev-parse --show-prefix 2>&1)" = "" ]; }

# Copies the sources into $WORK/tree.
copy_sources() {
  (
    cd "$TOP"
    list_sources | tar --null --files-from=- -cf -
  ) | as_user tar -C "$WORK/tree" -xf -
}

# --- The private installation ----------------------------------------------

# The programs of PostgreSQL in a folder that may be all of /usr/bin.
list_programs() {
  local program
  for program in postgres initdb psql pgbench clusterdb createdb createuser \
    dropdb dropuser reindexdb vacuumdb; do
    if [ -x "$1/$program" ]; then say "$1/$program"; fi
  done
  find "$1/" -maxdepth 1 -name 'pg_*'
}

# The version of a pg_config's headers, and of its server.
header_version() {
  sed -n 's/^#define PG_VERSION "\([^" ]*\).*/\1/p' \
    "$("$1" --includedir-server)"/pg_config*.h | head -n 1
}

server_version() {
  "$("$1" --bindir)/postgres" --version | sed 's/^[^0-9]*\([^ ]*\).*/\1/'
}

# Of two minor releases, code built with the later one's headers may call what
# the earlier one's server does not have.
server_is_outdated() {
  local headers server
  headers=$(header_version "$1")
  server=$(server_version "$1")
  [ "$headers" != "$server" ] &&
    [ "$(printf '%s\n' "$headers" "$server" | sort -V | tail -n 1)" = "$headers" ]
}

# Puts the server that the headers belong to over the copy, out of Debian's
# packages: the installed one, which may be in use, is not upgraded.
private_upgrade() {
  local major version package
  major=$(pg_major "$1")
  version=$(dpkg-query -W -f '${Version}' "postgresql-server-dev-$major" \
    2>/dev/null) ||
    die "the headers of $1 are of PostgreSQL $(header_version "$1")," \
      "and its server is $(server_version "$1"): upgrade the server"
  as_user mkdir "$WORK/packages"
  for package in "postgresql-$major" "postgresql-client-$major"; do
    quietly "download-$package" as_user env --chdir="$WORK/packages" \
      apt-get download "$package=$version"
  done
  for package in "$WORK"/packages/*.deb; do
    as_user dpkg -x "$package" "$WORK/root"
  done
}

# private_install: copies the server into $WORK/root; $WORK/bin is the folder of
# its programs.  The headers stay where they are.
private_install() {
  local config bin dir programs
  config=$(find_pg_config)
  bin=$("$config" --bindir)
  readarray -t programs < <(list_programs "$bin")
  as_user mkdir -p "$WORK/root$bin"
  as_user ln -s "root$bin" "$WORK/bin"
  as_user cp -L --preserve=mode,timestamps "${programs[@]}" "$WORK/bin"
  for dir in "$("$config" --pkglibdir)" "$("$config" --sharedir)"; do
    as_user mkdir -p "$WORK/root$dir"
    as_user cp -R --preserve=mode,timestamps,links "$dir/." "$WORK/root$dir"
  done
  if server_is_outdated "$config"; then private_upgrade "$config"; fi
  dir=$("$config" --includedir)
  as_user mkdir -p "$(dirname "$WORK/root$dir")"
  as_user ln -s "$dir" "$WORK/root$dir"
}

# private_build [MAKE-ARGUMENT…]: builds the copied sources and installs them
# into the private installation.  COPT in the environment: flags for the
# compiler and the linker.
private_build() {
  local arguments=("$@" PG_CONFIG="$WORK/bin/pg_config")
  if [ -n "${with_llvm:-}" ]; then arguments+=(with_llvm="$with_llvm"); fi
  if [ -n "${COPT:-}" ]; then arguments+=(COPT="$COPT"); fi
  private_install
  quietly build as_user make -C "$WORK/tree" -j"$(nproc)" all "${arguments[@]}"
  quietly install as_user make -C "$WORK/tree" install "${arguments[@]}"
}

# --- Runs of the suites ----------------------------------------------------

PASSED=0
FAILED=0

# count_run LABEL COMMAND…: runs a command that runs suites, shows what it
# prints behind LABEL, and adds what its last line counts to PASSED and FAILED.
count_run() {
  local label=$1 log=$WORK/log/run-$1.log passed failed
  shift
  "$@" 2>&1 </dev/null | as_user tee "$log" |
    sed -u "/ passed, [0-9]* failed$/d; s/^/$label  /" || true
  # Whatever kept it from counting is a failure too.
  read -r passed failed < <(
    sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log"
    say "0 1"
  )
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
}

# The last line of a target that counts, and its status.
report_counts() {
  printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
  [ "$FAILED" -eq 0 ]
}

# --- Node.js ---------------------------------------------------------------

has_driver() {
  as_user env NODE_PATH="$1" node -e 'require("pg")' 2>/dev/null
}

# Sets NODE_PATH: to the distribution's driver for PostgreSQL, or to one from its
# registry.
find_driver() {
  local folder
  for folder in "${NODE_PATH:-/usr/share/nodejs}" /usr/share/nodejs; do
    if has_driver "$folder"; then break; fi
    folder=
  done
  if [ -z "$folder" ]; then
    folder=$WORK/node_modules
    quietly npm as_user npm install --prefix "$WORK" --no-audit --no-fund pg@8
  fi
  export NODE_PATH=$folder
}

# Has npm fetch what the console needs; sets NODE_PATH to where it is.
console_packages() {
  local folder=$WORK/tree/test/demo/console
  quietly npm as_user npm --prefix "$folder" install --no-audit --no-fund
  export NODE_PATH=$folder/node_modules
}

# Writes a new pepper into a file that only the user of the servers reads.
write_pepper() {
  as_user install -m 600 /dev/null "$1"
  printf 'p1:%s\n' "$(od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n')" |
    as_user tee "$1" >/dev/null
}

# --- Private servers -------------------------------------------------------

# server_start NAME [SETTING…]: makes a cluster in $WORK/NAME.data and starts
# its server, which only listens on a Unix socket, in a folder that only its
# own user can enter.  Sets PGHOST, PGUSER and PGPORT.
server_start() {
  local data=$WORK/$1.data setting
  PGHOST=$(socket_folder "$1")
  export PGHOST PGUSER=postgres PGPORT=5432
  quietly "initdb-$1" as_user "$WORK/bin/initdb" -D "$data" -U postgres \
    -A trust --no-sync --encoding=UTF8 --locale=C
  {
    say "listen_addresses = ''"
    say "unix_socket_directories = '$PGHOST'"
    say "fsync = off"
    for setting in "${@:2}"; do say "$setting"; done
  } | as_user tee -a "$data/postgresql.conf" >/dev/null
  quietly "start-$1" as_user "$WORK/bin/pg_ctl" -D "$data" -w -t 120 \
    -l "$WORK/log/server-$1.log" start
}

# The path of a Unix socket has at most 107 bytes.  $WORK/NAME.socket is the
# folder, or a link to one with a shorter name.
socket_folder() {
  local folder=$WORK/$1.socket
  if [ ${#folder} -gt 90 ]; then
    folder=$(as_user mktemp -d /tmp/apikeys.XXXXXX)
    as_user ln -s "$folder" "$WORK/$1.socket"
  else
    as_user mkdir -m 700 "$folder"
  fi
  say "$folder"
}

# server_stop NAME
server_stop() {
  local data=$WORK/$1.data pid
  pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null || true)
  if [ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$data" ]; then
    as_user "$WORK/bin/pg_ctl" -D "$data" -m fast -w stop >/dev/null
  fi
}

# Ends every server in $WORK, also those of an earlier run.
stop_servers() {
  local data name
  for data in "$WORK"/*.data; do
    [ -d "$data" ] || continue
    name=$(basename "$data" .data)
    server_stop "$name"
    rm -rf "$(readlink -f "$WORK/$name.socket")"
  done
}
