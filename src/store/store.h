/*
 * store.h
 *	  What decisions read: images of keys, policies, roles, short-lived tokens.
 */
#ifndef AK_STORE_H
#define AK_STORE_H

#include "postgres.h"

#include "base/base.h"
#include "core/counting.h"
#include "core/crypto.h"
#include "core/packed_array.h"
#include "types/types.h"

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "port/pg_bswap.h"
#include "storage/buf.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* --- limit_image.c ------------------------------------------------------- */

typedef enum AkLimitKind
{
	AK_LIMIT_RATE = 'r',		/* of a key, of those of its scopes that match a
								 * pattern, or of an organization */
	AK_LIMIT_EACH_KEY = 'e',	/* the organization's default for its keys */
	AK_LIMIT_QUOTA = 'q'
} AkLimitKind;

typedef struct AkLimit
{
	AkLimitKind kind;
	uint64		id;				/* another one each time the limit is set */
	AkRate		rate;			/* if it is no quota */
	AkPeriod	period;			/* of a quota */
	int64		amount;			/* of a quota */
	const char *scope;			/* the pattern; points into the image */
	int			scope_length;	/* 0: of all scopes */
} AkLimit;

extern bool ak_limit_next(const char **image, const char *end,
						  AkLimit *limit);
extern Datum ak_limit_interval(int64 length);

/* --- image.c ------------------------------------------------------------- */

/*
 * An image is read in parts: first what proves a key, then, of a key that is
 * proved, the rest, and of that the roles in projects where they are asked for.
 * So what a key may do takes no time before its secret is proved.  Arrays point
 * into the row, or, where they were compressed or out of line, into the memory
 * context that was current; access_list and details are left as they are
 * stored.
 */
typedef struct AkImage
{
	/* Where the row is, and the position up to which it was read. */
	const char *row;
	uint32		offset;
	uint32		end;

	/* The columns that prove a key, and those of a fixed size. */
	TransactionId writer;		/* transaction that wrote the row */
	pg_uuid_t	organization_id;
	bool		disabled;
	TimestampTz created_at;
	TimestampTz expires_at;
	AkPackedArray secrets;		/* stored secret hashes */
	AkPackedArray secret_expirations;	/* one for each secret; TimestampTz */
	const char *secret_versions;	/* see ak_image_secret_version() */

	/* Filled in by ak_image_read_rest(). */
	AkPackedArray organization_roles;	/* names */
	struct varlena *access_list;
	struct varlena *stored_project_roles;
	struct varlena *stored_projects;
	struct varlena *details;	/* jsonb; ak_image_read_details() */

	/* Filled in later by ak_image_read_projects(). */
	AkPackedArray project_roles;	/* one for each project; names */
	AkPackedArray projects;		/* pg_uuid_t */

	/* After the rest, by ak_image_read_limits(). */
	pg_uuid_t	limits_id;		/* what was spent of limits is known by it */
	AkBytes		limits;			/* its own limits; ak_limit_next() */
} AkImage;

/* What the application has noted of a key; a NULL text: nothing. */
typedef struct AkDetails
{
	text	   *owner;
	Jsonb	   *metadata;
	text	   *environment;
} AkDetails;

/* The version of the secret at an index below the number of secrets. */
static inline int32
ak_image_secret_version(const AkImage *image, int index)
{
	uint32		version;

	memcpy(&version, image->secret_versions + index * sizeof(version),
		   sizeof(version));
	return (int32) pg_ntoh32(version);
}

extern bool ak_image_secret_lives(const AkImage *image, int32 version,
								  TimestampTz now);
extern bool ak_image_try(Relation table, HeapTuple row, AkImage *image);
extern void ak_image_read_details(const AkImage *image, AkDetails *details);
extern void ak_image_read(Relation table, HeapTuple row, AkImage *image);
extern void ak_image_read_rest(AkImage *image);
extern void ak_image_read_projects(AkImage *image);
extern void ak_image_read_limits(AkImage *image);

/* --- keystore.c ---------------------------------------------------------- */

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
extern bool ak_keystore_find_policy(AkKeystore *store,
									const pg_uuid_t *organization,
									AkPolicy *policy, AkRowVersion *version);
