/*
 * usage_rows.h
 *	  The parts of statements that add to rows of key_usage.
 */
#ifndef AK_USAGE_ROWS_H
#define AK_USAGE_ROWS_H

/* The columns that the rest is about. */
#define AK_USAGE_COLUMNS \
	"(public_key, network, use_count, last_used_at, last_used_address, " \
	"secret_version) "

/* Of two last uses the later one stays; the table is called u. */
#define AK_ADD_USES \
	"ON CONFLICT ON CONSTRAINT key_usage_key DO UPDATE SET " \
	"use_count = u.use_count OPERATOR(pg_catalog.+) excluded.use_count, " \
	"last_used_at = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_at ELSE u.last_used_at END, " \
	"last_used_address = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_address ELSE u.last_used_address END"

/* Of a row v: its secret is no more. */
#define AK_SECRET_HAS_ENDED \
	"v.secret_version OPERATOR(pg_catalog.<>) 0 " \
	"AND NOT EXISTS (SELECT FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) v.public_key " \
	"AND s.version OPERATOR(pg_catalog.=) v.secret_version) "

/* Adds the rows of a common table expression "ended" to those of no secret. */
#define AK_ADD_ENDED_USES \
	"INSERT INTO apikeys.key_usage AS u " AK_USAGE_COLUMNS \
	"SELECT e.public_key, e.network, " \
	"pg_catalog.sum(e.use_count)::pg_catalog.int8, " \
	"pg_catalog.max(e.last_used_at), " \
	"(pg_catalog.array_agg(e.last_used_address " \
	"ORDER BY e.last_used_at DESC))[1], 0 " \
	"FROM ended AS e GROUP BY e.public_key, e.network " AK_ADD_USES

#endif							/* AK_USAGE_ROWS_H */
