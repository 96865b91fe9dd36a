#!/usr/bin/env bash
# inside.sh: what run.sh runs in its chroot: a database with live keys on the
# old version, pg_upgrade, and a look at what has become of them.  Prints TAP.
set -euo pipefail

OLD=15
NEW=17
DATA=/tmp/upgrade
NUMBER=0
FAILED=0

as_postgres() {
  setpriv --reuid=postgres --regid=postgres --clear-groups \
    env --chdir="$DATA" HOME="$DATA" PGHOST="$DATA" PGUSER=postgres "$@"
}

# check NAME FOUND EXPECTED
check() {
  NUMBER=$((NUMBER + 1))
  if [ "$2" = "$3" ]; then
    echo "ok $NUMBER - $1"
  else
    echo "not ok $NUMBER - $1"
    diff <(printf '%s\n' "$3") <(printf '%s\n' "$2") | sed -n '1,20s/^/# /p'
    FAILED=1
  fi
}

bin() { echo "/usr/lib/postgresql/$1/bin"; }

# build MAJOR: builds the extension and installs it.
build() {
  cp -R /apikeys "/tmp/tree-$1"
  make -s -C "/tmp/tree-$1" -j2 install WERROR=1 with_llvm=no \
    PG_CONFIG="$(bin "$1")/pg_config" >"/tmp/build-$1.log" 2>&1 || {
    cat "/tmp/build-$1.log"
    exit 1
  }
}

init() {
  as_postgres "$(bin "$1")/initdb" -D "$DATA/$1" -U postgres -A trust \
    --no-sync --encoding=UTF8 --locale=C >/dev/null
  as_postgres tee -a "$DATA/$1/postgresql.conf" >/dev/null <<END
shared_preload_libraries = 'apikeys'
listen_addresses = ''
unix_socket_directories = '$DATA'
fsync = off
END
}

control() {
  as_postgres "$(bin "$1")/pg_ctl" -s -w -D "$DATA/$1" -l "$DATA/$1.log" "$2"
}

query() {
  as_postgres psql -XAtq -v ON_ERROR_STOP=1 -d "$1" -f -
}

# All rows of all tables that a dump takes along, and the images.
contents() {
  query keys <<'END'
SELECT format('SELECT %L, t::text FROM %s AS t ORDER BY t::text COLLATE "C"', oid::regclass, oid::regclass)
FROM pg_class WHERE relnamespace = 'apikeys'::regnamespace AND relkind = 'r'
ORDER BY relname COLLATE "C" \gexec
END
}

# What each key that was issued may do; read-only, so that nothing is counted.
decisions() {
  query keys <<'END'
BEGIN READ ONLY;
SET LOCAL apikeys.track_usage = off;
SELECT i.public_key, d.reason, e.reason, f.reason
FROM issued AS i
	CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, '10.1.2.3', 'clusters.read') AS d
	CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, '198.51.100.1', 'clusters.read') AS e
	CROSS JOIN LATERAL apikeys.decide(i.public_key, 'x', '10.1.2.3', 'clusters.read') AS f
ORDER BY i.public_key COLLATE "C";
COMMIT;
END
}

# Without what pg_upgrade may write otherwise and is the same: the privileges that
# everybody has on a function or a type, or the owner on a table or a schema, the name
# of a column that has none, and parentheses.
catalog() {
  query "$1" </apikeys/test/catalog.sql | tr -d '()' |
    sed 's/ AS text$//; s/|postgres postgres=UC.postgres$/|postgres/' |
    grep -vE '\|(=X/postgres,postgres=X|=U/postgres,postgres=U|postgres=arwdDxtm)/postgres$'
}

make_keys() {
  query postgres <<<'CREATE ROLE application; CREATE DATABASE keys;'
  query keys <<'END' >/dev/null
CREATE EXTENSION apikeys;
SELECT apikeys.grant_access('application', 'decide');
SELECT apikeys.create_organization('Acme', 'user:owner');
SELECT apikeys.create_project(apikeys.organization('Acme'), 'one');
SELECT apikeys.create_role('auditor', 'organization', '{audit.*}', '{*.read}', NULL);
CREATE TABLE issued AS
SELECT k.* FROM generate_series(1, 200) AS n
	CROSS JOIN LATERAL (SELECT n) AS dependent (m)
	CROSS JOIN LATERAL apikeys.create_key(apikeys.organization('Acme'), 'key ' || m, '{ORG_READ_ONLY,auditor}', '{10.0.0.0/8}') AS k;
SELECT apikeys.set_project_roles(public_key, apikeys.project('Acme', 'one'), '{GROUP_OWNER}') FROM issued;
SELECT apikeys.rotate_secret(public_key, '1 hour') FROM issued WHERE public_key < 'ak_pub_V';
SELECT apikeys.disable_key(min(public_key)) FROM issued;
SELECT apikeys.delete_key(max(public_key)) FROM issued;
SELECT apikeys.authorize(public_key, private_key, '10.1.2.3', 'clusters.read') FROM issued;
SELECT apikeys.flush_usage();
END
}

compare() {
  check 'all tables are equal' "$(contents)" "$1"
  check 'all keys are decided as before' "$(decisions)" "$2"
  check 'privileges that were granted are there' "$(query keys <<'END'
SELECT has_function_privilege('application', 'apikeys.decide(text,text,inet,text,uuid,bigint)', 'EXECUTE'),
	has_function_privilege('application', 'apikeys.delete_key(text)', 'EXECUTE')
END
)" 't|f'
  query keys <<<"SELECT apikeys.revoke_access('application', 'decide')"
  query postgres <<<'CREATE DATABASE fresh'
  query fresh <<<'CREATE EXTENSION apikeys'
  check 'the catalogs are as of a fresh install' \
    "$(catalog keys)" "$(catalog fresh)"
  check 'new keys pass, and old ones end' "$(query keys <<'END'
SELECT d.reason FROM apikeys.create_key(apikeys.organization('Acme'), 'new', '{ORG_OWNER}') AS k
	CROSS JOIN LATERAL apikeys.decide(k.public_key, k.private_key, NULL, 'clusters.read') AS d;
SELECT count(*) FROM apikeys.disable_keys(description => 'key%', dry_run => false) \g /dev/null
SELECT DISTINCT d.reason FROM issued AS i
	JOIN apikeys.key AS k USING (public_key)
	CROSS JOIN LATERAL apikeys.decide(i.public_key, i.private_key, '10.1.2.3', 'clusters.read') AS d;
END
)" $'ok\nkey_disabled'
}

main() {
  local before decided
  mkdir "$DATA"
  chown postgres: "$DATA"
  build "$OLD"
  build "$NEW"
  init "$OLD"
  control "$OLD" start
  make_keys
  before=$(contents)
  decided=$(decisions)
  check 'keys pass on the old version' \
    "$(grep -c '|ok|address_denied|wrong_secret' <<<"$decided")" 198
  control "$OLD" stop
  init "$NEW"
  as_postgres "$(bin "$NEW")/pg_upgrade" -U postgres -s "$DATA" \
    -b "$(bin "$OLD")" -B "$(bin "$NEW")" -d "$DATA/$OLD" -D "$DATA/$NEW" \
    >"$DATA/pg_upgrade.log" 2>&1 || {
    cat "$DATA/pg_upgrade.log"
    exit 1
  }
  control "$NEW" start
  compare "$before" "$decided"
  control "$NEW" stop
  echo "1..$NUMBER"
  exit "$FAILED"
}

main
