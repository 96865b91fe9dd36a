/*
 * digest.c
 *	  HTTP Digest (RFC 7616) with qop=auth, by MD5 and by SHA-256: reads the
 *	  credentials of a client, and computes what they must be.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  It has no hash
 * functions either: the caller passes one, which can fail, as MD5 does where it is
 * forbidden.
 *
 * The address that the client says to ask for, "uri", is not read: the response
 * must fit the one that it has asked for.
 */
#include <string.h>

#include "core/ascii.h"
#include "core/crypto.h"

#define SCHEME			"digest"
#define HEX_MAX			(2 * AK_DIGEST_MAX_SIZE)
#define COUNT_DIGITS	8

static const AkDigestText colon = {":", 1};

/* What credentials consist of, and which of it was there. */
enum
{
	USERNAME,
	REALM,
	NONCE,
	CNONCE,
	NC,
	QOP,
	ALGORITHM,
	RESPONSE,
	USERHASH,
	PARAMETER_COUNT
};

static const char *const names[PARAMETER_COUNT] = {
	[USERNAME] = "username",
	[REALM] = "realm",
	[NONCE] = "nonce",
	[CNONCE] = "cnonce",
	[NC] = "nc",
	[QOP] = "qop",
	[ALGORITHM] = "algorithm",
	[RESPONSE] = "response",
	[USERHASH] = "userhash",
};

/* Size of a hash in bytes. */
size_t
ak_digest_size(AkDigestAlgorithm algorithm)
{
	return algorithm == AK_DIGEST_MD5 ?
		AK_DIGEST_MD5_SIZE : AK_DIGEST_SHA256_SIZE;
}

/*
 * Whether a text can be a realm: 1 to AK_REALM_MAX printable characters of ASCII
 * but quotes and backslashes, which clients quote in different ways.
 */
