/*
 * test_pepper_file.c
 *	  Unit tests of src/core/hash_form.c.
 */
#include "core/crypto.h"
#include "tap.h"

#define A "aa00000000000000000000000000000000000000000000000000000000000001"
#define B "BB00000000000000000000000000000000000000000000000000000000000002"

static AkPepperSet set;
static AkPepperFault fault;

static bool
parse(const char *text)
{
	return ak_pepper_set_parse(text, strlen(text), &set, &fault);
}

/* Whether the text is refused for a line, and for what. */
static bool
refuses(const char *text, int line, const char *what)
{
	return !parse(text) && fault.line == line &&
		strstr(fault.what, what) != NULL;
}

static void
test_good(void)
{
	CHECK(parse("a:" A) && set.count == 1, "one line, without its end");
	CHECK(strcmp(set.peppers[0].id, "a") == 0 &&
		  set.peppers[0].bytes[0] == 0xaa && set.peppers[0].bytes[31] == 1,
		  "what it says");
	CHECK(parse("# remark\n\na:" A "\n\n#\nb.2_-:" B " \t\r\n") &&
		  set.count == 2 && set.peppers[1].bytes[0] == 0xbb,
		  "remarks, empty lines and blanks at the end");
	CHECK(ak_pepper_set_find(&set, "b.2_-", 5) == &set.peppers[1] &&
		  ak_pepper_set_find(&set, "a", 1) == &set.peppers[0], "both are found");
	CHECK(ak_pepper_set_find(&set, "b.2", 3) == NULL &&
		  ak_pepper_set_find(&set, "", 0) == NULL &&
		  ak_pepper_set_find(&set, "ab", 2) == NULL, "and nothing else is");
	CHECK(parse("12345678901234567890123456789012:" A), "a long id");
}

static void
test_bad(void)
{
	CHECK(refuses("", 1, "no pepper"), "nothing");
	CHECK(refuses("\n# a:" A "\n", 1, "no pepper"), "remarks only");
	CHECK(refuses("a:" A "\nb:" B "0", 2, "not written"), "a digit too many");
	CHECK(refuses("a:" A "\n\nb:b", 3, "not written"), "digits missing");
	CHECK(refuses("a: " A, 1, "not written"), "a blank before the digits");
	CHECK(refuses(" a:" A, 1, "not written"), "a blank before the id");
	CHECK(refuses(":" A, 1, "not written"), "no id");
	CHECK(refuses(A, 1, "not written"), "no colon");
	CHECK(refuses("123456789012345678901234567890123:" A, 1, "not written"),
		  "too long an id");
	CHECK(refuses("a\xc3\xa4:" A, 1, "not written"), "an id beyond ASCII");
	CHECK(refuses("0:" A, 1, "no pepper"), "the id of no pepper");
	CHECK(refuses("a:" A "\na:" B, 2, "id that another"), "an id twice");
	CHECK(refuses("a:" A "\nb:" A, 2, "pepper that another"), "a pepper twice");
	CHECK(!ak_pepper_set_parse("a:" A "\0\n", strlen("a:" A) + 2, &set, &fault),
		  "a zero byte");
}

static void
test_count(void)
{
	char		text[AK_PEPPER_FILE_MAX];
	size_t		length = 0;

	for (int i = 1; i <= AK_PEPPERS_MAX; i++)
		length += sprintf(text + length, "p%d:%064x\n", i, i);
	CHECK(parse(text) && set.count == AK_PEPPERS_MAX, "as many as there may be");
	sprintf(text + length, "more:%064x\n", 1000);
	CHECK(refuses(text, AK_PEPPERS_MAX + 1, "too many"), "and one more");
}

int
main(void)
{
	if (!ak_crypto_init())
		return 1;
	test_good();
	test_bad();
	test_count();
	return tap_done();
}
