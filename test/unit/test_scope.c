/*
 * test_scope.c
 *	  Unit tests of src/scope.c.
 */
#include "core/scope.h"
#include "tap.h"

/* Patterns and scopes of up to this length are enumerated. */
#define ENUMERATED_LENGTH	5
#define SCOPES_MAX			363 /* 3 + 9 + 27 + 81 + 243 */
#define PERMISSIONS_MAX		1364	/* 4 + 16 + 64 + 256 + 1024 */
#define WORDS				((SCOPES_MAX + 63) / 64)

typedef struct Text
{
	char		bytes[ENUMERATED_LENGTH];
	size_t		length;
} Text;

static bool
allows(const char *permission, const char *scope)
{
	return ak_permission_allows(permission, strlen(permission),
								scope, strlen(scope));
}

static bool
covers(const char *permission, const char *other)
{
	return ak_permission_covers(permission, strlen(permission),
								other, strlen(other));
}

static bool
scope_valid(const char *scope)
{
	return ak_scope_is_valid(scope, strlen(scope));
}

static bool
permission_valid(const char *permission)
{
	return ak_permission_is_valid(permission, strlen(permission));
}

/*
 * What a permission means, said as plainly as it can be.
 */
static bool
naive_match(const char *p, const char *p_end, const char *s, const char *s_end)
{
	if (p == p_end)
		return s == s_end;
	if (*p == '*')
		return naive_match(p + 1, p_end, s, s_end) ||
			(s < s_end && naive_match(p, p_end, s + 1, s_end));
	return s < s_end && *p == *s && naive_match(p + 1, p_end, s + 1, s_end);
}

static void
test_valid(void)
{
	char		text[AK_SCOPE_MAX_LENGTH + 1];
	int			wrong = 0;
	int			byte;

	memset(text, 'a', sizeof(text));
	CHECK(!ak_scope_is_valid(text, 0), "no empty scope");
	CHECK(!ak_permission_is_valid(text, 0), "no empty permission");
	CHECK(ak_scope_is_valid(text, 1), "the shortest scope");
	CHECK(ak_scope_is_valid(text, 256), "the longest scope");
	CHECK(!ak_scope_is_valid(text, 257), "no longer scope");
	CHECK(ak_permission_is_valid(text, 256), "the longest permission");
	CHECK(!ak_permission_is_valid(text, 257), "no longer permission");
	CHECK(scope_valid("https://Example.org/v1/read_all-9"), "a scope");
	CHECK(!scope_valid("invoices.*"), "no star in a scope");
	CHECK(permission_valid("invoices.*"), "a star in a permission");
	CHECK(permission_valid("*"), "a star as a permission");
	CHECK(!ak_scope_is_valid("a\0b", 3), "no zero byte in a scope");

	for (byte = 0; byte < 256; byte++)
	{
		char		c = (char) byte;
		bool		expected = byte != 0 && byte < 128 &&
			strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_.:/-", byte) != NULL;

		wrong += (ak_scope_is_valid(&c, 1) != expected);
		wrong += (ak_permission_is_valid(&c, 1) != (expected || c == '*'));
	}
	CHECK(wrong == 0, "the alphabets, byte by byte");
}

static bool
scopes_valid(const char *scopes)
{
	return ak_scopes_are_valid(scopes, strlen(scopes));
}

static void
test_several(void)
{
	char		text[2 * (AK_SCOPES_MAX + 1)];
	const char *scopes = "a.b c d/e";
	const char *scope;
	size_t		offset = 0;

	CHECK(scopes_valid("a"), "one scope");
	CHECK(scopes_valid(scopes), "three scopes");
	CHECK(!scopes_valid(""), "not none");
	CHECK(!scopes_valid(" "), "not a blank");
	CHECK(!scopes_valid(" a"), "no leading blank");
	CHECK(!scopes_valid("a "), "no trailing blank");
	CHECK(!scopes_valid("a  b"), "no double blank");
	CHECK(!scopes_valid("a\tb"), "no other blank");
	CHECK(!scopes_valid("a b*"), "no star in a later one");
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? 'a' : ' ';
	CHECK(ak_scopes_are_valid(text, 2 * AK_SCOPES_MAX - 1), "as many as can be");
	CHECK(!ak_scopes_are_valid(text, 2 * AK_SCOPES_MAX + 1), "one more");
	CHECK(ak_scope_next(scopes, 9, &offset, &scope) == 3 && scope == scopes &&
		  ak_scope_next(scopes, 9, &offset, &scope) == 1 && *scope == 'c' &&
		  ak_scope_next(scopes, 9, &offset, &scope) == 3 && *scope == 'd' &&
		  ak_scope_next(scopes, 9, &offset, &scope) == 0, "one after the other");
}

