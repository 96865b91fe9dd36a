/*
 * authorize.c
 *	  The decision: may a request made with this key go on?
 *
 * The checks are made in a fixed order, and the first that fails is the
 * reason.  Nothing about a key is told before its secret is proved, and where
 * there is no such key the same work is done for nothing.
 *
 * Everything is read from the tables as they are at the call (keystore.h), so
 * that a key revoked by a committed transaction is refused by the next call,
 * be it in an old REPEATABLE READ transaction.
 *
 * Where the time goes: of 1.2 microseconds with a million keys, 0.9 are work, a
 * quarter of it for the hash, and the rest is waiting for memory.  The key's
 * image is found without an index (locator.c), read in its page (image.c) and
 * asked for before it is needed; roles and policies of organizations are in
 * memory.  So a call costs a third more with ten million keys than with ten
 * thousand.  A key that is unknown, or was not asked for lately, costs the
 * descent of an index as well, which with a million keys is three times that.
 */
#include "postgres.h"

#include "compat.h"
#include "keystore.h"
#include "list_cache.h"
#include "locator.h"
#include "packed_array.h"
#include "policy.h"
#include "reason.h"
#include "roles.h"
#include "scope.h"
#include "type_access_list.h"
#include "type_secret_hash.h"
#include "usage.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* What is asked; a NULL pointer is a NULL argument. */
typedef struct Request
{
	text	   *public_key;
	text	   *secret;
	const AkNetwork *address;
	text	   *scope;
	const pg_uuid_t *project;
	AkNetwork	address_buffer;
} Request;

typedef struct Decision
{
	TimestampTz now;
	AkReason	reason;
	bool		key_exists;

	/* Valid if key_exists; what it points to only while the store is open. */
	AkImage		key;
	bool		has_network;
	AkNetwork	network;		/* the entry that let the address in */
} Decision;

PG_FUNCTION_INFO_V1(apikeys_authorize);
PG_FUNCTION_INFO_V1(apikeys_decide);

/* --- The secret ----------------------------------------------------------- */

/*
 * Whether the secret is a live one of the key.  Every secret is compared, be
 * an earlier one the right one.
 */
static AkReason
check_secrets(const AkSecretClaim *claim, const AkImage *key, TimestampTz now)
{
	AkReason	reason = AK_WRONG_SECRET;
	size_t		offset = 0;

	for (int i = 0; i < key->secrets.count; i++)
	{
		AkBytes		hash = ak_packed_array_next(&key->secrets, &offset);
		TimestampTz expires_at;

		if (!ak_secret_hash_verify(hash.data, hash.size, claim))
			continue;
		memcpy(&expires_at,
			   ak_packed_array_at(&key->secret_expirations, i,
								  sizeof(expires_at)),
			   sizeof(expires_at));
		if (expires_at > now)
			reason = AK_OK;
		else if (reason != AK_OK)
			reason = AK_SECRET_EXPIRED;
	}
	return reason;
}

/* Whether the key exists and the secret is one of its live ones. */
static AkReason
prove_key(AkKeystore *store, const Request *request,
		  const AkSecretClaim *claim, Decision *decision)
{
	if (request->public_key == NULL)
		return AK_UNKNOWN_KEY;
	decision->key_exists = ak_keystore_find_image(store, request->public_key,
												  &decision->key);
	if (decision->key_exists)
		return request->secret ?
			check_secrets(claim, &decision->key, decision->now) :
			AK_WRONG_SECRET;
	if (request->secret)
		ak_secret_hash_verify_nothing(claim);
	return AK_UNKNOWN_KEY;
}

/* --- The address ---------------------------------------------------------- */

static AkReason
check_address(AkKeystore *store, const Request *request, Decision *decision)
{
	struct varlena *list =
		ak_list_cache_get(decision->key.access_list, decision->key.writer);
	AkNetset	set;

	ak_access_list_view(list, &set);
	if (set.count4 + set.count6 == 0)
		return ak_policy_get(store,
							 &decision->key.organization_id).require_access_list ?
			AK_ADDRESS_REQUIRED : AK_OK;
	decision->has_network = request->address &&
		ak_netset_find(&set, request->address, &decision->network);
	return decision->has_network ? AK_OK : AK_ADDRESS_DENIED;
}

/* --- The scope ------------------------------------------------------------ */

/*
 * Whether one of the roles allows the scope: those on the project, if that is
 * not NULL, else any; by what they permit in projects or in the organization.
 */
static bool
roles_allow(const AkPackedArray *roles, const AkPackedArray *projects,
			const Request *request, bool in_project)
{
	size_t		offset = 0;

	for (int i = 0; i < roles->count; i++)
	{
		AkBytes		name = ak_packed_array_next(roles, &offset);
		const AkRole *role;

		if (projects &&
			memcmp(ak_packed_array_at(projects, i, sizeof(pg_uuid_t)),
				   request->project, sizeof(pg_uuid_t)) != 0)
			continue;
		role = ak_roles_find(name.data, name.size);
		if (role &&
			ak_permissions_allow(in_project ? &role->project : &role->organization,
								 VARDATA_ANY(request->scope),
								 VARSIZE_ANY_EXHDR(request->scope)))
			return true;
	}
	return false;
}

