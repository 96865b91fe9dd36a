/*
 * guesses.c
 *	  What is remembered of requests that prove nothing yet.
 */
#include "postgres.h"

#include <unistd.h>

#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "core/crypto.h"
#include "usage/guesses.h"
#include "usage/usage.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "storage/spin.h"

/* --- Guesses ------------------------------------------------------------- */

/*
 * Bounds what guessing costs: hashes that take long to compute are compared
 * with a few wrong secrets a minute only.
 *
 * Only an imported argon2id hash takes long.  How many wrong secrets were compared
 * with such hashes is counted in a small table: of a key from a network, an IPv4
 * address or the first 64 bits of an IPv6 one; of all keys of an organization; and
 * of the whole server.  Beyond setting apikeys.wrong_secret_limit of a key from a
 * network, and ORGANIZATION_FACTOR times as many of an organization, nothing is
 * computed: the secret is taken for wrong.  The organization is counted because
 * its members can import as many keys as they like.
 *
 * Beyond the setting of the whole server hashes are computed on half of the
 * processors at once, so that others are left for requests that guess nothing.
 * Nobody waits: a secret that finds all of these taken is taken for wrong.  As long
 * as few guess, all may compute at once, for then most of them have the right
 * secret: after an import all clients prove theirs for the first time.
 *
 * So that this locks out nobody, the table of proofs remembers which secrets
 * were proved by which hashes, as keyed digests: such a secret is known
 * again at once from anywhere, until the worker has replaced its hash by a cheap
 * one.  Only a proof writes there, so guesses push out none; and where there is no
 * room those of an organization push out none of another that has fewer there.
 *
 * With more keys than fit there an organization could have right secrets computed
 * without end.  So what is computed for it is also counted where it was right:
 * beyond COMPUTED_FACTOR times the setting, which comes back in so many minutes, its
 * hashes are computed one at a time, and a secret that finds another one under way
 * is taken for wrong.
 *
 * Locking: a spinlock for each bucket of cells, with nothing inside but
 * counting.c.  A proof is two atomics; halves of two proofs match no secret.  How
 * many compute are atomics.  Nothing here waits, and no error is raised that
 * computing the hash does not.
 */

#define TABLE_NAME		"apikeys guesses"
#define BUCKET_COUNT	1024
#define BUCKET_CELLS	4

/* Proofs are kept in sets, each in any place of its set. */
#define SET_PROOFS		16
#define SET_COUNT		16384

/*
 * So many times the limit of a key from a network is that of an organization.  At
 * the default of both settings, that and the largest cost of a hash, it is less than
 * one processor can compute.
 */
#define ORGANIZATION_FACTOR	4

/*
 * And so many times may be computed for an organization before it is one at a time: as
 * after an import of many keys.
 */
#define COMPUTED_FACTOR	160

/* An IPv6 client has this much of an address for itself. */
#define NETWORK6_PREFIX	64

typedef struct Bucket
{
	slock_t		mutex;
	pg_atomic_uint32 computing; /* processes that must be alone */
	AkGuessCell cells[BUCKET_CELLS];
} Bucket;

/*
 * Half a digest of a hash and the secret that was proved by it, except the lowest bits of
 * the second, which stand for the organization (get_owner()); both 0: none.
 */
typedef struct Proof
{
	pg_atomic_uint64 halves[2];
} Proof;

typedef struct Table
{
	uint8		seed[AK_SHORT_HASH_SEED_SIZE];	/* of marks */
	uint8		key[AK_PEPPER_SIZE];	/* of proofs */
	uint32		processors;		/* that compute at once while many guess */
	pg_atomic_uint32 computing; /* processes that do */
	Bucket		server;			/* has one cell in use */
	Bucket		buckets[AK_GUESS_OF_SERVER][BUCKET_COUNT];
	Proof		proofs[SET_COUNT][SET_PROOFS];
} Table;

static Table *table = NULL;

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_guesses_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(Table)));
}