bool
ak_digest_realm_is_valid(const char *realm, size_t size)
{
	if (size == 0 || size > AK_REALM_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		if (realm[i] < ' ' || realm[i] > '~' ||
			realm[i] == '"' || realm[i] == '\\')
			return false;
	return true;
}

/* --- Reading ---------------------------------------------------------------- */

/* Compares with a text in lower case, ignoring case. */
static bool
is_word(AkDigestText text, const char *word)
{
	if (text.size != strlen(word))
		return false;
	for (size_t i = 0; i < text.size; i++)
		if (ak_to_lower(text.data[i]) != word[i])
			return false;
	return true;
}

static void
skip_blanks(AkDigestText *rest)
{
	while (rest->size > 0 && ak_is_blank(*rest->data))
	{
		rest->data++;
		rest->size--;
	}
}

/* Takes a token off the rest; its size is 0 if there is none. */
static AkDigestText
take_token(AkDigestText *rest)
{
	AkDigestText token = {rest->data, 0};

	while (token.size < rest->size &&
		   ak_is_token_character(token.data[token.size]))
		token.size++;
	rest->data += token.size;
	rest->size -= token.size;
	return token;
}

/*
 * Takes what stands between quotes, without them; false if there is no end, or a
 * control character.  *is_plain tells whether it has no backslash.
 */
static bool
take_quoted(AkDigestText *rest, AkDigestText *value, bool *is_plain)
{
	size_t		i = 1;

	*is_plain = true;
	while (i < rest->size && rest->data[i] != '"')
	{
		if (rest->data[i] == '\\')
		{
			*is_plain = false;
			i++;
		}
		if (i >= rest->size || (unsigned char) rest->data[i] < ' ' ||
			rest->data[i] == 127)
			return false;
		i++;
	}
	if (i >= rest->size)
		return false;
	*value = (AkDigestText) {rest->data + 1, i - 1};
	rest->data += i + 1;
	rest->size -= i + 1;
	return true;
}

/*
 * Takes name=value.  A value that is read has to be there once, and without
 * backslashes; others are passed over.
 */
static bool
take_parameter(AkDigestText *rest, AkDigestText *values)
{
	AkDigestText name = take_token(rest);
	AkDigestText value;
	bool		is_plain = true;

	skip_blanks(rest);
	if (name.size == 0 || rest->size == 0 || *rest->data != '=')
		return false;
	rest->data++;
	rest->size--;
	skip_blanks(rest);
	if (rest->size > 0 && *rest->data == '"')
	{
		if (!take_quoted(rest, &value, &is_plain))
			return false;
	}
	else
	{
		value = take_token(rest);
		if (value.size == 0)
			return false;
	}
	for (int i = 0; i < PARAMETER_COUNT; i++)
		if (is_word(name, names[i]))
		{
			if (values[i].data || !is_plain)
				return false;
			values[i] = value;
		}
	return true;
}

static bool
take_parameters(AkDigestText rest, AkDigestText *values)
{
	for (;;)
	{
		skip_blanks(&rest);
		while (rest.size > 0 && *rest.data == ',')
		{
			rest.data++;
			rest.size--;
			skip_blanks(&rest);
		}
		if (rest.size == 0)
			return true;
		if (!take_parameter(&rest, values))
			return false;
		skip_blanks(&rest);
		if (rest.size > 0 && *rest.data != ',')
			return false;
	}
}

/* Eight hex digits, and not all of them zero. */
static bool
read_count(AkDigestText value, uint32_t *count)
{
	uint8_t		bytes[COUNT_DIGITS / 2];

	if (value.size != COUNT_DIGITS ||
		!ak_crypto_hex_decode(value.data, value.size, bytes, sizeof(bytes)))
		return false;
	*count = (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 |
		(uint32_t) bytes[2] << 8 | bytes[3];
	return *count > 0;
}

/*
 * Reads the value of an Authorization header; false if it is not of scheme Digest,
 * is malformed, or is of a kind that is not taken: another algorithm, without
 * qop=auth, or with a hashed name of the user.
 */
bool
ak_digest_parse(const char *value, size_t length, AkDigest *digest)
{
	AkDigestText rest = {value, length};
	AkDigestText values[PARAMETER_COUNT] = {{NULL, 0}};

	if (length > AK_DIGEST_TEXT_MAX)
		return false;
	skip_blanks(&rest);
	if (!is_word(take_token(&rest), SCHEME) || rest.size == 0 ||
		!ak_is_blank(*rest.data) || !take_parameters(rest, values))
		return false;
	digest->username = values[USERNAME];
	digest->realm = values[REALM];
	digest->nonce = values[NONCE];
	digest->cnonce = values[CNONCE];
	digest->nc = values[NC];
	digest->algorithm = is_word(values[ALGORITHM], "sha-256") ?
		AK_DIGEST_SHA256 : AK_DIGEST_MD5;
	return digest->username.size > 0 && digest->realm.size > 0 &&
		digest->nonce.size > 0 && digest->cnonce.size > 0 &&
		is_word(values[QOP], "auth") &&
		(values[USERHASH].data == NULL || is_word(values[USERHASH], "false")) &&
		(values[ALGORITHM].data == NULL ||
		 digest->algorithm == AK_DIGEST_SHA256 ||
		 is_word(values[ALGORITHM], "md5")) &&
		read_count(values[NC], &digest->count) &&
		ak_crypto_hex_decode(values[RESPONSE].data, values[RESPONSE].size,
							 digest->response,
							 ak_digest_size(digest->algorithm));
}

/* --- Computing -------------------------------------------------------------- */

static AkDigestText
to_hex(const uint8_t *hash, size_t size, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++)
	{
		hex[2 * i] = digits[hash[i] >> 4];
		hex[2 * i + 1] = digits[hash[i] & 15];
	}
	return (AkDigestText) {hex, 2 * size};
}

/*
 * What stands for the password, H(A1): the hash of name, realm and password.
 * False if it cannot be computed.
 */
bool
ak_digest_secret(AkDigestHash hash, AkDigestAlgorithm algorithm,
				 AkDigestText username, AkDigestText realm,
				 AkDigestText password, uint8_t *secret)
{
	const AkDigestText pieces[] = {username, colon, realm, colon, password};

	return hash(algorithm, pieces, 5, secret);
}

/*
 * The response that credentials must have for a request; false if it cannot be
 * computed.
 */
bool
ak_digest_respond(AkDigestHash hash, const AkDigest *digest,
				  AkDigestText method, AkDigestText uri,
				  const uint8_t *secret, uint8_t *response)
{
	const AkDigestText qop = {"auth", 4};
	const AkDigestText request[] = {method, colon, uri};
	const size_t size = ak_digest_size(digest->algorithm);
	uint8_t		hashed_request[AK_DIGEST_MAX_SIZE];
	char		secret_hex[HEX_MAX];
	char		request_hex[HEX_MAX];
	bool		is_computed;

	if (!hash(digest->algorithm, request, 3, hashed_request))
		return false;
	{
		const AkDigestText pieces[] = {
			to_hex(secret, size, secret_hex), colon,
			digest->nonce, colon, digest->nc, colon, digest->cnonce, colon,
			qop, colon, to_hex(hashed_request, size, request_hex)
		};

		is_computed = hash(digest->algorithm, pieces, 11, response);
	}
	ak_crypto_wipe(secret_hex, sizeof(secret_hex));
	return is_computed;
}
