/*
 * unicode_names.h
 *	  Which characters a name must not have, because they cannot be seen.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 */
#ifndef AK_UNICODE_NAMES_H
#define AK_UNICODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

extern bool ak_name_is_plain(const char *utf8, size_t size);

#endif							/* AK_UNICODE_NAMES_H */
