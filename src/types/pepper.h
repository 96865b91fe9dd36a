/*
 * pepper.h
 *	  The peppers: secret keys of the hashes, in a file outside the database,
 *	  so that hashes in a stolen dump cannot be guessed.
 *
 * They are kept in this process's memory; a child inherits them from the
 * postmaster.  Returned pointers are valid until the next call of
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