static void
test_allows(void)
{
	CHECK(allows("invoices.read", "invoices.read"), "equal");
	CHECK(!allows("invoices.read", "invoices.write"), "different");
	CHECK(!allows("invoices.read", "invoices.rea"), "shorter");
	CHECK(!allows("invoices.read", "invoices.reads"), "longer");
	CHECK(!allows("invoices.read", "Invoices.read"), "case differs");
	CHECK(allows("*", "anything.at:all/1"), "a star allows all");
	CHECK(allows("**", "a"), "two stars allow all");
	CHECK(allows("invoices.*", "invoices.read"), "star at the end");
	CHECK(allows("invoices.*", "invoices."), "star for nothing");
	CHECK(!allows("invoices.*", "invoices"), "its separator is needed");
	CHECK(allows("invoices.*", "invoices.2024.read"), "star over separators");
	CHECK(allows("*.read", "invoices.2024.read"), "star at the begin");
	CHECK(!allows("*.read", "invoices.2024.write"), "a different end");
	CHECK(!allows("*.read", "invoices.read.all"), "a longer end");
	CHECK(allows("a*b", "ab"), "star for nothing between");
	CHECK(allows("a**b", "ab"), "two stars for nothing between");
	CHECK(allows("a*b", "abab"), "star goes back");
	CHECK(!allows("a*b", "aba"), "star goes back in vain");
	CHECK(allows("*a*b*c", "xaybzbc"), "three stars");
	CHECK(!allows("ab*ba", "aba"), "star's neighbours do not overlap");
	CHECK(!allows("*a", "b"), "nothing to go back to");
	CHECK(!allows("a*", "ba"), "first character differs");
	CHECK(ak_permission_allows("a*zzz", 2, "abcd", 2),
		  "only the counted bytes are read");
}

static void
test_covers(void)
{
	CHECK(covers("*", "*"), "all covers all");
	CHECK(covers("*", "a.*.b"), "all covers any");
	CHECK(covers("*", "**") && covers("**", "*"), "two stars are one");
	CHECK(!covers("*.read", "*"), "a part does not cover all");
	CHECK(!covers("a*", "*") && !covers("*a", "*"), "nor does this");
	CHECK(covers("a.*", "a.b.*"), "covers a narrower one");
	CHECK(!covers("a.b.*", "a.*"), "not a wider one");
	CHECK(covers("a.*", "a.*"), "covers itself");
	CHECK(covers("a.*", "a.b"), "covers a scope");
	CHECK(!covers("a.b", "a.*"), "a scope does not cover a star");
	CHECK(covers("a.b", "a.b"), "a scope covers itself");
	CHECK(covers("a**b", "a*b") && covers("a*b", "a**b"), "doubled star");
	CHECK(covers("a*b", "ab") && !covers("ab", "a*b"), "star for nothing");
	CHECK(covers("*.read", "a*.read"), "the same end");
	CHECK(!covers("*.read", "*.*"), "a different end");
	CHECK(covers("*.*", "*.read"), "a wider end");
	CHECK(covers("a*c", "a*b*c"), "one star for two");
	CHECK(!covers("a*b*c", "a*c"), "two stars for one");
	CHECK(covers("*a*", "*ba*") && !covers("*ba*", "*a*"), "in the middle");
}

static void
test_longest(void)
{
	char		scope[AK_SCOPE_MAX_LENGTH];
	char		permission[AK_SCOPE_MAX_LENGTH];
	size_t		i;

	memset(scope, 'a', sizeof(scope));
	for (i = 0; i < sizeof(permission); i++)
		permission[i] = (i % 2 == 0) ? '*' : 'a';
	CHECK(ak_permission_allows(permission, 256, scope, 256),
		  "128 stars and as many letters");
	permission[255] = 'b';
	CHECK(!ak_permission_allows(permission, 256, scope, 256),
		  "the same in vain does not take exponential time");
	CHECK(ak_permission_allows("*", 1, scope, 256),
		  "a star allows the longest");
}

