/*
 * usage_rows.h
 *	  Parts of the statements that add rows to the tables of counts.
 */
#ifndef AK_USAGE_ROWS_H
#define AK_USAGE_ROWS_H

/* The sum of two non-negative counts; stops at the largest count. */
#define SUM_OF(a, b) "apikeys_internal.add_counts(" a ", " b ")"

/* The columns that are written. */
#define USAGE_COLUMNS \
	"(public_key, network, use_count, last_used_at, last_used_address, " \
	"secret_version) "

/* The later of two last uses is kept; the table is called u. */
#define ADD_USES \
	"ON CONFLICT ON CONSTRAINT key_usage_key DO UPDATE SET " \
	"use_count = " SUM_OF("u.use_count", "excluded.use_count") ", " \
	"last_used_at = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_at ELSE u.last_used_at END, " \
	"last_used_address = CASE WHEN excluded.last_used_at " \
	"OPERATOR(pg_catalog.>=) u.last_used_at " \
	"THEN excluded.last_used_address ELSE u.last_used_address END"

#endif							/* AK_USAGE_ROWS_H */
