/*
 * apikeys.c
 *	  The module's entry: makes the other files ready, and does nothing else.
 */
#include "postgres.h"

#include "crypto.h"
#include "fmgr.h"
#include "identity.h"
#include "settings.h"
#include "tables.h"
#include "usage.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	if (!ak_crypto_init())
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not initialize libsodium")));
	ak_settings_define();
	ak_tables_init();
	ak_identity_init();
	ak_usage_init();
}
