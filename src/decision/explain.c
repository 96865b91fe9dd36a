/*
 * explain.c
 *	  Explains a decision: returns each of its checks with what it compared.
 *
 * Needs no secret and counts nothing.  It is for principals that read the key.
 * What the key holds in a place where they do not read keys is not named to
 * them; what it allows there counts.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/scope.h"
#include "decision/decision.h"
#include "identity/identity.h"
#include "store/store.h"
#include "types/types.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* The maximum number of entries of a list that are shown. */
#define MAX_ENTRIES		20

/* The request, and what was read of the key. */
typedef struct Inquiry
{
	ReturnSetInfo *result;
	AkKeystore	store;
	AkImage		key;
	AkPolicy	policy;			/* of its organization */
	const AkNetwork *address;
	const text *scope;
	const pg_uuid_t *project;
	bool		reads_organization; /* what the key holds in its organization */
	bool		reads_project;	/* what it holds in the project */
} Inquiry;

PG_FUNCTION_INFO_V1(apikeys_explain_authorize);
PG_FUNCTION_INFO_V1(apikeys_explain_authorize_text);

/* The check has the name of the reason that it leads to. */
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

/* --- The key itself ------------------------------------------------------ */

static void
explain_secrets(Inquiry *inquiry, text *public_key)
{
	const AkImage *key = &inquiry->key;
	TimestampTz now = GetCurrentTimestamp();
	size_t		offset = 0;
	int			live = 0;
	int			verifiable = 0;
	int			affordable = 0;
	int			digest = ak_digest_count_live(&inquiry->store, public_key, now);

	for (int i = 0; i < key->secrets.count; i++)
	{
		AkBytes		hash = ak_packed_array_next(&key->secrets, &offset);
		TimestampTz expires_at;

		memcpy(&expires_at,
			   ak_packed_array_at(&key->secret_expirations, i,
								  sizeof(expires_at)),
			   sizeof(expires_at));
		if (expires_at <= now)
			continue;
		live++;
		verifiable += ak_secret_hash_can_verify(hash.data, hash.size);
		affordable += ak_secret_hash_is_affordable(hash.data, hash.size);
	}
	put_check(inquiry, AK_SECRET_EXPIRED, affordable > 0,
			  psprintf("live secrets: %d%s%s", live,
					   affordable == live ? "" :
					   psprintf(", of which apikeys.argon2id_max_cost excludes %d",
								live - affordable),
					   digest == 0 ? "" :
					   psprintf(", of which HTTP Digest can prove %d", digest)));
	put_check(inquiry, AK_PEPPER_MISSING, verifiable == live,
			  psprintf("live secrets whose pepper is missing: %d",
					   live - verifiable));
}

static void
explain_state(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	const AkPolicy *policy = &inquiry->policy;

	put_check(inquiry, AK_KEY_DISABLED, !key->disabled,
			  key->disabled ? "the key is disabled" : "the key is not disabled");
	put_check(inquiry, AK_KEY_EXPIRED,
			  key->expires_at > GetCurrentTimestamp(),
			  TIMESTAMP_NOT_FINITE(key->expires_at) ? "the key never expires" :
			  psprintf("expires_at is %s",
					   timestamptz_to_str(key->expires_at)));
	if (!policy->limits_lifetime)
		put_check(inquiry, AK_LIFETIME_EXCEEDED, true,
				  "the organization does not limit the life of its keys");
	else
		put_check(inquiry, AK_LIFETIME_EXCEEDED,
				  key->expires_at <=
				  ak_policy_end_of_life(policy, key->created_at),
				  psprintf("the organization lets the key live until %s",
						   timestamptz_to_str(ak_policy_end_of_life(policy,
																	key->created_at))));
}

/* --- The address --------------------------------------------------------- */

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

