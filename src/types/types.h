/*
 * types.h
 *	  The types of the extension, and the peppers of its hashes.
 */
#ifndef AK_TYPES_H
#define AK_TYPES_H

#include "postgres.h"

#include <sys/socket.h>			/* AF_INET, required by utils/inet.h */

#include "core/crypto.h"
#include "core/netset.h"

#include "nodes/nodes.h"
#include "storage/buf.h"
#include "utils/inet.h"
#include "utils/relcache.h"

/* --- list_reader.c ------------------------------------------------------- */

/* A stored list begins with the number of its IPv4 networks. */
#define AK_ACCESS_LIST_COUNT_SIZE	sizeof(uint32)

typedef struct AkListMemory AkListMemory;

typedef struct AkListChunk
{
	const char *data;			/* NULL: none */
	int32		number;
	Buffer		buffer;			/* pinned, if it contains the data */
} AkListChunk;

/* A list that is being read; its fields are private. */
typedef struct AkListReader
{
	Relation	toast;			/* NULL: the list is in memory */
	Oid			value;
	uint32		size;			/* size of the list in bytes */
	uint32		count4;
	AkListMemory *memory;		/* its cache entry; NULL: none */
	AkListChunk chunks[2];		/* the chunks read last */
} AkListReader;

extern void ak_access_list_view(struct varlena *list, AkNetset *set);
extern void ak_list_open(struct varlena *list, TransactionId writer,
						 AkListReader *reader, AkNetset *set);
extern void ak_list_close(AkListReader *reader);

/* --- access_list_text.c -------------------------------------------------- */

/* Most networks in a list: 17 MB if all are IPv6. */
#define AK_ACCESS_LIST_MAX	1000000

/* The fault of a text that is not an access list. */
typedef struct AkListFault
{
	enum
	{
		AK_LIST_OK,
		AK_LIST_NO_BRACES,
		AK_LIST_BAD_ENTRY,
		AK_LIST_TOO_LONG
	}			kind;

	/* For a malformed entry: the fault, its number, and the text. */
	AkNetworkError error;
	size_t		number;
	AkNetwork	network;
} AkListFault;

extern bool ak_list_parse(const char *text, AkNetwork **networks,
						  size_t *count, AkListFault *fault);
extern void ak_list_report(Node *context, const AkListFault *fault);
extern void ak_list_report_too_long(Node *context);

/* --- type_access_list.c -------------------------------------------------- */

extern struct varlena *ak_access_list_parse(const char *text);
extern void ak_network_from_inet(const inet *value, AkNetwork *network);
extern void ak_network_from_text(const text *candidate,
								 AkNetwork *address);
extern inet *ak_network_to_inet(const AkNetwork *network);

/* --- pepper.c ------------------------------------------------------------ */

extern bool ak_pepper_load(const char *path, uint64 *load, char **fault);
extern void ak_pepper_use(const char *path, uint64 load);
extern void ak_pepper_request(void);
extern void ak_pepper_attach(void);
extern uint64 ak_pepper_fingerprint(void);
extern bool ak_pepper_is_fresh(void);
extern bool ak_pepper_is_faulty(void);
extern bool ak_pepper_refresh(void);
extern const AkPepper *ak_pepper_demand(void);
extern const AkPepper *ak_pepper_current(void);
extern const AkPepper *ak_pepper_find(const char *id, size_t size);

/* --- type_secret_hash.c -------------------------------------------------- */

/* In bytes; a longer secret is rejected without reading it. */
#define AK_SECRET_MAX_SIZE	1024

/* Size of a stored hash that is made here. */
#define AK_NEW_HASH_MAX		(1 + 1 + AK_PEPPER_ID_MAX + AK_BLAKE2B_SIZE)

/*
 * A secret that is claimed to be a key's, and the value that nearly all hashes
 * of the key are compared with.  It points to the key and the secret, which
 * are the caller's.
 */
typedef struct AkSecretClaim
{
	const char *public_key;
	size_t		public_key_size;
	const char *secret;
	size_t		secret_size;
	bool		is_none;		/* empty or too long: another secret takes its
								 * place */
	const AkPepper *pepper;		/* pepper used for blake2b; NULL: none */
	uint8		blake2b[AK_BLAKE2B_SIZE];
} AkSecretClaim;

/*
 * Setting apikeys.argon2id_max_cost: the highest ak_hash_form_cost() of an
 * argon2id hash that is computed.
 */
extern int	ak_argon2id_max_cost;

typedef enum AkVerdict
{
	AK_SECRET_DIFFERS,
	AK_SECRET_MATCHES,
	AK_SECRET_IS_OUTDATED,		/* matches, and a new hash would be another */
	AK_PEPPER_UNKNOWN,			/* cannot be decided without it */
	AK_SECRET_LACKS_MEMORY		/* nor without memory */
} AkVerdict;

extern struct varlena *ak_secret_hash_make(const char *public_key,
										   size_t public_key_size,
										   const char *secret,
										   size_t secret_size);
extern void ak_secret_claim_init(AkSecretClaim *claim,
								 const char *public_key,
								 size_t public_key_size,
								 const char *secret, size_t secret_size);
extern AkVerdict ak_secret_hash_verify(const char *stored,
									   size_t stored_size,
									   const AkSecretClaim *claim);
extern bool ak_secret_hash_can_verify(const char *stored, size_t stored_size);
extern bool ak_secret_hash_takes_long(const char *stored,
									  size_t stored_size,
									  const AkSecretClaim *claim);
extern bool ak_secret_hash_is_affordable(const char *stored,
										 size_t stored_size);
extern void ak_secret_hash_verify_nothing(const AkSecretClaim *claim);
extern char *ak_secret_hash_format(const char *stored, size_t stored_size);
extern size_t ak_secret_hash_renew(const char *stored, size_t stored_size,
								   const AkSecretClaim *claim,
								   uint8 *renewed);

/* --- sealed_digest.c ----------------------------------------------------- */

/* Whose it is. */
typedef struct AkDigestOwner
{
	const text *public_key;
	int32		version;		/* of the secret */
	const text *realm;
} AkDigestOwner;

typedef enum AkUnsealed
{
	AK_UNSEALED,
	AK_UNSEALED_NOT,			/* damaged, or another one's, or there is no
								 * hash of that algorithm */
	AK_UNSEALED_PEPPER_UNKNOWN
} AkUnsealed;

/* The bytes of a text, which it points into. */
static inline AkDigestText
ak_digest_text(const text *value)
{
	return (AkDigestText) {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

extern bool ak_digest_hash(AkDigestAlgorithm algorithm,
						   const AkDigestText *pieces, int count,
						   uint8_t *hash);
extern bytea *ak_sealed_digest_make(const AkDigestOwner *owner,
									const char *secret, size_t secret_size);
extern AkUnsealed ak_sealed_digest_open(const AkDigestOwner *owner,
										const bytea *sealed,
										AkDigestAlgorithm algorithm,
										uint8 secret[AK_DIGEST_MAX_SIZE]);
extern void ak_sealed_digest_open_nothing(const AkDigestOwner *owner);

#endif							/* AK_TYPES_H */
