/*
 * audit_verify.c
 *	  Verifies the audit log, and deletes its old events.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "types/types.h"

#include "access/htup_details.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* --- Verification -------------------------------------------------------- */

/*
 * Verifies the events and seals of the audit log.
 *
 * Events and seals are read in parallel, each once, in the order of their
 * numbers, so that memory does not grow with them.
 *
 * This finds every change of sealed events and of seals, unless all later
 * seals were recreated too, and a seal deleted from the end.  A superuser can
 * recreate all later seals, and can delete events, seals and the number of the
 * last seal from the end; a seal stored elsewhere finds both.
 */

/* The result, as far as the chain is intact. */
typedef struct Verification
{
	int64		seals;			/* without the last pruned one */
	int64		events;			/* sealed ones */
	int64		unsealed;		/* events after those; -1: not counted */
	AkSeal		last;			/* the last seal; id 0 if there is none */
	int64		pruned_seal;	/* 0: nothing was pruned */
	char	   *problem;		/* the first one; NULL if there is none */
} Verification;

typedef struct Reader
{
	AkChainScan events;
	bool		has_event;		/* the scan has a row that was not processed */
	MemoryContext event_context;
	const AkSeal *known;		/* a seal stored elsewhere, or NULL */
	bool		found_known;
	Verification *result;
} Reader;

PG_FUNCTION_INFO_V1(apikeys_verify_audit);

/* Only the first problem is reported. */
static void
tell(Reader *reader, char *problem)
{
	if (reader->result->problem == NULL)
		reader->result->problem = problem;
}

/* --- One seal ------------------------------------------------------------ */

/*
 * Reads the events up to the given one; returns their number.  Adds them to
 * the hash, unless it is NULL, and stores the time of the latest one in
 * "latest".
 */
static int64
read_events(Reader *reader, int64 last, AkBlake2b *hash, TimestampTz *latest)
{
	int64		count = 0;

	for (; reader->has_event && ak_chain_event_id(&reader->events) <= last;
		 reader->has_event = ak_chain_next(&reader->events))
	{
		CHECK_FOR_INTERRUPTS();
		if (hash)
		{
			MemoryContext old = MemoryContextSwitchTo(reader->event_context);

			ak_audit_hash_event(hash, reader->events.slot);
			MemoryContextSwitchTo(old);
			MemoryContextReset(reader->event_context);
		}
		if (latest)
			*latest = Max(*latest, ak_chain_event_time(&reader->events));
		count++;
	}
	return count;
}

/*
 * Compares the events found and their hash with a seal; returns the problem,
 * or NULL.
 */
static char *
judge_seal(const AkSeal *before, const AkSeal *seal, int64 found,
		   const uint8 *digest)
{
	if (found != seal->event_count)
		return psprintf("seal " INT64_FORMAT " holds " INT64_FORMAT
						" events, numbered " INT64_FORMAT " to " INT64_FORMAT
						", of which there are " INT64_FORMAT ": %s",
						seal->id, seal->event_count, before->last_event + 1,
						seal->last_event, found,
						found < seal->event_count ? "some are missing" :
						"some were added");
	if (memcmp(digest, seal->hash, AK_BLAKE2B_SIZE) != 0)
		return psprintf("seal " INT64_FORMAT ", or one of its events, numbered "
						INT64_FORMAT " to " INT64_FORMAT ", was altered",
						seal->id, before->last_event + 1, seal->last_event);
	return NULL;
}

static void
compare_with_known(Reader *reader, const AkSeal *seal)
{
	if (reader->known == NULL || reader->known->id != seal->id)
		return;
	reader->found_known = true;
	if (memcmp(reader->known->hash, seal->hash, AK_BLAKE2B_SIZE) != 0)
		tell(reader, psprintf("seal " INT64_FORMAT " has another hash than the one given",
							  seal->id));
}

/*
 * Verifies the seal after the last one.  Returns false if it has a problem, or
 * if not all of its events are older than "before".
 */
static bool
read_seal(Reader *reader, const AkSeal *seal, TimestampTz before)
{
	Verification *result = reader->result;
	AkBlake2b	hash;
	uint8		digest[AK_BLAKE2B_SIZE];
	TimestampTz latest = DT_NOBEGIN;
	int64		found;
	char	   *problem;

	if (seal->id != result->last.id + 1)
	{
		tell(reader, psprintf("seal " INT64_FORMAT " is missing",
							  result->last.id + 1));
		return false;
	}
	if (seal->last_event <= result->last.last_event)
	{
		tell(reader, psprintf("seal " INT64_FORMAT " was altered: it ends before the one before it",
							  seal->id));
		return false;
	}
	ak_audit_hash_begin(&hash, &result->last);
	found = read_events(reader, seal->last_event, &hash, &latest);
	ak_audit_hash_end(&hash, seal, digest);
	problem = judge_seal(&result->last, seal, found, digest);
	if (problem)
		tell(reader, problem);
	if (problem || (latest >= before && before != DT_NOEND))
		return false;
	compare_with_known(reader, seal);
	result->seals++;
	result->events += found;
	result->last = *seal;
	return true;
}

