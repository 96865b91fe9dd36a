/*
 * base.h
 *	  What all other folders build on: settings, tables and their indexes,
 *	  acting as the owner, triggers, rules for names.
 */
#ifndef AK_BASE_H
#define AK_BASE_H

#include "postgres.h"

#include "core/netset.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "storage/buf.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* --- settings.c ---------------------------------------------------------- */

extern char *ak_token_prefix;
extern bool ak_track_usage;
extern bool ak_notify;
extern int	ak_usage_flush_interval;	/* milliseconds */
extern int	ak_usage_max_entries;
extern int	ak_limit_max_entries;
extern int	ak_limit_overflow_denies;	/* 0: no */
extern double ak_limit_share;
extern int	ak_usage_retention;	/* minutes */
extern char *ak_usage_primary_conninfo;
extern int	ak_locator_size;	/* in kB */
extern char *ak_api_key_header;
extern int	ak_token_max_lifetime;	/* in seconds */
extern int	ak_digest_nonce_lifetime;	/* in seconds */
extern int	ak_wrong_secret_limit;	/* a minute; 0: none */

/* Whether the library is in shared_preload_libraries. */
extern bool ak_is_preloaded;

extern void ak_settings_define(void);
extern void ak_require_preload(void);
extern void ak_trusted_proxies_view(AkNetset *proxies);

/* --- tables.c ------------------------------------------------------------ */

typedef enum AkTable
{
	AK_ORGANIZATION,
	AK_PROJECT,
	AK_ROLE,
	AK_MEMBER,
	AK_KEY,
	AK_KEY_ROLE,
	AK_KEY_SECRET,
	AK_KEY_NETWORK,
	AK_KEY_USAGE,
	AK_KEY_ROLE_USAGE,
	AK_KEY_DENIAL,
	AK_KEY_HISTORY,
	AK_KEY_DAY,
	AK_USAGE_FLUSH,
	AK_KEY_IMAGE,
	AK_DELETED_KEY,
	AK_AUDIT_EVENT,
	AK_AUDIT_SEAL,
	AK_AUDIT_CHAIN,
	AK_KEY_LIMIT,
	AK_ORGANIZATION_LIMIT,
	AK_QUOTA_USAGE,
	AK_TOKEN_KEY,
	AK_TABLE_COUNT
} AkTable;

/* An element of a set of tables. */
#define AK_TABLE_BIT(table) (1u << (table))

typedef enum AkIndex
{
	AK_ORGANIZATION_BY_ID,
	AK_PROJECT_BY_ID,
	AK_PROJECT_BY_ORGANIZATION,
	AK_ROLE_BY_ID,
	AK_ROLE_BY_ORGANIZATION,
	AK_MEMBER_BY_USER,
	AK_MEMBER_BY_ROLE,
	AK_KEY_BY_NAME,
	AK_KEY_BY_ORGANIZATION,
	AK_KEY_ROLE_BY_KEY,
	AK_KEY_ROLE_BY_PROJECT,
	AK_KEY_SECRET_BY_KEY,
	AK_KEY_USAGE_BY_KEY,
	AK_KEY_ROLE_USAGE_BY_KEY,
	AK_USAGE_FLUSH_BY_INSTANCE,
	AK_KEY_IMAGE_BY_NAME,
	AK_DELETED_KEY_BY_NAME,
	AK_AUDIT_EVENT_BY_ID,
	AK_AUDIT_SEAL_BY_ID,
	AK_QUOTA_USAGE_BY_SUBJECT,
	AK_TOKEN_KEY_BY_ID,
	AK_INDEX_COUNT
} AkIndex;

extern void ak_tables_init(void);
extern void ak_tables_lock(uint32 tables);
extern Oid	ak_table_oid(AkTable table);
extern Oid	ak_table_with_rules(void);
extern Oid	ak_table_owner(Oid table);
extern bool ak_table_has_rules(Relation table);
extern bool ak_extension_is_being_created(void);
extern Relation ak_table_open(AkTable table, LOCKMODE mode);
extern Oid	ak_index_oid(AkIndex index);

typedef struct AkIndexScan
{
	Relation	table;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	Buffer		map_buffer;		/* a page of the visibility map */
} AkIndexScan;

extern void ak_index_scan_text_key(ScanKey key, text *value);
extern void ak_index_scan_uuid_key(ScanKey key, const pg_uuid_t *value);
extern void ak_index_scan_oid_key(ScanKey key, Oid value);

