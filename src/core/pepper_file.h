/*
 * pepper_file.h
 *	  The text of a pepper file: a line "id:64 hex digits" for each pepper, the
 *	  current one first.  Empty lines, and those that begin with #, are left
 *	  out.
 *
 * Knows no PostgreSQL, allocates nothing and raises nothing.  Nothing that it
 * says of a fault contains what stands in the file.
 */
#ifndef AK_PEPPER_FILE_H
#define AK_PEPPER_FILE_H

#include "core/crypto.h"

#define AK_PEPPER_ID_MAX	32

/* What a hash that was made without a pepper says. */
#define AK_NO_PEPPER		"0"

#define AK_PEPPERS_MAX		64

/* More than that many lines need, and room for remarks. */
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
	const char *what;			/* goes on "Line 3 ..." */
} AkPepperFault;

extern bool ak_pepper_id_is_valid(const char *id, size_t size);
extern bool ak_pepper_set_parse(const char *text, size_t size,
								AkPepperSet *set, AkPepperFault *fault);
extern const AkPepper *ak_pepper_set_find(const AkPepperSet *set,
										  const char *id, size_t size);

#endif							/* AK_PEPPER_FILE_H */
