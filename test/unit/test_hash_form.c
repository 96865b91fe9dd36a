/*
 * test_hash_form.c
 *	  Unit tests of src/core/hash_form.c.
 */
#include "core/crypto.h"
#include "tap.h"

#define HEX32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SALT "c29tZXNhbHQxMjM"
#define HASH "ytVMPN+W6Q0ghC4Lnzo+LflOJIaWB6M7gwiI5I4iGFY"

static AkHashForm hash;
static uint8_t buffer[AK_SHA512_SIZE];

static bool
parses(const char *text)
{
	return ak_hash_form_parse(text, &hash, buffer) == AK_HASH_OK;
}

static bool
is_too_costly(const char *text)
{
	return ak_hash_form_parse(text, &hash, buffer) == AK_HASH_TOO_COSTLY;
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
	CHECK(keeps("$argon2id$v=19$m=65536,t=3,p=4$" SALT "$" HASH), "argon2id");
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
	CHECK(!parses("$argon2i$v=19$m=64,t=1,p=1$" SALT "$" HASH) &&
		  !parses("$argon2id$v=19$m=64,t=1,p=1$" SALT) &&
		  !parses("$argon2id$v=19$m=64,t=1,p=1$" SALT "$" HASH "$") &&
		  !parses("$argon2id$v=19$m=064,t=1,p=1$" SALT "$" HASH),
		  "argon2id of another form");
}

/* Whether an argon2id string with these parameters is read at that cost. */
static bool
costs(const char *parameters, uint32_t cost)
{
	char		text[AK_ARGON2ID_TEXT_SIZE];

	snprintf(text, sizeof(text), "$argon2id$v=19$%s$" SALT "$" HASH, parameters);
	return parses(text) && ak_hash_form_cost(&hash) == cost;
}

static void
test_cost(void)
{
	CHECK(costs("m=65536,t=3,p=4", 196608) && costs("m=8,t=1,p=1", 8),
		  "argon2id costs its memory times its passes");
	CHECK(costs("m=102400,t=2,p=8", 204800) && costs("m=102400,t=1,p=16", 102400) &&
		  costs("m=8,t=25600,p=1", 204800), "as much as may be");
	CHECK(is_too_costly("$argon2id$v=19$m=102401,t=1,p=1$" SALT "$" HASH),
		  "not more memory");
	CHECK(is_too_costly("$argon2id$v=19$m=102400,t=3,p=1$" SALT "$" HASH) &&
		  is_too_costly("$argon2id$v=19$m=8,t=25601,p=1$" SALT "$" HASH),
		  "not more of both");
	CHECK(is_too_costly("$argon2id$v=19$m=64,t=1,p=17$" SALT "$" HASH),
		  "not more lanes");
	CHECK(is_too_costly("$argon2id$v=19$m=4294967296,t=4294967296,p=1$" SALT "$" HASH) &&
		  is_too_costly("$argon2id$v=19$m=99999999999999999999,t=1,p=1$" SALT "$" HASH) &&
		  is_too_costly("$argon2id$v=19$m=1,t=18446744073709551617,p=1$" SALT "$" HASH),
		  "numbers of any size");
	CHECK(!parses("$argon2id$v=19$m=64,t=0,p=1$" SALT "$" HASH) &&
		  !is_too_costly("$argon2id$v=19$m=999999,t=0,p=1$" SALT "$" HASH) &&
		  !is_too_costly("$argon2id$v=19$m=999999,t=1,p=1$" SALT),
		  "only of what is a hash otherwise");
	CHECK(parses("sha256$$" HEX32) && ak_hash_form_cost(&hash) == 0 &&
		  parses("blake2b$0$" HEX32) && ak_hash_form_cost(&hash) == 0,
		  "the others cost nothing");
}

/* What was stored with other limits is no hash either. */
static void
test_stored_cost(void)
{
	static const char text[] = "$argon2id$v=19$m=102401,t=1,p=1$" SALT "$" HASH;
	uint8_t		bytes[AK_STORED_HASH_MAX];

	bytes[0] = AK_ARGON2ID;
	memcpy(bytes + 1, text, sizeof(text) - 1);
	CHECK(!ak_hash_form_load(bytes, sizeof(text), &hash),
		  "nor from its bytes");
	bytes[1 + strlen("$argon2id$v=19$m=10240")] = '0';
	CHECK(ak_hash_form_load(bytes, sizeof(text), &hash) &&
		  ak_hash_form_cost(&hash) == 102400, "which may cost as much");
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
	test_cost();
	test_stored_cost();
	return tap_done();
}
