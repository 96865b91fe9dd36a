/*
 * tables.h
 *	  The OIDs of the extension's tables and indexes, and locks on the tables.
 */
#ifndef AK_TABLES_H
#define AK_TABLES_H

#include "postgres.h"

#include "storage/lockdefs.h"
#include "utils/relcache.h"

typedef enum AkTable
{
	AK_ORGANIZATION,
	AK_PROJECT,
	AK_ROLE,
	AK_MEMBER,
	AK_KEY,
	AK_KEY_ROLE,
	AK_KEY_SECRET,
	AK_KEY_USAGE,
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
	AK_MEMBER_BY_USER,
	AK_MEMBER_BY_ROLE,
	AK_KEY_BY_NAME,
	AK_KEY_BY_ORGANIZATION,
	AK_KEY_ROLE_BY_KEY,
	AK_KEY_ROLE_BY_PROJECT,
	AK_KEY_SECRET_BY_KEY,
	AK_KEY_USAGE_BY_KEY,
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
extern bool ak_extension_is_being_created(void);
extern Relation ak_table_open(AkTable table, LOCKMODE mode);
extern Oid	ak_index_oid(AkIndex index);

#endif							/* AK_TABLES_H */
