/*
 * rights.c
 *	  The rights of the principal: the predicates that policies and the bodies
 *	  of verbs call.
 *
 * All of them answer for the current principal (identity.h), from the current
 * state of the tables (keystore.c). The answer for NULL and for unknown
 * objects is false.  A superuser that acts as itself may do everything.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/identity.h"
#include "store/store.h"

#include "utils/array.h"
#include "utils/builtins.h"

#define SCOPE_KEYS_READ		"apikeys.keys.read"
#define SCOPE_KEYS_MANAGE	"apikeys.keys.manage"
#define SCOPE_GRANT_ANY		"apikeys.roles.grant_any"
#define SCOPE_PROJECTS_READ		"apikeys.projects.read"
#define SCOPE_PROJECTS_MANAGE	"apikeys.projects.manage"
#define SCOPE_SELF_ROTATE	"apikeys.self.rotate"

PG_FUNCTION_INFO_V1(apikeys_may);
PG_FUNCTION_INFO_V1(apikeys_would_allow);
PG_FUNCTION_INFO_V1(apikeys_may_grant);
PG_FUNCTION_INFO_V1(apikeys_reads_organization);
PG_FUNCTION_INFO_V1(apikeys_reads_project);
PG_FUNCTION_INFO_V1(apikeys_reads_key);
PG_FUNCTION_INFO_V1(apikeys_manages_key);
PG_FUNCTION_INFO_V1(apikeys_stops_key);
PG_FUNCTION_INFO_V1(apikeys_rotates_itself);

/* --- At one place -------------------------------------------------------- */

static bool
is_allowed_at(const AkOwnGrants *own, const AkPlace *place, const char *scope)
{
	AkPlaceSearch search;

	if (ak_identity_is_superuser())
		return true;
	ak_place_search(own, place, &search);
	return ak_place_allows(&search, scope);
}

static bool
manages_keys_at(const AkOwnGrants *own, const AkPlace *place)
{
	return is_allowed_at(own, place, SCOPE_KEYS_MANAGE);
}

/* Reads an organization and an optional project from two arguments. */
static bool
get_place(FunctionCallInfo fcinfo, int argument, AkPlace *place)
{
	if (PG_ARGISNULL(argument))
		return false;
	place->organization = *PG_GETARG_UUID_P(argument);
	place->has_project = !PG_ARGISNULL(argument + 1);
	if (place->has_project)
		place->project = *PG_GETARG_UUID_P(argument + 1);
	return true;
}

/*
 * Whether the principal has the scope in argument 0 at the place in the others; if
 * it is_use, what allows it counts as used.  Raises 22023 if it is not a scope.
 */
static bool
ask(FunctionCallInfo fcinfo, bool is_use)
{
	AkKeystore	store;
	AkPlace		place;
	AkOwnGrants	own;
	AkPlaceSearch search;
	text	   *scope;
	const AkHeld *held;

	if (PG_ARGISNULL(0) || !get_place(fcinfo, 1, &place))
		return false;
	scope = PG_GETARG_TEXT_PP(0);
	ak_check_scope(scope);
	if (ak_identity_is_superuser())
		return true;
	ak_own_grants_open(&store, 0);
	ak_own_grants_read(&store, &place.organization, &place, &own);
	ak_place_search(&own, &place, &search);
	held = ak_place_find_allowing(&search, VARDATA_ANY(scope),
								  VARSIZE_ANY_EXHDR(scope));
	if (held && is_use)
		ak_own_grants_record_use(held->id);
	ak_keystore_close(&store);
	return held != NULL;
}

Datum
apikeys_may(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ask(fcinfo, true));
}

Datum
apikeys_would_allow(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ask(fcinfo, false));
}

/* Whether a token that was narrowed allows all of what is granted. */
static bool
token_covers(const AkShortToken *token, const AkPermissions *wanted)
{
	for (int i = 0; i < wanted->count; i++)
		if (!ak_permissions_cover(&token->patterns, &wanted->items[i]))
			return false;
	return true;
}

/*
 * Whether the principal may grant a role or a permission at the place of the
 * grant: each of its permissions is covered by the principal's own there, or the
 * principal may grant any, by a token any within that.
 */
static bool
may_grant(const AkOwnGrants *own, const AkGrant *grant)
{
	AkPlace		place = {grant->organization_id, grant->has_project,
	grant->project_id};
	AkPlaceSearch search;
	AkHeld		wanted;
	const AkShortToken *token = ak_identity_token();

	if (!ak_grant_resolve(own->store, grant, &wanted))
		return false;
	if (ak_identity_is_superuser())
		return true;
	if (token && token->scopes &&
		!(token_covers(token, &wanted.project) &&
		  (place.has_project || token_covers(token, &wanted.organization))))
		return false;
	ak_place_search(own, &place, &search);
	return ak_place_allows(&search, SCOPE_GRANT_ANY) ||
		(ak_place_covers(&search, &wanted.project, true) &&
		 (place.has_project ||
		  ak_place_covers(&search, &wanted.organization, false)));
}

