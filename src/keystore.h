/*
 * keystore.h
 *	  Reads the extension's tables by index, whoever is asking.
 *
 * A keystore sees the latest committed state and the transaction's own
 * changes, whatever the isolation level (in a parallel plan, where no new
 * snapshot can be taken, it sees what the statement sees).  It takes
 * AccessShareLocks on the tables, which go with each scan, and waits for no
 * lock on a row.
 *
 * It asks for no privilege: whoever lets a user in here has decided that he
 * may learn the answer.
 */
#ifndef AK_KEYSTORE_H
#define AK_KEYSTORE_H

#include "postgres.h"

#include "access/htup.h"
#include "access/skey.h"
#include "access/tupdesc.h"
#include "datatype/timestamp.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

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
	AK_DELETED_KEY,
	AK_TABLE_COUNT
} AkTable;

typedef enum AkIndex
{
	AK_ORGANIZATION_BY_ID,
	AK_PROJECT_BY_ID,
	AK_PROJECT_BY_ORGANIZATION,
	AK_ROLE_BY_NAME,
	AK_MEMBER_BY_PRINCIPAL,
	AK_MEMBER_BY_ORGANIZATION,
	AK_MEMBER_BY_PROJECT,
	AK_KEY_BY_NAME,
	AK_KEY_ROLE_BY_KEY,
	AK_KEY_SECRET_BY_KEY,
	AK_DELETED_KEY_BY_NAME,
	AK_INDEX_COUNT
} AkIndex;

typedef struct AkKeystore
{
	Snapshot	snapshot;
	bool		registered;
} AkKeystore;

/* A row of table key; access_list is NULL or palloc'd, perhaps toasted. */
typedef struct AkKey
{
	pg_uuid_t	organization_id;
	bool		disabled;
	bool		expires;
	TimestampTz expires_at;
	struct varlena *access_list;
} AkKey;

/* A row of member or of key_role; role points into the scanned tuple. */
typedef struct AkGrant
{
	pg_uuid_t	organization_id;
	bool		has_project;
	pg_uuid_t	project_id;
	text	   *role;
} AkGrant;

/* A row of key_secret; hash points into the scanned tuple. */
typedef struct AkSecret
{
	struct varlena *hash;
	bool		expires;
	TimestampTz expires_at;
} AkSecret;

/* What scans call for each row; they stop when it answers false. */
typedef bool (*AkGrantCallback) (const AkGrant *grant, void *argument);
typedef bool (*AkSecretCallback) (const AkSecret *secret, void *argument);
typedef bool (*AkIdCallback) (const pg_uuid_t *id, void *argument);
typedef bool (*AkTupleCallback) (HeapTuple tuple, TupleDesc descriptor,
								 void *argument);

extern void ak_keystore_init(void);
extern void ak_keystore_open(AkKeystore *store);
extern void ak_keystore_close(AkKeystore *store);
extern Oid	ak_keystore_table_oid(AkTable table);
extern void ak_keystore_scan(AkKeystore *store, AkTable table, AkIndex index,
							 int key_count, ScanKey keys,
							 AkTupleCallback callback, void *argument);

extern bool ak_keystore_find_key(AkKeystore *store, text *public_key,
								 bool with_access_list, AkKey *key);
extern bool ak_keystore_was_deleted(AkKeystore *store, text *public_key);
extern void ak_keystore_scan_secrets(AkKeystore *store, text *public_key,
									 AkSecretCallback callback,
									 void *argument);
extern void ak_keystore_scan_key_roles(AkKeystore *store, text *public_key,
									   AkGrantCallback callback,
									   void *argument);
extern void ak_keystore_scan_members(AkKeystore *store, text *principal,
									 AkGrantCallback callback,
									 void *argument);
extern void ak_keystore_scan_projects(AkKeystore *store,
									  const pg_uuid_t *organization,
									  AkIdCallback callback, void *argument);
extern bool ak_keystore_requires_access_list(AkKeystore *store,
											 const pg_uuid_t *organization);
extern bool ak_keystore_project_belongs(AkKeystore *store,
										const pg_uuid_t *project,
										const pg_uuid_t *organization);
extern bool ak_keystore_is_new(AkKeystore *store,
							   const pg_uuid_t *organization,
							   const pg_uuid_t *project);

#endif							/* AK_KEYSTORE_H */
