/*
 * compat.h
 *	  What differs between PostgreSQL 15, 16, 17 and 18, so that all other
 *	  files speak the newest one's language.  Include it after postgres.h.
 */
#ifndef AK_COMPAT_H
#define AK_COMPAT_H

#include "catalog/pg_database.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
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

/* Input functions could not report an error softly before 16. */
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

/* Takes a lock until the end of the transaction; false if it cannot at once. */
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

/* 16 has one function for objects of all kinds. */
static inline bool
ak_owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

/* Memory for what the check of a setting hands on, which the server frees. */
static inline void *
ak_guc_malloc(size_t size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

/* Where the value of a setting comes from. */
static inline GucSource
ak_setting_source(const char *name)
{
#if PG_VERSION_NUM >= 160000
	struct config_generic *setting = find_option(name, false, true, LOG);

	return setting ? setting->source : PGC_S_DEFAULT;
#else
	struct config_generic **settings = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
		if (strcmp(settings[i]->name, name) == 0)
			return settings[i]->source;
	return PGC_S_DEFAULT;
#endif
}

/* A lexer that takes escapes out of strings; palloc'd. */
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

/* The next of the sorted values, palloc'd; false at the end. */
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

/* What a table's pages are filed under; 16 has named it anew. */
#if PG_VERSION_NUM >= 160000
#define ak_relation_locator(relation) ((relation)->rd_locator)
#else
#define ak_relation_locator(relation) ((relation)->rd_node)
#endif

/* The number of the transaction, counted in this session. */
#if PG_VERSION_NUM >= 170000
#define ak_local_transaction() (MyProc->vxid.lxid)
#else
#define ak_local_transaction() (MyProc->lxid)
#endif

/* The name of the file that a table's rows are in. */
#if PG_VERSION_NUM >= 160000
#define ak_relation_file(relation) ((relation)->rd_locator.relNumber)
#else
#define ak_relation_file(relation) ((relation)->rd_node.relNode)
#endif

/* Has the processor fetch the memory at an address, be it none of ours. */
#if defined(__GNUC__)
#define ak_prefetch(address) __builtin_prefetch(address)
#else
#define ak_prefetch(address) ((void) (address))
#endif

/* 18 can count what an index scan does. */
#if PG_VERSION_NUM >= 180000
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

#endif							/* AK_COMPAT_H */
