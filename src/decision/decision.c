/*
 * decision.c
 *	  See decision.h.
 *
 * Nothing about a key is told before its secret is proved, nor by how long that
 * takes: where there is no such key, another one's image is read for nothing,
 * and as much is hashed; where there is one and the secret is wrong, the index
 * is asked for nothing, as an unknown key asks it.
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
 * thousand.  A denial before that, or a key that was not asked for lately, costs
 * the descent of an index as well, which with a million keys is three times
 * that.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/errors.h"
#include "core/packed_array.h"
#include "core/scope.h"
#include "decision/decision.h"
#include "store/list_cache.h"
#include "store/locator.h"
#include "store/policy.h"
#include "store/roles.h"
#include "types/type_access_list.h"
#include "types/type_secret_hash.h"
#include "usage/rehash.h"
#include "usage/usage.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* --- The secret ----------------------------------------------------------- */

/* What comparing a claim with one of the key's secrets makes of it. */
static AkReason
judge(AkVerdict verdict, bool is_live)
{
	switch (verdict)
	{
		case AK_SECRET_MATCHES:
		case AK_SECRET_IS_OUTDATED:
			return is_live ? AK_OK : AK_SECRET_EXPIRED;
		case AK_PEPPER_UNKNOWN:
			return AK_PEPPER_MISSING;
		case AK_SECRET_DIFFERS:
			break;
	}
	return AK_WRONG_SECRET;
}

/* Of two of the key's secrets, what the better one makes of a claim. */
static AkReason
choose_reason(AkReason a, AkReason b)
{
	static const AkReason best_first[] = {
		AK_OK, AK_SECRET_EXPIRED, AK_PEPPER_MISSING
	};

	for (int i = 0; i < lengthof(best_first); i++)
		if (a == best_first[i] || b == best_first[i])
			return best_first[i];
	return AK_WRONG_SECRET;
}

/*
 * Whether the secret is a live one of the key, and which.  Every secret is
 * compared, also if an earlier one was the right one; of very many, which only
 * direct SQL can bring in, the newest.  An expired one is compared only if that
 * costs nothing.  One that costs a second can be cancelled before the next:
 * the transaction lets go of what is held then.
 */
static AkReason
check_secrets(const AkRequest *request, const AkSecretClaim *claim,
			  AkDecision *decision)
{
	const AkImage *key = &decision->key;
	AkReason	reason = AK_WRONG_SECRET;
	size_t		offset = 0;

	for (int i = 0; i < key->secrets.count; i++)
	{
		AkBytes		hash = ak_packed_array_next(&key->secrets, &offset);
		AkVerdict	verdict;
		TimestampTz expires_at;
		AkReason	outcome;

		if (!ak_decision_tries_secret(key, i))
			continue;
		memcpy(&expires_at,
			   ak_packed_array_at(&key->secret_expirations, i,
								  sizeof(expires_at)),
			   sizeof(expires_at));
		if (expires_at <= decision->now &&
			!ak_secret_hash_is_cheap(hash.data, hash.size))
			continue;
		CHECK_FOR_INTERRUPTS();
		verdict = ak_secret_hash_verify(hash.data, hash.size, claim);
		outcome = judge(verdict, expires_at > decision->now);
		if (outcome == AK_OK)
		{
			decision->secret_version = ak_image_secret_version(key, i);
			if (verdict == AK_SECRET_IS_OUTDATED)
				ak_rehash_offer(request->public_key, hash.data, hash.size,
								claim);
		}
		reason = choose_reason(reason, outcome);
	}
	return reason;
}

/* Whether the key exists and the secret is one of its live ones. */
static AkReason
prove_key(const AkRequest *request, const AkSecretClaim *claim,
		  AkDecision *decision)
{
	if (request->public_key == NULL)
		return AK_UNKNOWN_KEY;
	decision->key_exists = ak_keystore_find_image(&decision->store,
												  request->public_key,
												  &decision->key);
	if (decision->key_exists)
	{
		AkReason	reason = request->secret ?
			check_secrets(request, claim, decision) :
			AK_WRONG_SECRET;

		if (reason != AK_OK)
			ak_keystore_search_in_vain(&decision->store, request->public_key);
		return reason;
	}
	ak_keystore_read_in_vain(&decision->store);
	if (request->secret)
		ak_secret_hash_verify_nothing(claim);
	return AK_UNKNOWN_KEY;
}

/* --- The address ---------------------------------------------------------- */

static AkReason
check_address(const AkRequest *request, const AkPolicy *policy,
			  AkDecision *decision)
{
	struct varlena *list =
		ak_list_cache_get(decision->key.access_list, decision->key.writer);
	AkNetset	set;

	ak_access_list_view(list, &set);
	if (set.count4 + set.count6 == 0)
		return policy->require_access_list ? AK_ACCESS_LIST_REQUIRED : AK_OK;
	decision->has_network = request->address &&
		ak_netset_find(&set, request->address, &decision->network);
	return decision->has_network ? AK_OK : AK_ADDRESS_DENIED;
}

/* --- The scope ------------------------------------------------------------ */

/*
 * The ak_grant_id() of the first role that allows the scope, or 0: of those on
 * the request's project, if there are projects, else of all; by what they
 * permit in projects or in the organization.
 */
