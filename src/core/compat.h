/*
 * compat.h
 *	  The differences between PostgreSQL 15, 16, 17 and 18: all other files
 *	  use the newest API. Include it after postgres.h.
 */
#ifndef AK_COMPAT_H
#define AK_COMPAT_H

#include "catalog/pg_database.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "postgres_ext.h"
#include "storage/buf_internals.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/tuplesort.h"

#if (PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000) && \
	!defined(AK_ANY_VERSION)
#error "apikeys supports PostgreSQL 15 to 18"
#endif

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else

/* Before 16, input functions could not report soft errors. */
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

/*
 * Takes a lock until the end of the transaction; returns false if it is not
 * available at once.
 */
static inline bool
ak_try_lock(const LOCKTAG *tag, LOCKMODE mode)
{
#if PG_VERSION_NUM >= 180000
	return LockAcquireExtended(tag, mode, false, true, false, NULL, false) !=
		LOCKACQUIRE_NOT_AVAIL;
#else
	return LockAcquireExtended(tag, mode, false, true, false, NULL) !=
		LOCKACQUIRE_NOT_AVAIL;
#endif
}

/* 16 has one function for all kinds of objects. */
static inline bool
ak_owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

/*
 * Memory for the "extra" value of a setting's check hook; the server frees it.
 */
static inline void *
ak_guc_malloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* The source of a setting's value. */
static inline GucSource
ak_setting_source(const char *name)
{
#if PG_VERSION_NUM >= 160000
	struct config_generic *setting = find_option(name, false, true, LOG);

	return setting ? setting->source : PGC_S_DEFAULT;
#else
	struct config_generic **settings = get_guc_variables();
	GucSource	source = PGC_S_DEFAULT;

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			source = settings[i]->source;
	return source;
#endif
}

/* Makes a lexer that resolves escapes in strings; palloc'd. */
static inline JsonLexContext *
ak_json_lexer(char *text, int length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, length,
										GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(text, length,
										GetDatabaseEncoding(), true);
#endif
}

/* Returns the next of the sorted values, palloc'd; false at the end. */
static inline bool
ak_tuplesort_get_datum(Tuplesortstate *sort, Datum *value)
{
	bool		isnull;

#if PG_VERSION_NUM >= 160000
	return tuplesort_getdatum(sort, true, true, value, &isnull, NULL);
#else
	return tuplesort_getdatum(sort, true, value, &isnull, NULL);
#endif
}

/* The identifier of a table's files, which 16 renamed. */
#if PG_VERSION_NUM >= 160000
#define ak_relation_locator(relation) ((relation)->rd_locator)
#else
#define ak_relation_locator(relation) ((relation)->rd_node)
#endif

/* A setting of the worker, for what 17 added. */
#if PG_VERSION_NUM >= 170000
#define AK_NO_TRANSACTION_TIMEOUT {"transaction_timeout", "0"},
#else
#define AK_NO_TRANSACTION_TIMEOUT
#endif

/* The number of the transaction, counted in this session. */
#if PG_VERSION_NUM >= 170000
#define ak_local_transaction() (MyProc->vxid.lxid)
#else
#define ak_local_transaction() (MyProc->lxid)
#endif

/* The number of the file that contains a table's rows. */
#if PG_VERSION_NUM >= 160000
#define ak_relation_file(relation) ((relation)->rd_locator.relNumber)
#else
#define ak_relation_file(relation) ((relation)->rd_node.relNode)
#endif

/* In bytes, on nearly all processors. */
#define AK_CACHE_LINE_SIZE	64

/* Prefetches an address; it need not be valid. */
#if defined(__GNUC__)
#define ak_prefetch(address) __builtin_prefetch(address)
#else
#define ak_prefetch(address) ((void) (address))
#endif

/*
 * The header of a shared buffer.  Its layout may change in any major version, so
 * an unknown version is not given these: there the page of a buffer is unknown,
 * and the locator finds nothing.
 */
#if PG_VERSION_NUM < 190000

/* Prefetches the header. */
static inline void
ak_buffer_prefetch(Buffer buffer)
{
	ak_prefetch(GetBufferDescriptor(buffer - 1));
}

/* The page that the buffer contains: a guess, because the header is not locked. */
static inline BlockNumber
ak_buffer_block(Buffer buffer)
{
	return GetBufferDescriptor(buffer - 1)->tag.blockNum;
}

/*
 * Counts a use of a pinned buffer, as ReadBuffer() does: otherwise pages that are
 * read all the time would be evicted.  If another process changes the state at
 * the same time, the use is not counted; that is good enough.
 */
static inline void
ak_buffer_count_use(Buffer buffer)
{
	BufferDesc *header = GetBufferDescriptor(buffer - 1);
	uint32		state = pg_atomic_read_u32(&header->state);

	if ((state & BM_LOCKED) == 0 &&
		BUF_STATE_GET_USAGECOUNT(state) < BM_MAX_USAGE_COUNT)
		(void) pg_atomic_compare_exchange_u32(&header->state, &state,
											  state + BUF_USAGECOUNT_ONE);
}
#else
#define ak_buffer_prefetch(buffer) ((void) (buffer))
#define ak_buffer_block(buffer) ((void) (buffer), InvalidBlockNumber)
#define ak_buffer_count_use(buffer) ((void) (buffer))
#endif

/* 19 has flags for the kind of a scan. */
#if PG_VERSION_NUM >= 190000
#define ak_table_beginscan(table, snapshot) \
	table_beginscan(table, snapshot, 0, NULL, 0)
#else
#define ak_table_beginscan(table, snapshot) \
	table_beginscan(table, snapshot, 0, NULL)
#endif

/* 18 can count what an index scan does, and 19 has flags for its kind. */
#if PG_VERSION_NUM >= 190000
#define ak_index_beginscan(table, index, snapshot, key_count) \
	index_beginscan(table, index, snapshot, NULL, key_count, 0, 0)
#elif PG_VERSION_NUM >= 180000
#define ak_index_beginscan(table, index, snapshot, key_count) \
	index_beginscan(table, index, snapshot, NULL, key_count, 0)
#else
#define ak_index_beginscan(table, index, snapshot, key_count) \
	index_beginscan(table, index, snapshot, key_count, 0)
#endif

/* Runs a query that was started, to its end; 18 always does so once. */
static inline void
ak_executor_run(QueryDesc *query)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(query, ForwardScanDirection, 0);
#else
	ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
}

/*
 * The identifier of an error, by which a program distinguishes errors.  It
 * is in the CONSTRAINT field, beside the SQLSTATE, and never changes.
 * doc/reference.md lists all identifiers.  PL/pgSQL sets it with RAISE ...
 * USING CONSTRAINT = '...'.
 */

/* For use inside ereport(). */
#define ak_errid(identifier) \
	err_generic_string(PG_DIAG_CONSTRAINT_NAME, (identifier))

#endif							/* AK_COMPAT_H */
