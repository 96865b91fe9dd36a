/*
 * pepper_file.c
 *	  See pepper_file.h.
 */
#include "core/pepper_file.h"

#include <string.h>

/*
 * Checks whether a text is a pepper id: 1 to 32 letters, digits and characters
 * of _-. (AK_NO_PEPPER is one.)
 */
bool
ak_pepper_id_is_valid(const char *id, size_t size)
{
	if (size == 0 || size > AK_PEPPER_ID_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!((id[i] >= '0' && id[i] <= '9') ||
			  (id[i] >= 'A' && id[i] <= 'Z') ||
			  (id[i] >= 'a' && id[i] <= 'z') ||
			  id[i] == '_' || id[i] == '-' || id[i] == '.'))
			return false;
	return true;
}

/* Returns the pepper with this id; NULL if the set has none. */
const AkPepper *
ak_pepper_set_find(const AkPepperSet *set, const char *id, size_t size)
{
	for (int i = 0; i < set->count; i++)
		if (strlen(set->peppers[i].id) == size &&
			memcmp(set->peppers[i].id, id, size) == 0)
			return &set->peppers[i];
	return NULL;
}

static bool
has_bytes(const AkPepperSet *set, const uint8_t *bytes)
{
	for (int i = 0; i < set->count; i++)
		if (ak_crypto_equal(set->peppers[i].bytes, bytes, AK_PEPPER_SIZE))
			return true;
	return false;
}

/* Adds the pepper of a line; returns the fault, or NULL. */
static const char *
add_line(const char *line, size_t size, AkPepperSet *set)
{
	const char *colon = memchr(line, ':', size);
	size_t		id_size = colon ? (size_t) (colon - line) : 0;
	AkPepper   *pepper = &set->peppers[set->count];

	if (!ak_pepper_id_is_valid(line, id_size) ||
		!ak_crypto_hex_decode(colon + 1, size - id_size - 1,
							  pepper->bytes, AK_PEPPER_SIZE))
		return "is not written id:64 hex digits";
	if (id_size == strlen(AK_NO_PEPPER) &&
		memcmp(line, AK_NO_PEPPER, id_size) == 0)
		return "has the id that stands for no pepper";
	if (ak_pepper_set_find(set, line, id_size))
		return "has an id that another line has";
	if (has_bytes(set, pepper->bytes))
		return "has a pepper that another line has";
	memcpy(pepper->id, line, id_size);
	pepper->id[id_size] = '\0';
	set->count++;
	return NULL;
}

/* Removes trailing blanks and a carriage return. */
static size_t
trim(const char *line, size_t size)
{
	while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t' ||
						line[size - 1] == '\r'))
		size--;
	return size;
}

/*
 * Reads the peppers of a file's text into *set; returns false, with *fault, if
 * the text is malformed.  The caller wipes *set in every case.
 */
bool
ak_pepper_set_parse(const char *text, size_t size, AkPepperSet *set,
					AkPepperFault *fault)
{
	const char *end = text + size;

	memset(set, 0, sizeof(*set));
	for (fault->line = 1; text < end; fault->line++)
	{
		const char *newline = memchr(text, '\n', end - text);
		size_t		length = (newline ? newline : end) - text;
		size_t		trimmed = trim(text, length);

		if (trimmed > 0 && text[0] != '#')
		{
			fault->what = set->count == AK_PEPPERS_MAX ?
				"is one too many" : add_line(text, trimmed, set);
			if (fault->what)
				return false;
		}
		text += length + (newline ? 1 : 0);
	}
	fault->line = 1;
	fault->what = "is missing: there is no pepper in the file";
	return set->count > 0;
}
