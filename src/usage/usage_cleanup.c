/*
 * usage_cleanup.c
 *	  What is recorded of uses of keys, secrets and entries of access lists that
 *	  are no more, and of hours that ended long ago.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "usage/usage.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/guc.h"

/* Condition on a row v: its secret no longer exists. */
#define SECRET_HAS_ENDED \
	"v.secret_version OPERATOR(pg_catalog.>) 0 " \
	"AND NOT EXISTS (SELECT FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) v.public_key " \
	"AND s.version OPERATOR(pg_catalog.=) v.secret_version) "

/*
 * Adds the rows of the common table expression "ended", other than marks
 * (version -1), to those of another network or version.
 */
#define ADD_ENDED(network, version) \
	"INSERT INTO apikeys.key_usage AS u " USAGE_COLUMNS \
	"SELECT e.public_key, " network ", " \
	"least(pg_catalog.sum(e.use_count), " \
	"9223372036854775807)::pg_catalog.int8, " \
	"pg_catalog.max(e.last_used_at), " \
	"(pg_catalog.array_agg(e.last_used_address " \
	"ORDER BY e.last_used_at DESC))[1], " version " FROM ended AS e " \
	"WHERE e.secret_version OPERATOR(pg_catalog.>=) 0 " \
	"GROUP BY e.public_key, " network ", " version " " ADD_USES

/*
 * Deletes the records of these keys if the keys no longer exist.  Otherwise
 * adds the uses of each deleted secret to those of no secret, so that the
 * number of rows does not grow with each rotation.
 */
void
ak_usage_clean_up(text **public_keys, int count)
{
#define OF_KEYS_THAT_ARE_NO_MORE \
	"WHERE u.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"AND NOT EXISTS (SELECT FROM apikeys.key AS k " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) u.public_key)"
	static AkStatement statements[] = {
		{
			"DELETE FROM apikeys.key_usage AS u " OF_KEYS_THAT_ARE_NO_MORE,
			1, {TEXTARRAYOID}, .by_index = true
		},
		{
			"DELETE FROM apikeys.key_denial AS u " OF_KEYS_THAT_ARE_NO_MORE,
			1, {TEXTARRAYOID}, .by_index = true
		},
		{
			"DELETE FROM apikeys.key_role_usage AS u " OF_KEYS_THAT_ARE_NO_MORE,
			1, {TEXTARRAYOID}, .by_index = true
		},
		{
			"WITH ended AS (DELETE FROM apikeys.key_usage AS v "
			"WHERE v.public_key OPERATOR(pg_catalog.=) ANY ($1) "
			"AND " SECRET_HAS_ENDED "RETURNING v.*) "
			ADD_ENDED("e.network", "0::pg_catalog.int4"),
			1, {TEXTARRAYOID}, .by_index = true
		}
	};
#undef OF_KEYS_THAT_ARE_NO_MORE
	Datum	   *elements = palloc(count * sizeof(Datum));
	Datum		value;

	for (int i = 0; i < count; i++)
		elements[i] = PointerGetDatum(public_keys[i]);
	value = PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
											false, TYPALIGN_INT));
	for (int i = 0; i < lengthof(statements); i++)
		ak_owner_execute(&statements[i], &value, NULL);
}

/*
 * Deletes hours of the history that began before a time, and days that ended
 * before it, at most so many rows of each; returns how many of the more.
 */
uint64
ak_usage_drop_history(TimestampTz before, int most)
{
#define DROP(table, column, end) { \
	"DELETE FROM apikeys." table " WHERE ctid OPERATOR(pg_catalog.=) " \
	"ANY (ARRAY(SELECT h.ctid FROM apikeys." table " AS h " \
	"WHERE h." column " OPERATOR(pg_catalog.<) " end \
	" ORDER BY h." column " LIMIT $2))", \
	2, {TIMESTAMPTZOID, INT4OID}, .by_index = true \
}
	static AkStatement drops[] = {
		DROP("key_history", "hour", "$1"),
		DROP("key_day", "day",
			 "($1 AT TIME ZONE 'UTC')::pg_catalog.date")
	};
#undef DROP
	Datum		values[] = {TimestampTzGetDatum(before), Int32GetDatum(most)};
	uint64		dropped = 0;

	for (int i = 0; i < lengthof(drops); i++)
	{
		uint64		count = ak_owner_execute(&drops[i], values, NULL);

		dropped = Max(dropped, count);
	}
	return dropped;
}

