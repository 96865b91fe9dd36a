/*
 * guesses.c
 *	  See guesses.h.
 */
#include "postgres.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/guess_cell.h"
#include "usage/counter_table.h"
#include "usage/database_slot.h"
#include "usage/guesses.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define TABLE_NAME		"apikeys guesses"
#define BUCKET_COUNT	1024
#define BUCKET_CELLS	4
#define PROOF_COUNT		4096

/* An IPv6 client has this much of an address for itself. */
#define NETWORK6_PREFIX	64

typedef struct Bucket
{
	slock_t		mutex;
	AkGuessCell cells[BUCKET_CELLS];
} Bucket;

/* Half a digest of a hash and the secret that was proved by it; both 0: none. */
typedef struct Proof
{
	pg_atomic_uint64 halves[2];
} Proof;

typedef struct Table
{
	uint8		seed[AK_SHORT_HASH_SEED_SIZE];	/* of marks */
	uint8		key[AK_PEPPER_SIZE];	/* of proofs */
	Bucket		buckets[BUCKET_COUNT];
	Proof		proofs[PROOF_COUNT];
} Table;

static Table *table = NULL;

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_guesses_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Table)));
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_guesses_attach(void)
{
	bool		found;

	table = ShmemInitStruct(TABLE_NAME, sizeof(Table), &found);
	if (found)
		return;
	memset(table, 0, sizeof(Table));
	ak_crypto_random_bytes(table->seed, sizeof(table->seed));
	ak_crypto_random_bytes(table->key, sizeof(table->key));
	for (int i = 0; i < BUCKET_COUNT; i++)
		SpinLockInit(&table->buckets[i].mutex);
	for (int i = 0; i < PROOF_COUNT; i++)
		for (int half = 0; half < 2; half++)
			pg_atomic_init_u64(&table->proofs[i].halves[half], 0);
}

/* --- Counting ------------------------------------------------------------- */

/* What the guess is counted under: its database, network and public key. */
static uint64
make_mark(const AkGuess *guess)
{
	AkNetwork	network = *guess->address;
	size_t		key_size = VARSIZE_ANY_EXHDR(guess->public_key);
	char		bytes[sizeof(Oid) + sizeof(network) + AK_PUBLIC_KEY_MAX];
	char	   *end = bytes;

	Assert(key_size <= AK_PUBLIC_KEY_MAX);
	if (network.family == 6)
		ak_network_mask(&network, NETWORK6_PREFIX);
	memcpy(end, &MyDatabaseId, sizeof(Oid));
	end += sizeof(Oid);
	memcpy(end, &network, sizeof(network));
	end += sizeof(network);
	memcpy(end, VARDATA_ANY(guess->public_key), key_size);
	end += key_size;
	return ak_crypto_short_hash(table->seed, bytes, end - bytes);
}

static void
count_refusal(void)
{
	AkDatabaseSlot *slot = ak_database_slot_get();

	if (slot)
		pg_atomic_fetch_add_u64(&slot->slowed, 1);
}

/* Whether a hash may be computed for the guess; asks once, and counts it. */
static bool
is_let_through(AkGuess *guess)
{
	int64		now = ak_clock_ms() * 1000;
	Bucket	   *bucket;

	if (ak_wrong_secret_limit == 0 || guess->address == NULL)
		return true;
	if (guess->is_counted || guess->is_refused)
		return guess->is_counted;
	guess->mark = make_mark(guess);
	bucket = &table->buckets[guess->mark % BUCKET_COUNT];
	SpinLockAcquire(&bucket->mutex);
	guess->is_counted = ak_guess_cells_take(bucket->cells, BUCKET_CELLS,
											guess->mark, now,
											ak_wrong_secret_limit);
	SpinLockRelease(&bucket->mutex);
	guess->is_refused = !guess->is_counted;
	if (guess->is_refused)
		count_refusal();
	return guess->is_counted;
}

/* It was no guess but the secret. */
static void
give_back(AkGuess *guess)
{
	Bucket	   *bucket = &table->buckets[guess->mark % BUCKET_COUNT];

	if (!guess->is_counted)
		return;
	SpinLockAcquire(&bucket->mutex);
	ak_guess_cells_give_back(bucket->cells, BUCKET_CELLS, guess->mark,
							 ak_wrong_secret_limit);
	SpinLockRelease(&bucket->mutex);
	guess->is_counted = false;
}

/* --- Proofs --------------------------------------------------------------- */

/* Where the proof is kept that a claim is so by a hash, and its halves. */
static Proof *
find_proof(const char *stored, size_t stored_size, const AkSecretClaim *claim,
		   uint64 halves[2])
{
	uint8		digest[AK_BLAKE2B_SIZE];
	uint64		words[AK_BLAKE2B_SIZE / sizeof(uint64)];

	ak_crypto_blake2b(digest, table->key, stored, stored_size,
					  claim->secret, claim->secret_size);
	memcpy(words, digest, sizeof(words));
	memcpy(halves, words, 2 * sizeof(uint64));
	return &table->proofs[words[2] % PROOF_COUNT];
}

/* Whether a claim was proved by a hash lately, and that is remembered. */
bool
ak_guesses_know(const char *stored, size_t stored_size,
				const AkSecretClaim *claim)
{
	uint64		halves[2];
	Proof	   *proof = find_proof(stored, stored_size, claim, halves);

	return pg_atomic_read_u64(&proof->halves[0]) == halves[0] &&
		pg_atomic_read_u64(&proof->halves[1]) == halves[1];
}

static void
remember_proof(const char *stored, size_t stored_size,
			   const AkSecretClaim *claim)
{
	uint64		halves[2];
	Proof	   *proof = find_proof(stored, stored_size, claim, halves);

	pg_atomic_write_u64(&proof->halves[0], halves[0]);
	pg_atomic_write_u64(&proof->halves[1], halves[1]);
}

/*
 * Computes a hash that takes long, and answers as ak_secret_hash_verify();
 * AK_SECRET_DIFFERS, at once, if too many wrong secrets of the key came from that
 * network.  However many hashes it is compared with, a guess is counted once.
 */
AkVerdict
ak_guess_verify(AkGuess *guess, const char *stored, size_t stored_size,
				const AkSecretClaim *claim)
{
	AkVerdict	verdict;

	if (!is_let_through(guess))
		return AK_SECRET_DIFFERS;
	verdict = ak_secret_hash_verify(stored, stored_size, claim);
	if (verdict == AK_SECRET_IS_OUTDATED)
	{
		remember_proof(stored, stored_size, claim);
		give_back(guess);
	}
	return verdict;
}
