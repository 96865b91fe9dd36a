/*
 * keystore.h
 *	  Reads the extension's tables by index, for any caller.
 *
 * A keystore sees the latest committed state and the transaction's own
 * changes, in any isolation level (in a parallel plan, where no new snapshot
 * can be taken, it sees what the statement sees). Before it takes its snapshot
 * it locks the tables that it will read (ak_tables_lock()). It waits for no
 * row lock.
 *
 * It checks no privileges: callers do.
 */
#ifndef AK_KEYSTORE_H
#define AK_KEYSTORE_H

#include "postgres.h"

#include "base/index_scan.h"
#include "base/tables.h"
#include "store/image.h"
#include "store/limit.h"

#include "storage/buf.h"
#include "utils/array.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/*
 * Identifies what a snapshot sees: two equal views see the same rows.  The
 * view of a snapshot in a parallel plan is unknown, and equal to no other.
 */
typedef struct AkView
{
	uint64		completed;		/* number of ended transactions; 0: unknown */
	TransactionId own;			/* this transaction, if it has written */
	CommandId	command;
} AkView;

typedef struct AkKeystore
{
	Snapshot	snapshot;
	bool		registered;
	AkView		view;

	/* ak_locator_hash() of the key of the image that it was opened for. */
	uint64		image_hash;

	/* Pinned while an image is in use. */
	Buffer		image_buffer;

	/* Whether the index was used for it. */
	bool		image_is_by_index;
} AkKeystore;

/*
 * The version of a row whose contents are cached, for ak_keystore_sees(). A
 * version never changes: a changed row is another version.
 */
typedef struct AkRowVersion
{
	AkView		view;			/* the last view known to see it */
	Oid			file;			/* of the table; InvalidOid: only the view */
	Buffer		buffer;			/* that the row was in */
	ItemPointerData tid;
	TransactionId writer;
} AkRowVersion;

/* The policy of an organization for its keys. */
typedef struct AkPolicy
{
	bool		require_access_list;
	bool		limits_lifetime;
	Interval	max_key_lifetime;	/* if limits_lifetime */
	struct varlena *access_list;	/* NULL: any address */
	struct varlena *stored_limits;	/* their images */
	const AkLimit *limits;		/* its own, and its default for keys; by
								 * ak_policy_get() */
	int			limit_count;
	TransactionId writer;		/* who wrote the row */
} AkPolicy;

/*
 * A row of member or of key_role, of the latter without the organization (it
 * is the key's); name points into what is scanned.
 */
typedef struct AkGrant
{
	pg_uuid_t	organization_id;
	bool		has_project;
	pg_uuid_t	project_id;
	bool		is_permission;	/* name is a permission, and no role */
	AkBytes		name;
} AkGrant;

/* Callbacks for each row of a scan; checks end the scan by returning false. */
typedef void (*AkGrantCallback) (const AkGrant *grant, void *argument);
typedef bool (*AkGrantCheck) (const AkGrant *grant, void *argument);
typedef void (*AkIdCallback) (const pg_uuid_t *id, void *argument);
typedef void (*AkNameCallback) (text *name, void *argument);

/* A row of role; all pointers are into the scanned row. */
typedef struct AkRoleRow
{
	ArrayType  *organization_permissions;
	ArrayType  *project_permissions;
} AkRoleRow;
typedef void (*AkRoleCallback) (const AkRoleRow *role, void *argument);

extern bool ak_keystore_sees(AkKeystore *store, AkTable table,
							 AkRowVersion *version);
extern void ak_keystore_note_version(const AkKeystore *store,
									 const AkIndexScan *scan,
									 AkRowVersion *version);

extern void ak_keystore_open(AkKeystore *store, uint32 tables);
extern void ak_keystore_open_for_image(AkKeystore *store, uint64 image_hash,
									   uint32 tables);
extern void ak_keystore_close(AkKeystore *store);

extern bool ak_keystore_find_image(AkKeystore *store, text *public_key,
								   AkImage *image);
extern void ak_keystore_search_in_vain(AkKeystore *store, text *public_key);
extern void ak_keystore_read_in_vain(AkKeystore *store);
extern bool ak_keystore_find_any_image(AkKeystore *store, text *public_key,
									   AkImage *image);
extern bool ak_keystore_find_key(AkKeystore *store, text *public_key,
								 pg_uuid_t *organization);
extern int64 ak_keystore_count_keys(AkKeystore *store,
									const pg_uuid_t *organization,
									int64 most);
extern bool ak_keystore_was_deleted(AkKeystore *store, text *public_key);
extern void ak_keystore_check_key_roles(AkKeystore *store, text *public_key,
										AkGrantCheck check, void *argument);
extern void ak_keystore_scan_project_keys(AkKeystore *store,
										  const pg_uuid_t *project,
										  AkNameCallback callback,
										  void *argument);
extern void ak_keystore_scan_user(AkKeystore *store, text *principal,
								  AkGrantCallback callback, void *argument);
extern void ak_keystore_scan_role(AkKeystore *store, Oid role,
								  AkGrantCallback callback, void *argument);
extern void ak_keystore_scan_projects(AkKeystore *store,
									  const pg_uuid_t *organization,
									  AkIdCallback callback, void *argument);
extern bool ak_keystore_find_role(AkKeystore *store, const AkBytes *id,
								  AkRowVersion *version,
								  AkRoleCallback callback, void *argument);
extern bool ak_keystore_find_policy(AkKeystore *store,
									const pg_uuid_t *organization,
									AkPolicy *policy, AkRowVersion *version);
extern bool ak_keystore_find_project(AkKeystore *store,
									 const pg_uuid_t *project,
									 pg_uuid_t *organization);
extern bool ak_keystore_project_belongs(AkKeystore *store,
										const pg_uuid_t *project,
										const pg_uuid_t *organization);

#endif							/* AK_KEYSTORE_H */
