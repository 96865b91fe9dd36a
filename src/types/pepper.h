/*
 * pepper.h
 *	  The peppers: secret keys of the hashes, which stand in a file and not in
 *	  the database, so that a stolen dump has hashes that nobody can try.
 *
 * They are in this process's own memory (a child inherits them from the
 * postmaster).  Pointers that are answered here hold until the next call of
 * ak_pepper_find(), ak_pepper_refresh() or ak_pepper_use().
 */
#ifndef AK_PEPPER_H
#define AK_PEPPER_H

#include "postgres.h"

#include "core/pepper_file.h"

extern bool ak_pepper_load(const char *path, uint64 *load, char **fault);
extern void ak_pepper_use(const char *path, uint64 load);
extern void ak_pepper_request(void);
extern void ak_pepper_attach(void);
extern uint64 ak_pepper_fingerprint(void);
extern bool ak_pepper_is_fresh(void);
extern bool ak_pepper_is_faulty(void);
extern bool ak_pepper_refresh(void);
extern const AkPepper *ak_pepper_current(void);
extern const AkPepper *ak_pepper_find(const char *id, size_t size);

#endif							/* AK_PEPPER_H */
