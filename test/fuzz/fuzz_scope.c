/*
 * fuzz_scope.c
 *	  Fuzz src/scope.c.  An input is up to three lines: a permission, another
 *	  permission, and a scope.
 */
#include "fuzz.h"
#include "core/scope.h"

typedef struct Line
{
	const char *text;
	size_t		length;
} Line;

/*
 * What a permission means, said by a table: row p, column s tells if the
 * pattern's first p characters match the subject's first s.
 */
static bool
naive_allows(Line pattern, Line subject)
{
	static bool matches[AK_SCOPE_MAX_LENGTH + 1][AK_SCOPE_MAX_LENGTH + 1];
	size_t		p;
	size_t		s;

	for (p = 0; p <= pattern.length; p++)
	{
		for (s = 0; s <= subject.length; s++)
		{
			bool		star = p > 0 && pattern.text[p - 1] == '*';

			if (p == 0)
				matches[p][s] = (s == 0);
			else if (star)
				matches[p][s] = matches[p - 1][s] ||
					(s > 0 && matches[p][s - 1]);
			else
				matches[p][s] = s > 0 && matches[p - 1][s - 1] &&
					pattern.text[p - 1] == subject.text[s - 1];
		}
	}
	return matches[pattern.length][subject.length];
}

static Line
next_line(const char **text, size_t *length)
{
	Line		line = {*text, *length};
	const char *end = memchr(*text, '\n', *length);

	if (end == NULL)
	{
		*text += *length;
		*length = 0;
		return line;
	}
	line.length = (size_t) (end - *text);
	*text = end + 1;
	*length -= line.length + 1;
	return line;
}

static bool
allows(Line permission, Line scope)
{
	return ak_permission_allows(permission.text, permission.length,
								scope.text, scope.length);
}

static bool
covers(Line permission, Line other)
{
	return ak_permission_covers(permission.text, permission.length,
								other.text, other.length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	Line		permission = next_line(&text, &size);
	Line		other = next_line(&text, &size);
	Line		scope = next_line(&text, &size);
	bool		scope_valid = ak_scope_is_valid(scope.text, scope.length);
	Line		all = {"*", 1};

	if (scope_valid)
		REQUIRE(ak_permission_is_valid(scope.text, scope.length));
	if (!ak_permission_is_valid(permission.text, permission.length) ||
		!ak_permission_is_valid(other.text, other.length))
		return 0;

	REQUIRE(covers(permission, permission));
	REQUIRE(covers(all, permission));
	if (!scope_valid)
		return 0;

	REQUIRE(allows(permission, scope) == naive_allows(permission, scope));
	REQUIRE(allows(all, scope));
	REQUIRE(covers(permission, scope) == allows(permission, scope));
	if (covers(permission, other) && allows(other, scope))
		REQUIRE(allows(permission, scope));
	return 0;
}
