/*
 * request_headers.h
 *	  The headers of the HTTP request of the transaction, as set by PostgREST
 *	  and similar servers: setting request.headers, a JSON object.
 */
#ifndef AK_REQUEST_HEADERS_H
#define AK_REQUEST_HEADERS_H

#include "postgres.h"

/* The requested headers; NULL if absent, else palloc'd. */
typedef struct AkRequestHeaders
{
	char	   *api_key;		/* of the header named in apikeys.api_key_header */
	char	   *authorization;
	char	   *forwarded_for;
} AkRequestHeaders;

extern bool ak_request_headers_read(AkRequestHeaders *headers);
extern void ak_request_headers_wipe(AkRequestHeaders *headers);

#endif							/* AK_REQUEST_HEADERS_H */
