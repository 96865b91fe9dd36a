/*
 * audit_seal.c
 *	  The seals of the audit log.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/compat.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* --- Seals of events ----------------------------------------------------- */

/*
 * Seals the events of the audit log.
 *
 * A seal is a hash over the previous seal and the events after that one's, in
 * the order of their numbers. It covers all events up to the
 * first one whose transaction is still in progress; the events of longer
 * transactions are in a later seal.  Sealing never waits for a transaction to
 * end, and writers of events wait for a sealer only for a moment
 * (audit_chain.c).
 *
 * The number of the last seal is stored separately, so that a seal deleted
 * from the end is noticed.  Then nothing more is sealed: the damage must be
 * investigated, and not be covered.
 */

/* The state of sealing. */
typedef struct Sealing
{
	Snapshot	snapshot;
	AkSeal		last;			/* the last seal made */
	AkChainScan events;			/* all versions of the events after it */
	bool		at_end;			/* no more events can be sealed now */
	MemoryContext event_context;
} Sealing;

PG_FUNCTION_INFO_V1(apikeys_seal_audit);

/* --- The events ---------------------------------------------------------- */

/*
 * Finds the next event to seal.  Events that were rolled back, or deleted
 * before they were sealed, are skipped.
 */
static bool
next_event(Sealing *sealing)
{
	while (!sealing->at_end)
	{
		CHECK_FOR_INTERRUPTS();
		sealing->at_end = !ak_chain_next(&sealing->events) ||
			ak_chain_event_is_in_progress(&sealing->events,
										  sealing->snapshot);
		if (!sealing->at_end &&
			table_tuple_satisfies_snapshot(sealing->events.table,
										   sealing->events.slot,
										   sealing->snapshot))
			return true;
	}
	return false;
}

/* --- The seals ----------------------------------------------------------- */

static void
write_seal(const AkSeal *seal)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_seal "
		"(id, last_event, event_count, sealed_at, hash) "
		"VALUES ($1, $2, $3, $4, $5)",
		5, {INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, BYTEAOID}
	};
	static AkStatement note = {
		"INSERT INTO apikeys.audit_chain (last_seal) VALUES ($1) "
		"ON CONFLICT (is_only) DO UPDATE SET last_seal = excluded.last_seal",
		1, {INT8OID}
	};
	bytea	   *hash = palloc(VARHDRSZ + sizeof(seal->hash));
	Datum		values[5];

	SET_VARSIZE(hash, VARHDRSZ + sizeof(seal->hash));
	memcpy(VARDATA(hash), seal->hash, sizeof(seal->hash));
	values[0] = Int64GetDatum(seal->id);
	values[1] = Int64GetDatum(seal->last_event);
	values[2] = Int64GetDatum(seal->event_count);
	values[3] = TimestampTzGetDatum(seal->sealed_at);
	values[4] = PointerGetDatum(hash);
	ak_owner_execute(&insert, values, NULL);
	ak_owner_execute(&note, values, NULL);
}

/*
 * Makes the next seal; returns the number of its events, 0 if there are none.
 */
static int64
make_seal(Sealing *sealing)
{
	AkSeal		seal = {0};
	AkBlake2b	hash;

	ak_audit_hash_begin(&hash, &sealing->last);
	while (seal.event_count < AK_SEAL_MAX_EVENTS && next_event(sealing))
	{
		MemoryContext old = MemoryContextSwitchTo(sealing->event_context);

		ak_audit_hash_event(&hash, sealing->events.slot);
		MemoryContextSwitchTo(old);
		MemoryContextReset(sealing->event_context);
		seal.last_event = ak_chain_event_id(&sealing->events);
		seal.event_count++;
	}
	if (seal.event_count == 0)
		return 0;
	seal.id = sealing->last.id + 1;
	seal.sealed_at = GetCurrentTimestamp();
	ak_audit_hash_end(&hash, &seal, seal.hash);
	write_seal(&seal);
	sealing->last = seal;
	return seal.event_count;
}

/*
 * Seals all events that can be sealed, with at most so many seals, in the
 * current transaction, which keeps others from sealing until it ends.  Returns
 * the number of sealed events; 0 if another session is sealing and "wait" is
 * false.  Raises XX001 if the chain's end is damaged.
 */
