/*
 * short_token.h
 *	  Short-lived tokens: what they say, sealed and opened.
 *
 * A token is a PASETO (core/paseto.h) of version 4, purpose local.  Its payload
 * is JSON:
 *
 *		sub		the public key of the key that it stands for
 *		iat		when it was issued, exp: until when it is good (RFC 3339, UTC)
 *		sec		the version of the key's secret that it came from
 *		scope	patterns of scopes with blanks between; absent: any scope
 *		prj		the project that it is good in; absent: anywhere
 *
 * Its footer is {"kid":"<id of a pepper, or 0>"}.  The key that seals it is derived
 * from that pepper and from what server and database this is; without peppers, from
 * the random value in table token_key instead of a pepper, which counts only as long
 * as there are none: else who has read the tables could go on making tokens.
 *
 * The text of a token is a secret, and is never told in a message.  What it says
 * is none.
 */
#ifndef AK_SHORT_TOKEN_H
#define AK_SHORT_TOKEN_H

#include "postgres.h"

#include "core/paseto.h"
#include "store/keystore.h"
#include "store/roles.h"

/* No token is longer, in bytes; one that is said to be is not looked at. */
#define AK_SHORT_TOKEN_MAX		8192

/* So many patterns can be in one. */
#define AK_SHORT_TOKEN_SCOPES_MAX	100

typedef struct AkShortToken
{
	text	   *public_key;
	TimestampTz issued_at;
	TimestampTz expires_at;
	int32		secret_version;
	char	   *scopes;			/* with blanks between; NULL: not narrowed */
	AkPermissions patterns;		/* the same ones, which point into scopes */
	bool		has_project;
	pg_uuid_t	project;
	uint8		nonce[AK_PASETO_NONCE_SIZE];	/* no two tokens have the same */
} AkShortToken;

extern uint32 ak_short_token_tables(void);
extern bool ak_short_token_set_scopes(AkShortToken *token, char *scopes);
extern text *ak_short_token_seal(AkKeystore *store, AkShortToken *token);
extern bool ak_short_token_open(AkKeystore *store, const char *sealed,
								size_t length, AkShortToken *token);
extern AkShortToken *ak_short_token_copy(const AkShortToken *token);
extern bool ak_short_token_secret_lives(const AkShortToken *token,
										const AkImage *image, TimestampTz now);

#endif							/* AK_SHORT_TOKEN_H */
