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
 * It checks no privileges: callers do.
 */
#ifndef AK_KEYSTORE_H
#define AK_KEYSTORE_H

#include "postgres.h"

#include "store/image.h"
#include "store/limit.h"

#include "storage/buf.h"
#include "utils/array.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

typedef struct AkKeystore
{
	Snapshot	snapshot;
	bool		registered;

	/*
	 * What was read from a table whose changes send messages (tables.c) is
	 * what this store would read, if it was read by one of the same
	 * generation; see ak_keystore_knows().
	 */
	uint64		generation;

	/* If it was opened for an image: ak_locator_hash() of its key. */
	uint64		image_hash;

	/* Pinned while an image that was found is in use. */
	Buffer		image_buffer;

	/* Whether the index was asked for it. */
	bool		image_is_by_index;
} AkKeystore;

/* What an organization demands of its keys. */
typedef struct AkPolicy
{
	bool		require_access_list;
	bool		limits_lifetime;
	Interval	max_key_lifetime;	/* if limits_lifetime */
	const AkLimit *limits;		/* its own, and its default for keys */
	int			limit_count;
	bool		limits_are_own;	/* this transaction has changed them */
} AkPolicy;

/*
 * A row of member or of key_role, of the latter without the organization (it
 * is the key's); role points into what is scanned.
 */
typedef struct AkGrant
{
	pg_uuid_t	organization_id;
	bool		has_project;
	pg_uuid_t	project_id;
	AkBytes		role;
} AkGrant;

/* What scans call for each row; those that check stop when it answers false. */
typedef void (*AkGrantCallback) (const AkGrant *grant, void *argument);
typedef bool (*AkGrantCheck) (const AkGrant *grant, void *argument);
typedef void (*AkIdCallback) (const pg_uuid_t *id, void *argument);

/* A row of role; all pointers are into what is scanned. */
typedef struct AkRoleRow
{
	text	   *name;
	ArrayType  *organization_permissions;
	ArrayType  *project_permissions;
} AkRoleRow;
typedef void (*AkLimitCallback) (struct varlena *image, TransactionId writer,
								 void *argument);
typedef void (*AkRoleCallback) (const AkRoleRow *role, void *argument);

/*
 * Whether what a store of this generation has read need not be read again.  A
 * store in a parallel plan, of generation 0, has an older snapshot: it neither
 * believes what was read by others, nor is it believed.
 */
static inline bool
ak_keystore_knows(const AkKeystore *store, uint64 generation)
{
	return generation != 0 && generation == store->generation;
}

extern void ak_keystore_open(AkKeystore *store);
extern void ak_keystore_open_for_image(AkKeystore *store, uint64 image_hash);
extern void ak_keystore_close(AkKeystore *store);

extern bool ak_keystore_find_image(AkKeystore *store, text *public_key,
								   AkImage *image);
extern void ak_keystore_search_in_vain(AkKeystore *store, text *public_key);
extern void ak_keystore_read_in_vain(AkKeystore *store);
extern bool ak_keystore_find_any_image(AkKeystore *store, text *public_key,
									   AkImage *image);
extern bool ak_keystore_find_key(AkKeystore *store, text *public_key,
								 pg_uuid_t *organization);
extern bool ak_keystore_was_deleted(AkKeystore *store, text *public_key);
extern void ak_keystore_check_key_roles(AkKeystore *store, text *public_key,
										AkGrantCheck check, void *argument);
extern void ak_keystore_scan_user(AkKeystore *store, text *principal,
								  AkGrantCallback callback, void *argument);
extern void ak_keystore_scan_role(AkKeystore *store, Oid role,
								  AkGrantCallback callback, void *argument);
extern void ak_keystore_scan_projects(AkKeystore *store,
									  const pg_uuid_t *organization,
									  AkIdCallback callback, void *argument);
extern void ak_keystore_scan_roles(AkKeystore *store,
								   AkRoleCallback callback, void *argument);
extern bool ak_keystore_find_policy(AkKeystore *store,
									const pg_uuid_t *organization,
									AkPolicy *policy);
extern void ak_keystore_scan_limits(AkKeystore *store,
									const pg_uuid_t *organization,
									AkLimitCallback callback, void *argument);
extern bool ak_keystore_find_project(AkKeystore *store,
									 const pg_uuid_t *project,
									 pg_uuid_t *organization);
extern bool ak_keystore_project_belongs(AkKeystore *store,
										const pg_uuid_t *project,
										const pg_uuid_t *organization);

#endif							/* AK_KEYSTORE_H */