/*
 * Draw a text of 1 to "longest" characters, one of "kinds" kinds.
 */
static size_t
draw_text(char *text, uint32_t longest, uint32_t kinds)
{
	size_t		length = 1 + tap_random(longest);
	size_t		i;

	for (i = 0; i < length; i++)
		text[i] = "ab.*"[tap_random(kinds)];
	return length;
}

static void
test_random_pairs(void)
{
	char		permission[7];
	char		scope[9];
	int			wrong = 0;
	int			allowed = 0;
	int			round;

	for (round = 0; round < 1000000; round++)
	{
		size_t		p = draw_text(permission, sizeof(permission), 4);
		size_t		s = draw_text(scope, sizeof(scope), 3);
		bool		answer = ak_permission_allows(permission, p, scope, s);

		wrong += (answer != naive_match(permission, permission + p,
										scope, scope + s));
		allowed += answer;
	}
	CHECK(wrong == 0, "1,000,000 random pairs as the naive matcher says");
	CHECK(allowed > 30000, "enough of which are allowed");
}

/*
 * Write all texts of up to ENUMERATED_LENGTH characters of the first "kinds"
 * kinds; returns their number.
 */
static size_t
enumerate_texts(Text *texts, size_t kinds)
{
	size_t		count = 0;
	size_t		number = 1;
	size_t		length;
	size_t		i;
	size_t		j;

	for (length = 1; length <= ENUMERATED_LENGTH; length++)
	{
		number *= kinds;
		for (i = 0; i < number; i++, count++)
		{
			size_t		rest = i;

			texts[count].length = length;
			for (j = 0; j < length; j++, rest /= kinds)
				texts[count].bytes[j] = "ab.*"[rest % kinds];
		}
	}
	return count;
}

/*
 * One permission covers another if, and only if, it allows each scope that
 * the other allows.  If: as long as it lacks a character of the alphabet;
 * here "." is the one looked for, as the scopes have these three only.
 */
static void
test_covers_exhaustively(void)
{
	static Text scopes[SCOPES_MAX];
	static Text permissions[PERMISSIONS_MAX];
	static uint64_t allowed[PERMISSIONS_MAX][WORDS];
	size_t		scope_count = enumerate_texts(scopes, 3);
	size_t		count = enumerate_texts(permissions, 4);
	int			unsound = 0;
	int			incomplete = 0;
	int			covered = 0;
	size_t		p;
	size_t		q;
	size_t		s;

	CHECK(scope_count == SCOPES_MAX && count == PERMISSIONS_MAX,
		  "all texts are enumerated");
	for (p = 0; p < count; p++)
	{
		for (s = 0; s < scope_count; s++)
		{
			if (naive_match(permissions[p].bytes,
							permissions[p].bytes + permissions[p].length,
							scopes[s].bytes,
							scopes[s].bytes + scopes[s].length))
				allowed[p][s / 64] |= UINT64_C(1) << s % 64;
		}
	}
	for (p = 0; p < count; p++)
	{
		bool		lacks_dot = memchr(permissions[p].bytes, '.',
									   permissions[p].length) == NULL;

		for (q = 0; q < count; q++)
		{
			bool		answer = ak_permission_covers(permissions[p].bytes,
													  permissions[p].length,
													  permissions[q].bytes,
													  permissions[q].length);
			uint64_t	outside = 0;

			for (s = 0; s < WORDS; s++)
				outside |= allowed[q][s] & ~allowed[p][s];
			unsound += (answer && outside != 0);
			incomplete += (!answer && outside == 0 && lacks_dot);
			covered += answer;
		}
	}
	CHECK(unsound == 0, "covers is sound for 1,860,496 pairs");
	CHECK(incomplete == 0, "covers is complete");
	CHECK(covered > 50000, "enough pairs are covered");
}

int
main(void)
{
	test_valid();
	test_several();
	test_allows();
	test_covers();
	test_longest();
	test_random_pairs();
	test_covers_exhaustively();
	return tap_done();
}