int64
ak_audit_seal(int max_seals, bool wait)
{
	Sealing		sealing = {0};
	AkChain		chain;
	int64		sealed = 0;
	int64		count = 1;

	if (!ak_audit_lock_chain(wait))
		return 0;
	/* Somebody may store its hash elsewhere, and a crash must not take it back. */
	ForceSyncCommit();
	sealing.snapshot = ak_audit_take_snapshot();
	ak_chain_read(sealing.snapshot, &chain);
	ak_chain_find_last_seal(sealing.snapshot, &sealing.last);
	if (chain.last_seal != sealing.last.id)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("audit seal chain is truncated"),
				 errhint("apikeys.verify_audit() returns what is wrong."),
				 ak_errid("audit_damaged")));
	sealing.event_context = AllocSetContextCreate(CurrentMemoryContext,
												  "apikeys audit event",
												  ALLOCSET_DEFAULT_SIZES);
	ak_chain_begin_events(&sealing.events, SnapshotAny,
						  sealing.last.last_event);
	for (int seals = 0; seals < max_seals && count > 0; seals++)
	{
		count = make_seal(&sealing);
		sealed += count;
	}
	ak_chain_end(&sealing.events);
	MemoryContextDelete(sealing.event_context);
	UnregisterSnapshot(sealing.snapshot);
	return sealed;
}

Datum
apikeys_seal_audit(PG_FUNCTION_ARGS)
{
	PreventCommandDuringRecovery("seal_audit()");
	PreventCommandIfReadOnly("seal_audit()");
	PG_RETURN_INT64(ak_audit_seal(PG_INT32_MAX, true));
}

/* --- The hash of a seal -------------------------------------------------- */

/*
 * The hash of a seal.
 *
 * It is BLAKE2b-256 (RFC 7693), without a key, over these bytes; numbers are
 * signed, of 8 bytes, the most significant one first:
 *
 * "apikeys audit seal 1"	20 bytes, ASCII
 * the hash of the seal before, 32 bytes; of the first seal: zeros
 * the seal's id
 * the events, in the order of their ids
 * the seal's last_event
 * the seal's event_count
 * the seal's sealed_at, in microseconds since 2000-01-01 00:00 UTC
 *
 * An event is its columns id, at, principal, action, organization_id,
 * project_id, public_key, address, detail and database_role.  Each is its
 * length in bytes as a number of 4 bytes and then these bytes, as in COPY's
 * binary format; NULL is the length -1 alone.
 *
 * bigint		the number
 * timestamptz	microseconds, as above
 * text			in UTF-8
 * uuid			16 bytes
 * inet			address family (2: IPv4, 3: IPv6), length of the prefix, 0,
 *					length of the address, each a byte; the address
 * jsonb			the text form that it has where the encoding is UTF-8
 *
 * Text is hashed as it is stored where the database's encoding is SQL_ASCII,
 * and where it cannot be converted.
 *
 * So the hash depends on no setting, time zone, encoding or version, and can
 * be computed by others from what SELECT shows.
 */

#define DOMAIN			"apikeys audit seal 1"

/* Number of columns of an event that are hashed: the first ones. */
#define COLUMN_COUNT	10

static void
add_int64(AkBlake2b *hash, int64 number)
{
	uint64		bytes = pg_hton64((uint64) number);

	ak_crypto_blake2b_add(hash, &bytes, sizeof(bytes));
}

static void
add_length(AkBlake2b *hash, int32 length)
{
	uint32		bytes = pg_hton32((uint32) length);

	ak_crypto_blake2b_add(hash, &bytes, sizeof(bytes));
}

static void
add_bytes(AkBlake2b *hash, const void *bytes, size_t length)
{
	add_length(hash, (int32) length);
	ak_crypto_blake2b_add(hash, bytes, length);
}

static void
add_text(AkBlake2b *hash, const char *text, int length)
{
	int			encoding = GetDatabaseEncoding();
	char	   *converted;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
	{
		add_bytes(hash, text, length);
		return;
	}
	converted = ak_convert_to_utf8(text, length);
	if (converted)
	{
		add_bytes(hash, converted, strlen(converted));
		return;
	}

	/*
	 * No error, because one such text would keep all events from being sealed.  It is
	 * not the UTF-8 of another text with the same bytes.
	 */
	add_length(hash, -2);
	add_bytes(hash, text, length);
}

/* A member of an object, or with no name an element of an array. */
typedef struct Member
{
	char	   *name;			/* in UTF-8 */
	JsonbValue	value;
} Member;

/* As jsonb orders the names of an object. */
static int
compare_members(const void *a, const void *b)
{
	const char *left = ((const Member *) a)->name;
	const char *right = ((const Member *) b)->name;
	size_t		left_length = strlen(left);
	size_t		right_length = strlen(right);

	if (left_length != right_length)
		return left_length < right_length ? -1 : 1;
	return memcmp(left, right, left_length);
}

static char *
convert_string(const JsonbValue *string)
{
	return ak_convert_to_utf8(string->val.string.val, string->val.string.len);
}

