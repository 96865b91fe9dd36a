/*
 * credentials.h
 *	  Reads a public key and a secret, or a client's address, from the headers
 *	  of an HTTP request.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  Strings are counted
 * bytes and may contain any byte.
 */
#ifndef AK_CREDENTIALS_H
#define AK_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/netset.h"

/* Longest accepted header name, in bytes. */
#define AK_HEADER_NAME_MAX	64

/*
 * Points into what it was read from.  Of a short-lived token (paseto.h) there is no
 * public key, and the secret is all of it.
 */
typedef struct AkCredentials
{
	const char *public_key;
	size_t		public_key_length;
	const char *secret;
	size_t		secret_length;
} AkCredentials;

typedef enum AkHeader
{
	AK_HEADER_ABSENT,			/* no credentials of this extension */
	AK_HEADER_GOOD,
	AK_HEADER_MALFORMED
} AkHeader;

extern bool ak_header_name_is_valid(const char *name, size_t length);
extern bool ak_header_name_equals(const char *a, size_t a_length,
								  const char *b, size_t b_length);
extern bool ak_credentials_from_api_key(const char *value, size_t length,
										AkCredentials *credentials);
extern AkHeader ak_credentials_from_pair(const char *value, size_t length,
										 AkCredentials *credentials);
extern AkHeader ak_credentials_from_authorization(const char *value,
												  size_t length,
												  char *buffer,
												  AkCredentials *credentials);
extern AkHeader ak_forwarded_address(const char *value, size_t length,
									 const AkNetset *trusted,
									 AkNetwork *address);

#endif							/* AK_CREDENTIALS_H */