static void
init_bucket(Bucket *bucket)
{
	SpinLockInit(&bucket->mutex);
	pg_atomic_init_u32(&bucket->computing, 0);
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_guesses_attach(void)
{
	bool		found;

	table = ShmemInitStruct(TABLE_NAME, sizeof(Table), &found);
	if (!found)
	{
		memset(table, 0, sizeof(Table));
		ak_crypto_random_bytes(table->seed, sizeof(table->seed));
		ak_crypto_random_bytes(table->key, sizeof(table->key));
		table->processors = Max(1, sysconf(_SC_NPROCESSORS_ONLN) / 2);
		pg_atomic_init_u32(&table->computing, 0);
		init_bucket(&table->server);
		for (int of = 0; of < AK_GUESS_OF_SERVER; of++)
			for (int i = 0; i < BUCKET_COUNT; i++)
				init_bucket(&table->buckets[of][i]);
		for (int set = 0; set < SET_COUNT; set++)
			for (int i = 0; i < SET_PROOFS; i++)
				for (int half = 0; half < 2; half++)
					pg_atomic_init_u64(&table->proofs[set][i].halves[half], 0);
	}
}

/* --- Counting ------------------------------------------------------------- */

static void
append(char **end, const void *data, size_t size)
{
	memcpy(*end, data, size);
	*end += size;
}

/* What guesses are counted under of an organization of this database. */
static uint64
mark_organization(const pg_uuid_t *organization)
{
	char		bytes[sizeof(Oid) + UUID_LEN];
	char	   *end = bytes;

	append(&end, &MyDatabaseId, sizeof(Oid));
	append(&end, organization, UUID_LEN);
	return ak_crypto_short_hash(table->seed, bytes, sizeof(bytes));
}

/* The same of a key of this database, from a network. */
static uint64
mark_key(const text *public_key, AkNetwork network)
{
	char		bytes[sizeof(Oid) + sizeof(AkNetwork) +
					  AK_PUBLIC_KEY_MAX_SIZE];
	char	   *end = bytes;
	size_t		key_size = VARSIZE_ANY_EXHDR(public_key);

	Assert(key_size <= AK_PUBLIC_KEY_MAX_SIZE);
	if (network.family == 6)
		ak_network_mask(&network, NETWORK6_PREFIX);
	append(&end, &MyDatabaseId, sizeof(Oid));
	append(&end, &network, sizeof(network));
	append(&end, VARDATA_ANY(public_key), key_size);
	return ak_crypto_short_hash(table->seed, bytes, end - bytes);
}

static uint64
make_mark(const AkGuess *guess, AkGuessOf of)
{
	switch (of)
	{
		case AK_GUESS_OF_KEY:
			return mark_key(guess->public_key, *guess->address);
		case AK_GUESS_OF_ORGANIZATION:
		case AK_GUESS_COMPUTED:
			return mark_organization(guess->organization);
		default:
			return 0;
	}
}

static Bucket *
get_bucket(AkGuessOf of, uint64 mark)
{
	return of == AK_GUESS_OF_SERVER ? &table->server :
		&table->buckets[of][mark % BUCKET_COUNT];
}

static int
get_limit(AkGuessOf of)
{
	switch (of)
	{
		case AK_GUESS_OF_ORGANIZATION:
			return ORGANIZATION_FACTOR * ak_wrong_secret_limit;
		case AK_GUESS_COMPUTED:
			return COMPUTED_FACTOR * ak_wrong_secret_limit;
		default:
			return ak_wrong_secret_limit;
	}
}

/* In microseconds; what is counted in COMPUTED_FACTOR minutes has a slower clock. */
static int64
get_time(AkGuessOf of)
{
	int64		now = ak_clock_ms() * 1000;

	return of == AK_GUESS_COMPUTED ? now / COMPUTED_FACTOR : now;
}

/* Counts the guess, unless there were too many lately. */
static bool
take(AkGuess *guess, AkGuessOf of)
{
	uint64		mark = make_mark(guess, of);
	Bucket	   *bucket = get_bucket(of, mark);
	int64		now = get_time(of);

	SpinLockAcquire(&bucket->mutex);
	guess->is_counted[of] = ak_guess_cells_take(bucket->cells, BUCKET_CELLS,
												mark, now, get_limit(of));
	SpinLockRelease(&bucket->mutex);
	guess->marks[of] = mark;
	return guess->is_counted[of];
}

/* Nothing was computed for it, or it was the secret: then only the computing counts. */
static void
give_back(AkGuess *guess, bool was_right)
{
	for (int of = 0; of < AK_GUESS_OF_COUNT; of++)
	{
		Bucket	   *bucket = get_bucket(of, guess->marks[of]);

		if (!guess->is_counted[of] || (was_right && of == AK_GUESS_COMPUTED))
			continue;
		SpinLockAcquire(&bucket->mutex);
		ak_guess_cells_give_back(bucket->cells, BUCKET_CELLS,
								 guess->marks[of], get_limit(of));
		SpinLockRelease(&bucket->mutex);
		guess->is_counted[of] = false;
	}
}

/*
 * Whether few enough were counted that a hash may be computed for the guess; asks
 * once, and counts it.  Without an address nobody can be told from others, so only
 * the organization is counted.
 */
static bool
is_let_through(AkGuess *guess)
{
	if (guess->is_judged || ak_wrong_secret_limit == 0)
		return true;
	guess->is_judged = true;
	if ((guess->address && !take(guess, AK_GUESS_OF_KEY)) ||
		!take(guess, AK_GUESS_OF_ORGANIZATION))
		return false;
	guess->is_one_of_many = !take(guess, AK_GUESS_OF_SERVER);
	guess->is_alone = !take(guess, AK_GUESS_COMPUTED);
	return true;
}

/* Where those are counted that must be alone in the organization of the guess. */
static pg_atomic_uint32 *
find_alone(const AkGuess *guess)
{
	return &get_bucket(AK_GUESS_COMPUTED,
					   guess->marks[AK_GUESS_COMPUTED])->computing;
}

/* Counts one more that computes, unless there are as many as may be at once. */
static bool
start_among(pg_atomic_uint32 *computing, uint32 most)
{
	if (pg_atomic_fetch_add_u32(computing, 1) < most)
		return true;
	pg_atomic_fetch_sub_u32(computing, 1);
	return false;
}

/* Whether one more may compute, which is then counted. */
static bool
start_computing(const AkGuess *guess)
{
	if (guess->is_alone && !start_among(find_alone(guess), 1))
		return false;
	if (start_among(&table->computing,
					guess->is_one_of_many ? table->processors : PG_UINT32_MAX))
		return true;
	if (guess->is_alone)
		pg_atomic_fetch_sub_u32(find_alone(guess), 1);
	return false;
}

static void
end_computing(const AkGuess *guess)
{
	pg_atomic_fetch_sub_u32(&table->computing, 1);
	if (guess->is_alone)
		pg_atomic_fetch_sub_u32(find_alone(guess), 1);
}

/* --- Proofs --------------------------------------------------------------- */

/* The organization of a proof, or 0 where there is none. */
static uint16
get_owner(uint64 second_half)
{
	return (uint16) second_half;
}

/* The set for the proof that a claim is so by a hash, and the halves of that. */
static Proof *
find_set(const pg_uuid_t *organization, const char *stored,
		 size_t stored_size, const AkSecretClaim *claim, uint64 halves[2])
{
	uint8		digest[AK_BLAKE2B_SIZE];
	uint64		words[AK_BLAKE2B_SIZE / sizeof(uint64)];
	uint16		owner = mark_organization(organization) | 1;

	ak_crypto_blake2b(digest, table->key, stored, stored_size,
					  claim->secret, claim->secret_size);
	memcpy(words, digest, sizeof(words));
	halves[0] = words[0];
	halves[1] = (words[1] & ~(uint64) PG_UINT16_MAX) | owner;
	return table->proofs[words[2] % SET_COUNT];
}

/*
 * Whether a claim was proved lately by a hash of a key of the organization, and that
 * is remembered.
 */
bool
ak_guesses_know(const pg_uuid_t *organization, const char *stored,
				size_t stored_size, const AkSecretClaim *claim)
{
	uint64		halves[2];
	Proof	   *set = find_set(organization, stored, stored_size, claim, halves);

	for (int i = 0; i < SET_PROOFS; i++)
		if (pg_atomic_read_u64(&set[i].halves[0]) == halves[0] &&
			pg_atomic_read_u64(&set[i].halves[1]) == halves[1])
			return true;
	return false;
}

static void
remember(const pg_uuid_t *organization, const char *stored,
		 size_t stored_size, const AkSecretClaim *claim)
{
	uint64		halves[2];
	Proof	   *set = find_set(organization, stored, stored_size, claim, halves);
	uint16		owners[SET_PROOFS];
	uint8		first;
	Proof	   *proof;

	for (int i = 0; i < SET_PROOFS; i++)
		owners[i] = get_owner(pg_atomic_read_u64(&set[i].halves[1]));
	ak_crypto_random_bytes(&first, sizeof(first));
	proof = &set[ak_fair_place(owners, SET_PROOFS, get_owner(halves[1]), first)];
	pg_atomic_write_u64(&proof->halves[0], halves[0]);
	pg_atomic_write_u64(&proof->halves[1], halves[1]);
}

/*
 * Computes a hash that takes long, and answers as ak_secret_hash_verify();
 * AK_SECRET_DIFFERS, at once, if there were too many wrong secrets, or too many are
 * compared now.  However many hashes it is compared with, a guess is counted once.
 * The caller has read the hash, so that computing it raises no error; if it lacks
 * memory, 53200 is raised after that.
 */
AkVerdict
ak_guess_verify(AkGuess *guess, const char *stored, size_t stored_size,
				const AkSecretClaim *claim)
{
	AkVerdict	verdict;
	AkDatabaseSlot *slot;

	if (guess->is_refused)
		return AK_SECRET_DIFFERS;
	if (!is_let_through(guess) || !start_computing(guess))
	{
		guess->is_refused = true;
		if (!guess->was_computed)
			give_back(guess, false);
		slot = ak_database_slot_get();
		if (slot)
			pg_atomic_fetch_add_u64(&slot->slowed, 1);
		return AK_SECRET_DIFFERS;
	}
	verdict = ak_secret_hash_verify(stored, stored_size, claim);
	end_computing(guess);
	guess->was_computed = true;
	if (verdict == AK_SECRET_LACKS_MEMORY)
	{
		give_back(guess, false);
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("The argon2id hash of a secret could not be computed."),
				 ak_errid("out_of_memory"),
				 errhidestmt(true),
				 errhidecontext(true)));
	}
	if (verdict == AK_SECRET_IS_OUTDATED)
	{
		remember(guess->organization, stored, stored_size, claim);
		give_back(guess, true);
	}
	return verdict;
}

