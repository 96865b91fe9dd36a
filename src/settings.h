/*
 * settings.h
 *	  The apikeys.* settings.
 */
#ifndef AK_SETTINGS_H
#define AK_SETTINGS_H

#include "postgres.h"

extern char *ak_token_prefix;
extern bool ak_track_usage;

extern void ak_settings_define(void);

#endif							/* AK_SETTINGS_H */
