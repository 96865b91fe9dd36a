/*
 * test_digest.c
 *	  Unit tests of src/core/digest.c, with the examples of RFC 7616.
 */
#include "core/crypto.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>

/* --- Hash functions ------------------------------------------------------- */

/* MD5 (RFC 1321) of less than 1,000 bytes. */
static void
md5(const uint8_t *bytes, size_t size, uint8_t *hash)
{
	static const int shifts[4][4] = {
		{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}
	};
	uint32_t	state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
	uint8_t		padded[1088] = {0};
	size_t		blocks = (size + 8) / 64 + 1;

	memcpy(padded, bytes, size);
	padded[size] = 0x80;
	for (int i = 0; i < 8; i++)
		padded[blocks * 64 - 8 + i] = (uint8_t) ((uint64_t) size * 8 >> 8 * i);
	for (size_t block = 0; block < blocks; block++)
	{
		uint32_t	a = state[0],
					b = state[1],
					c = state[2],
					d = state[3];

		for (int i = 0; i < 64; i++)
		{
			uint32_t	f = i < 16 ? (b & c) | (~b & d) :
				i < 32 ? (d & b) | (~d & c) :
				i < 48 ? b ^ c ^ d : c ^ (b | ~d);
			int			word = (i < 16 ? i : i < 32 ? 5 * i + 1 :
								i < 48 ? 3 * i + 5 : 7 * i) % 16;
			const uint8_t *at = padded + block * 64 + 4 * word;
			uint32_t	sum = a + f +
				(uint32_t) (int64_t) floor(fabs(sin(i + 1)) * 4294967296.0) +
				(at[0] | at[1] << 8 | at[2] << 16 | (uint32_t) at[3] << 24);
			int			shift = shifts[i / 16][i % 4];

			a = d;
			d = c;
			c = b;
			b += sum << shift | sum >> (32 - shift);
		}
		state[0] += a;
		state[1] += b;
		state[2] += c;
		state[3] += d;
	}
	for (int i = 0; i < 16; i++)
		hash[i] = (uint8_t) (state[i / 4] >> 8 * (i % 4));
}

static bool md5_is_forbidden;

static bool
hash(AkDigestAlgorithm algorithm, const AkDigestText *pieces, int count,
	 uint8_t *result)
{
	uint8_t		bytes[1000];
	size_t		size = 0;

	for (int i = 0; i < count; i++)
	{
		memcpy(bytes + size, pieces[i].data, pieces[i].size);
		size += pieces[i].size;
	}
	if (algorithm == AK_DIGEST_MD5 && md5_is_forbidden)
		return false;
	if (algorithm == AK_DIGEST_MD5)
		md5(bytes, size, result);
	else
		ak_crypto_sha256(result, bytes, size);
	return true;
}

static AkDigestText
as_text(const char *string)
{
	return (AkDigestText) {string, strlen(string)};
}

/* --- The examples of the RFC ----------------------------------------------- */

#define EXAMPLE(algorithm, response) \
	"Digest username=\"Mufasa\", realm=\"http-auth@example.org\", " \
	"uri=\"/dir/index.html\", algorithm=" algorithm ", " \
	"nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, " \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, " \
	"response=\"" response "\", " \
	"opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define MD5_EXAMPLE	EXAMPLE("MD5", "8ca523f5e9506fed4657c9700eebdbec")
#define SHA256_EXAMPLE \
	EXAMPLE("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")

static bool
parses(const char *value)
{
	AkDigest	digest;
	char	   *copy = malloc(strlen(value) + 1);
	bool		is_read;

	/* Exactly as long as it is, so that reading behind its end is noticed. */
	memcpy(copy, value, strlen(value));
	is_read = ak_digest_parse(copy, strlen(value), &digest);
	free(copy);
	return is_read;
}

