/*
 * scope.c
 *	  Scopes, and the permission patterns that allow them.
 *
 * A permission is a scope in which each "*" stands for any run of characters,
 * the empty one and separators included; nothing else is special.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.  Its
 * alphabet is ASCII, whatever the locale.  Strings are counted bytes, never
 * zero-terminated; comparing is case-sensitive.
 */
#include <string.h>

#include "core/ascii.h"
#include "core/scope.h"

static bool
is_scope_character(char c)
{
	return ak_is_letter_or_digit(c) ||
		c == '_' || c == '.' || c == ':' || c == '/' || c == '-';
}

static bool
is_valid(const char *text, size_t length, bool star_allowed)
{
	size_t		i;

	if (length < 1 || length > AK_SCOPE_MAX_LENGTH)
		return false;
	for (i = 0; i < length; i++)
	{
		if (!is_scope_character(text[i]) && !(star_allowed && text[i] == '*'))
			return false;
	}
	return true;
}

/*
 * Is this a scope: 1 to AK_SCOPE_MAX_LENGTH characters of [A-Za-z0-9_.:/-]?
 * The caller owns the bytes.
 */
bool
ak_scope_is_valid(const char *scope, size_t length)
{
	return is_valid(scope, length, false);
}

/*
 * The length of the next of several scopes, and where it begins in *scope; 0
 * if there is no more.  The search begins at *offset, 0 at first, and leaves
 * there where to go on.  The bytes remain the caller's.
 */
size_t
ak_scope_next(const char *scopes, size_t length, size_t *offset,
			  const char **scope)
{
	const char *end;

	if (*offset >= length)
		return 0;
	*scope = scopes + *offset;
	end = memchr(*scope, ' ', length - *offset);
	if (end == NULL)
		end = scopes + length;
	*offset = (size_t) (end - scopes) + 1;
	return (size_t) (end - *scope);
}

/*
 * Are these 1 to AK_SCOPES_MAX scopes with a single blank between them (RFC
 * 6749, section 3.3)?  The caller owns the bytes.
 */
bool
ak_scopes_are_valid(const char *scopes, size_t length)
{
	size_t		offset = 0;

	for (int count = 0; count < AK_SCOPES_MAX; count++)
	{
		const char *scope = scopes;
		size_t		scope_length = ak_scope_next(scopes, length, &offset,
												 &scope);

		if (!is_valid(scope, scope_length, false))
			return false;
		if (offset > length)
			return true;
	}
	return false;
}

/*
 * Is this a permission: as a scope, but with "*" in the alphabet?  The caller
 * owns the bytes.
 */
bool
ak_permission_is_valid(const char *permission, size_t length)
{
	return is_valid(permission, length, true);
}

/* Where the text contains the part first; NULL: nowhere. */
static const char *
find_part(const char *text, size_t length, const char *part, size_t part_length)
{
	if (part_length == 0)
		return text;
	while (length >= part_length)
	{
		const char *found = memchr(text, part[0], length - part_length + 1);

		if (found == NULL)
			return NULL;
		if (memcmp(found, part, part_length) == 0)
			return found;
		length -= (size_t) (found + 1 - text);
		text = found + 1;
	}
	return NULL;
}

/*
 * Does the permission allow the scope?  Both are valid, which the caller has
 * checked, and remain the caller's.
 *
 * What is before the first star and after the last one has its place.  Each
 * part between two stars is looked for where the one before it ends first:
 * whatever an earlier star could match more, the next one can match instead.
 * So no part is looked for twice, and this takes at most scope_length
 * comparisons for each part of the permission, all of them together at most
 * permission_length * scope_length steps of memcmp().
 */
bool
ak_permission_allows(const char *permission, size_t permission_length,
					 const char *scope, size_t scope_length)
{
	const char *star = memchr(permission, '*', permission_length);
	const char *last_star = permission + permission_length - 1;
	size_t		before;
	size_t		after;

	if (star == NULL)
		return permission_length == scope_length &&
			memcmp(permission, scope, scope_length) == 0;
	while (*last_star != '*')
		last_star--;
	before = (size_t) (star - permission);
	after = (size_t) (permission + permission_length - (last_star + 1));
	if (scope_length < before + after ||
		memcmp(scope, permission, before) != 0 ||
		memcmp(scope + scope_length - after, last_star + 1, after) != 0)
		return false;
	scope += before;
	scope_length -= before + after;
	for (const char *part = star + 1; part <= last_star;)
	{
		const char *end = memchr(part, '*', (size_t) (last_star + 1 - part));
		const char *found = find_part(scope, scope_length, part,
									  (size_t) (end - part));

		if (found == NULL)
			return false;
		found += end - part;
		scope_length -= (size_t) (found - scope);
		scope = found;
		part = end + 1;
	}
	return true;
}

/*
 * Does the permission allow every scope that the other permission allows?
 * Both are valid, which the caller has checked, and remain the caller's.
 *
 * A "*" of the other one is a character like any other here, and as the
 * permission's own "*" is never compared with it, only a "*" of the permission
 * can match it.  So true is always right: if a "*" of the permission matches
 * each "*" of the other, it matches any run of characters in its place, too.
 * False is right if the permission lacks any one of the alphabet's 67
 * characters: the other permission, with that character for each "*", is a
 * scope that this one does not allow.
 */
bool
ak_permission_covers(const char *permission, size_t permission_length,
					 const char *other, size_t other_length)
{
	return ak_permission_allows(permission, permission_length,
								other, other_length);
}