/* --- Nonces of HTTP Digest ----------------------------------------------- */

/*
 * The nonces of HTTP Digest: made without being stored, and taken once for
 * each request.
 *
 * A nonce tells when it was issued, and is authenticated with a key that is drawn
 * when the server starts.  So the nonces of a former run, and of another server,
 * are not authentic: what they were used for is not known here.  Which requests
 * were made with a nonce is remembered in shared memory, in buckets of
 * counting.c; only requests that are proved come there.
 *
 * Locking: a spinlock for each bucket, with nothing inside but counting.c.  The
 * key is written once, before any session begins.  Nothing here waits or raises
 * an error.
 */

#define NONCE_TABLE_NAME	"apikeys nonces"
#define NONCE_BUCKET_COUNT	2048
#define MAC_SIZE			16

typedef struct NonceBucket
{
	slock_t		mutex;
	AkNonceBucket nonces;
} NonceBucket;

typedef struct NonceTable
{
	uint8		key[AK_PEPPER_SIZE];
	NonceBucket buckets[NONCE_BUCKET_COUNT];
} NonceTable;

/* A nonce before it is written as text. */
typedef struct NonceBytes
{
	int64		issued_at;
	uint64		mark;
	uint8		mac[MAC_SIZE];
} NonceBytes;

StaticAssertDecl(sizeof(NonceBytes) == AK_NONCE_SIZE,
				 "a nonce has the size that is told");

