/*
 * bound_key.c
 *	  The rights of a key that is bound to the transaction, in the backend's
 *	  memory.
 *
 * Its roles, and what they permit, are resolved when it is bound and stay as
 * they were; everything is in the memory context of the binding and goes with it.
 * What a key may do that is bound by a token is what the token leaves of it.
 *
 * A policy asks the same question for row after row, so each answer is cached:
 * for a scope, what the roles allow in the organization and in every project
 * of it; for a scope and a project, the whole answer.  A table is read at most
 * once for a scope and a project: to check whether the project belongs to the
 * organization, if a role that counts in all of its projects allows the scope.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/scope.h"
#include "identity/identity.h"
#include "store/store.h"
#include "usage/usage.h"

#include "nodes/primnodes.h"
#include "storage/proc.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Limits of what is cached; beyond them the cache is cleared. */
#define MAX_SCOPES		64
#define MAX_ANSWERS		100000

typedef struct Scope
{
	char		text[AK_SCOPE_MAX_LENGTH];
	size_t		length;
	uint64		in_organization;	/* ak_grant_id() of the first grant that
									 * allows it; 0: none does */
	uint64		in_every_project;
	bool		was_recorded;	/* that of the organization */
} Scope;

/* Key and entry of the hash table of answers, which a policy looks up for each row. */
typedef struct Question
{
	uint64		first;			/* the bytes of the project */
	uint64		second;
	int			scope;			/* index in scopes[] */
} Question;

typedef struct Answer
{
	Question	question;
	char		status;			/* of simplehash */
	bool		permits;
} Answer;

static inline Question
make_question(const pg_uuid_t *project, int scope)
{
	Question	question;

	memcpy(&question.first, project->data, sizeof(uint64));
	memcpy(&question.second, project->data + sizeof(uint64), sizeof(uint64));
	question.scope = scope;
	return question;
}

/*
 * Random: nobody can choose projects whose hashes are the same.  A cryptographic hash
 * would take longer than all else that is done for a row.
 */
static uint32 seeds[4] = {0};

/* The universal hash NH of RFC 4418 (UMAC), folded, for the table uses the low bits. */
static inline uint32
hash_question(const Question *question)
{
	uint64		sum =
		(uint64) ((uint32) question->first + seeds[0]) *
		((uint32) (question->first >> 32) + seeds[1]) +
		(uint64) ((uint32) question->second + seeds[2]) *
		((uint32) (question->second >> 32) + seeds[3]);

	return (uint32) (sum ^ (sum >> 32)) + (uint32) question->scope * 0x9e3779b9;
}

static inline bool
is_same_question(const Question *left, const Question *right)
{
	return left->first == right->first && left->second == right->second &&
		left->scope == right->scope;
}

#define SH_PREFIX answers
#define SH_ELEMENT_TYPE Answer
#define SH_KEY_TYPE Question
#define SH_KEY question
#define SH_HASH_KEY(table, key) hash_question(&(key))
#define SH_EQUAL(table, left, right) is_same_question(&(left), &(right))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A bound key, with what it holds and what was answered. */
typedef struct BoundKey
{
	AkBoundKey	known;
	int			organization_count;
	AkHeld	   *in_organization;
	int			project_count;
	AkHeld	   *in_projects;	/* sorted by project */

	MemoryContext answers_context;	/* of all that follows */
	uint64		scopes_id;		/* no other scopes[] had it in this process */
	int			scope_count;
	Scope	   *scopes;
	int			last_scope;
	answers_hash *answers;
} BoundKey;

/* Of a call whose scope is a constant: where it is in scopes[]. */
typedef struct KnownScope
{
	uint64		scopes_id;
	int			index;
} KnownScope;

static uint64 last_scopes_id = 0;

/* The last transaction that a key was bound to, also if that is undone; its organization. */
static LocalTransactionId bound_transaction = InvalidLocalTransactionId;
static pg_uuid_t bound_organization;

/* --- The roles of the key ------------------------------------------------ */

/* What a key holds while it is taken over. */
typedef struct Taking
{
	BoundKey   *key;
	MemoryContext context;		/* of the key */
	HTAB	   *copies;			/* of Copy */
} Taking;

/* A key may have the same few roles in very many projects: each is copied once. */
typedef struct Copy
{
	const AkPermission *original;	/* hash key */
	AkPermission *items;
} Copy;

static void
copy_permissions(Taking *taking, AkPermissions *permissions)
{
	const AkPermission *original = permissions->items;
	bool		found;
	Copy	   *copy;

	if (permissions->count == 0)
		return;
	copy = hash_search(taking->copies, &original, HASH_ENTER, &found);
	if (!found)
	{
		copy->items = palloc(permissions->count * sizeof(AkPermission));
		for (int i = 0; i < permissions->count; i++)
		{
			copy->items[i].text = pnstrdup(original[i].text,
										   original[i].length);
			copy->items[i].length = original[i].length;
		}
	}
	permissions->items = copy->items;
}

