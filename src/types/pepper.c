/*
 * pepper.c
 *	  The peppers: secret keys of the hashes, in a file outside the database,
 *	  so that hashes in a stolen dump cannot be guessed.
 *
 * They are kept in this process's memory; a child inherits them from the
 * postmaster.  Returned pointers are valid until the next call of
 * ak_pepper_find(), ak_pepper_refresh() or ak_pepper_use().
 *
 * The file is read when the server starts and on each reload.  A process that
 * meets a hash with an unknown pepper reads the file again: another process
 * may have processed the reload earlier and made hashes with the new pepper,
 * while this process was busy.  A pepper found in this way only verifies.
 *
 * New hashes are made only with the peppers that the postmaster has read last:
 * an older pepper may already be removed everywhere.  The postmaster stores a
 * fingerprint of its peppers in shared memory, and a process that makes a hash
 * compares its own with it; and the path of the file, for processes that were
 * busy when it was changed.
 *
 * A file that the postmaster could not use while it had no peppers is not the
 * same as no file: somebody wants peppers, and there are none.  Then nothing is
 * hashed or sealed, and nothing counts that counts only without peppers.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/compat.h"
#include "types/types.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

/*
 * What the postmaster has read.  Only the postmaster writes it, without a lock.
 * The number of changes is odd while the path is written.
 */
typedef struct Published
{
	pg_atomic_uint64 fingerprint;	/* ak_pepper_fingerprint() */
	pg_atomic_uint32 changes;
	char		path[MAXPGPATH];
	bool		is_faulty;		/* the last file could not be used */
} Published;

/* Fingerprints of no peppers: none are wanted, or those of the file are missing. */
#define NO_PEPPERS			UINT64CONST(0)
#define UNUSABLE_PEPPERS	UINT64CONST(1)

/* Attempts to read a path that changes meanwhile. */
#define PATH_ATTEMPTS	1000

/* Result of the setting; "loads" counts how often a file was read. */
static char used_path[MAXPGPATH];
static bool is_faulty = false;
static AkPepperSet used;
static AkPepperSet loaded;
static uint64 loads = 0;

/*
 * Fingerprint of the peppers in use, computed once and not for each use of a
 * key.
 */
static uint64 used_fingerprint = NO_PEPPERS;

/* NULL if not preloaded. */
static Published *published = NULL;

/* Peppers found since, with the identity of the file they were in. */
static AkPepperSet found;
static struct stat found_in;
static time_t found_at;

/* --- The file ------------------------------------------------------------ */

