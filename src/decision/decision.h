/*
 * decision.h
 *	  The decision: is a request made with this key allowed?
 *
 * The checks are made in a fixed order (reason.h). The first one that fails is
 * the reason.
 */
#ifndef AK_DECISION_H
#define AK_DECISION_H

#include "postgres.h"

#include "core/netset.h"
#include "core/reason.h"
#include "store/keystore.h"

/* The request; a NULL pointer is a NULL argument. */
typedef struct AkRequest
{
	text	   *public_key;
	text	   *secret;
	const AkNetwork *address;
	bool		any_scope;		/* whether the key is valid, in any scope */
	text	   *scope;
	const pg_uuid_t *project;
} AkRequest;

typedef struct AkDecision
{
	AkKeystore	store;
	TimestampTz now;
	AkReason	reason;
	bool		key_exists;

	/* Valid if key_exists; its pointers only while the store is open. */
	AkImage		key;
	int32		secret_version; /* of the proved secret; 0: none */
	bool		has_network;
	AkNetwork	network;		/* the entry that contains the address */
	uint64		grant;			/* ak_grant_id() of the role that allowed the
								 * scope; 0: none */
} AkDecision;

extern text *ak_decision_get_text(Datum argument, int max_size);
extern void ak_decision_open(const AkRequest *request, AkDecision *decision);
extern void ak_decision_close(const AkRequest *request, AkDecision *decision);
extern bool ak_decision_proves(const AkDecision *decision);
extern void ak_decision_raise(const AkDecision *decision, int denied_code);

#endif							/* AK_DECISION_H */