static bool
proves(const char *value, const char *method, const char *uri,
	   const char *password)
{
	AkDigest	digest;
	uint8_t		secret[AK_DIGEST_MAX_SIZE];
	uint8_t		response[AK_DIGEST_MAX_SIZE];

	return ak_digest_parse(value, strlen(value), &digest) &&
		ak_digest_secret(hash, digest.algorithm, digest.username, digest.realm,
						 as_text(password), secret) &&
		ak_digest_respond(hash, &digest, as_text(method), as_text(uri), secret,
						  response) &&
		memcmp(response, digest.response, ak_digest_size(digest.algorithm)) == 0;
}

/* A secret that was stored as long as MD5 was allowed. */
static bool
responds_after_prohibition(void)
{
	AkDigest	digest;
	uint8_t		secret[AK_DIGEST_MAX_SIZE];
	uint8_t		response[AK_DIGEST_MAX_SIZE];
	bool		is_stored =
		ak_digest_parse(MD5_EXAMPLE, strlen(MD5_EXAMPLE), &digest) &&
		ak_digest_secret(hash, AK_DIGEST_MD5, digest.username, digest.realm,
						 as_text("Circle of Life"), secret);
	bool		responds;

	md5_is_forbidden = true;
	responds = ak_digest_respond(hash, &digest, as_text("GET"), as_text("/"),
								 secret, response);
	md5_is_forbidden = false;
	return !is_stored || responds;
}

static void
test_examples(void)
{
	CHECK(proves(MD5_EXAMPLE, "GET", "/dir/index.html", "Circle of Life"),
		  "RFC 7616, section 3.9.1, MD5");
	CHECK(proves(SHA256_EXAMPLE, "GET", "/dir/index.html", "Circle of Life"),
		  "RFC 7616, section 3.9.1, SHA-256");
	CHECK(!proves(SHA256_EXAMPLE, "POST", "/dir/index.html", "Circle of Life") &&
		  !proves(SHA256_EXAMPLE, "GET", "/dir/index.htm", "Circle of Life") &&
		  !proves(SHA256_EXAMPLE, "GET", "/dir/index.html", "circle of life"),
		  "neither for another request nor with another password");
	md5_is_forbidden = true;
	CHECK(!proves(MD5_EXAMPLE, "GET", "/dir/index.html", "Circle of Life") &&
		  proves(SHA256_EXAMPLE, "GET", "/dir/index.html", "Circle of Life"),
		  "without MD5 the other is left");
	md5_is_forbidden = false;
	CHECK(!responds_after_prohibition(),
		  "nor is there a response by a secret of before");
}

/* --- Reading ---------------------------------------------------------------- */

#define REQUIRED \
	"username=\"u\",realm=\"r\",nonce=\"n\",uri=\"/\",cnonce=\"c\"," \
	"response=\"8ca523f5e9506fed4657c9700eebdbec\""
#define GOOD	"Digest " REQUIRED ",nc=00000001,qop=auth"

