/*
 * decision.c
 *	  The decision: is a request made with this key allowed?
 *
 * The checks are made in a fixed order (reason.h). The first one that fails is
 * the reason.
 *
 * Before its secret is proved, neither the result nor its time tells anything
 * about a key.  If the key does not exist, the image of another key is read
 * and discarded, and the same hashes are computed.  If it exists and the
 * secret is wrong, the index is used and its result discarded, as for an
 * unknown key.
 *
 * Everything is read from the tables as they are at the call (keystore.c), so
 * that a key revoked by a committed transaction is refused by the next call,
 * also in an old REPEATABLE READ transaction.
 *
 * Cost: of 1.2 microseconds with a million keys, 0.9 are computation, a
 * quarter of it for the hash, and the rest is waiting for memory.  The key's
 * image is found without an index (locator.c), read in its page (image.c) and
 * prefetched; roles and policies of organizations are cached.  So a call costs
 * a third more with ten million keys than with ten thousand.  A denial without
 * proof, or a key that was not used recently, also costs the descent of an
 * index, which with a million keys is three times that.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/packed_array.h"
#include "core/scope.h"
#include "decision/decision.h"
#include "identity/identity.h"
#include "store/store.h"
#include "types/types.h"
#include "usage/guesses.h"
#include "usage/usage.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* How far the clock may be ahead of the server that has made a token. */
#define TOKEN_CLOCK_SKEW	USECS_PER_MINUTE

/* --- The secret ----------------------------------------------------------- */

/* One of the key's secrets, in its image. */
typedef struct StoredSecret
{
	int			number;
	AkBytes		hash;
	bool		is_live;
} StoredSecret;

/* Reads the next one; *offset and secret->number are at first 0 and -1. */
static bool
next_secret(const AkDecision *decision, size_t *offset, StoredSecret *secret)
{
	const AkImage *key = &decision->key;
	TimestampTz expires_at;

	if (++secret->number >= key->secrets.count)
		return false;
	secret->hash = ak_packed_array_next(&key->secrets, offset);
	memcpy(&expires_at,
		   ak_packed_array_at(&key->secret_expirations, secret->number,
							  sizeof(expires_at)),
		   sizeof(expires_at));
	secret->is_live = expires_at > decision->now;
	return true;
}

/* Notes what comparing the claim with one of the key's secrets has told. */
static AkReason
note_verdict(const AkRequest *request, const AkSecretClaim *claim,
			 const StoredSecret *secret, AkVerdict verdict,
			 AkDecision *decision)
{
	if (verdict == AK_PEPPER_UNKNOWN)
		return AK_PEPPER_MISSING;
	if (verdict != AK_SECRET_MATCHES && verdict != AK_SECRET_IS_OUTDATED)
		return AK_WRONG_SECRET;
	if (!secret->is_live)
		return AK_SECRET_EXPIRED;
	decision->secret_version = ak_image_secret_version(&decision->key,
													   secret->number);
	if (verdict == AK_SECRET_IS_OUTDATED)
		ak_rehash_offer(request->public_key, secret->hash.data,
						secret->hash.size, claim);
	return AK_OK;
}

/*
 * The same as check_secrets(), for the live secrets of the key whose hashes have
 * to be computed at length, until one is proved.  It can be cancelled before
 * each: the transaction lets go of what is held then.
 */
static AkReason
check_slow_secrets(const AkRequest *request, const AkSecretClaim *claim,
				   AkDecision *decision)
{
	AkGuess		guess = {
		.public_key = request->public_key,
		.organization = &decision->key.organization_id,
		.address = request->address
	};
	AkReason	reason = AK_WRONG_SECRET;
	StoredSecret secret = {.number = -1};
	size_t		offset = 0;

	while (reason != AK_OK && next_secret(decision, &offset, &secret))
	{
		AkVerdict	verdict;

		if (!secret.is_live ||
			!ak_secret_hash_takes_long(secret.hash.data, secret.hash.size,
									   claim))
			continue;
		CHECK_FOR_INTERRUPTS();
		verdict = ak_guess_verify(&guess, secret.hash.data, secret.hash.size,
								  claim);
		reason = note_verdict(request, claim, &secret, verdict, decision);
	}
	return reason;
}

