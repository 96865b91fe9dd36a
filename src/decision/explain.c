/*
 * explain.c
 *	  Why a key may, or may not: each check of a decision by itself, with what
 *	  it looked at.
 *
 * Needs no secret and counts nothing; it is for who may read the key, and
 * tells of its roles and access list more than the views show to some of them:
 * what a role in the organization allows in a project, for example.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/errors.h"
#include "core/scope.h"
#include "decision/decision.h"
#include "identity/identity.h"
#include "identity/rights.h"
#include "store/list_cache.h"
#include "store/locator.h"
#include "store/policy.h"
#include "store/roles.h"
#include "types/type_access_list.h"
#include "types/type_secret_hash.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Of a longer list no more entries are named. */
#define MAX_ENTRIES		20

/* What is asked, and what was read of the key. */
typedef struct Inquiry
{
	ReturnSetInfo *result;
	AkKeystore	store;
	AkImage		key;
	const AkNetwork *address;
	const text *scope;
	const pg_uuid_t *project;
} Inquiry;

PG_FUNCTION_INFO_V1(apikeys_explain_authorize);
PG_FUNCTION_INFO_V1(apikeys_explain_authorize_text);

/* The check is named after the reason that it gives. */
static void
put_check(Inquiry *inquiry, AkReason reason, bool passed, const char *detail)
{
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = CStringGetTextDatum(ak_reason_name(reason));
	values[1] = BoolGetDatum(passed);
	values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(inquiry->result->setResult, inquiry->result->setDesc,
						 values, nulls);
}

/* --- The key itself ------------------------------------------------------- */

static void
explain_secrets(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	TimestampTz now = GetCurrentTimestamp();
	size_t		offset = 0;
	int			live = 0;
	int			verifiable = 0;
	int			affordable = 0;

	for (int i = 0; i < key->secrets.count; i++)
	{
		AkBytes		hash = ak_packed_array_next(&key->secrets, &offset);
		TimestampTz expires_at;

		memcpy(&expires_at,
			   ak_packed_array_at(&key->secret_expirations, i,
								  sizeof(expires_at)),
			   sizeof(expires_at));
		if (!ak_decision_tries_secret(key, i) || expires_at <= now)
			continue;
		live++;
		verifiable += ak_secret_hash_can_verify(hash.data, hash.size);
		affordable += ak_secret_hash_is_affordable(hash.data, hash.size);
	}
	put_check(inquiry, AK_SECRET_EXPIRED, affordable > 0,
			  affordable == live ? psprintf("live secrets: %d", live) :
			  psprintf("live secrets: %d, of which apikeys.argon2id_max_cost excludes %d",
					   live, live - affordable));
	put_check(inquiry, AK_PEPPER_MISSING, verifiable == live,
			  psprintf("live secrets whose pepper is missing: %d",
					   live - verifiable));
}

static void
explain_state(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;

	put_check(inquiry, AK_KEY_DISABLED, !key->disabled,
			  key->disabled ? "the key is disabled" : "the key is not disabled");
	put_check(inquiry, AK_KEY_EXPIRED,
			  key->expires_at > GetCurrentTimestamp(),
			  TIMESTAMP_NOT_FINITE(key->expires_at) ? "the key never expires" :
			  psprintf("expires_at is %s",
					   timestamptz_to_str(key->expires_at)));
}

static void
explain_policy(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	AkPolicy	policy = ak_policy_get(&inquiry->store, &key->organization_id);

	if (!policy.limits_lifetime)
		put_check(inquiry, AK_LIFETIME_EXCEEDED, true,
				  "the organization does not limit the life of its keys");
	else
		put_check(inquiry, AK_LIFETIME_EXCEEDED,
				  key->expires_at <=
				  ak_policy_end_of_life(&policy, key->created_at),
				  psprintf("the organization lets the key live until %s",
						   timestamptz_to_str(ak_policy_end_of_life(&policy,
																	key->created_at))));
}

/* --- The address ---------------------------------------------------------- */