static void
test_reading(void)
{
	AkDigest	digest;
	const char *value = "  dIGEST\t,, username = \"ak_pub_x\" ,realm=\"a b\","
		"nonce=n,opaque=\"\\\"\",cnonce=\"c\" , nc=000000fF,qop=\"AUTH\","
		"uri=\"/?a=\\\\b\",response=8CA523f5e9506fed4657c9700eebdbec,\t";

	CHECK(ak_digest_parse(value, strlen(value), &digest) &&
		  digest.algorithm == AK_DIGEST_MD5 && digest.count == 255 &&
		  digest.username.size == 8 &&
		  memcmp(digest.username.data, "ak_pub_x", 8) == 0 &&
		  digest.realm.size == 3 && digest.response[0] == 0x8c,
		  "spaces, cases, empty elements, and escapes in what is not read");
	CHECK(parses(GOOD), "as short as it can be");
	CHECK(parses(GOOD ",algorithm=md5") && parses(GOOD ",userhash=false") &&
		  parses(GOOD ",unknown=1"), "optional parameters");
	CHECK(!parses(GOOD ",algorithm=SHA-256"), "a response of another size");
	CHECK(!parses(GOOD ",algorithm=MD5-sess") &&
		  !parses(GOOD ",algorithm=SHA-512-256") &&
		  !parses(GOOD ",userhash=true"), "kinds that are not taken");
	CHECK(!parses("Digest " REQUIRED ",nc=00000001") &&
		  !parses("Digest " REQUIRED ",nc=00000001,qop=auth-int") &&
		  !parses("Digest " REQUIRED ",qop=auth"), "not without qop=auth and nc");
	CHECK(!parses("Digest " REQUIRED ",qop=auth,nc=1") &&
		  !parses("Digest " REQUIRED ",qop=auth,nc=00000000") &&
		  !parses("Digest " REQUIRED ",qop=auth,nc=0000000g") &&
		  !parses("Digest " REQUIRED ",qop=auth,nc=000000001"),
		  "counts have eight digits, and begin with 1");
	CHECK(!parses(GOOD ",username=\"v\"") && !parses(GOOD ",nc=00000001") &&
		  !parses(GOOD ",qop=auth"), "nothing twice");
	CHECK(!parses("Digest realm=\"a\\\"b\"," GOOD) &&
		  !parses("Digest realm=\"a\nb\"") && !parses("Digest realm=\"a") &&
		  !parses("Digest realm=\"a\\"), "escapes, and quotes without an end");
	CHECK(!parses("") && !parses("Digest") && !parses("Digest ") &&
		  !parses("Digest =") && !parses("Digest a") && !parses("Digest a=") &&
		  !parses("Digest a=\"b\" c") && !parses("DigestX " REQUIRED) &&
		  !parses("Basic dTpw"), "no credentials");
	CHECK(!ak_digest_parse("Digest a=\"\0\"", 13, &digest), "a zero byte");
}

/* No beginning of credentials is taken, nor is anything read behind it. */
static void
test_cut(void)
{
	size_t		taken = 0;

	for (size_t length = 0; length < strlen(SHA256_EXAMPLE); length++)
	{
		char	   *cut = malloc(length + 1);
		AkDigest	digest;

		memcpy(cut, SHA256_EXAMPLE, length);
		taken += ak_digest_parse(cut, length, &digest);
		free(cut);
	}
	/* Only "opaque" and what follows it can be missing. */
	CHECK(taken <= 3, "cut anywhere");
}

static void
test_long(void)
{
	size_t		length = AK_DIGEST_TEXT_MAX + 1;
	char	   *value = malloc(length);
	AkDigest	digest;

	memset(value, ' ', length);
	memcpy(value, GOOD, strlen(GOOD));
	CHECK(ak_digest_parse(value, length - 1, &digest) &&
		  !ak_digest_parse(value, length, &digest), "the longest");
	free(value);
}

static void
test_realms(void)
{
	char		longest[AK_REALM_MAX + 1];

	memset(longest, 'r', sizeof(longest));
	CHECK(ak_digest_realm_is_valid("apikeys", 7) &&
		  ak_digest_realm_is_valid("my realm @ x", 12) &&
		  ak_digest_realm_is_valid(longest, AK_REALM_MAX), "realms");
	CHECK(!ak_digest_realm_is_valid("", 0) &&
		  !ak_digest_realm_is_valid("a\"b", 3) &&
		  !ak_digest_realm_is_valid("a\\b", 3) &&
		  !ak_digest_realm_is_valid("a\nb", 3) &&
		  !ak_digest_realm_is_valid("\xc3\xa4", 2) &&
		  !ak_digest_realm_is_valid(longest, AK_REALM_MAX + 1), "no realms");
}

int
main(void)
{
	CHECK(ak_crypto_init(), "libsodium");
	test_examples();
	test_reading();
	test_cut();
	test_long();
	test_realms();
	return tap_done();
}
