/*
 * bound_key.c
 *	  See bound_key.h.
 *
 * A policy asks the same question for row after row, so each answer is cached:
 * for a scope, what the roles allow in the organization and in every project
 * of it; for a scope and a project, the whole answer.  A table is read at most
 * once for a scope and a project: to check whether the project belongs to the
 * organization, if a role that counts in all of its projects allows the scope.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "core/scope.h"
#include "identity/bound_key.h"
#include "store/keystore.h"
#include "store/roles.h"
#include "usage/usage.h"

#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Limit of cached scopes; beyond it the cache is cleared. */
#define MAX_SCOPES		64
#define MAX_ANSWERS		100000

/* A role held in one project. */
typedef struct ProjectRole
{
	pg_uuid_t	project;
	const AkRole *role;
} ProjectRole;

typedef struct Scope
{
	char		text[AK_SCOPE_MAX_LENGTH];
	size_t		length;
	uint64		in_organization;	/* ak_grant_id() of the role; 0: none */
	uint64		in_every_project;
	bool		was_recorded;	/* that of the organization */
} Scope;

/* Key and entry of the hash table of answers; the key has no padding. */
typedef struct Question
{
	pg_uuid_t	project;
	int32		scope;			/* index in scopes[] */
} Question;

typedef struct Answer
{
	Question	question;
	bool		permits;
} Answer;

struct AkBoundKey
{
	text	   *public_key;
	pg_uuid_t	organization_id;
	int			organization_role_count;
	const AkRole **organization_roles;
	int			project_role_count;
	ProjectRole *project_roles; /* sorted by project */

	MemoryContext context;		/* of all that follows */
	int			scope_count;
	Scope	   *scopes;
	int			last_scope;
	HTAB	   *answers;
	bool		has_last_answer;
	Answer		last_answer;
};

/* --- The roles of the key ------------------------------------------------ */

static void
copy_permissions(const AkPermissions *from, AkPermissions *to)
{
	to->count = from->count;
	to->items = palloc(from->count * sizeof(AkPermission));
	for (int i = 0; i < from->count; i++)
	{
		to->items[i].text = pnstrdup(from->items[i].text,
									 from->items[i].length);
		to->items[i].length = from->items[i].length;
	}
}

static AkRole *
copy_role(const AkRole *role)
{
	AkRole	   *copy = palloc(sizeof(AkRole));

	copy->name_hash = role->name_hash;
	copy_permissions(&role->organization, &copy->organization);
	copy_permissions(&role->project, &copy->project);
	return copy;
}

static void
take_organization_roles(AkBoundKey *key, AkKeystore *store,
						const AkPackedArray *names)
{
	size_t		offset = 0;

	key->organization_roles = palloc(names->count * sizeof(AkRole *));
	for (int i = 0; i < names->count; i++)
	{
		AkBytes		name = ak_packed_array_next(names, &offset);
		const AkRole *role = ak_roles_find(store, &name);

		if (role)
			key->organization_roles[key->organization_role_count++] =
				copy_role(role);
	}
}

static int
compare_project_roles(const void *a, const void *b)
{
	return memcmp(&((const ProjectRole *) a)->project,
				  &((const ProjectRole *) b)->project, sizeof(pg_uuid_t));
}

/* A key may have the same few roles in many projects. */
static void
take_project_roles(AkBoundKey *key, AkKeystore *store,
				   const AkPackedArray *names, const AkPackedArray *projects)
{
	const AkRole **originals = palloc(names->count * sizeof(AkRole *));
	AkRole	  **copies = palloc(names->count * sizeof(AkRole *));
	int			copy_count = 0;
	size_t		offset = 0;

	key->project_roles = palloc(names->count * sizeof(ProjectRole));
	for (int i = 0; i < names->count; i++)
	{
		AkBytes		name = ak_packed_array_next(names, &offset);
		const AkRole *role = ak_roles_find(store, &name);
		ProjectRole *held = &key->project_roles[key->project_role_count];
		int			copy = 0;

		if (role == NULL)
			continue;
		while (copy < copy_count && originals[copy] != role)
			copy++;
		if (copy == copy_count)
		{
			originals[copy] = role;
			copies[copy_count++] = copy_role(role);
		}
		held->role = copies[copy];
		memcpy(&held->project,
			   ak_packed_array_at(projects, i, sizeof(pg_uuid_t)),
			   sizeof(pg_uuid_t));
		key->project_role_count++;
	}
	qsort(key->project_roles, key->project_role_count, sizeof(ProjectRole),
		  compare_project_roles);
	pfree(originals);
	pfree(copies);
}

/*
 * Makes the key with its current rights, in TopTransactionContext.  The store
 * that the image was found in is open and reads roles; the rest of the image
 * was read.
 */
AkBoundKey *
ak_bound_key_make(const text *public_key, AkKeystore *store, AkImage *image)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	AkBoundKey *key = palloc0(sizeof(AkBoundKey));

	key->public_key =
		(text *) DatumGetPointer(datumCopy(PointerGetDatum(public_key),
										   false, -1));
	key->organization_id = image->organization_id;
	take_organization_roles(key, store, &image->organization_roles);
	ak_image_read_projects(image);
	take_project_roles(key, store, &image->project_roles, &image->projects);
	key->context = AllocSetContextCreate(TopTransactionContext,
										 "apikeys bound key",
										 ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(old);
	return key;
}

