/*
 * test_hash_form.c
 *	  Unit tests of src/hash_form.c.
 */
#include "core/hash_form.h"
#include "tap.h"

#define HEX32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SALT "c29tZXNhbHQxMjM"
#define HASH "ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY"

static AkHashForm hash;
static uint8_t buffer[AK_SHA512_SIZE];

static bool
parses(const char *text)
{
	return ak_hash_form_parse(text, &hash, buffer);
}

/* Whether the text is read, and written again as it was. */
static bool
keeps(const char *text)
{
	char		again[AK_HASH_TEXT_SIZE];

	return parses(text) && ak_hash_form_print(&hash, again) == strlen(text) &&
		strcmp(text, again) == 0;
}

static void
test_text(void)
{
	CHECK(keeps("blake2b$0$" HEX32), "blake2b without a pepper");
	CHECK(keeps("blake2b$12345678901234567890123456789012$" HEX32),
		  "the longest pepper id");
	CHECK(keeps("sha256$$" HEX32), "sha256");
	CHECK(keeps("sha512$$" HEX32 HEX32), "sha512");
	CHECK(keeps("$argon2id$v=19$m=102400,t=2,p=16$" SALT "$" HASH) &&
		  keeps("$argon2id$v=19$m=12800,t=16,p=1$" SALT "$" HASH),
		  "argon2id at its limits");
	CHECK(parses("sha256$$00112233445566778899AABBCCDDEEFF" "00112233445566778899AABBCCDDEEFF"),
		  "capital digits");
	CHECK(!parses("") && !parses("$") && !parses("blake2b") &&
		  !parses("blake2b$0") && !parses("a secret"), "what is none");
	CHECK(!parses("blake2b$$" HEX32) && !parses("blake2b$a b$" HEX32) &&
		  !parses("blake2b$123456789012345678901234567890123$" HEX32),
		  "pepper ids that are none");
	CHECK(!parses("sha256$0$" HEX32) && !parses("sha512$x$" HEX32 HEX32),
		  "a pepper where there can be none");
	CHECK(!parses("sha256$$" HEX32 "0") && !parses("sha256$$" HEX32 "00") &&
		  !parses("sha512$$" HEX32) && !parses("sha256$$ " HEX32),
		  "digests of another length");
	CHECK(!parses("$argon2id$v=19$m=102401,t=1,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=102400,t=3,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=12801,t=16,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=64,t=17,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=64,t=1,p=17$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=99999999999999999999,t=1,p=1$" SALT "$" HASH),
		  "argon2id beyond its limits");
	CHECK(!parses("$argon2i$v=19$m=64,t=1,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=64,t=1,p=1$" SALT) &&
		  !parses("$argon2id$v=19$m=64,t=1,p=1$" SALT "$" HASH "$") &&
		  !parses("$argon2id$v=19$m=064,t=1,p=1$" SALT "$" HASH),
		  "argon2id of another form");
}

static void
test_bytes(void)
{
	uint8_t		bytes[AK_STORED_HASH_MAX + 1];
	size_t		size;
	bool		broken = false;

	CHECK(parses("blake2b$p1$" HEX32), "a hash");
	size = ak_hash_form_size(&hash);
	ak_hash_form_store(&hash, bytes);
	CHECK(size == 1 + 1 + 2 + AK_BLAKE2B_SIZE &&
		  ak_hash_form_load(bytes, size, &hash) && hash.pepper_id_size == 2,
		  "is the same from its bytes");
	for (size_t shorter = 0; shorter < size; shorter++)
		broken = broken || ak_hash_form_load(bytes, shorter, &hash);
	bytes[size] = 0;
	CHECK(!broken && !ak_hash_form_load(bytes, size + 1, &hash),
		  "and none with bytes missing or left over");
	bytes[1] = 255;
	CHECK(!ak_hash_form_load(bytes, size, &hash),
		  "nor where the id is said to be longer than all");
	bytes[0] = 9;
	CHECK(!ak_hash_form_load(bytes, size, &hash), "nor of no algorithm");
}

int
main(void)
{
	if (!ak_crypto_init())
		return 1;
	test_text();
	test_bytes();
	return tap_done();
}