/* --- The chain ----------------------------------------------------------- */

/* Checks whether the event that records the pruning exists. */
static bool
is_told(const AkChain *chain, const AkSeal *seal)
{
	static AkStatement find = {
		"SELECT id FROM ONLY apikeys.audit_event "
		"WHERE id OPERATOR(pg_catalog.=) $1 "
		"AND action OPERATOR(pg_catalog.=) 'audit.pruned' "
		"AND detail OPERATOR(pg_catalog.@>) pg_catalog.jsonb_build_object("
		"'new', pg_catalog.jsonb_build_object('seal', $2, 'event', $3))",
		3, {INT8OID, INT8OID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(chain->pruned_by), Int64GetDatum(seal->id),
		Int64GetDatum(seal->last_event)
	};
	int64		id;

	return ak_owner_get_int64(&find, values, &id);
}

/* Verifies the last pruned seal, with which the chain begins. */
static bool
read_pruned_seal(Reader *reader, const AkChain *chain, AkChainScan *seals)
{
	AkSeal		seal = {0};

	if (ak_chain_next(seals))
		ak_chain_get_seal(seals, &seal);
	if (seal.id != chain->pruned_seal)
		tell(reader, psprintf("seal " INT64_FORMAT ", up to which was pruned, is missing",
							  chain->pruned_seal));
	else if (!is_told(chain, &seal))
		tell(reader, psprintf("no event tells that was pruned up to seal " INT64_FORMAT
							  " and event " INT64_FORMAT,
							  seal.id, seal.last_event));
	else if (read_events(reader, seal.last_event, NULL, NULL) > 0)
		tell(reader, psprintf("there are events numbered up to " INT64_FORMAT
							  ", which were pruned: some were added",
							  seal.last_event));
	compare_with_known(reader, &seal);
	reader->result->last = seal;
	return reader->result->problem == NULL;
}

/* Checks whether all seals were read and are unchanged. */
static bool
read_seals(Reader *reader, const AkChain *chain, TimestampTz before,
		   AkChainScan *seals)
{
	AkSeal		seal;

	if (chain->pruned_seal != 0 && !read_pruned_seal(reader, chain, seals))
		return false;
	while (ak_chain_next(seals))
	{
		ak_chain_get_seal(seals, &seal);
		if (!read_seal(reader, &seal, before))
			return false;
	}
	return true;
}

/* Verifies what comes after the last seal. */
static void
read_end(Reader *reader, const AkChain *chain)
{
	Verification *result = reader->result;

	if (result->last.id < chain->last_seal)
		tell(reader, psprintf("seal " INT64_FORMAT " is missing",
							  result->last.id + 1));
	else if (result->last.id > chain->last_seal)
		tell(reader, psprintf("seal " INT64_FORMAT " was added, or the note that it is the last one is missing",
							  result->last.id));
	else
		result->unsealed = read_events(reader, PG_INT64_MAX, NULL, NULL);
	if (reader->known == NULL || reader->found_known)
		return;
	tell(reader, psprintf(reader->known->id < result->pruned_seal ?
						  "seal " INT64_FORMAT ", which was given, was pruned" :
						  "seal " INT64_FORMAT ", which was given, is missing",
						  reader->known->id));
}

/*
 * Rows of a table that inherits from one of the audit's are shown by queries of
 * that one, but are not read here, for they are in none of its indexes.
 */
static void
find_child_tables(Reader *reader)
{
	static const AkTable tables[] = {
		AK_AUDIT_EVENT, AK_AUDIT_SEAL, AK_AUDIT_CHAIN
	};

	for (int i = 0; i < lengthof(tables); i++)
	{
		Oid			table = ak_table_oid(tables[i]);
		List	   *children = find_inheritance_children(table, NoLock);

		if (children != NIL)
			tell(reader, psprintf("table %s inherits from apikeys.%s, so rows that are in no seal are shown there",
								  DatumGetCString(DirectFunctionCall1(regclassout,
																	  ObjectIdGetDatum(linitial_oid(children)))),
								  get_rel_name(table)));
		list_free(children);
	}
}

/*
 * Verifies all seals and their events, but stops at the first seal that has an
 * event not older than "before" (DT_NOEND: verifies all). "known" is NULL, or
 * a seal with its expected id and hash.
 *
 * Reads the latest state in every isolation level: with an older snapshot, a
 * seal that the transaction has made itself would be visible, and the events
 * that it covers would not.
 */
static void
verify(TimestampTz before, const AkSeal *known, Verification *result)
{
	Reader		reader = {.known = known, .result = result};
	Snapshot	snapshot;
	AkChainScan seals;
	AkChain		chain;

	PushActiveSnapshot(GetLatestSnapshot());
	snapshot = GetActiveSnapshot();
	memset(result, 0, sizeof(*result));
	result->unsealed = -1;
	reader.event_context = AllocSetContextCreate(CurrentMemoryContext,
												 "apikeys audit event",
												 ALLOCSET_DEFAULT_SIZES);
	ak_chain_read(snapshot, &chain);
	result->pruned_seal = chain.pruned_seal;
	ak_chain_begin_seals(&seals, snapshot);
	ak_chain_begin_events(&reader.events, snapshot, PG_INT64_MIN);
	reader.has_event = ak_chain_next(&reader.events);
	if (read_seals(&reader, &chain, before, &seals))
		read_end(&reader, &chain);
	find_child_tables(&reader);
	ak_chain_end(&reader.events);
	ak_chain_end(&seals);
	MemoryContextDelete(reader.event_context);
	PopActiveSnapshot();
}

/* --- For SQL ------------------------------------------------------------- */

/* Checks whether the caller gave a seal to compare with. */
static bool
get_known(FunctionCallInfo fcinfo, AkSeal *known)
{
	text	   *digits;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		return false;
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("seal and hash must be given together"),
				 ak_errid("invalid_seal")));
	known->id = PG_GETARG_INT64(0);
	digits = PG_GETARG_TEXT_PP(1);
	if (!ak_crypto_hex_decode(VARDATA_ANY(digits), VARSIZE_ANY_EXHDR(digits),
							  known->hash, AK_BLAKE2B_SIZE))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hash has %d hexadecimal digits",
						2 * AK_BLAKE2B_SIZE),
				 ak_errid("invalid_seal")));
	return true;
}