/*
 * Whether the secret is a live one of the key, and which.  Every secret of the
 * image is compared where that takes no time, also if an earlier one was the
 * right one.  What takes long is not done for one that has expired; it is left
 * for last, and left out if the secret is proved: so who has proved it is not
 * counted among those who guess.
 */
static AkReason
check_secrets(const AkRequest *request, const AkSecretClaim *claim,
			  AkDecision *decision)
{
	AkReason	reason = AK_WRONG_SECRET;
	bool		has_slow = false;
	StoredSecret secret = {.number = -1};
	size_t		offset = 0;

	while (next_secret(decision, &offset, &secret))
	{
		const AkBytes *hash = &secret.hash;
		AkVerdict	verdict;

		if (!ak_secret_hash_takes_long(hash->data, hash->size, claim))
			verdict = ak_secret_hash_verify(hash->data, hash->size, claim);
		else if (!secret.is_live)
			continue;
		else if (ak_guesses_know(&decision->key.organization_id, hash->data,
								 hash->size, claim))
			verdict = AK_SECRET_IS_OUTDATED;
		else
		{
			has_slow = true;
			continue;
		}
		reason = ak_reason_better(reason,
								  note_verdict(request, claim, &secret, verdict,
											   decision));
	}
	if (has_slow && reason != AK_OK)
		reason = ak_reason_better(reason,
								  check_slow_secrets(request, claim, decision));
	return reason;
}

/* --- A short-lived token -------------------------------------------------- */

/*
 * Whether the token is authentic, has not expired, and came from a secret that is
 * a live one.  Of a token that is not authentic nothing is looked up.
 */
static AkReason
prove_token(const AkRequest *request, AkDecision *decision)
{
	AkShortToken *token = palloc(sizeof(AkShortToken));

	if (!ak_short_token_open(&decision->store, VARDATA_ANY(request->token),
							 VARSIZE_ANY_EXHDR(request->token), token) ||
		token->issued_at > decision->now + TOKEN_CLOCK_SKEW)
		return AK_TOKEN_INVALID;
	decision->token = token;
	decision->public_key = token->public_key;
	decision->key_exists = ak_keystore_find_any_image(&decision->store,
													  token->public_key,
													  &decision->key);
	if (token->expires_at <= decision->now)
		return AK_TOKEN_EXPIRED;
	if (!decision->key_exists ||
		!ak_image_secret_lives(&decision->key, token->secret_version, decision->now) ||
		!ak_short_token_knows_secret(&decision->store, token))
		return AK_TOKEN_REVOKED;
	decision->secret_version = token->secret_version;
	return AK_OK;
}

/* Whether the token was narrowed to less than what is asked. */
static AkReason
check_token(const AkRequest *request, const AkShortToken *token)
{
	size_t		offset = 0;
	AkBytes		scope;

	if (token == NULL || request->any_scope)
		return AK_OK;
	while (token->scopes &&
		   (scope.size = ak_scope_next(VARDATA_ANY(request->scope),
									   VARSIZE_ANY_EXHDR(request->scope),
									   &offset, &scope.data)) > 0)
		if (!ak_permissions_allow(&token->patterns, scope.data, scope.size))
			return AK_TOKEN_SCOPE_DENIED;
	if (token->has_project &&
		(request->project == NULL ||
		 memcmp(request->project, &token->project, sizeof(pg_uuid_t)) != 0))
		return AK_TOKEN_PROJECT_DENIED;
	return AK_OK;
}

/* --- The key -------------------------------------------------------------- */

