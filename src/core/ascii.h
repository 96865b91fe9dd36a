/*
 * ascii.h
 *	  Characters of ASCII, whatever the locale is.
 */
#ifndef AK_ASCII_H
#define AK_ASCII_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool
ak_is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9');
}

/* A character of a token of RFC 9110, section 5.6.2. */
static inline bool
ak_is_token_character(char c)
{
	return ak_is_letter_or_digit(c) ||
		(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A space or a tab: the white space within a header. */
static inline bool
ak_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline char
ak_to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

static inline bool
ak_is_ascii(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char) text[i] > 127)
			return false;
	return true;
}

#endif							/* AK_ASCII_H */
