/*
 * test_paseto.c
 *	  Unit tests of src/core/crypto.c: the test vectors that the PASETO project
 *	  publishes for version 4, purpose "local", and each change of a token.
 */
#include "core/crypto.h"
#include "tap.h"

#include <stdlib.h>

typedef struct Vector
{
	const char *name;
	bool		is_valid;
	const char *nonce;
	const char *token;
	const char *payload;
	const char *footer;
	const char *assertion;
} Vector;

static const char key_text[] =
	"707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f";

static const Vector vectors[] = {
	{"4-E-1", true,
		"00000000000000000000000000000000000000000000000000000000"
		"00000000",
		"v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr6"
		"8PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqMfGo_7OpBnwJO"
		"AbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW"
		"4pgy7omxgf3S8c3LlQg",
		"{\"data\":\"this is a secret message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"",
		""},
	{"4-E-2", true,
		"00000000000000000000000000000000000000000000000000000000"
		"00000000",
		"v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr6"
		"8PS4AXe7If_ZgesdkUMvS2csCgglvpk5HC0e8kApeaqMfGo_7OpBnwJO"
		"AbY9V7WU6abu74MmcUE8YWAiaArVI8XIemu9chy3WVKvRBfg6t8wwYHK"
		"0ArLxxfZP73W_vfwt5A",
		"{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"",
		""},
	{"4-E-3", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t6-tyebyWG6Ov7kKvBdkrrAJ83"
		"7lKP3iDag2hzUPHuMKA",
		"{\"data\":\"this is a secret message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"",
		""},
	{"4-E-4", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t4gt6TiLm55vIH8c_lGxxZpE3A"
		"WlH4WTR0v45nsWoU3gQ",
		"{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"",
		""},
	{"4-E-5", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t4x-RMNXtQNbz7FvFZ_G-lFpk5"
		"RG3EOrwDL6CgDqcerSQ.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3"
		"Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
		"{\"data\":\"this is a secret message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}",
		""},
	{"4-E-6", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t6pWSA5HX2wjb3P-xLQg5K5feU"
		"CX4P2fpVK3ZLWFbMSxQ.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3"
		"Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
		"{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}",
		""},
	{"4-E-7", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t40KCCWLA7GYL9KFHzKlwY9_Rn"
		"IfRrMQpueydLEAZGGcA.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3"
		"Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
		"{\"data\":\"this is a secret message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}",
		"{\"test-vector\":\"4-E-7\"}"},
	{"4-E-8", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t5uvqQbMGlLLNYBc7A6_x7oqnp"
		"UK5WLvj24eE4DVPDZjw.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1Q3"
		"Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
		"{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}",
		"{\"test-vector\":\"4-E-8\"}"},
	{"4-E-9", true,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WiA8rd3wgFSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t6tybdlmnMwcDMw0YxA_gFSE_I"
		"UWl78aMtOepFYSWYfQA.YXJiaXRyYXJ5LXN0cmluZy10aGF0LWlzbid0"
		"LWpzb24",
		"{\"data\":\"this is a hidden message\",\"exp\":\"2022-01-01T00:"
		"00:00+00:00\"}",
		"arbitrary-string-that-isn't-json",
		"{\"test-vector\":\"4-E-9\"}"},
	{"4-F-4", false,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAr6"
		"8PS4AXe7If_ZgesdkUMvSwscFlAl1pk5HC0e8kApeaqMfGo_7OpBnwJO"
		"AbY9V7WU6abu74MmcUE8YWAiaArVI8XJ5hOb_4v9RmDkneN0S92dx0OW"
		"4pgy7omxgf3S8c3LlQh",
		"",
		"",
		""},
	{"4-F-5", false,
		"df654812bac492663825520ba2f6e67cf5ca5bdc13d4e7507a98cc4c"
		"2fcc3ad8",
		"v4.local.32VIErrEkmY4JVILovbmfPXKW9wT1OdQepjMTC_MOtjA4ki"
		"qw7_tcaOM5GNEcnTxl60WkwMsYXw6FSNb_UdJPXjpzm0KW9ojM5f4O2m"
		"RvE2IcweP-PRdoHjd5-RHCiExR1IK6t4x-RMNXtQNbz7FvFZ_G-lFpk5"
		"RG3EOrwDL6CgDqcerSQ==.eyJraWQiOiJ6VmhNaVBCUDlmUmYyc25FY1"
		"Q3Z0ZUaW9lQTlDT2NOeTlEZmdMMVc2MGhhTiJ9",
		"",
		"{\"kid\":\"zVhMiPBP9fRf2snEcT7gFTioeA9COcNy9DfgL1W60haN\"}",
		""},
};

static uint8_t key[AK_PASETO_KEY_SIZE];

static AkPasetoBytes
bytes(const char *text)
{
	AkPasetoBytes result = {text, strlen(text)};

	return result;
}

/* Whether sealing makes the token of a vector; buffers are as large as promised. */
static bool
seals(const Vector *vector)
{
	size_t		payload_size = strlen(vector->payload);
	uint8_t    *work = malloc(AK_PASETO_NONCE_SIZE + payload_size +
							  AK_PASETO_TAG_SIZE);
	char	   *text = malloc(AK_PASETO_TEXT_SIZE(payload_size,
												  strlen(vector->footer)));
	uint8_t		nonce[AK_PASETO_NONCE_SIZE];
	size_t		length;
	bool		same;

	ak_crypto_hex_decode(vector->nonce, strlen(vector->nonce), nonce,
						 sizeof(nonce));
	length = ak_paseto_seal(key, nonce, bytes(vector->payload),
							bytes(vector->footer), bytes(vector->assertion),
							work, text);
	same = length == strlen(text) && strcmp(text, vector->token) == 0;
	free(work);
	free(text);
	return same;
}

