#!/usr/bin/env bash
# install-deps.sh PROFILE [SUITE…]: installs the Debian packages that a target of
# the Makefile needs and that are missing, as root or through sudo; for "test",
# those of the suites named.  No cluster is created, and no service is started,
# stopped or restarted.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

# --- What is needed --------------------------------------------------------

PROFILES='demo|console|test|bench|sanitize|traffic|failover|partition|faults|peers|deb|deb-check|dist-check|matrix|upgrade|coverage'

# required_packages PROFILE [SUITE…]
required_packages() {
  local suite
  say gcc make libc6-dev pkg-config libsodium-dev
  case $1 in
    test) for suite in "${@:2}"; do suite_packages "$suite"; done ;;
    console) npm_packages ;;
    matrix | upgrade) say mmdebstrap debian-archive-keyring ;;
    coverage) say lcov ;;
    sanitize) say perl bison flex dpkg-dev valgrind ;;
    traffic)
      say pgbouncer
      node_packages
      ;;
    faults) node_packages ;;
    peers)
      say redis-server
      npm_packages
      ;;
    failover | partition)
      say patroni etcd-server haproxy
      if [ "$1" = partition ]; then say iproute2 nftables; fi
      node_packages
      ;;
    deb) say debhelper dpkg-dev postgresql-server-dev-all ;;
    deb-check) say mmdebstrap ;;
    dist-check) say unzip zip ;;
  esac
}

suite_packages() {
  case $1 in
    unit) say perl ;;
    fuzz) say clang ;;
    lint) say shellcheck clang-tidy clang-tools ;;
    model) node_packages ;;
    console) npm_packages ;;
    clients)
      npm_packages
      if ! command -v javac >/dev/null; then say default-jdk-headless; fi
      say perl libpostgresql-jdbc-java python3-psycopg2 python3-psycopg
      ;;
    more_clients)
      npm_packages
      say perl ruby-pg php-cli php-pgsql libdbd-pg-perl
      ;;
    browser)
      npm_packages
      say chromium
      ;;
    tap)
      say perl libipc-run-perl pgbouncer curl
      node_packages
      ;;
  esac
}

# The distribution's driver goes with its own Node.js only: beside another one,
# the test that needs it has npm fetch it.
node_packages() {
  if ! command -v node >/dev/null || { is_installed nodejs &&
    ! dpkg-query -W -f '${Version}' nodejs | grep -q nodesource; }; then
    say nodejs node-pg
  fi
}

# What npm fetches is not in the distribution.
npm_packages() {
  if ! command -v node >/dev/null; then say nodejs; fi
  if ! command -v npm >/dev/null; then say npm; fi
}

# optional_packages MAJOR [SUITE…]: good to have, where the distribution has
# them.
optional_packages() {
  local suite
  for suite in "${@:2}"; do
    case $suite in
      fuzz) say libclang-rt-dev ;;
      plpgsql) say "postgresql-$1-plpgsql-check" ;;
    esac
  done
}

# A server that the user chose, or that brings its own headers, is left alone.
server_packages() {
  if ! is_chosen && ! { has_server pg_config && has_headers pg_config; }; then
    say "postgresql-$1" "postgresql-server-dev-$1"
  fi
}

# The major version to work with: that of the server chosen, else of the
# headers that are there, else the one that the distribution prefers.
choose_major() {
  if is_chosen || has_headers pg_config; then
    pg_major "${PG_CONFIG:-pg_config}"
  else
    { apt-cache depends postgresql 2>/dev/null || true; } |
      sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1
  fi
}

# --- What is missing -------------------------------------------------------

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_available() {
  apt-cache show "$1" >/dev/null 2>&1
}

keep_missing() {
  local package
  for package in "$@"; do
    if ! is_installed "$package"; then say "$package"; fi
  done
}

keep_available() {
  local package
  for package in "$@"; do
    if is_available "$package"; then say "$package"; fi
  done
}