static bool
take(const AkHeld *held, void *argument)
{
	Taking	   *taking = argument;
	BoundKey   *key = taking->key;
	MemoryContext old = MemoryContextSwitchTo(taking->context);
	AkHeld	   *taken = held->grant.has_project ?
		&key->in_projects[key->project_count++] :
		&key->in_organization[key->organization_count++];

	*taken = *held;
	/* It was read from the image, and is not asked for. */
	taken->grant.name = (AkBytes) {0};
	copy_permissions(taking, &taken->organization);
	copy_permissions(taking, &taken->project);
	MemoryContextSwitchTo(old);
	return true;
}

static int
compare_by_project(const void *a, const void *b)
{
	return memcmp(&((const AkHeld *) a)->grant.project_id,
				  &((const AkHeld *) b)->grant.project_id, sizeof(pg_uuid_t));
}

/*
 * After a rollback to a savepoint, keys of the same organization only: what a cursor has
 * answered for the key whose binding is undone would be taken for an answer for this one.
 */
static void
keep_to_organization(const pg_uuid_t *organization)
{
	if (bound_transaction == ak_local_transaction() &&
		memcmp(&bound_organization, organization, UUID_LEN) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a key of another organization was bound to this transaction"),
				 errhint("A transaction is for keys of one organization, also after a rollback to a savepoint."),
				 ak_errid("key_is_bound"),
				 errhidestmt(true),
				 errhidecontext(true)));
	bound_transaction = ak_local_transaction();
	bound_organization = *organization;
}

/*
 * The key with what it may do at this moment, in the memory context; bound by a
 * secret of that version, or by a token that came from it.  The store that the
 * image was found in is open to read table role and, for a token, project.  Raises
 * 55000 if a key of another organization was bound to this transaction.
 */
AkBoundKey *
ak_bound_key_make(MemoryContext context, const text *public_key,
				  AkKeystore *store, AkImage *image, int32 secret_version,
				  const AkShortToken *token)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	BoundKey   *key = palloc0(sizeof(BoundKey));
	Taking		taking = {.key = key, .context = context};
	HASHCTL		info = {0};

	keep_to_organization(&image->organization_id);
	if (seeds[0] == 0)
		ak_crypto_random_bytes(seeds, sizeof(seeds));
	key->known.public_key =
		(text *) DatumGetPointer(datumCopy(PointerGetDatum(public_key),
										   false, -1));
	key->known.organization_id = image->organization_id;
	key->known.secret_version = secret_version;
	if (token)
		key->known.token = ak_short_token_copy(token);

	ak_image_read_projects(image);
	key->in_organization = palloc(image->organization_roles.count *
								  sizeof(AkHeld));
	/* A token can leave of a role in the organization one in a project. */
	key->in_projects = palloc_extended((image->project_roles.count +
										image->organization_roles.count) *
									   sizeof(AkHeld), MCXT_ALLOC_HUGE);
	info.keysize = sizeof(AkPermission *);
	info.entrysize = sizeof(Copy);
	info.hcxt = context;
	taking.copies = hash_create("apikeys copied permissions", 16, &info,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ak_grants_scan_image(store, image, NULL, true, key->known.token, take,
						 &taking);
	hash_destroy(taking.copies);
	qsort(key->in_projects, key->project_count, sizeof(AkHeld),
		  compare_by_project);

	key->answers_context = AllocSetContextCreate(context, "apikeys answers",
												 ALLOCSET_SMALL_SIZES);
	key->scopes_id = ++last_scopes_id;
	MemoryContextSwitchTo(old);
	return &key->known;
}

/* --- What the key permits ------------------------------------------------ */

/*
 * Forgets what was answered: after a rollback of a part of the transaction, in which
 * a project may have been created, and where there is no room for more.
 */
void
ak_bound_key_forget_answers(AkBoundKey *bound)
{
	BoundKey   *key = (BoundKey *) bound;

	key->scopes_id = ++last_scopes_id;
	key->scope_count = 0;
	key->scopes = NULL;
	key->answers = NULL;
	MemoryContextReset(key->answers_context);
}

/* Makes room for one more scope; this may clear all answers. */
static void
make_room_for_scope(BoundKey *key)
{
	if (key->scope_count == MAX_SCOPES)
		ak_bound_key_forget_answers(&key->known);
	if (key->scopes == NULL)
		key->scopes = MemoryContextAlloc(key->answers_context,
										 MAX_SCOPES * sizeof(Scope));
}

static bool
is_scope(const Scope *scope, const text *candidate)
{
	return scope->length == VARSIZE_ANY_EXHDR(candidate) &&
		memcmp(scope->text, VARDATA_ANY(candidate), scope->length) == 0;
}

/*
 * Returns the index in scopes[] of a scope; raises 22023 if the text is not a
 * scope.
 */
