/*
 * test_unicode_names.c
 *	  Unit tests of src/core/unicode_names.c.
 */
#include "tap.h"
#include "core/unicode_names.h"

static bool
is_plain(const char *utf8)
{
	return ak_name_is_plain(utf8, strlen(utf8));
}

static void
test_plain(void)
{
	CHECK(is_plain("Acme"), "letters");
	CHECK(is_plain("Acme 2 (west)"), "a space between words");
	CHECK(is_plain("Schl\xC3\xBCssel"), "a letter of two bytes");
	CHECK(is_plain("\xE9\x8D\xB5"), "a letter of three bytes");
	CHECK(is_plain("\xF0\x9F\x94\x91"), "a symbol of four bytes");
}

static void
test_unseen(void)
{
	CHECK(!is_plain("a\x01" "b") && !is_plain("a\x7F" "b"), "ASCII controls");
	CHECK(!is_plain("a\tb") && !is_plain("a\nb"), "a tab, a line feed");
	CHECK(!is_plain("a\xC2\x85" "b"), "U+0085, a control");
	CHECK(!is_plain("a\xC2\xA0" "b"), "U+00A0, a blank");
	CHECK(!is_plain("a\xC2\xAD" "b"), "U+00AD, a format character");
	CHECK(!is_plain("a\xE2\x80\x8B" "b"), "U+200B, of no width");
	CHECK(!is_plain("a\xE2\x80\xAE" "b"), "U+202E, turns the direction");
	CHECK(!is_plain("a\xE2\x80\xA8" "b"), "U+2028, separates lines");
	CHECK(!is_plain("a\xE3\x80\x80" "b"), "U+3000, a blank");
	CHECK(!is_plain("a\xEF\xBB\xBF" "b"), "U+FEFF, of no width");
	CHECK(!is_plain("a\xF3\xA0\x81\x81" "b"), "U+E0041, a tag");
}

int
main(void)
{
	test_plain();
	test_unseen();
	return tap_done();
}
