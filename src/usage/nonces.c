/*
 * nonces.c
 *	  See nonces.h.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "usage/nonces.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TABLE_NAME		"apikeys nonces"
#define BUCKET_COUNT	2048
#define MAC_SIZE		16

typedef struct Bucket
{
	slock_t		mutex;
	AkNonceBucket nonces;
} Bucket;

typedef struct Table
{
	uint8		key[AK_PEPPER_SIZE];
	Bucket		buckets[BUCKET_COUNT];
} Table;

/* A nonce before it is written as text. */
typedef struct NonceBytes
{
	int64		issued_at;
	uint64		mark;
	uint8		mac[MAC_SIZE];
} NonceBytes;

StaticAssertDecl(sizeof(NonceBytes) == AK_NONCE_SIZE,
				 "a nonce has the size that is told");

static Table *table = NULL;

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_nonces_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Table)));
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_nonces_attach(void)
{
	bool		found;

	table = ShmemInitStruct(TABLE_NAME, sizeof(Table), &found);
	if (found)
		return;
	memset(table, 0, sizeof(Table));
	ak_crypto_random_bytes(table->key, sizeof(table->key));
	for (int i = 0; i < BUCKET_COUNT; i++)
		SpinLockInit(&table->buckets[i].mutex);
}

/* Authenticates a nonce for a realm of this database. */
static void
make_mac(const NonceBytes *bytes, const char *realm, size_t realm_size,
		 uint8 mac[MAC_SIZE])
{
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, table->key, MAC_SIZE);
	ak_crypto_blake2b_add(&hash, bytes, offsetof(NonceBytes, mac));
	ak_crypto_blake2b_add(&hash, &MyDatabaseId, sizeof(MyDatabaseId));
	ak_crypto_blake2b_add(&hash, realm, realm_size);
	ak_crypto_mac_end(&hash, mac, MAC_SIZE);
}

/* Writes a new nonce for a realm, with its terminating zero. */
void
ak_nonces_make(const char *realm, size_t realm_size,
			   char nonce[AK_NONCE_TEXT_SIZE])
{
	NonceBytes	bytes = {.issued_at = ak_clock_us()};

	ak_crypto_random_bytes(&bytes.mark, sizeof(bytes.mark));
	make_mac(&bytes, realm, realm_size, bytes.mac);
	(void) ak_crypto_base64url_encode(&bytes, sizeof(bytes), nonce);
}

/*
 * Reads a nonce; false if it was not issued for this realm by this run of the
 * server, or too long ago.
 */
bool
ak_nonces_open(const char *text, size_t size, const char *realm,
			   size_t realm_size, AkNonce *nonce)
{
	NonceBytes	bytes;
	uint8		mac[MAC_SIZE];
	size_t		read;

	if (!ak_crypto_base64url_decode(text, size, &bytes, sizeof(bytes), &read) ||
		read != sizeof(bytes))
		return false;
	make_mac(&bytes, realm, realm_size, mac);
	if (!ak_crypto_equal(mac, bytes.mac, MAC_SIZE))
		return false;
	nonce->issued_at = bytes.issued_at;
	nonce->mark = bytes.mark;
	return bytes.issued_at + ak_digest_nonce_lifetime * USECS_PER_SEC >
		ak_clock_us();
}

/* Takes a proved request with an authentic nonce, by its count. */
AkNonceUse
ak_nonces_take(const AkNonce *nonce, uint32 count)
{
	Bucket	   *bucket = &table->buckets[nonce->mark % BUCKET_COUNT];
	AkNonceUse	use;

	SpinLockAcquire(&bucket->mutex);
	use = ak_nonce_take(&bucket->nonces, nonce->mark, nonce->issued_at, count);
	SpinLockRelease(&bucket->mutex);
	return use;
}