static int
find_scope(BoundKey *key, const text *candidate)
{
	Scope	   *scope;

	if (key->scope_count > 0 &&
		is_scope(&key->scopes[key->last_scope], candidate))
		return key->last_scope;
	for (int i = 0; i < key->scope_count; i++)
		if (is_scope(&key->scopes[i], candidate))
			return key->last_scope = i;

	ak_check_scope(candidate);
	make_room_for_scope(key);
	scope = &key->scopes[key->scope_count];
	scope->length = VARSIZE_ANY_EXHDR(candidate);
	memcpy(scope->text, VARDATA_ANY(candidate), scope->length);
	scope->in_organization = 0;
	scope->in_every_project = 0;
	scope->was_recorded = false;
	for (int i = 0; i < key->organization_count; i++)
	{
		const AkHeld *held = &key->in_organization[i];

		if (scope->in_organization == 0 &&
			ak_permissions_allow(&held->organization,
								 scope->text, scope->length))
			scope->in_organization = held->id;
		if (scope->in_every_project == 0 &&
			ak_permissions_allow(&held->project, scope->text, scope->length))
			scope->in_every_project = held->id;
	}
	return key->last_scope = key->scope_count++;
}

static bool
project_belongs(const BoundKey *key, const pg_uuid_t *project)
{
	AkKeystore	store;
	bool		belongs;

	ak_keystore_open(&store, AK_TABLE_BIT(AK_PROJECT));
	belongs = ak_keystore_project_belongs(&store, project,
										  &key->known.organization_id);
	ak_keystore_close(&store);
	return belongs;
}

/* Records that a grant allowed something. */
static void
record_grant(const BoundKey *key, uint64 grant)
{
	ak_usage_record_grant(key->known.public_key, &key->known.organization_id,
						  grant);
}

/* The first grant in the project itself that allows the scope; or 0. */
static uint64
find_project_grant(const BoundKey *key, const Scope *scope,
				   const pg_uuid_t *project)
{
	int			low = 0;
	int			high = key->project_count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (memcmp(&key->in_projects[middle].grant.project_id, project,
				   sizeof(pg_uuid_t)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < key->project_count &&
		 memcmp(&key->in_projects[low].grant.project_id, project,
				sizeof(pg_uuid_t)) == 0; low++)
		if (ak_permissions_allow(&key->in_projects[low].project,
								 scope->text, scope->length))
			return key->in_projects[low].id;
	return 0;
}

/* Finds out what the key permits in the project, and keeps the answer. */
static pg_noinline bool
answer(BoundKey *key, int scope_index, const pg_uuid_t *project)
{
	const Scope *scope = &key->scopes[scope_index];
	uint64		grant = find_project_grant(key, scope, project);
	bool		found;

	if (grant == 0 && scope->in_every_project &&
		project_belongs(key, project))
		grant = scope->in_every_project;
	if (grant)
		record_grant(key, grant);
	if (key->answers && key->answers->members == MAX_ANSWERS)
	{
		answers_destroy(key->answers);
		key->answers = NULL;
	}
	if (key->answers == NULL)
		key->answers = answers_create(key->answers_context, 100, NULL);
	answers_insert(key->answers, make_question(project, scope_index),
				   &found)->permits = grant != 0;
	return grant != 0;
}

static pg_noinline bool
permits_in_organization(BoundKey *key, Scope *scope)
{
	if (scope->in_organization && !scope->was_recorded)
		record_grant(key, scope->in_organization);
	scope->was_recorded = true;
	return scope->in_organization != 0;
}

static bool
is_constant(FmgrInfo *function)
{
	Node	   *call = function->fn_expr;

	return call && IsA(call, FuncExpr) &&
		IsA(linitial(((FuncExpr *) call)->args), Const);
}

/*
 * The index in scopes[] of the scope that a function was called with; is found
 * again without comparing it where it is a constant.
 */
static pg_noinline int
find_scope_of_call(BoundKey *key, FunctionCallInfo call)
{
	KnownScope *known = call->flinfo->fn_extra;
	int			index = find_scope(key, DatumGetTextPP(call->args[0].value));

	if (known == NULL && is_constant(call->flinfo))
		known = call->flinfo->fn_extra =
			MemoryContextAlloc(call->flinfo->fn_mcxt, sizeof(KnownScope));
	if (known)
		*known = (KnownScope) {key->scopes_id, index};
	return index;
}

/*
 * Checks for a function that was called with a scope, not NULL, and a project
 * whether the key has the scope in the organization itself or, if the project is
 * not NULL, in that project.  Raises 22023 if the text is not a scope.
 */
bool
ak_bound_key_permits(AkBoundKey *bound, FunctionCallInfo call)
{
	BoundKey   *key = (BoundKey *) bound;
	const KnownScope *known = call->flinfo->fn_extra;
	int			index = known && known->scopes_id == key->scopes_id ?
		known->index : find_scope_of_call(key, call);
	const pg_uuid_t *project = DatumGetUUIDP(call->args[1].value);
	const Answer *kept;

	if (call->args[1].isnull)
		return permits_in_organization(key, &key->scopes[index]);
	kept = key->answers ?
		answers_lookup(key->answers, make_question(project, index)) : NULL;
	return kept ? kept->permits : answer(key, index, project);
}
