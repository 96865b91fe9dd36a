/*
 * audit_hash.c
 *	  See audit_hash.h.
 */
#include "postgres.h"

#include "audit/audit_hash.h"
#include "core/compat.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

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

/*
 * Returns text in UTF-8, palloc'd; NULL if it is UTF-8 already or cannot be
 * converted.  The latter is not an error, because one such text would keep all
 * events from being sealed.
 */
static char *
convert_text(const char *text, int length)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion;
	char	   *converted;
	int			room;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII ||
		length > (PG_INT32_MAX - 1) / MAX_CONVERSION_GROWTH)
		return NULL;
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return NULL;
	room = length * MAX_CONVERSION_GROWTH + 1;
	converted = palloc_extended(room, MCXT_ALLOC_HUGE);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8,
									  (unsigned char *) unconstify(char *, text),
									  length, (unsigned char *) converted,
									  room, true) != length)
		return NULL;
	return converted;
}

static void
add_text(AkBlake2b *hash, const char *text, int length)
{
	char	   *converted = convert_text(text, length);

	if (converted)
		add_bytes(hash, converted, strlen(converted));
	else
		add_bytes(hash, text, length);
}

static void
add_jsonb(AkBlake2b *hash, Jsonb *value)
{
	StringInfoData text;

	initStringInfo(&text);
	(void) JsonbToCString(&text, &value->root, VARSIZE(value));
	add_text(hash, text.data, text.len);
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
			add_jsonb(hash, DatumGetJsonbP(value));
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
