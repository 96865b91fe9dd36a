/*
 * credentials.c
 *	  Reads a public key and a secret, or a client's address, from the headers
 *	  of an HTTP request.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  Strings are counted
 * bytes and may contain any byte.
 */
#include <string.h>

#include "core/ascii.h"
#include "core/crypto.h"

#define BASIC	"Basic"
#define BEARER	"Bearer"

/* --- Headers (RFC 9110) -------------------------------------------------- */

static bool
has_control_character(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char) text[i] < ' ' || text[i] == 0x7f)
			return true;
	return false;
}

/* Removes blanks from both ends. */
static void
trim(const char **text, size_t *length)
{
	while (*length > 0 && ak_is_blank(**text))
	{
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && ak_is_blank((*text)[*length - 1]))
		(*length)--;
}

/*
 * Checks whether the text is a header name: a token of RFC 9110, section
 * 5.6.2.
 */
bool
ak_header_name_is_valid(const char *name, size_t length)
{
	if (length == 0 || length > AK_HEADER_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!ak_is_token_character(name[i]))
			return false;
	return true;
}

/* Checks whether two header names are the same, ignoring case. */
bool
ak_header_name_equals(const char *a, size_t a_length,
					  const char *b, size_t b_length)
{
	if (a_length != b_length)
		return false;
	for (size_t i = 0; i < a_length; i++)
		if (ak_to_lower(a[i]) != ak_to_lower(b[i]))
			return false;
	return true;
}

/* --- Public key and secret ----------------------------------------------- */

/* Splits a value at its first colon. */
static AkHeader
split(const char *pair, size_t length, AkCredentials *credentials)
{
	const char *colon = length ? memchr(pair, ':', length) : NULL;

	if (colon == NULL || has_control_character(pair, length))
		return AK_HEADER_MALFORMED;
	credentials->public_key = pair;
	credentials->public_key_length = colon - pair;
	credentials->secret = colon + 1;
	credentials->secret_length = pair + length - credentials->secret;
	return credentials->public_key_length > 0 &&
		credentials->secret_length > 0 ?
		AK_HEADER_GOOD : AK_HEADER_MALFORMED;
}

static const char *
find_last_dot(const char *text, size_t length)
{
	while (length > 0)
		if (text[--length] == '.')
			return text + length;
	return NULL;
}

/*
 * Reads <public key>.<secret>, of which neither is empty; false if it is none.
 * Public keys may contain dots and the secrets that are issued here do not: so
 * the last dot counts.  The credentials point into the value.
 */
bool
ak_credentials_from_api_key(const char *value, size_t length,
							AkCredentials *credentials)
{
	const char *dot = find_last_dot(value, length);

	if (dot == NULL || dot == value || dot + 1 == value + length)
		return false;
	credentials->public_key = value;
	credentials->public_key_length = dot - value;
	credentials->secret = dot + 1;
	credentials->secret_length = value + length - credentials->secret;
	return true;
}

/* Whether it is a JSON Web Token: three parts, of which the first is an object. */
static bool
is_jwt(const char *token, size_t length)
{
	const char *const object = "eyJ";	/* base64 of {" */
	int			dots = 0;

	if (length <= strlen(object) ||
		memcmp(token, object, strlen(object)) != 0)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (token[i] == '.')
			dots++;
		else if (!ak_is_token_character(token[i]))
			return false;
	}
	return dots == 2;
}

/* Reads an API key or a short-lived token. */
static AkHeader
from_one_string(const char *text, size_t length, AkCredentials *credentials)
{
	if (ak_paseto_is_token(text, length))
	{
		*credentials = (AkCredentials) {.secret = text,
										.secret_length = length};
		return AK_HEADER_GOOD;
	}
	return !has_control_character(text, length) &&
		ak_credentials_from_api_key(text, length, credentials) ?
		AK_HEADER_GOOD : AK_HEADER_MALFORMED;
}

/*
 * Reads the value of a header that is only for API keys: <public key>:<secret>,
 * or without a colon both in one string, or a token.  No half may be empty.  The
 * credentials point into the value.
 */
