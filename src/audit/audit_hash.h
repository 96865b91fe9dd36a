/*
 * audit_hash.h
 *	  The hash of a seal.
 *
 * It is BLAKE2b-256 (RFC 7693), without a key, over these bytes; numbers are
 * signed, of 8 bytes, the most significant one first:
 *
 *	  "apikeys audit seal 1"	20 bytes, ASCII
 *	  the hash of the seal before, 32 bytes; of the first seal: zeros
 *	  the seal's id
 *	  the events, in the order of their ids
 *	  the seal's last_event
 *	  the seal's event_count
 *	  the seal's sealed_at, in microseconds since 2000-01-01 00:00 UTC
 *
 * An event is its columns id, at, principal, action, organization_id,
 * project_id, public_key, address, detail and database_role.  Each is its
 * length in bytes as a number of 4 bytes and then these bytes, as in COPY's
 * binary format; NULL is the length -1 alone.
 *
 *	  bigint		the number
 *	  timestamptz	microseconds, as above
 *	  text			in UTF-8
 *	  uuid			16 bytes
 *	  inet			address family (2: IPv4, 3: IPv6), length of the prefix, 0,
 *					length of the address, each a byte; the address
 *	  jsonb			its text form, in UTF-8
 *
 * Text is hashed as it is stored where the database's encoding is SQL_ASCII,
 * and where it cannot be converted.
 *
 * So the hash depends on no setting, time zone, encoding or version, and can
 * be computed by others from what SELECT shows.
 */
#ifndef AK_AUDIT_HASH_H
#define AK_AUDIT_HASH_H

#include "postgres.h"

#include "audit/audit_chain.h"
#include "core/crypto.h"

#include "executor/tuptable.h"

extern void ak_audit_hash_begin(AkBlake2b *hash, const AkSeal *before);
extern void ak_audit_hash_event(AkBlake2b *hash, TupleTableSlot *event);
extern void ak_audit_hash_end(AkBlake2b *hash, const AkSeal *seal,
							  uint8 digest[AK_BLAKE2B_SIZE]);

#endif							/* AK_AUDIT_HASH_H */
