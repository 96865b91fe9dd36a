/*
 * usage_primary.c
 *	  Sends the batches of a standby's worker to the primary, and takes them there.
 *
 * An ordinary libpq connection to the database of the same name, as set in
 * apikeys.usage_primary_conninfo.  Only this file waits for the network, never
 * inside a transaction, and no wait delays a shutdown for more than some
 * seconds.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "core/reason.h"
#include "usage/limits.h"

#include "catalog/pg_type.h"
#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define TIMEOUT_MS				30000
#define SHUTDOWN_TIMEOUT_MS		3000

/*
 * libpq goes on to the next of several hosts when the kernel gives one up:
 * PQconnectPoll ignores connect_timeout.
 */
#define SILENT_HOST_TIMEOUT_MS	"8000"

PG_FUNCTION_INFO_V1(apikeys_merge_usage);
PG_FUNCTION_INFO_V1(apikeys_settle_usage);

static PGconn *connection = NULL;

/*
 * Waits until the socket can be read or written (WL_SOCKET_...), but no longer
 * than a moment; returns whether it can. Raises 08006 if the time since
 * "begin" has expired.
 */
static bool
wait_for_socket(int event, int64 begin)
{
	int			timeout = ShutdownRequestPending ? SHUTDOWN_TIMEOUT_MS :
		TIMEOUT_MS;
	int			occurred;

	if (ak_clock_ms() - begin > timeout)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the primary does not answer in time")));
	occurred = WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_TIMEOUT |
								 WL_EXIT_ON_PM_DEATH | event,
								 PQsocket(connection), SHUTDOWN_TIMEOUT_MS / 3,
								 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	return (occurred & event) != 0;
}

/*
 * Sends the rest of a query.  Reads the primary's output meanwhile, because
 * otherwise both sides could wait for each other.  Returns false if the
 * connection fails.
 */
static bool
send_all(int64 begin)
{
	int			left;

	while ((left = PQflush(connection)) > 0)
	{
		wait_for_socket(WL_SOCKET_WRITEABLE | WL_SOCKET_READABLE, begin);
		if (!PQconsumeInput(connection))
			return false;
	}
	return left == 0;
}

/*
 * Returns the next result of a query, or NULL at the end.  Also waits for the
 * latch, while libpq would wait for the socket alone.
 */
static PGresult *
get_result(int64 begin)
{
	while (PQisBusy(connection))
	{
		wait_for_socket(WL_SOCKET_READABLE, begin);
		if (!PQconsumeInput(connection))
			break;
	}
	return PQgetResult(connection);
}

/*
 * Executes a query that returns one row and one column; the text is palloc'd.
 * Raises 08006 if that fails.
 */
static char *
query(const char *sql, int count, const char *const *parameters)
{
	int64		begin = ak_clock_ms();
	PGresult   *result = NULL;
	char	   *text = NULL;

	if (PQsendQueryParams(connection, sql, count, NULL, parameters, NULL, NULL,
						  0) &&
		send_all(begin))
		result = get_result(begin);
	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
		text = pstrdup(PQgetvalue(result, 0, 0));
	PQclear(result);
	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not send usage to the primary"),
				 errdetail_internal("%s",
									pchomp(PQerrorMessage(connection)))));
	/* NULL: the end of the query's results. */
	PQclear(get_result(begin));
	return text;
}

/* Closes the connection, if there is one. */
void
ak_usage_primary_disconnect(void)
{
	if (connection)
		PQfinish(connection);
	connection = NULL;
}

/*
 * Raises 55000 if the database of that name is another one there: this server has
 * not replayed yet that databases were renamed.
 */
static void
check_database(void)
{
	char	   *oid = query("SELECT d.oid FROM pg_catalog.pg_database AS d "
							"WHERE d.datname OPERATOR(pg_catalog.=) "
							"pg_catalog.current_database()", 0, NULL);

	if (strtoul(oid, NULL, 10) != MyDatabaseId)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the primary has another database of the same name"),
				 errhint("This ends when the standby has replayed what was renamed.")));
	pfree(oid);
}

/*
 * Connects to a database of the primary.  Raises 08001 if that fails, and 55000 if
 * it is another database; a caller that catches an error disconnects.
 */