static void
append_entries(StringInfo text, const AkNetset *set)
{
	size_t		count = set->count4 + set->count6;

	for (size_t i = 0; i < count && i < MAX_ENTRIES; i++)
	{
		AkNetwork	network;
		char		entry[AK_NETWORK_TEXT_SIZE];

		ak_netset_get(set, i, &network);
		ak_network_format(&network, entry);
		appendStringInfo(text, "%s%s", i > 0 ? ", " : "", entry);
	}
	if (count > MAX_ENTRIES)
		appendStringInfo(text, " and %zu more", count - MAX_ENTRIES);
}

/* Whether the address is in a list that is not empty. */
static void
explain_listed(Inquiry *inquiry, const AkNetset *set)
{
	char		address[AK_NETWORK_TEXT_SIZE];
	char		entry[AK_NETWORK_TEXT_SIZE];
	AkNetwork	network;
	StringInfoData detail;

	if (inquiry->address == NULL)
	{
		put_check(inquiry, AK_ADDRESS_DENIED, false,
				  "an unknown address is in no access list");
		return;
	}
	ak_network_format(inquiry->address, address);
	*strchr(address, '/') = '\0';
	initStringInfo(&detail);
	if (ak_netset_find(set, inquiry->address, &network))
	{
		ak_network_format(&network, entry);
		appendStringInfo(&detail, "%s is in %s", address, entry);
		put_check(inquiry, AK_ADDRESS_DENIED, true, detail.data);
	}
	else
	{
		appendStringInfo(&detail, "%s is in none of ", address);
		append_entries(&detail, set);
		put_check(inquiry, AK_ADDRESS_DENIED, false, detail.data);
	}
}

static void
explain_address(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	bool		required =
		ak_policy_get(&inquiry->store,
					  &key->organization_id).require_access_list;
	AkNetset	set;
	bool		is_empty;

	ak_access_list_view(ak_list_cache_get(key->access_list, key->writer),
						&set);
	is_empty = set.count4 + set.count6 == 0;
	put_check(inquiry, AK_ACCESS_LIST_REQUIRED, !required || !is_empty,
			  !required ? "the organization does not require an access list" :
			  is_empty ? "the organization requires an access list, and the key has none" :
			  "the organization requires an access list, and the key has one");
	if (is_empty)
		put_check(inquiry, AK_ADDRESS_DENIED, true,
				  "the access list is empty: any address will do");
	else
		explain_listed(inquiry, &set);
}

/* --- The scope ------------------------------------------------------------ */

static const AkPermission *
find_permission(const AkPermissions *permissions, const text *scope)
{
	for (int i = 0; i < permissions->count; i++)
		if (ak_permission_allows(permissions->items[i].text,
								 permissions->items[i].length,
								 VARDATA_ANY(scope),
								 VARSIZE_ANY_EXHDR(scope)))
			return &permissions->items[i];
	return NULL;
}

/*
 * Looks for a role that allows the scope: of those on the project, if projects
 * is not NULL, else of all.  If there is one, says which in *detail and
 * returns true; else adds the names of those tried.
 */
static bool
try_roles(Inquiry *inquiry, const AkPackedArray *roles,
		  const AkPackedArray *projects, StringInfo detail)
{
	size_t		offset = 0;

	for (int i = 0; i < roles->count; i++)
	{
		AkBytes		name = ak_packed_array_next(roles, &offset);
		const AkRole *role = ak_roles_find(name.data, name.size);
		const AkPermission *permission;

		if (role == NULL ||
			(projects &&
			 memcmp(ak_packed_array_at(projects, i, sizeof(pg_uuid_t)),
					inquiry->project, sizeof(pg_uuid_t)) != 0))
			continue;
		permission = find_permission(inquiry->project ?
									 &role->project : &role->organization,
									 inquiry->scope);
		if (permission)
		{
			resetStringInfo(detail);
			appendStringInfo(detail, "role %.*s, held in the %s, permits %.*s",
							 (int) name.size, name.data,
							 projects ? "project" : "organization",
							 (int) permission->length, permission->text);
			return true;
		}
		appendStringInfo(detail, "%s%.*s", detail->len > 0 ? ", " : "",
						 (int) name.size, name.data);
	}
	return false;
}

