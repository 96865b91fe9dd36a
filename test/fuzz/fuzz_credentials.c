/*
 * fuzz_credentials.c
 *	  Fuzz src/credentials.c.  The first byte of an input says what the rest
 *	  is: a pair, the value of Authorization, or of X-Forwarded-For.
 */
#include "core/crypto.h"
#include "fuzz.h"

/* Neither is empty, both lie in the text, and a colon is between them. */
static void
check_credentials(const AkCredentials *credentials,
				  const char *text, size_t length)
{
	REQUIRE(credentials->public_key >= text);
	REQUIRE(credentials->public_key_length > 0);
	REQUIRE(memchr(credentials->public_key, ':',
				   credentials->public_key_length) == NULL);
	REQUIRE(credentials->public_key[credentials->public_key_length] == ':');
	REQUIRE(credentials->secret ==
			credentials->public_key + credentials->public_key_length + 1);
	REQUIRE(credentials->secret_length > 0);
	REQUIRE(credentials->secret + credentials->secret_length <= text + length);
	REQUIRE(memchr(credentials->secret, '\0', credentials->secret_length) == NULL);
}

/* A token, or a key and what stands behind the last dot, lie in the text. */
static void
check_bearer(const AkCredentials *credentials, const char *text, size_t length)
{
	REQUIRE(credentials->secret >= text);
	REQUIRE(credentials->secret_length > 0);
	REQUIRE(credentials->secret + credentials->secret_length <= text + length);
	if (credentials->public_key == NULL)
	{
		REQUIRE(ak_paseto_is_token(credentials->secret,
								   credentials->secret_length));
		return;
	}
	REQUIRE(credentials->public_key >= text);
	REQUIRE(credentials->public_key_length > 0);
	REQUIRE(credentials->secret ==
			credentials->public_key + credentials->public_key_length + 1);
	REQUIRE(credentials->secret[-1] == '.');
	REQUIRE(memchr(credentials->secret, '.', credentials->secret_length) == NULL);
}

static void
fuzz_authorization(const char *value, size_t length)
{
	char	   *buffer = malloc(length + 1);
	AkCredentials credentials;

	if (ak_credentials_from_authorization(value, length, buffer,
										  &credentials) == AK_HEADER_GOOD)
	{
		AkCredentials again;

		if (credentials.secret < buffer || credentials.secret > buffer + length)
		{
			check_bearer(&credentials, value, length);
			free(buffer);
			return;
		}
		check_credentials(&credentials, buffer, length);
		REQUIRE(ak_credentials_from_key_header(credentials.public_key,
											   credentials.public_key_length + 1 +
											   credentials.secret_length,
											   &again) != AK_HEADER_ABSENT);
	}
	free(buffer);
}

/* With nobody trusted the last entry counts; with all, the first. */
static void
fuzz_forwarded(const char *value, size_t length)
{
	static const uint8_t everything4[AK_NETSET_ENTRY4_SIZE] = {0};
	static const uint8_t everything6[AK_NETSET_ENTRY6_SIZE] = {0};
	AkNetset	nobody = {NULL, NULL, 0, 0, NULL, NULL};
	AkNetset	everybody = {everything4, everything6, 1, 1, NULL, NULL};
	AkNetwork	last;
	AkNetwork	first;
	AkHeader	found_last = ak_forwarded_address(value, length, &nobody, &last);
	AkHeader	found_first = ak_forwarded_address(value, length, &everybody,
												   &first);

	REQUIRE((found_last == AK_HEADER_ABSENT) ==
			(found_first == AK_HEADER_ABSENT));
	if (found_first == AK_HEADER_GOOD)
		REQUIRE(found_last == AK_HEADER_GOOD);
	if (found_last == AK_HEADER_GOOD)
	{
		REQUIRE(ak_network_check(&last) == AK_NETWORK_OK);
		REQUIRE(last.prefix == (last.family == 4 ? 32 : 128));
		if (length > 0 && memchr(value, ',', length) == NULL)
			REQUIRE(found_first == AK_HEADER_GOOD &&
					ak_network_compare(&first, &last) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data + 1;
	AkCredentials credentials;

	if (size == 0 || !ak_crypto_init())
		return 0;
	size--;
	switch (*data % 3)
	{
		case 0:
			if (ak_credentials_from_key_header(text, size, &credentials) ==
				AK_HEADER_GOOD)
				(memchr(text, ':', size) ? check_credentials : check_bearer)
					(&credentials, text, size);
			break;
		case 1:
			fuzz_authorization(text, size);
			break;
		case 2:
			fuzz_forwarded(text, size);
			break;
	}
	return 0;
}
