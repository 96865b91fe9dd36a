/*
 * hash_form.h
 *	  The forms that the hash of a secret has: as it is stored, and as text.
 *
 * The stored form is one byte that names the algorithm, and then
 *		blake2b		the length of the pepper id (1 byte), the id, the digest
 *		sha256,
 *		sha512		the digest
 *		argon2id	the string as it was given
 *
 * Knows no PostgreSQL, allocates nothing and raises nothing.
 */
#ifndef AK_HASH_FORM_H
#define AK_HASH_FORM_H

#include "core/crypto.h"

/*
 * Limits of an argon2id hash, so that verifying one cannot stall the server:
 * memory in KiB, and memory times passes (100 MiB and 2 passes, as Django's
 * default), and the number of lanes.  Setting apikeys.argon2id_max_cost limits
 * further what a decision computes.
 */
#define AK_ARGON2ID_MAX_MEMORY_KIB	102400
#define AK_ARGON2ID_MAX_COST_KIB	204800
#define AK_ARGON2ID_MAX_LANES		16

/* Size limit of a stored hash, and of its text with the terminating zero. */
#define AK_STORED_HASH_MAX	(1 + AK_ARGON2ID_TEXT_SIZE)
#define AK_HASH_TEXT_SIZE	160

typedef enum AkHashAlgorithm
{
	AK_BLAKE2B = 1,
	AK_SHA256,
	AK_SHA512,
	AK_ARGON2ID
} AkHashAlgorithm;

typedef enum AkHashError
{
	AK_HASH_OK,
	AK_HASH_MALFORMED,
	AK_HASH_TOO_COSTLY			/* argon2id beyond the limits above */
} AkHashError;

/* The parts of a hash; all pointers are into the bytes it was read from. */
typedef struct AkHashForm
{
	AkHashAlgorithm algorithm;
	const char *pepper_id;		/* blake2b only */
	size_t		pepper_id_size;
	const uint8_t *digest;		/* or the argon2id string */
	size_t		digest_size;
} AkHashForm;

extern bool ak_hash_form_load(const uint8_t *bytes, size_t size,
							  AkHashForm *hash);
extern size_t ak_hash_form_size(const AkHashForm *hash);
extern void ak_hash_form_store(const AkHashForm *hash, uint8_t *bytes);
extern AkHashError ak_hash_form_parse(const char *text, AkHashForm *hash,
									  uint8_t buffer[AK_SHA512_SIZE]);
extern size_t ak_hash_form_print(const AkHashForm *hash,
								 char text[AK_HASH_TEXT_SIZE]);
extern uint32_t ak_hash_form_cost(const AkHashForm *hash);
extern const char *ak_hash_form_algorithm(const AkHashForm *hash);

#endif							/* AK_HASH_FORM_H */
