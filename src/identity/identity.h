/*
 * identity.h
 *	  Who acts, and what the principal may do where.
 */
#ifndef AK_IDENTITY_H
#define AK_IDENTITY_H

#include "postgres.h"

#include "core/netset.h"
#include "core/reason.h"
#include "store/store.h"

#include "nodes/pathnodes.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/uuid.h"

/* --- grants.c ------------------------------------------------------------ */

/* Where something is asked for: in an organization, or in a project of it. */
typedef struct AkPlace
{
	pg_uuid_t	organization;
	bool		has_project;
	pg_uuid_t	project;
} AkPlace;

/*
 * A role or a permission that is held.  What it points to is good as long as the
 * store is open that it was read in.
 */
typedef struct AkHeld
{
	AkGrant		grant;			/* what, and where */
	AkPermissions organization; /* allowed in the organization itself */
	AkPermissions project;		/* allowed in the grant's project or, if it has
								 * none, in every project */
	uint64		id;				/* ak_grant_id() */
} AkHeld;

/* Called for each; a scan ends when it answers false. */
typedef bool (*AkHeldCallback) (const AkHeld *held, void *argument);

extern bool ak_grant_resolve(AkKeystore *store, const AkGrant *grant,
							 AkHeld *held);
extern const AkPermissions *ak_held_permissions(const AkHeld *held,
												const AkPlace *place,
												bool in_project);
extern bool ak_held_allows(const AkHeld *held, const AkPlace *place,
						   const char *scope, size_t scope_length);
extern void ak_grants_scan_image(AkKeystore *store, AkImage *image,
								 const pg_uuid_t *project, bool everywhere,
								 const AkShortToken *token,
								 AkHeldCallback callback, void *argument);

extern void ak_own_grants_open(AkKeystore *store, uint32 tables);
extern void ak_own_grants_scan(AkKeystore *store, AkHeldCallback callback,
							   void *argument);
extern void ak_own_grants_record_use(uint64 id);

/* --- places.c ------------------------------------------------------------ */

/* What the principal holds in an organization, found once for many places. */
typedef struct AkOwnGrants
{
	AkKeystore *store;
	pg_uuid_t	organization;
	const AkPlace *only;		/* what counts at this place; NULL: all */
	AkHeld	   *items;			/* by project; the organization itself first */
	int			count;
	int			allocated;
} AkOwnGrants;

/* What of it counts at a place: in its project, and in its organization. */
typedef struct AkPlaceSearch
{
	const AkPlace *place;
	const AkHeld *items[2];
	int			counts[2];
} AkPlaceSearch;

extern void ak_own_grants_read(AkKeystore *store,
							   const pg_uuid_t *organization,
							   const AkPlace *only, AkOwnGrants *own);
extern void ak_place_search(const AkOwnGrants *own, const AkPlace *place,
							AkPlaceSearch *search);
extern const AkHeld *ak_place_find_allowing(const AkPlaceSearch *search,
											const char *scope, size_t length);
extern bool ak_place_allows(const AkPlaceSearch *search, const char *scope);
extern bool ak_place_covers(const AkPlaceSearch *search,
							const AkPermissions *wanted, bool in_project);

/* --- admission.c --------------------------------------------------------- */

extern AkReason ak_admit_key(const AkImage *key, const AkPolicy *policy,
							 TimestampTz now, const AkNetwork *address,
							 bool *has_network, AkNetwork *network);

/* --- bound_key.c --------------------------------------------------------- */

/* What is known of a bound key; not to be changed. */
typedef struct AkBoundKey
{
	text	   *public_key;
	pg_uuid_t	organization_id;
	int32		secret_version; /* of the secret that was proved, or that the
								 * token came from */
	AkShortToken *token;		/* it was bound by; NULL: by a secret */
} AkBoundKey;

extern AkBoundKey *ak_bound_key_make(MemoryContext context,
									 const text *public_key,
									 AkKeystore *store, AkImage *image,
									 int32 secret_version,
									 const AkShortToken *token);
extern bool ak_bound_key_permits(AkBoundKey *bound, FunctionCallInfo call);
extern void ak_bound_key_forget_answers(AkBoundKey *bound);

/* --- identity.c ---------------------------------------------------------- */

extern void ak_identity_init(void);
extern void ak_identity_bind(text *public_key, AkKeystore *store,
							 AkImage *image, const AkNetwork *address,
							 int32 secret_version,
							 const AkShortToken *token);
extern bool ak_identity_has_rights(void);
extern void ak_identity_require_rights(void);
extern const AkBoundKey *ak_identity_bound_key(void);
extern text *ak_identity_key(void);
extern const AkShortToken *ak_identity_token(void);
extern bool ak_identity_reads_itself(const text *public_key);
extern bool ak_identity_is_key(const text *public_key);
extern text *ak_identity_user(void);
extern List *ak_identity_roles(void);
extern char *ak_identity_principal(void);
extern bool ak_identity_address(AkNetwork *address);
extern bool ak_identity_is_superuser(void);
extern bool ak_identity_sees_all(void);

/* --- address.c ----------------------------------------------------------- */

extern bool ak_identity_peer(AkNetwork *address);
extern const AkNetwork *ak_identity_address_argument(FunctionCallInfo fcinfo,
													 int argument,
													 bool is_text,
													 AkNetwork *address);

/* --- reach.c ------------------------------------------------------------- */

extern int	ak_reach_organizations(ArrayType *scopes, pg_uuid_t **ids);
extern bool ak_reach_is_by_organization(ArrayType *scopes, pg_uuid_t **ids,
										int *count);

extern bool ak_reach_contains(ArrayType *ids, const pg_uuid_t *id);
extern bool ak_reach_reads_key(text *public_key, const pg_uuid_t *organization,
							   ArrayType *organizations);

/* --- rights.c ------------------------------------------------------------ */

extern bool ak_rights_reads_key(text *public_key);
extern bool ak_rights_reads_key_at(text *public_key, const pg_uuid_t *project);
extern bool ak_rights_reads_organization(const pg_uuid_t *organization);

typedef struct AkKeyReader AkKeyReader;

extern AkKeyReader *ak_key_reader_open(const pg_uuid_t *organization);
extern bool ak_key_reader_reads_in(AkKeyReader *reader,
								   const pg_uuid_t *project);
extern void ak_key_reader_close(AkKeyReader *reader);

/* --- own_rows.c ---------------------------------------------------------- */

/* Where the principal has one of some scopes. */
typedef struct AkOwnRows
{
	pg_uuid_t  *organizations;
	int			count;
	bool		is_all;			/* and in no other place */
} AkOwnRows;

extern AkOwnRows ak_own_rows_find(List *scopes);
extern void ak_own_rows_init(void);
extern Path *ak_own_rows_path(PlannerInfo *root, RelOptInfo *rel,
							  IndexPath *walk, Path *otherwise, List *scopes,
							  const AkOwnRows *own);
extern Path *ak_own_rows_index_only_path(PlannerInfo *root, RelOptInfo *rel,
										 Path *otherwise, List *scopes,
										 const AkOwnRows *own);

/* --- statistics.c -------------------------------------------------------- */

extern bool ak_is_in_schema(Oid table);
extern Oid	ak_get_reader(const RelOptInfo *rel);
extern void ak_statistics_init(void);

/* --- planner.c ----------------------------------------------------------- */

extern void ak_planner_init(void);

#endif							/* AK_IDENTITY_H */
