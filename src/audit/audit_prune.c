/*
 * audit_prune.c
 *	  Deletes old events of the audit log, with the seals that cover them.
 *
 * The last pruned seal stays, without its events, as the beginning of the
 * chain.  An event records the pruning, and is sealed later like any other.
 * Events that fail verification are evidence and are never deleted.
 */
#include "postgres.h"

#include "audit/audit_lock.h"
#include "audit/audit_verify.h"
#include "audit/notices.h"
#include "base/owner.h"
#include "core/compat.h"
#include "core/errors.h"
#include "identity/identity.h"
#include "types/type_access_list.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define ACTION	"audit.pruned"

PG_FUNCTION_INFO_V1(apikeys_prune_audit);

/* The seals and events to prune. */
static void
find_prunable(TimestampTz before, AkVerification *found)
{
	ak_audit_verify(before, NULL, found);
	if (found->problem)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("cannot prune: audit log verification failed"),
				 errdetail_internal("%s", found->problem),
				 errhint("apikeys.verify_audit() returns what is wrong."),
				 ak_errid("audit_damaged")));
}

/* Writes the event, and stores the new beginning of the chain. */
static void
note_pruning(TimestampTz before, const AkVerification *found)
{
	static AkStatement note = {
		"WITH event AS ("
		"INSERT INTO apikeys.audit_event "
		"(principal, action, address, detail, database_role) "
		"VALUES ($1, '" ACTION "', $2, "
		"pg_catalog.jsonb_build_object('new', pg_catalog.jsonb_build_object("
		"'before', $3, 'seal', $4, 'event', $5, 'seals', $6, 'events', $7)), $8) "
		"RETURNING id) "
		"UPDATE apikeys.audit_chain SET pruned_seal = $4, pruned_by = event.id "
		"FROM event",
		8, {TEXTOID, INETOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID}
	};
	AkNetwork	address;
	Datum		values[8];
	char		nulls[] = "        ";

	values[0] = CStringGetTextDatum(ak_identity_principal());
	if (ak_identity_address(&address))
		values[1] = InetPGetDatum(ak_network_to_inet(&address));
	else
		nulls[1] = 'n';
	values[2] = TimestampTzGetDatum(before);
	values[3] = Int64GetDatum(found->last.id);
	values[4] = Int64GetDatum(found->last.last_event);
	values[5] = Int64GetDatum(found->seals);
	values[6] = Int64GetDatum(found->events);
	values[7] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	ak_audit_lock_for_write();
	ak_owner_execute(&note, values, nulls);
	ak_audit_unlock_after_write();
	ak_notices_count(ACTION, NULL, 1);
}

/* A transaction whose snapshot is older than the events cannot delete them. */
static void
delete_pruned(const AkVerification *found)
{
	static AkStatement delete_events = {
		"DELETE FROM apikeys.audit_event WHERE id OPERATOR(pg_catalog.<=) $1",
		1, {INT8OID}
	};
	static AkStatement delete_seals = {
		"DELETE FROM apikeys.audit_seal WHERE id OPERATOR(pg_catalog.<) $1",
		1, {INT8OID}
	};
	Datum		event = Int64GetDatum(found->last.last_event);
	Datum		seal = Int64GetDatum(found->last.id);

	if (ak_owner_execute(&delete_events, &event, NULL) != found->events)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent changes of the audit log"),
				 ak_errid("serialization_failure")));
	ak_owner_execute(&delete_seals, &seal, NULL);
}

Datum
apikeys_prune_audit(PG_FUNCTION_ARGS)
{
	TimestampTz before;
	AkVerification found;

	PreventCommandDuringRecovery("prune_audit()");
	PreventCommandIfReadOnly("prune_audit()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("before must not be null"),
				 ak_errid("null_argument")));
	before = PG_GETARG_TIMESTAMPTZ(0);
	(void) ak_audit_lock_chain(true);
	find_prunable(before, &found);
	if (found.seals > 0)
	{
		note_pruning(before, &found);
		delete_pruned(&found);
	}
	PG_RETURN_INT64(found.events);
}
