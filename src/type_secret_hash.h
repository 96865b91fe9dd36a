/*
 * type_secret_hash.h
 *	  What issuing and deciding need of type apikeys.secret_hash.
 */
#ifndef AK_TYPE_SECRET_HASH_H
#define AK_TYPE_SECRET_HASH_H

#include "postgres.h"

/* A longer secret is none: it is refused without being read. */
#define AK_SECRET_MAX_SIZE	1024

extern struct varlena *ak_secret_hash_make(const char *public_key,
										   size_t public_key_size,
										   const char *secret,
										   size_t secret_size);
extern bool ak_secret_hash_verify(struct varlena *stored,
								  const char *public_key,
								  size_t public_key_size,
								  const char *secret, size_t secret_size);
extern void ak_secret_hash_verify_nothing(const char *public_key,
										  size_t public_key_size,
										  const char *secret,
										  size_t secret_size);

#endif							/* AK_TYPE_SECRET_HASH_H */