/* Whether the key exists and the secret is one of its live ones. */
static AkReason
prove_key(const AkRequest *request, const AkSecretClaim *claim,
		  AkDecision *decision)
{
	if (request->token)
		return prove_token(request, decision);
	if (request->digest)
		return ak_digest_prove(request, decision);
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

/* --- The scope ------------------------------------------------------------ */

/* A look for the first grant of the key that allows a scope at a place. */
typedef struct ScopeSearch
{
	AkPlace		place;
	AkBytes		scope;
	AkHeld		found;
	bool		is_found;
} ScopeSearch;

static bool
try_grant(const AkHeld *held, void *argument)
{
	ScopeSearch *search = argument;

	search->is_found = ak_held_allows(held, &search->place,
									  search->scope.data, search->scope.size);
	if (search->is_found)
		search->found = *held;
	return !search->is_found;
}

/*
 * The ak_grant_id() of the first grant that allows the scope, or 0.  Only where
 * what is held in the organization allows it in a project is it asked whether the
 * project is the organization's.
 */
static uint64
find_grant(const AkRequest *request, AkBytes scope, AkDecision *decision)
{
	ScopeSearch search = {
		.place = {.organization = decision->key.organization_id},
		.scope = scope
	};

	if (request->project)
	{
		search.place.has_project = true;
		search.place.project = *request->project;
	}
	ak_grants_scan_image(&decision->store, &decision->key, request->project,
						 false, NULL, try_grant, &search);
	if (!search.is_found ||
		(request->project && !search.found.grant.has_project &&
		 !ak_keystore_project_belongs(&decision->store, request->project,
									  &decision->key.organization_id)))
		return 0;
	return search.found.id;
}

static void
note_grant(AkDecision *decision, uint64 grant)
{
	for (int i = 0; i < decision->grant_count; i++)
		if (decision->grants[i] == grant)
			return;
	decision->grants[decision->grant_count++] = grant;
}

/* Each of the scopes must be allowed; there are AK_SCOPES_MAX at most. */
static AkReason
check_scopes(const AkRequest *request, AkDecision *decision)
{
	size_t		offset = 0;
	AkBytes		scope;

	if (request->any_scope)
		return AK_OK;
	if (request->scope == NULL)
		return AK_SCOPE_DENIED;
	while ((scope.size = ak_scope_next(VARDATA_ANY(request->scope),
									   VARSIZE_ANY_EXHDR(request->scope),
									   &offset, &scope.data)) > 0)
	{
		uint64		grant = find_grant(request, scope, decision);

		if (grant == 0)
			return AK_SCOPE_DENIED;
		note_grant(decision, grant);
	}
	return AK_OK;
}

/* --- All together -------------------------------------------------------- */

static AkReason
find_reason(const AkRequest *request, const AkSecretClaim *claim,
			AkDecision *decision)
{
	AkImage    *key = &decision->key;
	AkReason	reason = prove_key(request, claim, decision);
	AkPolicy	policy;

	if (reason != AK_OK)
		return reason;
	ak_image_read_rest(key);
	policy = ak_policy_get(&decision->store, &key->organization_id);
	reason = ak_admit_key(key, &policy, decision->now, request->address,
						  &decision->has_network, &decision->network);
	if (reason != AK_OK)
		return reason;
	reason = check_scopes(request, decision);
	if (reason != AK_OK)
		return reason;
	reason = check_token(request, decision->token);
	if (reason != AK_OK || request->any_scope)
		return reason;
	ak_image_read_limits(key);
	return ak_limits_decide(&decision->store, key, &policy, request->scope,
							request->cost, request->wants_details,
							&decision->limit);
}

/*
 * Opens the store, and makes the claim that the secret is the key's.  The
 * processor continues with other work while it waits for memory.  So the hash,
 * which needs nothing from the tables, is computed after the positions of the
 * key's image and of its counters were prefetched, the store is opened after the
 * image was prefetched, and the image is read after the counter was.
 */
static void
open_store(const AkRequest *request, AkSecretClaim *claim, AkKeystore *store)
{
	uint32		tables = AK_TABLE_BIT(AK_ROLE) | AK_TABLE_BIT(AK_ORGANIZATION);
	uint64		hash;
	Size		counters;

	/* No new snapshot can be taken then, so a revocation could be missed. */
	if (IsInParallelMode())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot decide during a parallel operation"),
				 errhint("Mark the function that calls it PARALLEL UNSAFE."),
				 ak_errid("parallel_plan"),
				 errhidestmt(true),
				 errhidecontext(true)));
	if (request->project)
		tables |= AK_TABLE_BIT(AK_PROJECT);
	if (request->digest)
		tables |= AK_TABLE_BIT(AK_KEY_SECRET);
	if (request->token)
		tables |= AK_TABLE_BIT(AK_KEY_IMAGE) | AK_TABLE_BIT(AK_PROJECT) |
			ak_short_token_tables();
	if (request->public_key == NULL)
	{
		ak_keystore_open(store, tables);
		return;
	}
	hash = ak_locator_hash(request->public_key);
	counters = ak_usage_prefetch_root(request->public_key);
	if (request->secret)
		ak_secret_claim_init(claim,
							 VARDATA_ANY(request->public_key),
							 VARSIZE_ANY_EXHDR(request->public_key),
							 VARDATA_ANY(request->secret),
							 VARSIZE_ANY_EXHDR(request->secret));
	ak_keystore_open_for_image(store, hash, tables);
	ak_counter_prefetch(counters);
}

