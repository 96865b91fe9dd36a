/*
 * usage_direct.c
 *	  See usage_direct.h.
 *
 * A use is written at most once a minute per key, matched network and secret,
 * and that of a role as often as it is looked whether that is an hour old, as
 * part of the caller's transaction, and only where it can neither wait nor fail:
 * not in a read-only transaction or on a standby, not where an update of a
 * changed row is a serialization failure, and not while somebody else has
 * locked the row.  What is not written now is written by a later use.
 *
 * The key itself is not locked, so that it can be deleted while a transaction
 * that has used it goes on; a row that is written for it then outlives it,
 * which nobody sees.
 */
#include "postgres.h"

#include "base/owner.h"
#include "core/compat.h"
#include "types/type_access_list.h"
#include "usage/usage_direct.h"
#include "usage/usage_rows.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#define INTERVAL_SECONDS	60

#define MAX_PER_TRANSACTION	64

/*
 * Advisory locks of this class cannot be taken from SQL, where it is 1 or 2,
 * so nobody can keep a use from being recorded.
 */
#define LOCK_CLASS			3

/*
 * What this backend has written lately, by hash; a collision costs little.
 * Forgotten when something of it may have been rolled back.
 */
#define RECENT_COUNT		1024

typedef struct RecentUse
{
	uint64		hash;
	TimestampTz at;
} RecentUse;

static RecentUse recent[RECENT_COUNT];
static bool recent_is_uncommitted = false;

static void
end_transaction(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_ABORT && recent_is_uncommitted)
		memset(recent, 0, sizeof(recent));
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT ||
		event == XACT_EVENT_PREPARE)
		recent_is_uncommitted = false;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && recent_is_uncommitted)
		memset(recent, 0, sizeof(recent));
}

/* Called once, when the library is loaded. */
void
ak_usage_direct_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

static uint64
hash_key(const text *public_key, uint64 seed)
{
	return hash_bytes_extended((unsigned char *) VARDATA_ANY(public_key),
							   VARSIZE_ANY_EXHDR(public_key), seed);
}

static uint64
hash_use(const text *public_key, const AkUse *use)
{
	uint64		hash = hash_key(public_key, use->secret_version);

	if (use->network)
		hash = hash_bytes_extended((const unsigned char *) use->network,
								   sizeof(AkNetwork), hash);
	return hash;
}

static bool
lock_use(uint64 hash)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32),
						 (uint32) hash, LOCK_CLASS);
	return ak_try_lock(&tag, ExclusiveLock);
}

/*
 * Nobody may write this by hand, so it is written as the table's owner.
 * Returns whether it was written: not if somebody has locked the row.
 */
static bool
write_use(text *public_key, const AkUse *use)
{
	static AkStatement update = {
		"UPDATE apikeys.key_usage AS u "
		"SET use_count = u.use_count OPERATOR(pg_catalog.+) 1, "
		"last_used_at = $3, last_used_address = $4 "
		"WHERE u.ctid OPERATOR(pg_catalog.=) ("
		"SELECT v.ctid FROM apikeys.key_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) $1 "
		"AND v.secret_version OPERATOR(pg_catalog.=) $5 "
		"AND (v.network OPERATOR(pg_catalog.=) $2 "
		"OR (v.network IS NULL AND $2 IS NULL)) "
		"FOR NO KEY UPDATE SKIP LOCKED)",
		5, {TEXTOID, CIDROID, TIMESTAMPTZOID, INETOID, INT4OID}
	};
	static AkStatement insert = {
		"INSERT INTO apikeys.key_usage " AK_USAGE_COLUMNS
		"SELECT k.public_key, $2, 1, $3, $4, $5 FROM apikeys.key AS k "
		"WHERE k.public_key OPERATOR(pg_catalog.=) $1 "
		"ON CONFLICT DO NOTHING",
		5, {TEXTOID, CIDROID, TIMESTAMPTZOID, INETOID, INT4OID}
	};
	Datum		values[5] = {0};
	char		nulls[] = "     ";

	values[0] = PointerGetDatum(public_key);
	values[2] = TimestampTzGetDatum(use->at);
	values[4] = Int32GetDatum(use->secret_version);
	if (use->network)
		values[1] = InetPGetDatum(ak_network_to_inet(use->network));
	else
		nulls[1] = 'n';
	if (use->address)
		values[3] = InetPGetDatum(ak_network_to_inet(use->address));
	else
		nulls[3] = 'n';
	return ak_owner_execute(&update, values, nulls) > 0 ||
		ak_owner_execute(&insert, values, nulls) > 0;
}

/*
 * Writes the use of a role, unless one within the last hour is written.  Of
 * rows that somebody has locked, it is he who writes.
 */