/* The first argument is as ak_grant_is_permission() takes it. */
Datum
apikeys_may_grant(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	AkPlace		place;
	AkGrant		grant = {0};
	AkOwnGrants	own;
	bool		may;

	if (PG_ARGISNULL(0) || !get_place(fcinfo, 1, &place))
		PG_RETURN_BOOL(false);
	grant.organization_id = place.organization;
	grant.has_project = place.has_project;
	grant.project_id = place.project;
	grant.name.data = VARDATA_ANY(PG_GETARG_TEXT_PP(0));
	grant.name.size = VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0));
	grant.is_permission = ak_grant_is_permission(&grant.name);
	ak_own_grants_open(&store, 0);
	ak_own_grants_read(&store, &place.organization, &place, &own);
	may = may_grant(&own, &grant);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(may);
}

/* --- Reading ------------------------------------------------------------- */

/* What the principal holds is looked at for this. */
typedef struct Visit
{
	AkPlace		place;
	bool		is_found;
} Visit;

/* A member of the organization, or of one of its projects, reads it. */
static bool
visit_organization(const AkHeld *held, void *argument)
{
	Visit	   *visit = argument;

	visit->is_found = memcmp(&held->grant.organization_id,
							 &visit->place.organization, sizeof(pg_uuid_t)) == 0;
	return !visit->is_found;
}

/* Whether the organization exists and is visible to the principal. */
bool
ak_rights_reads_organization(const pg_uuid_t *organization)
{
	AkKeystore	store;
	AkPolicy	policy;
	AkRowVersion version;
	Visit		visit = {.place.organization = *organization};

	ak_own_grants_open(&store, AK_TABLE_BIT(AK_ORGANIZATION));
	if (!ak_keystore_find_policy(&store, organization, &policy, &version))
		visit.is_found = false;
	else if (ak_identity_sees_all())
		visit.is_found = true;
	else
		ak_own_grants_scan(&store, visit_organization, &visit);
	ak_keystore_close(&store);
	return visit.is_found;
}

Datum
apikeys_reads_organization(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   ak_rights_reads_organization(PG_GETARG_UUID_P(0)));
}

/*
 * A principal reads the project if it has a grant in the project or any permission
 * there, or reads the projects of the organization.
 */
static bool
visit_project(const AkHeld *held, void *argument)
{
	Visit	   *visit = argument;
	const AkPlace organization = {visit->place.organization};
	const AkPermissions *there = ak_held_permissions(held, &visit->place, true);

	visit->is_found =
		(there && (held->grant.has_project || there->count > 0)) ||
		ak_held_allows(held, &organization, SCOPE_PROJECTS_READ,
					   strlen(SCOPE_PROJECTS_READ)) ||
		ak_held_allows(held, &organization, SCOPE_PROJECTS_MANAGE,
					   strlen(SCOPE_PROJECTS_MANAGE));
	return !visit->is_found;
}

Datum
apikeys_reads_project(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	Visit		visit = {.place.has_project = true};

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	visit.place.project = *PG_GETARG_UUID_P(0);
	ak_own_grants_open(&store, 0);
	if (!ak_keystore_find_project(&store, &visit.place.project,
								  &visit.place.organization))
		visit.is_found = false;
	else if (ak_identity_sees_all())
		visit.is_found = true;
	else
		ak_own_grants_scan(&store, visit_project, &visit);
	ak_keystore_close(&store);
	PG_RETURN_BOOL(visit.is_found);
}

static bool
reads_keys_at(const AkOwnGrants *own, const AkPlace *place)
{
	AkPlaceSearch search;

	ak_place_search(own, place, &search);
	return ak_place_allows(&search, SCOPE_KEYS_READ) ||
		ak_place_allows(&search, SCOPE_KEYS_MANAGE);
}

/* A look at what a key holds. */
typedef struct KeyCheck
{
	AkOwnGrants own;
	bool		has_grant;
	bool		is_everywhere;	/* allowed in the organization, and so in all places */
	bool		result;
} KeyCheck;

/* The place of one of its grants. */
static AkPlace
get_key_place(const KeyCheck *check, const AkGrant *grant)
{
	AkPlace		place = {check->own.organization, grant->has_project,
	grant->project_id};

	return place;
}

static bool
check_key_read(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	AkPlace		place = get_key_place(check, grant);

	check->result = grant->has_project && reads_keys_at(&check->own, &place);
	return !check->result;
}

/*
 * Checks whether the principal reads the key, by policy key_reader_select or
 * because it bypasses row-level security.
 */
bool
ak_rights_reads_key(text *public_key)
{
	AkKeystore	store;
	KeyCheck	check = {0};
	AkPlace		place = {0};

	ak_own_grants_open(&store,
					   AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_KEY_ROLE));
	if (!ak_keystore_find_key(&store, public_key, &place.organization))
		check.result = false;
	else if (ak_identity_sees_all() || ak_identity_reads_itself(public_key))
		check.result = true;
	else
	{
		ak_own_grants_read(&store, &place.organization, NULL, &check.own);
		check.result = reads_keys_at(&check.own, &place);
		if (!check.result)
			ak_keystore_check_key_roles(&store, public_key, check_key_read,
										&check);
	}
	ak_keystore_close(&store);
	return check.result;
}