static AkReason
check_scope(AkKeystore *store, const Request *request, const AkImage *key)
{
	bool		allowed;

	if (request->scope == NULL)
		return AK_SCOPE_DENIED;
	if (request->project == NULL)
		allowed = roles_allow(&key->organization_roles, NULL, request, false);
	else
		allowed = roles_allow(&key->project_roles, &key->projects, request,
							  true) ||
			(roles_allow(&key->organization_roles, NULL, request, true) &&
			 ak_keystore_project_belongs(store, request->project,
										 &key->organization_id));
	return allowed ? AK_OK : AK_SCOPE_DENIED;
}

/* --- All together --------------------------------------------------------- */

static AkReason
find_reason(AkKeystore *store, const Request *request,
			const AkSecretClaim *claim, Decision *decision)
{
	AkReason	reason = prove_key(store, request, claim, decision);

	if (reason != AK_OK)
		return reason;
	if (decision->key.disabled)
		return AK_KEY_DISABLED;
	if (decision->key.expires_at <= decision->now)
		return AK_KEY_EXPIRED;
	reason = check_address(store, request, decision);
	if (reason != AK_OK)
		return reason;
	return check_scope(store, request, &decision->key);
}

/* Raises 22023 for what is no scope: the caller's mistake, not a denial. */
static void
read_request(FunctionCallInfo fcinfo, Request *request)
{
	memset(request, 0, sizeof(*request));
	if (!PG_ARGISNULL(3))
	{
		request->scope = PG_GETARG_TEXT_PP(3);
		if (!ak_scope_is_valid(VARDATA_ANY(request->scope),
							   VARSIZE_ANY_EXHDR(request->scope)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid scope"),
					 errdetail("A scope is 1 to %d letters, digits and characters of _.:/-.",
							   AK_SCOPE_MAX_LENGTH)));
	}
	if (!PG_ARGISNULL(0))
		request->public_key = PG_GETARG_TEXT_PP(0);
	if (!PG_ARGISNULL(1))
		request->secret = PG_GETARG_TEXT_PP(1);
	if (!PG_ARGISNULL(2))
	{
		ak_network_from_inet(PG_GETARG_INET_PP(2), &request->address_buffer);
		request->address = &request->address_buffer;
	}
	if (!PG_ARGISNULL(4))
		request->project = PG_GETARG_UUID_P(4);
}

/*
 * Opens the store, and makes the claim that the secret is the key's.  Asked for
 * some memory, the processor goes on with other work until it is there: so the
 * hashing, which needs nothing from the tables, comes after asking for the
 * place of the key's image, and opening the store after asking for the image.
 */
static void
begin_decision(const Request *request, AkSecretClaim *claim,
			   AkKeystore *store)
{
	uint64		hash;

	if (request->public_key == NULL)
	{
		ak_keystore_open(store);
		return;
	}
	hash = ak_locator_hash(request->public_key);
	if (request->secret)
		ak_secret_claim_init(claim,
							 VARDATA_ANY(request->public_key),
							 VARSIZE_ANY_EXHDR(request->public_key),
							 VARDATA_ANY(request->secret),
							 VARSIZE_ANY_EXHDR(request->secret));
	ak_keystore_open_for_image(store, hash);
}

static void
decide(const Request *request, Decision *decision)
{
	AkKeystore	store;
	AkSecretClaim claim;

	memset(decision, 0, sizeof(*decision));
	begin_decision(request, &claim, &store);
	decision->now = GetCurrentTimestamp();
	ak_roles_refresh(&store);
	decision->reason = find_reason(&store, request, &claim, decision);
	ak_keystore_close(&store);
	ak_usage_record(request->public_key, decision->reason,
					decision->has_network ? &decision->network : NULL,
					request->address, decision->now);
}

Datum
apikeys_authorize(PG_FUNCTION_ARGS)
{
	Request		request;
	Decision	decision;

	read_request(fcinfo, &request);
	decide(&request, &decision);
	PG_RETURN_BOOL(decision.reason == AK_OK);
}

Datum
apikeys_decide(PG_FUNCTION_ARGS)
{
	Request		request;
	Decision	decision;
	TupleDesc	descriptor;
	Datum		values[6] = {0};
	bool		nulls[6] = {false, false, true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	read_request(fcinfo, &request);
	decide(&request, &decision);

	values[0] = BoolGetDatum(decision.reason == AK_OK);
	values[1] = CStringGetTextDatum(ak_reason_name(decision.reason));
	if (decision.key_exists)
	{
		values[2] = PointerGetDatum(request.public_key);
		nulls[2] = false;
	}
	if (decision.reason == AK_OK ||
		decision.reason > AK_SECRET_EXPIRED)
	{
		values[3] = UUIDPGetDatum(&decision.key.organization_id);
		nulls[3] = false;
	}
	if (request.address)
	{
		values[4] = InetPGetDatum(ak_network_to_inet(request.address));
		nulls[4] = false;
	}
	if (decision.has_network)
	{
		values[5] = InetPGetDatum(ak_network_to_inet(&decision.network));
		nulls[5] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor),
													  values, nulls)));
}
