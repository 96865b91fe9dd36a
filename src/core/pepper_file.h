/*
 * pepper_file.h
 *	  The text of a pepper file: one line "id:64 hex digits" for each pepper,
 *	  the current one first.  Empty lines and lines that begin with # are
 *	  ignored.
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.  A fault never
 * quotes the file.
 */
#ifndef AK_PEPPER_FILE_H
#define AK_PEPPER_FILE_H

#include "core/crypto.h"

#define AK_PEPPER_ID_MAX	32

/* The pepper id in a hash that was made without a pepper. */
#define AK_NO_PEPPER		"0"

#define AK_PEPPERS_MAX		64

/* Room for that many lines, and for remarks. */
#define AK_PEPPER_FILE_MAX	16384

typedef struct AkPepper
{
	char		id[AK_PEPPER_ID_MAX + 1];
	uint8_t		bytes[AK_PEPPER_SIZE];
} AkPepper;

typedef struct AkPepperSet
{
	int			count;
	AkPepper	peppers[AK_PEPPERS_MAX];	/* the current one first */
} AkPepperSet;

typedef struct AkPepperFault
{
	int			line;			/* counted from 1 */
	const char *what;			/* continues "Line 3 ..." */
} AkPepperFault;

extern bool ak_pepper_id_is_valid(const char *id, size_t size);
extern bool ak_pepper_set_parse(const char *text, size_t size,
								AkPepperSet *set, AkPepperFault *fault);
extern const AkPepper *ak_pepper_set_find(const AkPepperSet *set,
										  const char *id, size_t size);

#endif							/* AK_PEPPER_FILE_H */
