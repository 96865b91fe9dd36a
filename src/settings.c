/*
 * settings.c
 *	  See settings.h.
 */
#include "settings.h"

#include "token.h"
#include "utils/guc.h"

char	   *ak_token_prefix;
bool		ak_track_usage;

static bool check_token_prefix(char **newval, void **extra, GucSource source);

/* Defines the settings; called once, when the library is loaded. */
void
ak_settings_define(void)
{
	DefineCustomStringVariable("apikeys.token_prefix",
							   "What new public and private keys begin with.",
							   "A lower-case letter and up to 15 lower-case letters, digits and underscores, not ending in an underscore.",
							   &ak_token_prefix,
							   "ak",
							   PGC_SUSET,
							   0,
							   check_token_prefix,
							   NULL,
							   NULL);
	DefineCustomBoolVariable("apikeys.track_usage",
							 "Records when and from where keys are used.",
							 NULL,
							 &ak_track_usage,
							 true,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	MarkGUCPrefixReserved("apikeys");
}

static bool
check_token_prefix(char **newval, void **extra, GucSource source)
{
	if (ak_token_prefix_is_valid(*newval))
		return true;
	GUC_check_errdetail("A prefix is a lower-case letter followed by up to %d lower-case letters, digits and underscores, and does not end in an underscore.",
						AK_TOKEN_PREFIX_MAX - 1);
	return false;
}
