/*
 * scope.c
 *	  Scopes, and the permission patterns that allow them.
 *
 * A permission is a scope in which each "*" stands for any run of characters,
 * the empty one and separators included; nothing else is special.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.  Its
 * alphabet is ASCII, whatever the locale.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 * Strings are counted bytes, never zero-terminated; comparing is
 * case-sensitive.
 */
#include <string.h>

#include "core/scope.h"

static bool
is_scope_character(char c)
{
	return (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') ||
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
 * Does the pattern match the whole subject?  A "*" of the subject is a
 * character like any other, but as the pattern's own "*" is never compared
 * with it, only a "*" of the pattern can match it.
 *
 * What is before the first star and after the last one has its place.  Each part
 * between two stars is looked for where the one before it ends first: whatever an
 * earlier star could match more, the next one can match instead.  So no part is
 * looked for twice, and this takes at most subject_length comparisons for each part
 * of the pattern, all of them together at most pattern_length * subject_length steps
 * of memcmp().
 */
static bool
match_pattern(const char *pattern, size_t pattern_length,
			  const char *subject, size_t subject_length)
{
	const char *star = memchr(pattern, '*', pattern_length);
	const char *last_star = pattern + pattern_length - 1;
	size_t		before;
	size_t		after;

	if (star == NULL)
		return pattern_length == subject_length &&
			memcmp(pattern, subject, subject_length) == 0;
	while (*last_star != '*')
		last_star--;
	before = (size_t) (star - pattern);
	after = (size_t) (pattern + pattern_length - (last_star + 1));
	if (subject_length < before + after ||
		memcmp(subject, pattern, before) != 0 ||
		memcmp(subject + subject_length - after, last_star + 1, after) != 0)
		return false;
	subject += before;
	subject_length -= before + after;
	for (const char *part = star + 1; part <= last_star;)
	{
		const char *end = memchr(part, '*', (size_t) (last_star + 1 - part));
		const char *found = find_part(subject, subject_length, part,
									  (size_t) (end - part));

		if (found == NULL)
			return false;
		found += end - part;
		subject_length -= (size_t) (found - subject);
		subject = found;
		part = end + 1;
	}
	return true;
}

/*
 * Does the permission allow the scope?  Both are valid, which the caller has
 * checked, and remain the caller's.
 */
bool
ak_permission_allows(const char *permission, size_t permission_length,
					 const char *scope, size_t scope_length)
{
	return match_pattern(permission, permission_length, scope, scope_length);
}

/*
 * Does the permission allow every scope that the other permission allows?
 * Both are valid, which the caller has checked, and remain the caller's.
 *
 * True is always right: if a "*" of the permission matches each "*" of the
 * other, it matches any run of characters in its place, too.  False is right
 * if the permission lacks any one of the alphabet's 67 characters: the other
 * permission, with that character for each "*", is a scope that this one does
 * not allow.
 */
bool
ak_permission_covers(const char *permission, size_t permission_length,
					 const char *other, size_t other_length)
{
	return match_pattern(permission, permission_length, other, other_length);
}