/* Returns the public key; not to be changed. */
text *
ak_bound_key_name(AkBoundKey *key)
{
	return key->public_key;
}

/* Returns the organization of the key. */
const pg_uuid_t *
ak_bound_key_organization(const AkBoundKey *key)
{
	return &key->organization_id;
}

/* --- What the key permits ------------------------------------------------ */

/* Makes room for one more answer. */
static void
make_room_for_answer(AkBoundKey *key)
{
	HASHCTL		info = {0};

	if (key->answers &&
		hash_get_num_entries(key->answers) >= MAX_ANSWERS)
	{
		hash_destroy(key->answers);
		key->answers = NULL;
	}
	if (key->answers)
		return;
	info.keysize = sizeof(Question);
	info.entrysize = sizeof(Answer);
	info.hcxt = key->context;
	key->answers = hash_create("apikeys answers", 64, &info,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Makes room for one more scope; this may clear all answers. */
static void
make_room_for_scope(AkBoundKey *key)
{
	if (key->scope_count == MAX_SCOPES)
	{
		key->scope_count = 0;
		key->scopes = NULL;
		key->answers = NULL;
		key->has_last_answer = false;
		MemoryContextReset(key->context);
	}
	if (key->scopes == NULL)
		key->scopes = MemoryContextAlloc(key->context,
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
find_scope(AkBoundKey *key, const text *candidate)
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
	for (int i = 0; i < key->organization_role_count; i++)
	{
		const AkRole *role = key->organization_roles[i];
		uint64		grant = ak_grant_id(role->name_hash, NULL);

		if (scope->in_organization == 0 &&
			ak_permissions_allow(&role->organization,
								 scope->text, scope->length))
			scope->in_organization = grant;
		if (scope->in_every_project == 0 &&
			ak_permissions_allow(&role->project, scope->text, scope->length))
			scope->in_every_project = grant;
	}
	return key->last_scope = key->scope_count++;
}

static bool
project_belongs(const AkBoundKey *key, const pg_uuid_t *project)
{
	AkKeystore	store;
	bool		belongs;

	ak_keystore_open(&store, AK_TABLE_BIT(AK_PROJECT));
	belongs = ak_keystore_project_belongs(&store, project,
										  &key->organization_id);
	ak_keystore_close(&store);
	return belongs;
}

/*
 * Returns the first role that is held in the project itself and allows the
 * scope, or 0.
 */
static uint64
find_project_grant(const AkBoundKey *key, const Scope *scope,
					const pg_uuid_t *project)
{
	int			low = 0;
	int			high = key->project_role_count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (memcmp(&key->project_roles[middle].project, project,
				   sizeof(pg_uuid_t)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < key->project_role_count &&
		 memcmp(&key->project_roles[low].project, project,
				sizeof(pg_uuid_t)) == 0; low++)
		if (ak_permissions_allow(&key->project_roles[low].role->project,
								 scope->text, scope->length))
			return ak_grant_id(key->project_roles[low].role->name_hash,
							   project);
	return 0;
}

/* Stores what the key permits in the project as the last answer. */
static void
answer(AkBoundKey *key, const Question *question)
{
	Answer	   *entry;
	bool		found;

	key->has_last_answer = false;
	entry = key->answers ?
		hash_search(key->answers, question, HASH_FIND, NULL) : NULL;
	if (entry == NULL)
	{
		const Scope *scope = &key->scopes[question->scope];
		uint64		grant = find_project_grant(key, scope,
											   &question->project);

		if (grant == 0 && scope->in_every_project &&
			project_belongs(key, &question->project))
			grant = scope->in_every_project;
		if (grant)
			ak_usage_record_grant(key->public_key, grant);
		make_room_for_answer(key);
		entry = hash_search(key->answers, question, HASH_ENTER, &found);
		entry->permits = grant != 0;
	}
	key->last_answer = *entry;
	key->has_last_answer = true;
}

static bool
permits_in_organization(AkBoundKey *key, Scope *scope)
{
	if (scope->in_organization && !scope->was_recorded)
		ak_usage_record_grant(key->public_key, scope->in_organization);
	scope->was_recorded = true;
	return scope->in_organization != 0;
}

/*
 * Checks whether the key has the scope in the organization itself or, if
 * project is not NULL, in that project.  Raises 22023 if the text is not a
 * scope.
 */
bool
ak_bound_key_permits(AkBoundKey *key, const text *scope,
					 const pg_uuid_t *project)
{
	Question	question;

	question.scope = find_scope(key, scope);
	if (project == NULL)
		return permits_in_organization(key, &key->scopes[question.scope]);
	question.project = *project;
	if (!key->has_last_answer ||
		memcmp(&key->last_answer.question, &question, sizeof(question)) != 0)
		answer(key, &question);
	return key->last_answer.permits;
}
