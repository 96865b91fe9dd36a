/*
 * unicode_names.h
 *	  Names that people read: text in which every character can be seen.
 *
 * A name with characters that nobody sees looks like another one, and one
 * with characters that turn the direction of writing shows what it does not
 * say (Unicode Technical Report #36, section 2).
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 */
#ifndef AK_UNICODE_NAMES_H
#define AK_UNICODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

extern bool ak_unicode_is_name(const char *text, size_t length,
							   size_t max_characters);

#endif							/* AK_UNICODE_NAMES_H */
