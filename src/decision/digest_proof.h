/*
 * digest_proof.h
 *	  Whether a request proves a key by HTTP Digest.
 */
#ifndef AK_DIGEST_PROOF_H
#define AK_DIGEST_PROOF_H

#include "postgres.h"

#include "decision/request.h"

extern void ak_request_set_digest(AkRequest *request, AkDigestClaim *claim,
								  const NullableDatum arguments[3]);
extern AkReason ak_digest_prove(const AkRequest *request,
								AkDecision *decision);
extern int	ak_digest_count_live(AkKeystore *store, text *public_key,
								 TimestampTz now);

#endif							/* AK_DIGEST_PROOF_H */