static void
explain_scope(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	bool		belongs = inquiry->project == NULL ||
		ak_keystore_project_belongs(&inquiry->store, inquiry->project,
									&key->organization_id);
	StringInfoData detail;
	bool		allowed;

	initStringInfo(&detail);
	if (inquiry->scope == NULL || !belongs)
	{
		put_check(inquiry, AK_SCOPE_DENIED, false,
				  belongs ? "no scope was given" :
				  "the key's organization has no such project");
		return;
	}
	allowed = (inquiry->project &&
			   try_roles(inquiry, &key->project_roles, &key->projects,
						 &detail)) ||
		try_roles(inquiry, &key->organization_roles, NULL, &detail);
	if (allowed)
		put_check(inquiry, AK_SCOPE_DENIED, true, detail.data);
	else if (detail.len == 0)
		put_check(inquiry, AK_SCOPE_DENIED, false, "the key has no role there");
	else
		put_check(inquiry, AK_SCOPE_DENIED, false,
				  psprintf("none of its roles there permits it: %s",
						   detail.data));
}

/* --- Limits --------------------------------------------------------------- */

/* A row for each limit that applies, as a request of cost 1 would find it. */
static void
explain_limits(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	AkPolicy	policy = ak_policy_get(&inquiry->store, &key->organization_id);
	AkLimitSet	set;

	if (inquiry->scope == NULL ||
		!ak_limits_collect(key, &policy, inquiry->scope, &set))
		return;
	(void) ak_limits_ask(&inquiry->store, &set, 1, false, true);
	for (int i = 0; i < set.count; i++)
	{
		const AkLimitCheck *check = &set.checks[i];
		bool		is_quota = check->key.kind == AK_SPENT_OF_QUOTA;

		put_check(inquiry, is_quota ? AK_QUOTA_EXCEEDED : AK_RATE_LIMITED,
				  check->passes,
				  psprintf("limit %s: " INT64_FORMAT " of " INT64_FORMAT " remain",
						   ak_limits_name(&set.applied[i]), check->remaining,
						   is_quota ? check->amount : check->rate.burst));
	}
}

/* --- All together --------------------------------------------------------- */

static void
refuse(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("key does not exist, or is not visible to %s",
					ak_identity_principal()),
			 ak_errid("key_not_found")));
}

/* explain_authorize(), whose address is an inet or a text. */
static Datum
explain(FunctionCallInfo fcinfo, bool address_is_text)
{
	Inquiry		inquiry = {0};
	AkNetwork	address;
	text	   *public_key;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("public_key must not be null"),
				 ak_errid("null_argument")));
	public_key = PG_GETARG_TEXT_PP(0);
	if (!PG_ARGISNULL(1))
	{
		if (address_is_text)
			ak_network_from_text(PG_GETARG_TEXT_PP(1), &address);
		else
			ak_network_from_inet(PG_GETARG_INET_PP(1), &address);
		inquiry.address = &address;
	}
	if (!PG_ARGISNULL(2))
	{
		inquiry.scope = PG_GETARG_TEXT_PP(2);
		ak_check_scope(inquiry.scope);
	}
	if (!PG_ARGISNULL(3))
		inquiry.project = PG_GETARG_UUID_P(3);

	InitMaterializedSRF(fcinfo, 0);
	inquiry.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (!ak_rights_reads_key(public_key))
		refuse();
	ak_keystore_open_for_image(&inquiry.store, ak_locator_hash(public_key));
	ak_roles_refresh(&inquiry.store);
	if (!ak_keystore_find_image(&inquiry.store, public_key, &inquiry.key))
		refuse();
	explain_secrets(&inquiry);
	explain_state(&inquiry);
	explain_policy(&inquiry);
	explain_address(&inquiry);
	explain_scope(&inquiry);
	explain_limits(&inquiry);
	ak_keystore_close(&inquiry.store);
	return (Datum) 0;
}

Datum
apikeys_explain_authorize(PG_FUNCTION_ARGS)
{
	return explain(fcinfo, false);
}

Datum
apikeys_explain_authorize_text(PG_FUNCTION_ARGS)
{
	return explain(fcinfo, true);
}
