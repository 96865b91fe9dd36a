/*
 * usage_launcher.h
 *	  The process that starts the workers of databases.
 */
#ifndef AK_USAGE_LAUNCHER_H
#define AK_USAGE_LAUNCHER_H

extern void ak_usage_launcher_init(void);

#endif							/* AK_USAGE_LAUNCHER_H */