static NonceTable *nonce_table = NULL;

/* Asks for the shared memory; called once, in the postmaster. */
void
ak_nonces_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(NonceTable)));
}

/* Makes or finds the shared memory; the caller holds AddinShmemInitLock. */
void
ak_nonces_attach(void)
{
	bool		found;

	nonce_table = ShmemInitStruct(NONCE_TABLE_NAME, sizeof(NonceTable), &found);
	if (!found)
	{
		memset(nonce_table, 0, sizeof(NonceTable));
		ak_crypto_random_bytes(nonce_table->key, sizeof(nonce_table->key));
		for (int i = 0; i < NONCE_BUCKET_COUNT; i++)
			SpinLockInit(&nonce_table->buckets[i].mutex);
	}
}

/* Authenticates a nonce for a realm of this database. */
static void
make_mac(const NonceBytes *bytes, const char *realm, size_t realm_size,
		 uint8 mac[MAC_SIZE])
{
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, nonce_table->key, MAC_SIZE);
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
	NonceBucket *bucket = &nonce_table->buckets[nonce->mark % NONCE_BUCKET_COUNT];
	AkNonceUse	use;

	SpinLockAcquire(&bucket->mutex);
	use = ak_nonce_take(&bucket->nonces, nonce->mark, nonce->issued_at, count);
	SpinLockRelease(&bucket->mutex);
	return use;
}
