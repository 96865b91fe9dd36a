/*
 * unicode_names.h
 *	  Names that people read: text in which every character is visible.
 *
 * A name with invisible characters looks like another name, and characters
 * that change the direction of writing show a different text (Unicode
 * Technical Report #36, section 2).
 *
 * A leaf: no PostgreSQL, no allocation, no errors raised.
 */
#ifndef AK_UNICODE_NAMES_H
#define AK_UNICODE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

extern bool ak_unicode_is_name(const char *text, size_t length,
							   size_t max_characters);

#endif							/* AK_UNICODE_NAMES_H */