/* PostgreSQL requires the same of the file with the server's private key. */
static bool
is_private(const struct stat *status)
{
	if (status->st_uid == 0 && geteuid() != 0)
		return (status->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
	return status->st_uid == geteuid() &&
		(status->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* Returns the number of bytes read, or -1 with *fault. */
static ssize_t
read_file(int file, char *text, size_t room, char **fault)
{
	struct stat status;
	size_t		size = 0;
	ssize_t		count = 1;

	if (fstat(file, &status) != 0)
		*fault = psprintf("It could not be looked at: %m.");
	else if (!S_ISREG(status.st_mode))
		*fault = pstrdup("It is no regular file.");
	else if (!is_private(&status))
		*fault = pstrdup("It must be readable by the server's user alone (mode 0600), or belong to root and be readable by its group (0640).");
	else if (status.st_size > (off_t) room)
		*fault = psprintf("It has more than %zu bytes.", room);
	else
	{
		while (size < room && (count = read(file, text + size, room - size)) > 0)
			size += count;
		if (count >= 0)
			return size;
		*fault = psprintf("It could not be read: %m.");
	}
	return -1;
}

/* *fault is palloc'd; it never quotes the file. */
static bool
read_peppers(const char *path, AkPepperSet *set, char **fault)
{
	char		text[AK_PEPPER_FILE_MAX];
	int			file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t		size;
	AkPepperFault found_fault;
	bool		ok = false;

	if (file < 0)
	{
		*fault = psprintf("It could not be opened: %m.");
		return false;
	}
	size = read_file(file, text, sizeof(text), fault);
	close(file);
	if (size >= 0)
	{
		ok = ak_pepper_set_parse(text, size, set, &found_fault);
		if (!ok)
			*fault = psprintf("Line %d %s.", found_fault.line,
							  found_fault.what);
	}
	ak_crypto_wipe(text, sizeof(text));
	return ok;
}

static uint64
make_fingerprint(const AkPepperSet *set)
{
	uint8		digest[AK_BLAKE2B_SIZE];
	uint64		fingerprint;

	if (set->count == 0)
		return NO_PEPPERS;
	ak_crypto_blake2b(digest, set->peppers[0].bytes,
					  set->peppers, sizeof(AkPepper) * set->count,
					  set->peppers[0].id, strlen(set->peppers[0].id));
	memcpy(&fingerprint, digest, sizeof(fingerprint));
	ak_crypto_wipe(digest, sizeof(digest));
	return fingerprint;
}

/*
 * Reads a file for ak_pepper_use(), which takes the number stored in *load; no
 * path means no file.  Returns false, with *fault (palloc'd), if the file
 * cannot be used: then the peppers stay, and if there are none, that is noted.
 */
bool
ak_pepper_load(const char *path, uint64 *load, char **fault)
{
	ak_crypto_wipe(&loaded, sizeof(loaded));
	*load = ++loads;
	is_faulty = path[0] != '\0' && !read_peppers(path, &loaded, fault);
	/* Any other process has the setting checked also if it is not to change. */
	if (published && IsUnderPostmaster)
		return !is_faulty;
	if (is_faulty && used.count == 0)
		used_fingerprint = UNUSABLE_PEPPERS;
	if (published)
	{
		published->is_faulty = is_faulty;
		pg_atomic_write_u64(&published->fingerprint, used_fingerprint);
	}
	return !is_faulty;
}

/* Replaces the current peppers by those read. */
void
ak_pepper_use(const char *path, uint64 load)
{
	if (load != loads)
		return;
	strlcpy(used_path, path, sizeof(used_path));
	used = loaded;
	used_fingerprint = make_fingerprint(&used);
	/* The postmaster never waits: get_path() reads again. */
	if (published && !IsUnderPostmaster)
	{
		pg_atomic_fetch_add_u32(&published->changes, 1);
		strlcpy(published->path, used_path, sizeof(published->path));
		pg_atomic_fetch_add_u32(&published->changes, 1);
		pg_atomic_write_u64(&published->fingerprint, used_fingerprint);
	}
	ak_crypto_wipe(&loaded, sizeof(loaded));
	ak_crypto_wipe(&found, sizeof(found));
	memset(&found_in, 0, sizeof(found_in));
}

/* --- The postmaster's peppers -------------------------------------------- */

/* Requests the shared memory; called once, in the postmaster. */
void
ak_pepper_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(*published)));
}

/*
 * Creates or attaches to the shared memory; the caller holds
 * AddinShmemInitLock.
 */
void
ak_pepper_attach(void)
{
	bool		is_there;

	published = ShmemInitStruct("apikeys peppers", sizeof(*published),
								&is_there);
	if (!is_there)
	{
		memset(published, 0, sizeof(*published));
		pg_atomic_init_u64(&published->fingerprint, used_fingerprint);
		pg_atomic_init_u32(&published->changes, 0);
		strlcpy(published->path, used_path, sizeof(published->path));
		published->is_faulty = is_faulty;
	}
}

/* Fingerprint of this process's peppers. */
uint64
ak_pepper_fingerprint(void)
{
	return used_fingerprint;
}

/* Fingerprint of the peppers that the postmaster has read last. */
static uint64
get_published(void)
{
	return published ? pg_atomic_read_u64(&published->fingerprint) :
		used_fingerprint;
}

/*
 * Checks whether the postmaster could not use the file when it last read it.
 */
bool
ak_pepper_is_faulty(void)
{
	return published && published->is_faulty;
}

/*
 * Returns the path of the file that the postmaster has last read; "" for none.
 */
static void
get_path(char *path)
{
	strlcpy(path, used_path, MAXPGPATH);
	for (int i = 0; published && i < PATH_ATTEMPTS; i++)
	{
		uint32		changes = pg_atomic_read_u32(&published->changes);
		char		copy[MAXPGPATH];

		pg_read_barrier();
		memcpy(copy, published->path, sizeof(copy));
		pg_read_barrier();
		if (changes % 2 == 0 &&
			changes == pg_atomic_read_u32(&published->changes))
		{
			strlcpy(path, copy, MAXPGPATH);
			break;
		}
	}
}

/*
 * Checks whether this process has the postmaster's peppers, or knows that none are
 * wanted.
 */
bool
ak_pepper_is_fresh(void)
{
	return used_fingerprint == get_published() &&
		used_fingerprint != UNUSABLE_PEPPERS;
}

