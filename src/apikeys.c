/*
 * apikeys.c
 *	  The module's entry: initializes the other files.
 *
 * Decisions and counters need the library preloaded, for its shared memory;
 * types, management, dumps and restores do not.
 */
#include "postgres.h"

#include "audit/audit.h"
#include "base/base.h"
#include "core/crypto.h"
#include "identity/identity.h"
#include "operations/operations.h"
#include "store/store.h"
#include "usage/guesses.h"
#include "usage/limits.h"
#include "usage/usage.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
request_shared_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(ak_locator_shared_size());
	ak_usage_request();
	ak_pepper_request();
	ak_rehash_request();
	ak_guesses_request();
	ak_nonces_request();
}

static void
attach_shared_memory(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ak_locator_attach();
	ak_usage_attach();
	ak_pepper_attach();
	ak_rehash_attach();
	ak_guesses_attach();
	ak_nonces_attach();
	LWLockRelease(AddinShmemInitLock);
}

void
_PG_init(void)
{
	if (!ak_crypto_init())
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not initialize libsodium")));
	ak_settings_define();
	ak_tables_init();
	ak_owner_init();
	ak_identity_init();
	ak_planner_init();
	ak_notices_init();
	ak_limits_init();

	ak_is_preloaded = process_shared_preload_libraries_in_progress;
	if (!ak_is_preloaded)
		return;
	ak_database_commands_init();
	ak_usage_launcher_init();
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = attach_shared_memory;
}
