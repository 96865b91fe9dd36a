/*
 * settings.h
 *	  The apikeys.* settings.
 */
#ifndef AK_SETTINGS_H
#define AK_SETTINGS_H

#include "postgres.h"

#include "core/netset.h"

extern char *ak_token_prefix;
extern bool ak_track_usage;
extern bool ak_notify;
extern int	ak_usage_flush_interval;	/* milliseconds */
extern int	ak_usage_max_entries;
extern int	ak_limit_max_entries;
extern int	ak_limit_overflow_denies;	/* 0: no */
extern double ak_limit_share;
extern int	ak_usage_retention;	/* minutes */
extern char *ak_usage_primary_conninfo;
extern int	ak_locator_size;	/* in kB */
extern char *ak_api_key_header;
extern int	ak_token_max_lifetime;	/* in seconds */
extern int	ak_digest_nonce_lifetime;	/* in seconds */
extern int	ak_wrong_secret_limit;	/* a minute; 0: none */

/* Whether the library is in shared_preload_libraries. */
extern bool ak_is_preloaded;

extern void ak_settings_define(void);
extern void ak_require_preload(void);
extern void ak_trusted_proxies_view(AkNetset *proxies);

#endif							/* AK_SETTINGS_H */