static void
write_grant(text *public_key, const AkUse *use)
{
	static AkStatement update = {
		"UPDATE apikeys.key_role_usage AS u SET last_used_at = $3 "
		"WHERE u.ctid OPERATOR(pg_catalog.=) ("
		"SELECT v.ctid FROM apikeys.key_role_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) $1 "
		"AND apikeys.grant_id(v.role, v.project_id) "
		"OPERATOR(pg_catalog.=) $2 "
		"AND v.last_used_at OPERATOR(pg_catalog.<=) ($3 "
		"OPERATOR(pg_catalog.-) '1 hour'::pg_catalog.interval) "
		"FOR NO KEY UPDATE SKIP LOCKED)",
		3, {TEXTOID, INT8OID, TIMESTAMPTZOID}
	};
	static AkStatement insert = {
		"INSERT INTO apikeys.key_role_usage "
		"(public_key, project_id, role, last_used_at) "
		"SELECT r.public_key, r.project_id, r.role, $3 "
		"FROM apikeys.key_role AS r "
		"WHERE r.public_key OPERATOR(pg_catalog.=) $1 "
		"AND apikeys.grant_id(r.role, r.project_id) "
		"OPERATOR(pg_catalog.=) $2 "
		"ON CONFLICT DO NOTHING",
		3, {TEXTOID, INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[] = {
		PointerGetDatum(public_key),
		Int64GetDatum(use->grant),
		TimestampTzGetDatum(use->at)
	};

	if (ak_owner_execute(&update, values, NULL) == 0)
		ak_owner_execute(&insert, values, NULL);
}

/*
 * A recording holds locks until its transaction ends: only so many of them,
 * so that the lock table stays free for others.
 */
static bool
may_record_more(void)
{
	static TimestampTz transaction = 0;
	static int	recorded = 0;

	if (transaction != GetCurrentTransactionStartTimestamp())
	{
		transaction = GetCurrentTransactionStartTimestamp();
		recorded = 0;
	}
	return recorded++ < MAX_PER_TRANSACTION;
}

/* Whether this was not written lately and may be now; it is locked then. */
static bool
begin_recording(uint64 hash, TimestampTz now)
{
	const RecentUse *slot = &recent[hash % RECENT_COUNT];

	if (slot->hash == hash &&
		!TimestampDifferenceExceeds(slot->at, now, INTERVAL_SECONDS * 1000))
		return false;
	return may_record_more() && lock_use(hash);
}

static void
end_recording(uint64 hash, TimestampTz now)
{
	RecentUse  *slot = &recent[hash % RECENT_COUNT];

	slot->hash = hash;
	slot->at = now;
	recent_is_uncommitted = true;
}

static bool
may_write(void)
{
	return !XactReadOnly && !RecoveryInProgress() &&
		!IsolationUsesXactSnapshot() && !IsInParallelMode();
}

/*
 * Records the use of a key, and that of the role that allowed it.  Raises no
 * error of its own and waits for no lock.
 */
void
ak_usage_direct_record(text *public_key, const AkUse *use)
{
	uint64		hash;

	if (!may_write())
		return;
	hash = hash_use(public_key, use);
	if (begin_recording(hash, use->at) && write_use(public_key, use))
		end_recording(hash, use->at);
	if (use->grant == 0)
		return;
	hash = hash_key(public_key, use->grant);
	if (begin_recording(hash, use->at))
	{
		write_grant(public_key, use);
		end_recording(hash, use->at);
	}
}

/*
 * Deletes what is recorded of a key, but for what somebody has locked: waits
 * for nobody who is using the key.
 */
void
ak_usage_direct_forget(text *public_key)
{
	static AkStatement forget_uses = {
		"DELETE FROM apikeys.key_usage AS u "
		"WHERE u.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT v.ctid FROM apikeys.key_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) $1 "
		"FOR UPDATE SKIP LOCKED))",
		1, {TEXTOID}
	};
	static AkStatement forget_denials = {
		"DELETE FROM apikeys.key_denial AS d "
		"WHERE d.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT e.ctid FROM apikeys.key_denial AS e "
		"WHERE e.public_key OPERATOR(pg_catalog.=) $1 "
		"FOR UPDATE SKIP LOCKED))",
		1, {TEXTOID}
	};
	static AkStatement forget_grants = {
		"DELETE FROM apikeys.key_role_usage AS u "
		"WHERE u.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT v.ctid FROM apikeys.key_role_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) $1 "
		"FOR UPDATE SKIP LOCKED))",
		1, {TEXTOID}
	};
	Datum		values[] = {PointerGetDatum(public_key)};

	ak_owner_execute(&forget_uses, values, NULL);
	ak_owner_execute(&forget_denials, values, NULL);
	ak_owner_execute(&forget_grants, values, NULL);
}

/*
 * Adds what was recorded of secrets of a key that are no more to what is of no
 * secret, but for what somebody has locked, and unless that could fail to
 * serialize: it is added with the next secret that is deleted then.  Who does
 * this has locked the key, or its secret, so that nobody else is doing it.
 */
void
ak_usage_direct_forget_secret(text *public_key)
{
	static AkStatement forget = {
		"WITH ended AS (DELETE FROM apikeys.key_usage AS u "
		"WHERE u.ctid OPERATOR(pg_catalog.=) ANY (ARRAY("
		"SELECT v.ctid FROM apikeys.key_usage AS v "
		"WHERE v.public_key OPERATOR(pg_catalog.=) $1 "
		"AND " AK_SECRET_HAS_ENDED
		"FOR UPDATE SKIP LOCKED)) RETURNING u.*) " AK_ADD_ENDED_USES,
		1, {TEXTOID}
	};
	Datum		value = PointerGetDatum(public_key);

	if (!IsolationUsesXactSnapshot())
		ak_owner_execute(&forget, &value, NULL);
}