extern void ak_index_scan_open(Snapshot snapshot, AkTable table, AkIndex index,
							   ScanKey key, bool index_only,
							   AkIndexScan *scan);
extern void ak_index_scan_close(AkIndexScan *scan);
extern void ak_index_scan_begin(Snapshot snapshot, AkIndex index, ScanKey key,
								bool index_only, AkIndexScan *scan);
extern void ak_index_scan_open_for(Snapshot snapshot, AkTable table,
								   AkIndex index, ScanKey keys, int count,
								   AkIndexScan *scan);
extern void ak_index_scan_end(AkIndexScan *scan);

extern bool ak_index_scan_next_row(AkIndexScan *scan);
extern bool ak_index_scan_next_entry(AkIndexScan *scan);
extern Datum ak_index_scan_column(AkIndexScan *scan, AttrNumber column,
								  bool *isnull);

extern Datum ak_make_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/* --- names.c ------------------------------------------------------------- */

/* In bytes; a public key is not longer. */
#define AK_PUBLIC_KEY_MAX_SIZE	128

extern int	ak_compare_texts(const void *a, const void *b);
extern char *ak_convert_to_utf8(const char *bytes, size_t size);
extern char *ak_role_name(Oid role, bool missing_ok);
extern bool ak_is_name(const text *candidate);
extern bool ak_is_principal(const text *candidate);
extern bool ak_is_permission(const text *candidate);
extern void ak_check_scope(const text *scope);
extern void ak_check_scopes(const text *scopes);

/* --- owner.c ------------------------------------------------------------- */

/*
 * The state to restore when the code acts as its caller again.  It is on the
 * stack of the function that began the section.
 */
typedef struct AkOwner
{
	struct AkOwner *outer;
	MemoryContext context;		/* the caller's */
	Oid			owner;
	Oid			caller;
	int			caller_context;
	int			settings_level; /* 0: no setting was changed */
	int			others;			/* functions that are not the extension's and run */
} AkOwner;

extern void ak_owner_init(void);
extern void ak_set_locally(const char *name, const char *value);
extern void ak_owner_begin(AkOwner *owner, Oid as_role, bool by_index);
extern void ak_owner_end(AkOwner *owner, bool is_error);
extern bool ak_owner_is_acting(void);
extern bool ak_owner_is_own_code(void);
extern bool ak_owner_is_run_for_others(void);
extern bool ak_owner_is_under_way(void);
extern Oid	ak_owner_caller(void);
extern void ak_plan_by_index(void);

/*
 * A statement with the types of its arguments, to be a static variable: the
 * plan is made once in a session, independent of the values.
 */
typedef struct AkStatement
{
	const char *sql;
	int			argument_count;
	Oid			types[13];

	bool		by_index;		/* see ak_plan_by_index(); set by the door */

	/*
	 * An INSERT that fires no triggers, not even those of foreign keys: see
	 * ak_quiet_insert().
	 */
	bool		is_quiet;
	struct _SPI_plan *plan;
} AkStatement;

extern uint64 ak_owner_execute(AkStatement *statement, Datum *values,
							   const char *nulls);
extern uint64 ak_owner_execute_at(Snapshot snapshot, AkStatement *statement,
								  Datum *values, const char *nulls);
extern bool ak_owner_get_int64(AkStatement *statement, Datum *values,
							   int64 *result);

/* --- quiet_insert.c ------------------------------------------------------ */

extern void ak_quiet_insert(SPIPlanPtr plan, Datum *values,
							const char *nulls);

/* --- references.c -------------------------------------------------------- */

extern void ak_references_check_new(Oid constraint);
extern void ak_triggers_check_new(Oid trigger);
extern void ak_rules_check_new(Oid rule);
extern void ak_rules_check(void);
extern void ak_references_check(const ResultRelInfo *target, int16 events,
								const Bitmapset *changed,
								Oid extension_owner, bool is_in_trigger);

/* --- trigger.c ----------------------------------------------------------- */

extern TriggerData *ak_trigger_get(FunctionCallInfo fcinfo, uint32 tables);
extern Datum ak_trigger_get_column(const TriggerData *trigger, HeapTuple row,
								   int column, bool *isnull);
extern bool ak_trigger_all_are_own(AkTable table);

/* Called with an array of text: some of the keys, in ascending order. */
typedef void (*AkKeysCallback) (Datum keys, const TriggerData *trigger);

extern void ak_changed_keys_each(const TriggerData *trigger,
								 AkKeysCallback callback);

#endif							/* AK_BASE_H */