/* Reads what is directly in a container; false if a name cannot be converted. */
static bool
read_members(JsonbContainer *container, Member **members, int *count)
{
	JsonbIterator *iterator = JsonbIteratorInit(container);
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *name = NULL;

	*count = 0;
	*members = palloc((JsonContainerSize(container) + 1) * sizeof(Member));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY && (name = convert_string(&value)) == NULL)
			return false;
		if (token == WJB_VALUE || token == WJB_ELEM)
			(*members)[(*count)++] = (Member) {name, value};
	}
	return true;
}

static bool append_container(StringInfo json, JsonbContainer *container);

static bool
append_value(StringInfo json, JsonbValue *value)
{
	char	   *string;

	switch (value->type)
	{
		case jbvNull:
			appendStringInfoString(json, "null");
			return true;
		case jbvBool:
			appendStringInfoString(json, value->val.boolean ? "true" : "false");
			return true;
		case jbvNumeric:
			appendStringInfoString(json,
								   DatumGetCString(DirectFunctionCall1(numeric_out,
																	   NumericGetDatum(value->val.numeric))));
			return true;
		case jbvString:
			string = convert_string(value);
			if (string)
				escape_json(json, string);
			return string != NULL;
		case jbvBinary:
			return append_container(json, value->val.binary.data);
		default:
			return false;
	}
}

/*
 * Appends the text form that a document has in a database whose encoding is UTF-8:
 * jsonb orders the names in an object by their bytes.  Returns false if a text in it
 * cannot be converted.
 */
static bool
append_container(StringInfo json, JsonbContainer *container)
{
	bool		is_object = JsonContainerIsObject(container);
	bool		is_alone = JsonContainerIsScalar(container);
	Member	   *members;
	int			count;

	check_stack_depth();
	if (!read_members(container, &members, &count))
		return false;
	if (is_object)
		qsort(members, count, sizeof(Member), compare_members);
	if (!is_alone)
		appendStringInfoChar(json, is_object ? '{' : '[');
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoString(json, ", ");
		if (is_object)
		{
			escape_json(json, members[i].name);
			appendStringInfoString(json, ": ");
		}
		if (!append_value(json, &members[i].value))
			return false;
	}
	if (!is_alone)
		appendStringInfoChar(json, is_object ? '}' : ']');
	return true;
}

static void
add_document(AkBlake2b *hash, Jsonb *document)
{
	int			encoding = GetDatabaseEncoding();
	StringInfoData json;

	initStringInfo(&json);
	if (encoding != PG_UTF8 && encoding != PG_SQL_ASCII &&
		append_container(&json, &document->root))
	{
		add_bytes(hash, json.data, json.len);
		return;
	}
	resetStringInfo(&json);
	(void) JsonbToCString(&json, &document->root, VARSIZE(document));
	add_text(hash, json.data, json.len);
}

static void
add_column(AkBlake2b *hash, Oid type, Datum value)
{
	bytea	   *bytes;
	text	   *string;

	switch (type)
	{
		case INT8OID:
		case TIMESTAMPTZOID:
			add_length(hash, sizeof(int64));
			add_int64(hash, DatumGetInt64(value));
			break;
		case UUIDOID:
			add_bytes(hash, DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case INETOID:
			bytes = DatumGetByteaPP(DirectFunctionCall1(inet_send, value));
			add_bytes(hash, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			break;
		case JSONBOID:
			add_document(hash, DatumGetJsonbP(value));
			break;
		case TEXTOID:
			string = DatumGetTextPP(value);
			add_text(hash, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
			break;
		default:
			elog(ERROR, "an event has a column of type %u", type);
	}
}

/* Begins the hash of the seal after this one. */
void
ak_audit_hash_begin(AkBlake2b *hash, const AkSeal *before)
{
	ak_crypto_blake2b_begin(hash);
	ak_crypto_blake2b_add(hash, DOMAIN, strlen(DOMAIN));
	ak_crypto_blake2b_add(hash, before->hash, sizeof(before->hash));
	add_int64(hash, before->id + 1);
}

/*
 * Adds an event, a row of audit_event.  Leaves memory allocated in the current
 * context.
 */
void
ak_audit_hash_event(AkBlake2b *hash, TupleTableSlot *event)
{
	slot_getsomeattrs(event, COLUMN_COUNT);
	for (int i = 0; i < COLUMN_COUNT; i++)
	{
		if (event->tts_isnull[i])
			add_length(hash, -1);
		else
			add_column(hash,
					   TupleDescAttr(event->tts_tupleDescriptor, i)->atttypid,
					   event->tts_values[i]);
	}
}

/* Returns the hash of the seal, all of whose other fields are set. */
void
ak_audit_hash_end(AkBlake2b *hash, const AkSeal *seal,
				  uint8 digest[AK_BLAKE2B_SIZE])
{
	add_int64(hash, seal->last_event);
	add_int64(hash, seal->event_count);
	add_int64(hash, seal->sealed_at);
	ak_crypto_blake2b_end(hash, digest);
}