void
ak_usage_primary_connect(const char *database)
{
	/*
	 * The second dbname is that of the database; the first is expanded, and
	 * goes before what precedes it.
	 */
	const char *keywords[] = {
		"tcp_user_timeout", "dbname", "dbname", "fallback_application_name",
		"client_encoding", NULL
	};
	const char *values[] = {
		SILENT_HOST_TIMEOUT_MS, ak_usage_primary_conninfo, database, "apikeys",
		GetDatabaseEncodingName(), NULL
	};
	int64		begin = ak_clock_ms();
	PostgresPollingStatusType status;
	PQconninfoOption *options;

	ak_usage_primary_disconnect();
	/* What libpq says of a string that it cannot read may have a password in it. */
	options = PQconninfoParse(ak_usage_primary_conninfo, NULL);
	if (options == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("apikeys.usage_primary_conninfo is not a valid connection string")));
	PQconninfoFree(options);
	connection = PQconnectStartParams(keywords, values, 1);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	status = PQstatus(connection) == CONNECTION_BAD ?
		PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
	while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED)
	{
		/* Before its turn PQconnectPoll would wait itself, for the socket alone. */
		if (wait_for_socket(status == PGRES_POLLING_READING ?
							WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE, begin))
			status = PQconnectPoll(connection);
	}
	if (status == PGRES_POLLING_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not connect to the primary to send usage"),
				 errdetail_internal("%s",
									pchomp(PQerrorMessage(connection)))));

	/* Sending a batch must not block either. */
	if (PQsetnonblocking(connection, 1) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not connect to the primary to send usage"),
				 errdetail_internal("%s",
									pchomp(PQerrorMessage(connection)))));

	/*
	 * The session there ends before this worker gives up, so it cannot add the
	 * batch later; and soon if this worker has ended, and holds no rows then.  As
	 * no timeout ends a wait for a synchronous standby, it waits for none.  What the
	 * database there has set must not keep batches from being read and added.
	 */
	query("SELECT pg_catalog.concat("
		  "pg_catalog.set_config('lock_timeout', '20s', false), "
		  "pg_catalog.set_config('statement_timeout', '25s', false), "
		  "pg_catalog.set_config('synchronous_commit', 'local', false), "
		  "pg_catalog.set_config('array_nulls', 'on', false), "
		  "pg_catalog.set_config('default_transaction_read_only', 'off', false), "
		  "pg_catalog.set_config('client_connection_check_interval', '1s', "
		  "false))", 0, NULL);
	check_database();
}

/*
 * The same as query(), with a batch as the parameters: its instance, its
 * number, and its columns in their text form.
 */
static char *
query_batch(const char *sql, const pg_uuid_t *instance, uint64 number,
			const char *const *columns, int count)
{
	Datum		uuid = DirectFunctionCall1(uuid_out, UUIDPGetDatum(instance));
	const char *parameters[2 + AK_BATCH_COLUMN_COUNT] = {
		DatumGetCString(uuid), psprintf(UINT64_FORMAT, number)
	};

	for (int column = 0; column < count; column++)
		parameters[2 + column] = columns[column];
	return query(sql, 2 + count, parameters);
}

/*
 * Returns whether the primary has added a batch; if not, it never will.  Waits
 * for a session there that is adding it.
 */
bool
ak_usage_primary_settle(const pg_uuid_t *instance, uint64 number)
{
	return strcmp(query_batch("SELECT apikeys.settle_usage($1, $2)",
							  instance, number, NULL, 0), "t") == 0;
}

/* Returns the text form of a batch; in a transaction. */
void
ak_usage_primary_format(const AkBatch *batch, AkTextBatch *text)
{
	for (int i = 0; i < AK_BATCH_COLUMN_COUNT; i++)
		text->columns[i] = OidOutputFunctionCall(F_ARRAY_OUT,
												 batch->columns[i]);
}

/*
 * Adds a batch to the primary's tables, unless it was already added.  Returns
 * the text form of an int4 array: the rows that were left out because the key
 * does not exist.
 */
char *
ak_usage_primary_merge(const pg_uuid_t *instance, uint64 number,
					   const AkTextBatch *batch)
{
	return query_batch("SELECT apikeys.merge_usage($1, $2, $3, $4, $5, $6, "
					   "$7, $8, $9, $10, $11, $12, $13, $14)",
					   instance, number, batch->columns,
					   AK_BATCH_COLUMN_COUNT);
}