# The server that is there stays as it is: an installation of its headers, or
# of libpq's, would upgrade it.  Prints what holds it at its version.
hold_server() {
  local package version
  for package in "postgresql-$1" "postgresql-client-$1"; do
    if is_installed "$package"; then
      version=$(dpkg-query -W -f '${Version}' "$package")
      say "$package=$version"
    fi
  done
}

# --- Installing ------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

require_root() {
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    die "missing packages, and neither root nor sudo to install them:" \
      "apt-get install $*"
}

update_lists() {
  if [ -z "${LISTS_UPDATED:-}" ]; then
    say "updating the package lists"
    as_root apt-get -qq update ||
      say "apt-get update failed: going on with the lists there are"
    LISTS_UPDATED=yes
  fi
}

NO_CLUSTER=/etc/postgresql-common/createcluster.d/zz-apikeys.conf
NO_SERVICE=/usr/sbin/policy-rc.d

# Packages of servers create a cluster and start services when they are
# installed: not for us.
hold_services() {
  trap release_services EXIT
  as_root mkdir -p "$(dirname "$NO_CLUSTER")"
  say "create_main_cluster = false" | as_root tee "$NO_CLUSTER" >/dev/null
  if [ ! -e "$NO_SERVICE" ]; then
    printf '#!/bin/sh\n# made by apikeys\nexit 101\n' |
      as_root tee "$NO_SERVICE" >/dev/null
    as_root chmod 755 "$NO_SERVICE"
  fi
}

release_services() {
  as_root rm -f "$NO_CLUSTER"
  as_root rmdir --ignore-fail-on-non-empty "$(dirname "$NO_CLUSTER")"
  if grep -qs '^# made by apikeys$' "$NO_SERVICE"; then
    as_root rm -f "$NO_SERVICE"
  fi
}

# Nor are they started when the machine is.
disable_services() {
  local package service
  for package in "$@"; do
    case $package in
      pgbouncer | haproxy | patroni) service=$package ;;
      etcd-server) service=etcd ;;
      *) continue ;;
    esac
    as_root update-rc.d "$service" disable >/dev/null
  done
}

# install_packages MAJOR PACKAGE…
install_packages() {
  local begin=$SECONDS log held
  log=$(mktemp)
  readarray -t held < <(hold_server "$1")
  shift
  say "installing: $*"
  hold_services
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" "${held[@]}" >"$log" 2>&1; then
    cat "$log" >&2
    die "could not install $*"
  fi
  rm -f "$log"
  disable_services "$@"
  say "installed $# packages in $((SECONDS - begin)) s"
}

main() {
  local profile=$1 suites=("${@:2}") major missing=()
  if is_chosen; then find_pg_config >/dev/null; fi
  if ! command -v apt-get >/dev/null; then
    say "this is no Debian: what $profile needs has to be there already, see" \
      "$(basename "$0")"
    return
  fi
  # shellcheck disable=SC2046 # package names, many to a line
  readarray -t missing < <(keep_missing $(
    required_packages "$profile" "${suites[@]}"
  ))
  major=$(choose_major)
  if [ ${#missing[@]} -gt 0 ] || [ -z "$major" ]; then
    require_root "${missing[@]}"
    update_lists
    major=$(choose_major)
  fi
  is_supported "$major" ||
    die "PostgreSQL ${major:-(none)} is not supported, only $SUPPORTED_MAJORS"
  # shellcheck disable=SC2046
  readarray -O ${#missing[@]} -t missing < <(
    keep_missing $(server_packages "$major")
    keep_available $(keep_missing $(optional_packages "$major" "${suites[@]}"))
  )
  [ ${#missing[@]} -gt 0 ] || return 0
  require_root "${missing[@]}"
  update_lists
  install_packages "$major" "${missing[@]}"
}

[[ ${1:-} =~ ^($PROFILES)$ ]] || die "usage: install-deps.sh $PROFILES"
main "$@"
