/*
 * fuzz_paseto.c
 *	  Fuzz src/core/crypto.c with each input read in two ways: as the text of a
 *	  token, and as a payload to seal.
 */
#include "fuzz.h"
#include "core/crypto.h"

static const uint8_t key[AK_PASETO_KEY_SIZE] = {1};
static const AkPasetoBytes nothing = {"", 0};

/* No text opens that was not sealed, and nothing is read outside of it. */
static void
fuzz_text(const char *text, size_t length)
{
	uint8_t    *footer = malloc(length + 1);
	uint8_t    *work = malloc(length + 1);
	AkPasetoBytes footer_bytes = {footer, 0};
	AkPasetoBytes payload;

	if (ak_paseto_footer(text, length, footer, length, &footer_bytes.size))
		REQUIRE(!ak_paseto_open(key, text, length, footer_bytes, nothing,
								work, length, &payload));
	free(footer);
	free(work);
}

/* What is sealed opens again; the first byte says how much of it is footer. */
static void
fuzz_payload(const uint8_t *data, size_t size)
{
	uint8_t		nonce[AK_PASETO_NONCE_SIZE] = {0};
	size_t		footer_size = data[0] % size;
	AkPasetoBytes footer = {data + 1, footer_size};
	AkPasetoBytes sealed = {data + 1 + footer_size, size - 1 - footer_size};
	AkPasetoBytes opened;
	size_t		room = AK_PASETO_NONCE_SIZE + sealed.size + AK_PASETO_TAG_SIZE;
	uint8_t    *work = malloc(room);
	char	   *text = malloc(AK_PASETO_TEXT_SIZE(sealed.size, footer.size));
	uint8_t    *found = malloc(size);
	size_t		found_size;
	size_t		length = ak_paseto_seal(key, nonce, sealed, footer, nothing, work,
										text);

	REQUIRE(length < AK_PASETO_TEXT_SIZE(sealed.size, footer.size));
	REQUIRE(text[length] == '\0' && ak_paseto_is_token(text, length));
	REQUIRE(ak_paseto_footer(text, length, found, size, &found_size));
	REQUIRE(found_size == footer.size &&
			memcmp(found, footer.data, found_size) == 0);
	REQUIRE(ak_paseto_open(key, text, length, footer, nothing, work, room,
						   &opened));
	REQUIRE(opened.size == sealed.size &&
			memcmp(opened.data, sealed.data, sealed.size) == 0);
	free(work);
	free(text);
	free(found);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ak_crypto_init())
		return 0;
	fuzz_text((const char *) data, size);
	if (size > 0)
		fuzz_payload(data, size);
	return 0;
}