/* Checks whether the address is in a list that is not empty. */
static void
explain_listed(Inquiry *inquiry, AkReason reason, const AkNetset *set)
{
	char		address[AK_NETWORK_TEXT_SIZE];
	char		entry[AK_NETWORK_TEXT_SIZE];
	AkNetwork	network;
	StringInfoData detail;

	if (inquiry->address == NULL)
	{
		put_check(inquiry, reason, false,
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
		put_check(inquiry, reason, true, detail.data);
	}
	else
	{
		appendStringInfo(&detail, "%s is in none of ", address);
		append_entries(&detail, set);
		put_check(inquiry, reason, false, detail.data);
	}
}

static void
explain_address(Inquiry *inquiry)
{
	const AkImage *key = &inquiry->key;
	const AkPolicy *policy = &inquiry->policy;
	bool		required = policy->require_access_list;
	AkListReader reader;
	AkNetset	set;
	bool		is_empty;

	if (policy->access_list)
	{
		ak_access_list_view(policy->access_list, &set);
		explain_listed(inquiry, AK_ORGANIZATION_ADDRESS_DENIED, &set);
	}
	ak_list_open(key->access_list, key->writer, &reader, &set);
	is_empty = set.count4 + set.count6 == 0;
	put_check(inquiry, AK_ACCESS_LIST_REQUIRED, !required || !is_empty,
			  !required ? "the organization does not require an access list" :
			  is_empty ? "the organization requires an access list, and the key has none" :
			  "the organization requires an access list, and the key has one");
	if (is_empty)
		put_check(inquiry, AK_ADDRESS_DENIED, true,
				  "the access list is empty: any address will do");
	else
		explain_listed(inquiry, AK_ADDRESS_DENIED, &set);
	ak_list_close(&reader);
}

/* --- The scope ----------------------------------------------------------- */

/* A look for a grant that allows a scope; adds to a text what it finds. */
typedef struct Search
{
	AkPlace		place;
	AkBytes		scope;
	const Inquiry *inquiry;
	StringInfoData tried;		/* what does not allow it */
	bool		tried_hidden;	/* and something that is not named */
	const char *found;			/* what allows it, or NULL */
} Search;

/* Within an organization its roles go by their names, as the common ones do. */
static AkBytes
get_name(const AkGrant *grant)
{
	AkBytes		name = grant->name;
	const char *slash = grant->is_permission ? NULL :
		memchr(name.data, '/', name.size);

	if (slash)
	{
		name.size -= slash + 1 - name.data;
		name.data = slash + 1;
	}
	return name;
}

static bool
try_grant(const AkHeld *held, void *argument)
{
	Search	   *search = argument;
	const AkPermissions *permissions =
		ak_held_permissions(held, &search->place, search->place.has_project);
	const AkPermission *permission = permissions ?
		ak_permissions_find(permissions, search->scope.data,
							search->scope.size) : NULL;
	bool		in_project = held->grant.has_project;
	bool		is_hidden = in_project ? !search->inquiry->reads_project :
		!search->inquiry->reads_organization;
	AkBytes		name = get_name(&held->grant);
	const char *kind = held->grant.is_permission ? "permission " : "";

	if (permission && is_hidden)
		search->found = psprintf("what the key holds in the %s permits it, and is not visible to the caller",
								 in_project ? "project" : "organization");
	else if (permission)
		search->found = psprintf("%s%.*s, held in the %s, permits %.*s",
								 held->grant.is_permission ? kind : "role ",
								 (int) name.size, name.data,
								 in_project ? "project" : "organization",
								 (int) permission->length, permission->text);
	else if (is_hidden)
		search->tried_hidden = true;
	else
		appendStringInfo(&search->tried, "%s%s%.*s",
						 search->tried.len > 0 ? ", " : "",
						 kind, (int) name.size, name.data);
	return permission == NULL;
}

/* One of the scopes; named in the detail if there are several. */
static void
explain_scope(Inquiry *inquiry, AkBytes scope)
{
	Search		search = {
		.place = {.organization = inquiry->key.organization_id},
		.scope = scope,
		.inquiry = inquiry
	};
	const char *detail;

	if (inquiry->project)
	{
		search.place.has_project = true;
		search.place.project = *inquiry->project;
	}
	initStringInfo(&search.tried);
	ak_grants_scan_image(&inquiry->store, &inquiry->key, inquiry->project,
						 false, NULL, try_grant, &search);
	if (search.found)
		detail = search.found;
	else if (search.tried.len == 0 && !search.tried_hidden)
		detail = "the key has no role there";
	else
		detail = psprintf("none of its roles there permits it: %s%s%s",
						  search.tried.data,
						  search.tried.len > 0 && search.tried_hidden ? ", " : "",
						  search.tried_hidden ? "some that are not visible to the caller" : "");
	if (scope.size < VARSIZE_ANY_EXHDR(inquiry->scope))
		detail = psprintf("%.*s: %s", (int) scope.size, scope.data, detail);
	put_check(inquiry, AK_SCOPE_DENIED, search.found != NULL, detail);
}

static void
explain_scopes(Inquiry *inquiry)
{
	size_t		offset = 0;
	AkBytes		scope;

	if (inquiry->project &&
		!ak_keystore_project_belongs(&inquiry->store, inquiry->project,
									 &inquiry->key.organization_id))
		put_check(inquiry, AK_SCOPE_DENIED, false,
				  "the key's organization has no such project");
	else if (inquiry->scope == NULL)
		put_check(inquiry, AK_SCOPE_DENIED, false, "no scope was given");
	else
		while ((scope.size = ak_scope_next(VARDATA_ANY(inquiry->scope),
										   VARSIZE_ANY_EXHDR(inquiry->scope),
										   &offset, &scope.data)) > 0)
			explain_scope(inquiry, scope);
}

/* --- Limits --------------------------------------------------------------- */

/* A row for each limit that applies, as a request of cost 1 would find it. */
static void
explain_limits(Inquiry *inquiry)
{
	AkLimitSet	set;

	ak_image_read_limits(&inquiry->key);
	if (inquiry->scope == NULL ||
		!ak_limits_collect(&inquiry->key, &inquiry->policy, inquiry->scope,
						   &set))
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
	inquiry.address = ak_identity_address_argument(fcinfo, 1, address_is_text,
												   &address);
	if (!PG_ARGISNULL(2))
	{
		inquiry.scope = PG_GETARG_TEXT_PP(2);
		ak_check_scopes(inquiry.scope);
	}
	if (!PG_ARGISNULL(3))
		inquiry.project = PG_GETARG_UUID_P(3);

	InitMaterializedSRF(fcinfo, 0);
	inquiry.result = (ReturnSetInfo *) fcinfo->resultinfo;
	if (!ak_rights_reads_key(public_key))
		refuse();
	inquiry.reads_organization = ak_rights_reads_key_at(public_key, NULL);
	inquiry.reads_project = ak_rights_reads_key_at(public_key, inquiry.project);
	ak_keystore_open_for_image(&inquiry.store, ak_locator_hash(public_key),
							   AK_TABLE_BIT(AK_ROLE) |
							   AK_TABLE_BIT(AK_ORGANIZATION) |
							   AK_TABLE_BIT(AK_KEY_SECRET) |
							   AK_TABLE_BIT(AK_PROJECT));
	if (!ak_keystore_find_image(&inquiry.store, public_key, &inquiry.key))
		refuse();
	ak_image_read_rest(&inquiry.key);
	inquiry.policy = ak_policy_get(&inquiry.store,
								   &inquiry.key.organization_id);
	explain_secrets(&inquiry, public_key);
	explain_state(&inquiry);
	explain_address(&inquiry);
	explain_scopes(&inquiry);
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
