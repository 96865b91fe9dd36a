/*
 * places.c
 *	  What the principal holds in an organization, by place: read once, and then
 *	  asked for as many places as a key has roles in.
 */
#include "postgres.h"

#include "core/compat.h"
#include "identity/identity.h"
#include "store/store.h"

#include "miscadmin.h"

static bool
collect_held(const AkHeld *held, void *argument)
{
	AkOwnGrants *own = argument;
	const AkGrant *grant = &held->grant;

	CHECK_FOR_INTERRUPTS();
	if (memcmp(&grant->organization_id, &own->organization,
			   sizeof(pg_uuid_t)) != 0 ||
		(own->only && grant->has_project &&
		 !(own->only->has_project &&
		   memcmp(&grant->project_id, &own->only->project,
				  sizeof(pg_uuid_t)) == 0)))
		return true;
	if (own->count == own->allocated)
	{
		own->allocated = Max(8, 2 * own->allocated);
		own->items = own->items ?
			repalloc_huge(own->items, own->allocated * sizeof(AkHeld)) :
			palloc(own->allocated * sizeof(AkHeld));
	}
	own->items[own->count++] = *held;
	return true;
}

static int
compare_projects(const AkGrant *grant, const AkGrant *other)
{
	int			order = grant->has_project - other->has_project;

	return order || !grant->has_project ? order :
		memcmp(&grant->project_id, &other->project_id, sizeof(pg_uuid_t));
}

static int
compare_held(const void *a, const void *b)
{
	return compare_projects(&((const AkHeld *) a)->grant,
							&((const AkHeld *) b)->grant);
}

/*
 * Reads what the principal holds in an organization, into the current memory
 * context; of it only what counts at a place, unless that is NULL.  The store was
 * opened with ak_own_grants_open(), and stays open as long.
 */
void
ak_own_grants_read(AkKeystore *store, const pg_uuid_t *organization,
				   const AkPlace *only, AkOwnGrants *own)
{
	memset(own, 0, sizeof(AkOwnGrants));
	own->store = store;
	own->organization = *organization;
	own->only = only;
	ak_own_grants_scan(store, collect_held, own);
	if (own->count > 1)
		qsort(own->items, own->count, sizeof(AkHeld), compare_held);
}

/* Finds those that are held in the project of a grant, or in none. */
static int
find_held(const AkOwnGrants *own, const AkGrant *where, const AkHeld **first)
{
	int			low = 0;
	int			high = own->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (compare_projects(&own->items[middle].grant, where) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*first = own->items + low;
	while (high < own->count &&
		   compare_projects(&own->items[high].grant, where) == 0)
		high++;
	return high - low;
}

/*
 * Fills in the search; it stays empty if the project does not belong to the
 * organization.
 */
void
ak_place_search(const AkOwnGrants *own, const AkPlace *place,
				AkPlaceSearch *search)
{
	AkGrant		where = {.has_project = place->has_project,
	.project_id = place->project};

	memset(search, 0, sizeof(AkPlaceSearch));
	search->place = place;
	if (own->count == 0 ||
		(place->has_project &&
		 !ak_keystore_project_belongs(own->store, &place->project,
									  &place->organization)))
		return;
	if (place->has_project)
		search->counts[0] = find_held(own, &where, &search->items[0]);
	where.has_project = false;
	search->counts[1] = find_held(own, &where, &search->items[1]);
}

/* Returns the first one that allows the scope; NULL: none does. */
const AkHeld *
ak_place_find_allowing(const AkPlaceSearch *search, const char *scope, size_t length)
{
	for (int part = 0; part < 2; part++)
		for (int i = 0; i < search->counts[part]; i++)
			if (ak_held_allows(&search->items[part][i], search->place, scope,
							   length))
				return &search->items[part][i];
	return NULL;
}

/* Checks whether one allows the scope, which counts as its use. */
bool
ak_place_allows(const AkPlaceSearch *search, const char *scope)
{
	const AkHeld *held = ak_place_find_allowing(search, scope, strlen(scope));

	if (held)
		ak_own_grants_record_use(held->id);
	return held != NULL;
}

/* Whether one of those held at the place covers a permission. */
static bool
is_covered(const AkPermission *wanted, const AkPlaceSearch *search,
		   bool in_project)
{
	for (int part = 0; part < 2; part++)
		for (int i = 0; i < search->counts[part]; i++)
		{
			const AkPermissions *own =
				ak_held_permissions(&search->items[part][i], search->place,
									in_project);

			if (own && ak_permissions_cover(own, wanted))
				return true;
		}
	return false;
}

/*
 * Checks whether each of some permissions is covered by what is held at the place:
 * in its project, or in its organization itself.
 */
bool
ak_place_covers(const AkPlaceSearch *search, const AkPermissions *wanted,
				bool in_project)
{
	for (int i = 0; i < wanted->count; i++)
		if (!is_covered(&wanted->items[i], search, in_project))
			return false;
	return true;
}
