/*
 * import.c
 *	  Brings in the keys of a table, all of them or none.
 *
 * The source is the caller's: it may be a view, and run functions.  So it is read
 * as the caller, outside the door, some rows at a time; only values go behind
 * it (import_rows in sql/parts/52_import.sql).
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

/* Rows that are fetched at once, and rows and bytes of values that are passed on at once. */
#define FETCH_SIZE	200
#define BATCH_SIZE	10000
#define BATCH_BYTES	((Size) 16 * 1024 * 1024)

/* A column of the source, and how it goes to import_rows. */
typedef struct Column
{
	const char *name;
	Oid			type;
	const char *own_type;		/* another one that will do, of the extension */
	bool		is_required;
	Oid			passed_type;
	Oid			passed_array;
} Column;

static const Column columns[] = {
	{"public_key", TEXTOID, NULL, true, TEXTOID, TEXTARRAYOID},
	{"hash", TEXTOID, "secret_hash", true, TEXTOID, TEXTARRAYOID},
	{"description", TEXTOID, NULL, true, TEXTOID, TEXTARRAYOID},
	{"roles", TEXTARRAYOID, NULL, false, TEXTOID, TEXTARRAYOID},
	{"access_list", TEXTOID, "access_list", false, TEXTOID, TEXTARRAYOID},
	{"expires_at", TIMESTAMPTZOID, NULL, false, TIMESTAMPTZOID, TIMESTAMPTZARRAYOID}
};

#define COLUMN_COUNT lengthof(columns)

PG_FUNCTION_INFO_V1(apikeys_import_keys);
PG_FUNCTION_INFO_V1(apikeys_check_import);

/* --- The source ---------------------------------------------------------- */

static bool
has_right_type(const Column *column, Oid found)
{
	if (found == column->type)
		return true;
	return column->own_type &&
		found == GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
								 CStringGetDatum(column->own_type),
								 ObjectIdGetDatum(get_namespace_oid("apikeys", false)));
}

/* Adds the column, as it is passed on, to the list of a SELECT. */
static void
append_column(StringInfo query, Oid source, const Column *column)
{
	AttrNumber	number = get_attnum(source, column->name);
	const char *passed = format_type_be_qualified(column->passed_type);

	if (number <= 0 && column->is_required)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the source has no column \"%s\"", column->name),
				 errhint("Its columns are public_key, hash and description, all text, and optionally roles text[], access_list text and expires_at timestamptz."),
				 ak_errid("import_column_missing")));
	if (number <= 0)
	{
		appendStringInfo(query, "NULL::%s", passed);
		return;
	}
	if (!has_right_type(column, get_atttype(source, number)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the source must be of type %s",
						column->name, format_type_be(column->type)),
				 ak_errid("import_column_mismatch")));
	appendStringInfo(query, "s.%s::%s", quote_identifier(column->name), passed);
}

static char *
make_query(Oid source)
{
	StringInfoData query;
	char	   *table = get_rel_name(source);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the source does not exist"),
				 ak_errid("import_source_not_found")));
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT ");
	for (int i = 0; i < COLUMN_COUNT; i++)
	{
		if (i > 0)
			appendStringInfoString(&query, ", ");
		append_column(&query, source, &columns[i]);
	}
	appendStringInfo(&query, " FROM %s AS s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(source)),
												table));
	return query.data;
}

/* --- Rows ---------------------------------------------------------------- */

/* Rows that were fetched, to be passed on together, and their values by column. */
typedef struct Batch
{
	MemoryContext context;		/* of the values */
	ArrayBuildState *columns[COLUMN_COUNT];
	int64		first_row;		/* from 1 */
	int			count;
	Size		bytes;
} Batch;

/* Begins with no rows, after those that it has. */
static void
begin_batch(Batch *batch)
{
	MemoryContextReset(batch->context);
	for (int i = 0; i < COLUMN_COUNT; i++)
		batch->columns[i] = initArrayResult(columns[i].passed_type,
											batch->context, false);
	batch->first_row += batch->count;
	batch->count = 0;
	batch->bytes = 0;
}

/* Adds a row that was fetched. */
static void
add_row(Batch *batch, HeapTuple row)
{
	for (int i = 0; i < COLUMN_COUNT; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, i + 1,
										  &isnull);

		accumArrayResult(batch->columns[i], value, isnull,
						 columns[i].passed_type, batch->context);
		if (!isnull && columns[i].passed_type == TEXTOID)
			batch->bytes += toast_raw_datum_size(value);
	}
	batch->count++;
}

/* Passes the rows through the door. */
static void
import_rows(Datum organization, const Batch *batch)
{
	static AkStatement import = {
		"SELECT apikeys_internal.import_rows($1, $2, $3, $4, $5, $6, $7, $8)",
		2 + COLUMN_COUNT,
		{UUIDOID, INT8OID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID},
		.by_index = true
	};
	Datum		values[2 + COLUMN_COUNT];
	char		nulls[] = "        ";

	values[0] = organization;
	values[1] = Int64GetDatum(batch->first_row);
	for (int i = 0; i < COLUMN_COUNT; i++)
		values[2 + i] = makeArrayResult(batch->columns[i], batch->context);
	ak_owner_execute(&import, values, nulls);
}

/*
 * Imports all rows of the source, and returns how many; an empty one is refused
 * to a principal that could not import rows either.
 */
static int64
import_source(Datum organization, Oid source)
{
	Batch		batch = {
		.context = AllocSetContextCreate(CurrentMemoryContext, "apikeys import",
										 ALLOCSET_DEFAULT_SIZES),
		.first_row = 1
	};
	char	   *query = make_query(source);
	MemoryContext old;
	Portal		portal;
	bool		is_last;

	ak_identity_require_rights();
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, query, 0, NULL, NULL, NULL, false,
									   CURSOR_OPT_NO_SCROLL);
	begin_batch(&batch);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_SIZE);
		is_last = SPI_processed < FETCH_SIZE;
		for (uint64 i = 0; i < SPI_processed; i++)
			add_row(&batch, SPI_tuptable->vals[i]);
		SPI_freetuptable(SPI_tuptable);
		if (is_last || batch.count >= BATCH_SIZE || batch.bytes >= BATCH_BYTES)
		{
			old = MemoryContextSwitchTo(batch.context);
			import_rows(organization, &batch);
			MemoryContextSwitchTo(old);
			begin_batch(&batch);
		}
	} while (!is_last);
	SPI_cursor_close(portal);
	SPI_finish();
	return batch.first_row - 1;
}

static void
refuse_null(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null",
						PG_ARGISNULL(0) ? "organization" : "source"),
				 ak_errid("null_argument")));
}

Datum
apikeys_import_keys(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	PG_RETURN_INT64(import_source(PG_GETARG_DATUM(0), PG_GETARG_OID(1)));
}

/*
 * Imports in a subtransaction, and rolls that back.  An error inside is raised
 * again after the subtransaction has ended, as src/backend/access/transam/README
 * requires.
 */
Datum
apikeys_check_import(PG_FUNCTION_ARGS)
{
	MemoryContext old_context = CurrentMemoryContext;
	ResourceOwner old_owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	volatile int64 count = 0;

	refuse_null(fcinfo);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(old_context);
	PG_TRY();
	{
		count = import_source(PG_GETARG_DATUM(0), PG_GETARG_OID(1));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old_context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(old_context);
	CurrentResourceOwner = old_owner;
	if (error)
		ReThrowError(error);
	PG_RETURN_INT64(count);
}