/*
 * Decides a request whose scope is valid.  The caller can read what was found
 * of the key until ak_decision_close(), which it must call in the same
 * function; after an error the transaction does it.
 */
void
ak_decision_open(const AkRequest *request, AkDecision *decision)
{
	AkRequest	shortened = *request;
	AkSecretClaim claim;

	/*
	 * A public key longer than any valid one is replaced by a text that is no
	 * key: so the denial takes as long as that of any unknown key, and does
	 * not depend on the length of the text.
	 */
	if (request->public_key &&
		VARSIZE_ANY_EXHDR(request->public_key) > AK_PUBLIC_KEY_MAX_SIZE)
		shortened.public_key = cstring_to_text("?");
	memset(decision, 0, sizeof(*decision));
	decision->public_key = request->public_key;
	open_store(&shortened, &claim, &decision->store);
	decision->now = GetCurrentTimestamp();
	decision->reason = find_reason(&shortened, &claim, decision);
	if (request->wants_details && ak_decision_proves(decision))
		ak_image_read_details(&decision->key, &decision->details);
}

/* Releases what was read, and records the use or the denial. */
void
ak_decision_close(const AkRequest *request, AkDecision *decision)
{
	AkUse		use = {
		.reason = decision->reason,
		.secret_version = decision->secret_version,
		.grant = decision->grants[0],
		.network = decision->has_network ? &decision->network : NULL,
		.address = request->address,
		.cost = request->cost,
		.at = decision->now
	};

	ak_keystore_close(&decision->store);
	ak_usage_record(decision->key_exists || decision->reason == AK_UNKNOWN_KEY ?
					decision->public_key : NULL,
					&decision->key.organization_id, &use);
	for (int i = 1; decision->reason == AK_OK && i < decision->grant_count; i++)
		ak_usage_record_grant(decision->public_key,
							  &decision->key.organization_id,
							  decision->grants[i]);
}

/* Whether the secret, or that of the token, was proved to be a live one of the key. */
bool
ak_decision_proves(const AkDecision *decision)
{
	return decision->reason == AK_OK || decision->reason > AK_TOKEN_REVOKED;
}

/* --- Errors -------------------------------------------------------------- */

/*
 * Raises the error for a denial: 28000 where the key is not proved, the same one
 * whatever is wrong except a nonce, which tells nothing about the key, 53400
 * where it is over a limit, and else denied_code with the reason.  The server's
 * log leaves out the statement, which may contain the secret.
 */
void
ak_decision_raise(const AkDecision *decision, int denied_code)
{
	bool		proved = ak_decision_proves(decision);
	bool		limited = decision->reason >= AK_RATE_LIMITED;
	bool		nonce = decision->reason == AK_NONCE_STALE ||
		decision->reason == AK_NONCE_REPLAYED;

	ereport(ERROR,
			(errcode(limited ? ERRCODE_CONFIGURATION_LIMIT_EXCEEDED :
					 proved ? denied_code :
					 ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 proved ? errmsg("API key is denied") :
			 errmsg("API key is not valid"),
			 proved || nonce ?
			 errdetail("The reason is %s.",
					   ak_reason_name(decision->reason)) : 0,
			 ak_errid(limited ? "limit_exceeded" :
					  proved ? "key_denied" :
					  nonce ? "nonce_not_valid" :
					  "key_not_valid"),
			 errhidestmt(true),
			 errhidecontext(true)));
}
