/*
 * request_headers.h
 *	  The headers of the HTTP request that the transaction serves, as
 *	  PostgREST and its like say them: setting request.headers, a JSON object.
 */
#ifndef AK_REQUEST_HEADERS_H
#define AK_REQUEST_HEADERS_H

#include "postgres.h"

/* Those that are asked for; NULL where there is none, else palloc'd. */
typedef struct AkRequestHeaders
{
	char	   *api_key;		/* of the name that is in apikeys.api_key_header */
	char	   *authorization;
	char	   *forwarded_for;
} AkRequestHeaders;

extern bool ak_request_headers_read(AkRequestHeaders *headers);
extern void ak_request_headers_wipe(AkRequestHeaders *headers);

#endif							/* AK_REQUEST_HEADERS_H */