/*
 * Adds a batch of quotas, AK_QUOTA_COLUMN_COUNT arrays in their text form, to the
 * primary's table, unless it has done that before.
 */
void
ak_usage_primary_merge_quotas(const pg_uuid_t *instance, uint64 number,
							  const char *const *columns)
{
	query_batch("SELECT apikeys.merge_quota_usage($1, $2, $3, $4, $5, $6)",
				instance, number, columns, AK_QUOTA_COLUMN_COUNT);
}

/* --- On the primary, for the workers of standbys -------------------------- */

/* Raises 22023 with a message about what no batch contains. */
static void
refuse(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 ak_errid("invalid_batch")));
}

/* Raises 22023 for a count or a cost that is null or negative. */
static void
check_counts(Datum column)
{
	Datum	   *counts;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(column), INT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &counts, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || DatumGetInt64(counts[i]) < 0)
			refuse("a count must not be null or negative");
}

/* Raises 22023 for a reason of no denial; NULL stands for uses. */
static void
check_reasons(Datum column)
{
	Datum	   *reasons;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(column), TEXTOID, -1, false,
					  TYPALIGN_INT, &reasons, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		AkReason	reason = nulls[i] ? AK_WRONG_SECRET :
			ak_reason_of_name(TextDatumGetCString(reasons[i]));

		if (reason == AK_OK || reason == AK_REASON_COUNT)
			refuse("a reason must be one of denials");
	}
}

/*
 * Raises 22023 for a time that is further ahead than AK_MAX_CLOCK_SKEW: such a last use
 * would hide all later ones, and such an hour would never be old enough to be deleted.
 * Hours must be whole, and may be null.
 */
static void
check_times(Datum column, bool are_hours)
{
	TimestampTz end = GetCurrentTimestamp() + AK_MAX_CLOCK_SKEW;
	Datum	   *times;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(column), TIMESTAMPTZOID, 8,
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &times, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		TimestampTz time = DatumGetTimestampTz(times[i]);

		if (nulls[i] && !are_hours)
			refuse("a time must not be null");
		if (!nulls[i] && (TIMESTAMP_NOT_FINITE(time) || time > end))
			refuse("a time must not be infinite or more than a week ahead");
		if (!nulls[i] && are_hours && time % AK_HOUR != 0)
			refuse("an hour must be a whole one");
	}
}

Datum
apikeys_merge_usage(PG_FUNCTION_ARGS)
{
	AkBatch		batch;
	Datum	   *versions;
	bool	   *null_versions;
	int			version_count;

	ak_require_preload();
	ak_refuse_own_instance(PG_GETARG_UUID_P(0));
	for (int column = 0; column < AK_BATCH_COLUMN_COUNT; column++)
	{
		ArrayType  *array = PG_GETARG_ARRAYTYPE_P(2 + column);
		int			count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

		batch.columns[column] = PG_GETARG_DATUM(2 + column);
		if (column == 0)
			batch.count = count;
		else if (count != batch.count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("the arrays differ in length"),
					 ak_errid("invalid_batch")));
	}
	check_counts(batch.columns[AK_BATCH_COUNTS]);
	check_counts(batch.columns[AK_BATCH_HOUR_COUNTS]);
	check_counts(batch.columns[AK_BATCH_COSTS]);
	check_reasons(batch.columns[AK_BATCH_REASONS]);
	check_times(batch.columns[AK_BATCH_TIMES], false);
	check_times(batch.columns[AK_BATCH_HOURS], true);
	deconstruct_array(DatumGetArrayTypeP(batch.columns[AK_BATCH_VERSIONS]),
					  INT4OID, 4, true, TYPALIGN_INT,
					  &versions, &null_versions, &version_count);
	for (int i = 0; i < version_count; i++)
		if (!null_versions[i] && DatumGetInt32(versions[i]) < 0)
			refuse("a version must not be negative");
	PG_RETURN_ARRAYTYPE_P(ak_usage_merge(PG_GETARG_UUID_P(0),
										 PG_GETARG_INT64(1), &batch));
}

Datum
apikeys_settle_usage(PG_FUNCTION_ARGS)
{
	ak_require_preload();
	ak_refuse_own_instance(PG_GETARG_UUID_P(0));
	PG_RETURN_BOOL(ak_usage_settle(PG_GETARG_UUID_P(0), PG_GETARG_INT64(1)));
}