static uint64
find_grant(const AkPackedArray *roles, const AkPackedArray *projects,
			const AkRequest *request, bool in_project)
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
			return ak_grant_id(role->name_hash,
							   projects ? request->project : NULL);
	}
	return 0;
}

/* The same for a request on a project, by all roles that count there. */
static uint64
find_grant_on_project(const AkRequest *request, AkDecision *decision)
{
	const AkImage *key = &decision->key;
	uint64		grant = find_grant(&key->project_roles, &key->projects,
								   request, true);

	if (grant)
		return grant;
	grant = find_grant(&key->organization_roles, NULL, request, true);
	return grant &&
		ak_keystore_project_belongs(&decision->store, request->project,
									&key->organization_id) ? grant : 0;
}

static AkReason
check_scope(const AkRequest *request, AkDecision *decision)
{
	if (request->any_scope)
		return AK_OK;
	if (request->scope == NULL)
		return AK_SCOPE_DENIED;
	decision->grant = request->project ?
		find_grant_on_project(request, decision) :
		find_grant(&decision->key.organization_roles, NULL, request, false);
	return decision->grant ? AK_OK : AK_SCOPE_DENIED;
}

/* --- All together --------------------------------------------------------- */

static AkReason
find_reason(const AkRequest *request, const AkSecretClaim *claim,
			AkDecision *decision)
{
	const AkImage *key = &decision->key;
	AkReason	reason = prove_key(request, claim, decision);
	AkPolicy	policy;

	if (reason != AK_OK)
		return reason;
	if (key->disabled)
		return AK_KEY_DISABLED;
	if (key->expires_at <= decision->now)
		return AK_KEY_EXPIRED;
	policy = ak_policy_get(&decision->store, &key->organization_id);
	if (key->expires_at > ak_policy_end_of_life(&policy, key->created_at))
		return AK_LIFETIME_EXCEEDED;
	reason = check_address(request, &policy, decision);
	if (reason != AK_OK)
		return reason;
	reason = check_scope(request, decision);
	if (reason != AK_OK || request->any_scope)
		return reason;
	return ak_limits_decide(&decision->store, key, &policy, request->scope,
							request->cost, request->wants_limit,
							&decision->limit);
}

/*
 * Opens the store, and makes the claim that the secret is the key's.  Asked for
 * some memory, the processor goes on with other work until it is there: so the
 * hashing, which needs nothing from the tables, comes after asking for the
 * place of the key's image, and opening the store after asking for the image.
 */
static void
open_store(const AkRequest *request, AkSecretClaim *claim, AkKeystore *store)
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

/*
 * The request, or, where its public key is longer than any, the same with a
 * text that is no key's: that is looked for in its place, so that a denial takes
 * as long as of any unknown key, and not as long as the text.
 */
static AkRequest
shorten(const AkRequest *request)
{
	AkRequest	shortened = *request;

	if (request->public_key &&
		VARSIZE_ANY_EXHDR(request->public_key) > AK_PUBLIC_KEY_MAX_SIZE)
		shortened.public_key = cstring_to_text("?");
	return shortened;
}

/*
 * Decides a request whose scope is valid.  What was read of the key can be
 * looked at until ak_decision_close(), which must be called in the same
 * function; after an error the transaction does it.
 */
void
ak_decision_open(const AkRequest *request, AkDecision *decision)
{
	AkRequest	shortened = shorten(request);
	AkSecretClaim claim;

	memset(decision, 0, sizeof(*decision));
	open_store(&shortened, &claim, &decision->store);
	decision->now = GetCurrentTimestamp();
	ak_roles_refresh(&decision->store);
	decision->reason = find_reason(&shortened, &claim, decision);
}

/* Lets go of what was read, and records the use or the denial. */
void
ak_decision_close(const AkRequest *request, AkDecision *decision)
{
	AkUse		use = {
		.reason = decision->reason,
		.secret_version = decision->secret_version,
		.grant = decision->grant,
		.network = decision->has_network ? &decision->network : NULL,
		.address = request->address,
		.at = decision->now
	};

	ak_keystore_close(&decision->store);
	ak_usage_record(request->public_key, &use);
}

/* Whether the secret was proved to be a live one of the key. */
bool
ak_decision_proves(const AkDecision *decision)
{
	return decision->reason == AK_OK || decision->reason > AK_PEPPER_MISSING;
}

/* --- Errors --------------------------------------------------------------- */

/*
 * Raises the error for a denial: 28000, the same one whatever is wrong, where
 * the key is not proved, 53400 where it is over a limit, and else denied_code with
 * the reason.  The
 * server's log leaves out the statement, in which the secret may stand.
 */
void
ak_decision_raise(const AkDecision *decision, int denied_code)
{
	bool		proved = ak_decision_proves(decision);
	bool		limited = decision->reason >= AK_RATE_LIMITED;

	ereport(ERROR,
			(errcode(limited ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED :
					 proved ? denied_code :
					 ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 proved ? errmsg("API key is denied") :
			 errmsg("API key is not valid"),
			 proved ? errdetail("The reason is %s.",
								ak_reason_name(decision->reason)) : 0,
			 ak_errid(limited ? "limit_exceeded" :
					  proved ? "key_denied" : "key_not_valid"),
			 errhidestmt(true),
			 errhidecontext(true)));
}