extern bool ak_keystore_find_project(AkKeystore *store,
									 const pg_uuid_t *project,
									 pg_uuid_t *organization);
extern bool ak_keystore_project_belongs(AkKeystore *store,
										const pg_uuid_t *project,
										const pg_uuid_t *organization);

/* --- key_image.c --------------------------------------------------------- */

extern void ak_key_image_make(Datum keys);

/* --- locator.c ----------------------------------------------------------- */

extern Size ak_locator_shared_size(void);
extern void ak_locator_attach(void);

extern uint64 ak_locator_hash(const text *key);
extern void ak_locator_prefetch(uint64 hash);
extern bool ak_locator_find(uint64 hash, Relation table, Snapshot snapshot,
							const text *key, HeapTuple row, Buffer *buffer);
extern bool ak_locator_find_another(uint64 hash, Relation table,
									Snapshot snapshot, HeapTuple row,
									Buffer *buffer);
extern void ak_locator_remember(uint64 hash, Relation table,
								const ItemPointerData *root, HeapTuple row,
								Buffer buffer);

/* --- policy.c ------------------------------------------------------------ */

extern AkPolicy ak_policy_get(AkKeystore *store,
							  const pg_uuid_t *organization);
extern void ak_policy_write_all_limits(void);
extern TimestampTz ak_add_in_utc(TimestampTz time, const Interval *interval);
extern TimestampTz ak_policy_end_of_life(const AkPolicy *policy,
										 TimestampTz created_at);

/* --- roles.c ------------------------------------------------------------- */

typedef struct AkPermission
{
	const char *text;
	size_t		length;
} AkPermission;

typedef struct AkPermissions
{
	int			count;
	AkPermission *items;
	const struct AkPermissions *within; /* that must allow it too; NULL: none */
} AkPermissions;

typedef struct AkRole
{
	uint64		hash;			/* ak_grant_hash() */
	AkPermissions organization;
	AkPermissions project;
} AkRole;

extern bool ak_grant_is_permission(AkBytes *name);
extern uint64 ak_grant_hash(const AkBytes *name, bool is_permission);
extern uint64 ak_grant_id(uint64 hash, const pg_uuid_t *project);
extern uint64 ak_grant_id_of(const text *held, const pg_uuid_t *project);
extern const AkRole *ak_roles_find(AkKeystore *store, const AkBytes *id);
extern const AkPermission *ak_permissions_find(const AkPermissions *permissions,
											   const char *scope,
											   size_t scope_length);
extern bool ak_permissions_cover(const AkPermissions *permissions,
								 const AkPermission *wanted);

/* Whether one of the permissions allows the scope. */
static inline bool
ak_permissions_allow(const AkPermissions *permissions,
					 const char *scope, size_t scope_length)
{
	return ak_permissions_find(permissions, scope, scope_length) != NULL;
}

/* --- short_token.c ------------------------------------------------------- */

/* No token is longer, in bytes; one that is said to be is not looked at. */
#define AK_SHORT_TOKEN_MAX		8192

/* So many patterns can be in one. */
#define AK_SHORT_TOKEN_SCOPES_MAX	100

typedef struct AkShortToken
{
	text	   *public_key;
	TimestampTz issued_at;
	TimestampTz expires_at;
	int32		secret_version;
	TimestampTz secret_created_at;
	char	   *scopes;			/* with blanks between; NULL: not narrowed */
	AkPermissions patterns;		/* the same ones, which point into scopes */
	bool		has_project;
	pg_uuid_t	project;
	uint8		nonce[AK_PASETO_NONCE_SIZE];	/* no two tokens have the same */
} AkShortToken;

extern uint32 ak_short_token_tables(void);
extern bool ak_short_token_set_scopes(AkShortToken *token, char *scopes);
extern text *ak_short_token_seal(AkKeystore *store, AkShortToken *token);
extern bool ak_short_token_knows_secret(AkKeystore *store,
										const AkShortToken *token);
extern bool ak_short_token_open(AkKeystore *store, const char *sealed,
								size_t length, AkShortToken *token);
extern AkShortToken *ak_short_token_copy(const AkShortToken *token);

#endif							/* AK_STORE_H */