/* Whether a token opens, and with what was sealed in it. */
static bool
opens_bytes(const Vector *vector, const char *token, size_t length,
			const char *assertion)
{
	char	   *text = malloc(length ? length : 1);
	uint8_t    *footer = malloc(length ? length : 1);
	uint8_t    *work = malloc(length ? length : 1);
	AkPasetoBytes footer_bytes = {footer, 0};
	AkPasetoBytes payload;
	bool		opened;

	memcpy(text, token, length);
	opened = ak_paseto_footer(text, length, footer, length, &footer_bytes.size) &&
		ak_paseto_open(key, text, length, footer_bytes, bytes(assertion),
					   work, length, &payload) &&
		payload.size == strlen(vector->payload) &&
		memcmp(payload.data, vector->payload, payload.size) == 0 &&
		footer_bytes.size == strlen(vector->footer) &&
		memcmp(footer, vector->footer, footer_bytes.size) == 0;
	free(text);
	free(footer);
	free(work);
	return opened;
}

static bool
opens(const Vector *vector, const char *token)
{
	return opens_bytes(vector, token, strlen(token), vector->assertion);
}

/* How many of the tokens with one bit of one character changed still open. */
static int
count_altered(const Vector *vector)
{
	size_t		length = strlen(vector->token);
	int			opened = 0;

	for (size_t i = 0; i < length; i++)
		for (int bit = 0; bit < 8; bit++)
		{
			char	   *altered = strdup(vector->token);

			altered[i] ^= (char) (1 << bit);
			opened += opens_bytes(vector, altered, length, vector->assertion);
			free(altered);
		}
	return opened;
}

/* How many of the tokens with their end cut off still open. */
static int
count_cut(const Vector *vector)
{
	int			opened = 0;

	for (size_t i = 0; i < strlen(vector->token); i++)
		opened += opens_bytes(vector, vector->token, i, vector->assertion);
	return opened;
}

int
main(void)
{
	const Vector *vector = &vectors[8];
	char		name[80];
	char		longer[1000];
	uint8_t		work[1000];
	AkPasetoBytes payload;
	int			found = 0;

	if (!ak_crypto_init())
		return 1;
	ak_crypto_hex_decode(key_text, strlen(key_text), key, sizeof(key));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		if (vectors[i].is_valid)
		{
			snprintf(name, sizeof(name), "vector %s is sealed", vectors[i].name);
			CHECK(seals(&vectors[i]), name);
		}
		snprintf(name, sizeof(name), "vector %s is %s", vectors[i].name,
				 vectors[i].is_valid ? "opened" : "refused");
		CHECK(opens(&vectors[i], vectors[i].token) == vectors[i].is_valid, name);
	}
	CHECK(strcmp(vector->name, "4-E-9") == 0, "the last valid vector");
	CHECK(count_altered(vector) == 0, "no altered bit is accepted");
	CHECK(count_cut(vector) == 0, "no cut token is accepted");
	CHECK(!opens_bytes(vector, vector->token, strlen(vector->token), ""),
		  "another assertion is refused");
	snprintf(longer, sizeof(longer), "%s=", vector->token);
	CHECK(!opens(vector, longer), "padding is refused");
	snprintf(longer, sizeof(longer), "%s.", vector->token);
	CHECK(!opens(vector, longer), "a second dot is refused");
	snprintf(longer, sizeof(longer), "%s.", vectors[0].token);
	CHECK(!opens(&vectors[0], longer), "an empty footer is refused");
	CHECK(!ak_paseto_open(key, vector->token, strlen(vector->token),
						  bytes(vector->footer), bytes(vector->assertion),
						  work, 40, &payload), "too little room is an answer");
	CHECK(!ak_paseto_open(key, "v4.public.x", 11, bytes(""), bytes(""),
						  work, sizeof(work), &payload),
		  "what does not claim to be one is not opened");
	CHECK(!ak_paseto_is_token("v4.local", 8) &&
		  !ak_paseto_is_token("v4.public.x", 11) &&
		  ak_paseto_is_token("v4.local.", 9), "what claims to be a token");
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		if (vectors[i].is_valid)
		{
			int			length = snprintf(longer, sizeof(longer), "{\"v4.local.\": \"v%s\"}", vectors[i].token);

			found += ak_paseto_is_within(longer, (size_t) length);
		}
	CHECK(found == 9, "each is found within a text");
	CHECK(!ak_paseto_is_within(vector->token, 9 + 84) &&
		  ak_paseto_is_within(vector->token, 9 + 85), "but not the beginning of one");
	CHECK(!ak_paseto_is_within("v4.local.AAAA.v4.local", 22) &&
		  !ak_paseto_is_within(vector->token + 1, strlen(vector->token) - 1) &&
		  !ak_paseto_is_within("", 0), "nor what is none");
	key[0] ^= 1;
	CHECK(!opens(vector, vector->token), "another key is refused");
	return tap_done();
}