Datum
apikeys_verify_audit(PG_FUNCTION_ARGS)
{
	AkSeal		known = {0};
	bool		has_known = get_known(fcinfo, &known);
	Verification result;
	char		digits[2 * AK_BLAKE2B_SIZE];
	Datum		values[9];
	bool		nulls[9] = {false};

	verify(DT_NOEND, has_known ? &known : NULL, &result);
	values[0] = BoolGetDatum(result.problem == NULL);
	values[1] = Int64GetDatum(result.seals);
	values[2] = Int64GetDatum(result.events);
	values[3] = Int64GetDatum(result.last.last_event);
	values[4] = TimestampTzGetDatum(result.last.sealed_at);
	values[5] = Int64GetDatum(result.unsealed);
	values[6] = Int64GetDatum(result.last.id);
	hex_encode((const char *) result.last.hash, AK_BLAKE2B_SIZE, digits);
	values[7] = PointerGetDatum(cstring_to_text_with_len(digits,
														 sizeof(digits)));
	nulls[3] = nulls[4] = nulls[6] = nulls[7] = result.last.id == 0;
	nulls[5] = result.unsealed < 0;
	nulls[8] = result.problem == NULL;
	if (result.problem)
		values[8] = CStringGetTextDatum(result.problem);
	return ak_make_row(fcinfo, values, nulls);
}

/* --- Deleting old events ------------------------------------------------- */

/*
 * Deletes old events of the audit log, with the seals that cover them.
 *
 * The last pruned seal stays, without its events, as the beginning of the
 * chain.  An event records the pruning, and is sealed later like any other.
 * Events that fail verification are evidence and are never deleted.
 */

#define ACTION	"audit.pruned"

PG_FUNCTION_INFO_V1(apikeys_prune_audit);

/* Writes the event, and stores the new beginning of the chain. */
static void
note_pruning(TimestampTz before, const Verification *found)
{
	static AkStatement note = {
		"WITH event AS ("
		"INSERT INTO apikeys.audit_event "
		"(principal, action, address, detail, database_role) "
		"VALUES ($1, '" ACTION "', $2, "
		"pg_catalog.jsonb_build_object('new', pg_catalog.jsonb_build_object("
		"'before', $3, 'seal', $4, 'event', $5, 'seals', $6, 'events', $7)), $8) "
		"RETURNING id) "
		"UPDATE ONLY apikeys.audit_chain SET pruned_seal = $4, pruned_by = event.id "
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
	values[7] = CStringGetTextDatum(ak_role_name(GetSessionUserId(), false));
	ak_audit_lock_for_write();
	ak_owner_execute(&note, values, nulls);
	ak_audit_unlock_after_write();
	ak_notices_count(ACTION, NULL, 1);
}

/* A transaction whose snapshot is older than the events cannot delete them. */
static void
delete_pruned(const Verification *found)
{
	static AkStatement delete_events = {
		"DELETE FROM ONLY apikeys.audit_event WHERE id OPERATOR(pg_catalog.<=) $1",
		1, {INT8OID}
	};
	static AkStatement delete_seals = {
		"DELETE FROM ONLY apikeys.audit_seal WHERE id OPERATOR(pg_catalog.<) $1",
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
	Verification found;

	PreventCommandDuringRecovery("prune_audit()");
	PreventCommandIfReadOnly("prune_audit()");
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("before must not be null"),
				 ak_errid("null_argument")));
	before = PG_GETARG_TIMESTAMPTZ(0);
	(void) ak_audit_lock_chain(true);
	verify(before, NULL, &found);
	if (found.problem)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("cannot prune: audit log verification failed"),
				 errdetail_internal("%s", found.problem),
				 errhint("apikeys.verify_audit() returns what is wrong."),
				 ak_errid("audit_damaged")));
	if (found.seals > 0)
	{
		note_pruning(before, &found);
		delete_pruned(&found);
	}
	PG_RETURN_INT64(found.events);
}