/*
 * Checks whether the principal reads what the key holds in its organization or,
 * with a project, in that project: by policy key_role_reader_select or because
 * it bypasses row-level security.
 */
bool
ak_rights_reads_key_at(text *public_key, const pg_uuid_t *project)
{
	AkKeystore	store;
	AkOwnGrants	own;
	AkPlace		place = {0};
	bool		result;

	ak_own_grants_open(&store, AK_TABLE_BIT(AK_KEY));
	if (!ak_keystore_find_key(&store, public_key, &place.organization))
		result = false;
	else if (ak_identity_sees_all() || ak_identity_reads_itself(public_key))
		result = true;
	else
	{
		ak_own_grants_read(&store, &place.organization, NULL, &own);
		result = reads_keys_at(&own, &place);
		if (!result && project)
		{
			place.has_project = true;
			place.project = *project;
			result = reads_keys_at(&own, &place);
		}
	}
	ak_keystore_close(&store);
	return result;
}

Datum
apikeys_reads_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   ak_rights_reads_key(PG_GETARG_TEXT_PP(0)));
}

/* What a reader of an organization's keys holds there, and where it is read. */
struct AkKeyReader
{
	AkKeystore	store;
	AkOwnGrants	own;
};

/* Begins to ask in which projects of an organization the principal reads keys; palloc'd. */
AkKeyReader *
ak_key_reader_open(const pg_uuid_t *organization)
{
	AkKeyReader *reader = palloc(sizeof(AkKeyReader));

	ak_own_grants_open(&reader->store, 0);
	ak_own_grants_read(&reader->store, organization, NULL, &reader->own);
	return reader;
}

bool
ak_key_reader_reads_in(AkKeyReader *reader, const pg_uuid_t *project)
{
	AkPlace		place = {reader->own.organization, true, *project};

	return reads_keys_at(&reader->own, &place);
}

void
ak_key_reader_close(AkKeyReader *reader)
{
	ak_keystore_close(&reader->store);
	if (reader->own.items)
		pfree(reader->own.items);
	pfree(reader);
}

/* --- Managing and stopping a key ----------------------------------------- */

static bool
check_key_managed(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	AkPlace		place = get_key_place(check, grant);
	AkGrant		held = *grant;

	held.organization_id = check->own.organization;
	check->has_grant = true;
	check->result = manages_keys_at(&check->own, &place) &&
		may_grant(&check->own, &held);
	return check->result;
}

static bool
check_key_stopped(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	AkPlace		place = get_key_place(check, grant);

	check->has_grant = true;
	check->result = manages_keys_at(&check->own, &place);
	return !check->result;
}

/*
 * In the organization, or in every place where the key holds something: else it
 * could make itself a project to be allowed there.
 */
static bool
check_key_rotated(const AkGrant *grant, void *argument)
{
	KeyCheck   *check = argument;
	AkPlace		place = get_key_place(check, grant);
	AkPlace		organization = {check->own.organization};

	if (!check->has_grant)
		check->is_everywhere = is_allowed_at(&check->own, &organization,
											 SCOPE_SELF_ROTATE);
	check->has_grant = true;
	check->result = check->is_everywhere ||
		is_allowed_at(&check->own, &place, SCOPE_SELF_ROTATE);
	return check->result && !check->is_everywhere;
}

/*
 * What the check makes of the grants of the key in argument 0; for a key without
 * any, whether the principal manages the keys of the organization.
 */
static bool
check_key(FunctionCallInfo fcinfo, AkGrantCheck callback)
{
	AkKeystore	store;
	KeyCheck	check = {0};
	AkPlace		place = {0};

	if (PG_ARGISNULL(0))
		return false;
	ak_own_grants_open(&store,
					   AK_TABLE_BIT(AK_KEY) | AK_TABLE_BIT(AK_KEY_ROLE));
	if (ak_keystore_find_key(&store, PG_GETARG_TEXT_PP(0),
							 &place.organization))
	{
		ak_own_grants_read(&store, &place.organization, NULL, &check.own);
		ak_keystore_check_key_roles(&store, PG_GETARG_TEXT_PP(0), callback,
									&check);
		if (!check.has_grant)
			check.result = manages_keys_at(&check.own, &place);
	}
	ak_keystore_close(&store);
	return check.result;
}

/*
 * Whether the principal manages keys in every place where the key holds something,
 * and may grant each of these.
 */
Datum
apikeys_manages_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(check_key(fcinfo, check_key_managed));
}

/* Checks whether the principal manages keys in one place where the key holds something. */
Datum
apikeys_stops_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(check_key(fcinfo, check_key_stopped));
}

/* Whether the key is the bound one, by no token, and may rotate its own secrets. */
Datum
apikeys_rotates_itself(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!PG_ARGISNULL(0) &&
				   ak_identity_is_key(PG_GETARG_TEXT_PP(0)) &&
				   !ak_identity_token() && check_key(fcinfo, check_key_rotated));
}