/*
 * Marks what is written of the uses of a key by networks that are not in its
 * access list, and what may be being written, by the networks of the other argument:
 * the entries were removed, and start from zero if they are added again.
 * Until ak_usage_tidy_up() has added those uses to the key's others, view
 * access_list_entries ignores them.  To mark is to insert a row, of version -1: a merge
 * of uses never waits for a change of a list.
 */
void
ak_usage_mark_removed(text *public_key, Datum in_flight)
{
	static AkStatement mark = {
		"INSERT INTO apikeys.key_usage " USAGE_COLUMNS
		"SELECT $1, u.network, 0, "
		"'-infinity'::pg_catalog.timestamptz, NULL::pg_catalog.inet, -1 "
		"FROM (SELECT o.network FROM apikeys.key_usage AS o "
		"WHERE o.public_key OPERATOR(pg_catalog.=) $1 "
		"UNION SELECT pg_catalog.unnest($2)) AS u (network) "
		"WHERE u.network IS NOT NULL "
		"AND NOT (u.network OPERATOR(pg_catalog.=) ANY ("
		"SELECT n.network FROM apikeys.key AS k, "
		"LATERAL apikeys.networks(k.access_list) AS n (network) "
		"WHERE k.public_key OPERATOR(pg_catalog.=) $1)) "
		"ON CONFLICT ON CONSTRAINT key_usage_key DO NOTHING",
		2, {TEXTOID, CIDRARRAYOID}
	};
	Datum		values[] = {PointerGetDatum(public_key), in_flight};

	ak_owner_execute(&mark, values, NULL);
}

/*
 * Adds the uses by networks that are marked as removed to those without a
 * network.  Reads the marks and the rows of their keys, however the statement is
 * planned: the worker keeps its plan, made perhaps while the table was empty.
 */
void
ak_usage_tidy_up(void)
{
#define MARKS \
	"FROM apikeys.key_usage AS m " \
	"WHERE m.secret_version OPERATOR(pg_catalog.=) -1"
	static AkStatement add = {
		"WITH ended AS (DELETE FROM apikeys.key_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) "
		"ANY (ARRAY(SELECT m.public_key " MARKS ")) "
		"AND (SELECT true " MARKS " "
		"AND m.public_key OPERATOR(pg_catalog.=) v.public_key "
		"AND m.network OPERATOR(pg_catalog.=) v.network) RETURNING v.*) "
		ADD_ENDED("NULL::pg_catalog.cidr", "e.secret_version"),
		.by_index = true
	};
#undef MARKS

	ak_owner_execute(&add, NULL, NULL);
}

/*
 * What ak_usage_clean_up() does for some keys, for all: a crash loses the
 * server's notes of what to clean up, and there may be no room for them.
 */
void
ak_usage_sweep(void)
{
#define OF_DELETED_KEYS \
	"WHERE u.public_key OPERATOR(pg_catalog.=) ANY " \
	"(SELECT d.public_key FROM apikeys.deleted_key AS d) " \
	"AND NOT EXISTS (SELECT FROM apikeys.key AS k " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) u.public_key)"
	static AkStatement sweeps[] = {
		{"DELETE FROM apikeys.key_usage AS u " OF_DELETED_KEYS},
		{"DELETE FROM apikeys.key_denial AS u " OF_DELETED_KEYS},
		{"DELETE FROM apikeys.key_role_usage AS u " OF_DELETED_KEYS},
		/* Of what was never committed, or deleted while it was written first. */
		{
			"DELETE FROM apikeys.quota_usage AS u "
			"WHERE NOT EXISTS (SELECT FROM apikeys.key AS k "
			"WHERE k.limits_id OPERATOR(pg_catalog.=) u.subject) "
			"AND NOT EXISTS (SELECT FROM apikeys.organization AS o "
			"WHERE o.id OPERATOR(pg_catalog.=) u.subject)"
		},
		{
			"WITH ended AS (DELETE FROM apikeys.key_usage AS v "
			"WHERE " SECRET_HAS_ENDED "RETURNING v.*) "
			ADD_ENDED("e.network", "0::pg_catalog.int4")
		}
	};
#undef OF_DELETED_KEYS
	int			level = NewGUCNestLevel();

	/* Tables are read whole, and some are small when the plans are made. */
	ak_set_locally("enable_nestloop", "off");
	for (int i = 0; i < lengthof(sweeps); i++)
		ak_owner_execute(&sweeps[i], NULL, NULL);
	AtEOXact_GUC(true, level);
}