/*
 * The same, after reading the file once more if necessary.  Hashes may be renewed
 * only if this is true.
 */
bool
ak_pepper_refresh(void)
{
	AkPepperSet set = {0};
	char		path[MAXPGPATH];
	uint64		fingerprint;
	char	   *fault = NULL;
	bool		is_wanted;

	if (ak_pepper_is_fresh())
		return true;
	get_path(path);
	if (path[0] == '\0')
		return false;
	if (!read_peppers(path, &set, &fault))
		pfree(fault);
	fingerprint = make_fingerprint(&set);
	is_wanted = set.count > 0 && fingerprint == get_published();
	if (is_wanted)
	{
		used = set;
		used_fingerprint = fingerprint;
	}
	ak_crypto_wipe(&set, sizeof(set));
	return is_wanted;
}

/*
 * The pepper to hash or seal with what is new; NULL if there is to be none.  Raises
 * 55000 if there should be one that this process cannot know.
 */
const AkPepper *
ak_pepper_demand(void)
{
	if (get_published() == UNUSABLE_PEPPERS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create a secret or token: the file with peppers could not be used"),
				 errhint("Mend the file that apikeys.pepper_file names, and reload; apikeys.status() tells whether it is used."),
				 ak_errid("pepper_not_usable")));
	if (!ak_pepper_refresh())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create a secret or token: the peppers have changed since this statement began"),
				 ak_errid("pepper_changed"),
				 errhint("Begin a new statement.")));
	return ak_pepper_current();
}

/* --- Looking up peppers -------------------------------------------------- */

/* Returns this process's first pepper; NULL if it has none. */
const AkPepper *
ak_pepper_current(void)
{
	return used.count > 0 ? &used.peppers[0] : NULL;
}

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_size == b->st_size && a->st_ctime == b->st_ctime;
}

/*
 * A file is read once as long as it is unchanged.  File times have a
 * resolution of seconds, so a file read in the second of its change may have
 * been incomplete and is read again.
 */
static void
look_again(void)
{
	struct stat status;
	AkPepperSet set;
	char		path[MAXPGPATH];
	char	   *fault = NULL;

	get_path(path);
	if (path[0] == '\0' || stat(path, &status) != 0 ||
		(is_same_file(&status, &found_in) && status.st_ctime < found_at))
		return;
	found_in = status;
	found_at = time(NULL);
	if (read_peppers(path, &set, &fault))
		found = set;
	else
		pfree(fault);
	ak_crypto_wipe(&set, sizeof(set));
}

/*
 * Returns the pepper with this id, for verification; NULL if it is not
 * available.
 */
const AkPepper *
ak_pepper_find(const char *id, size_t size)
{
	const AkPepper *pepper = ak_pepper_set_find(&used, id, size);

	if (pepper == NULL)
		pepper = ak_pepper_set_find(&found, id, size);
	if (pepper == NULL)
	{
		look_again();
		pepper = ak_pepper_set_find(&found, id, size);
	}
	return pepper;
}

/* --- For administrators -------------------------------------------------- */

/*
 * What administrators see of the peppers: their ids, never a pepper.
 */

PG_FUNCTION_INFO_V1(apikeys_current_pepper);
PG_FUNCTION_INFO_V1(apikeys_pepper_state);

Datum
apikeys_current_pepper(PG_FUNCTION_ARGS)
{
	const AkPepper *pepper = ak_pepper_current();

	if (pepper == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pepper->id));
}

static const char *
get_state(const char *id, size_t size)
{
	const AkPepper *current = ak_pepper_current();
	const char *current_id = current ? current->id : AK_NO_PEPPER;

	if (strlen(current_id) == size && memcmp(current_id, id, size) == 0 &&
		get_published() != UNUSABLE_PEPPERS)
		return "current";
	if (size == strlen(AK_NO_PEPPER) && memcmp(id, AK_NO_PEPPER, size) == 0)
		return "retired";
	return ak_pepper_find(id, size) ? "retired" : "missing";
}

/* The state of the pepper that a hash names; NULL for a foreign hash. */
Datum
apikeys_pepper_state(PG_FUNCTION_ARGS)
{
	text	   *pepper;

	if (PG_ARGISNULL(0))
		PG_RETURN_TEXT_P(cstring_to_text("foreign"));
	pepper = PG_GETARG_TEXT_PP(0);
	PG_RETURN_TEXT_P(cstring_to_text(get_state(VARDATA_ANY(pepper),
											   VARSIZE_ANY_EXHDR(pepper))));
}