AkHeader
ak_credentials_from_key_header(const char *value, size_t length,
							   AkCredentials *credentials)
{
	trim(&value, &length);
	return length > 0 && memchr(value, ':', length) ?
		split(value, length, credentials) :
		from_one_string(value, length, credentials);
}

/*
 * Reads the value of an Authorization header: of scheme Basic (RFC 7617), with
 * the public key for the user and the secret for the password, or of scheme
 * Bearer (RFC 6750), with both in one string or with a token; absent is what
 * is of another scheme.  The credentials point into the value or into buffer,
 * which has room for length bytes, and which the caller wipes in any case.
 */
AkHeader
ak_credentials_from_authorization(const char *value, size_t length,
								  char *buffer, AkCredentials *credentials)
{
	const char *rest;
	size_t		scheme_length = 0;
	size_t		size;

	trim(&value, &length);
	while (scheme_length < length && !ak_is_blank(value[scheme_length]))
		scheme_length++;
	rest = value + scheme_length;
	length -= scheme_length;
	trim(&rest, &length);
	if (ak_header_name_equals(value, scheme_length, BEARER, strlen(BEARER)))
	{
		/* Without a dot, or a JSON Web Token: it is somebody else's. */
		if (length > 0 &&
			(find_last_dot(rest, length) == NULL || is_jwt(rest, length)))
			return AK_HEADER_ABSENT;
		return from_one_string(rest, length, credentials);
	}
	if (!ak_header_name_equals(value, scheme_length, BASIC, strlen(BASIC)))
		return AK_HEADER_ABSENT;
	if (!ak_crypto_base64_decode(rest, length, buffer, length, &size))
		return AK_HEADER_MALFORMED;
	return split(buffer, size, credentials);
}

/* --- The client's address ------------------------------------------------ */

/* Checks whether the text is a colon and a port. */
static bool
is_port(const char *text, size_t length)
{
	unsigned	port = 0;

	if (length < 2 || length > 6 || *text != ':')
		return false;
	for (size_t i = 1; i < length; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (text[i] - '0');
	}
	return port > 0 && port <= 65535;
}

/*
 * Reads an address with or without a port: 203.0.113.7, 203.0.113.7:80,
 * 2001:db8::1, [2001:db8::1] or [2001:db8::1]:80.
 */
static bool
read_address(const char *text, size_t length, AkNetwork *address)
{
	const char *end = text + length;
	const char *address_end = end;
	bool		in_brackets = length > 0 && *text == '[';

	if (in_brackets)
	{
		text++;
		address_end = memchr(text, ']', end - text);
		if (address_end == NULL ||
			(address_end + 1 != end &&
			 !is_port(address_end + 1, end - address_end - 1)))
			return false;
	}
	else
	{
		const char *colon = length ? memchr(text, ':', length) : NULL;

		if (colon && memchr(text, '.', colon - text))
		{
			if (!is_port(colon, end - colon))
				return false;
			address_end = colon;
		}
	}
	if (memchr(text, '/', address_end - text) ||
		(in_brackets && !memchr(text, ':', address_end - text)))
		return false;
	return ak_network_parse(text, address_end - text, address) == AK_NETWORK_OK;
}

/*
 * Finds the client in the value of an X-Forwarded-For header.  Each proxy
 * appends the address of its own client, so entries to the left of an address
 * that is not a trusted proxy can be forged: that address is the client.  If
 * all entries are trusted, the leftmost one is the client.
 */
AkHeader
ak_forwarded_address(const char *value, size_t length,
					 const AkNetset *trusted, AkNetwork *address)
{
	AkNetwork	network;

	trim(&value, &length);
	if (length == 0)
		return AK_HEADER_ABSENT;
	for (;;)
	{
		const char *entry;
		size_t		start = length;
		size_t		entry_length;

		while (start > 0 && value[start - 1] != ',')
			start--;
		entry = value + start;
		entry_length = length - start;
		trim(&entry, &entry_length);
		if (!read_address(entry, entry_length, address))
			return AK_HEADER_MALFORMED;
		if (start == 0 || !ak_netset_find(trusted, address, &network))
			return AK_HEADER_GOOD;
		length = start - 1;
	}
}
