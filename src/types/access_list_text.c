/*
 * access_list_text.c
 *	  Reads the text form of an access list.
 */
#include "postgres.h"

#include "core/compat.h"
#include "types/types.h"

#include "parser/scansup.h"

/* Longest text of a network, with blanks and quotes around it. */
#define MAX_ENTRY_TEXT	100

/*
 * Reports that a list has too many networks; a soft error if the context
 * allows it.
 */
void
ak_list_report_too_long(Node *context)
{
	ereturn(context,,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("access list has more than %d networks", AK_ACCESS_LIST_MAX),
			 ak_errid("access_list_too_long")));
}

static void
report_host_bits(Node *context, const AkNetwork *network)
{
	char		given[AK_NETWORK_TEXT_SIZE];
	char		meant[AK_NETWORK_TEXT_SIZE];
	AkNetwork	masked = *network;

	ak_network_mask(&masked, masked.prefix);
	ak_network_format(network, given);
	ak_network_format(&masked, meant);
	ereturn(context,,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid network \"%s\" in access list", given),
			 errdetail("Bits are set to the right of the prefix."),
			 errhint("The network is \"%s\", its single address \"%.*s\".",
					 meant, (int) (strchr(given, '/') - given), given),
			 ak_errid("invalid_access_list")));
}

/*
 * Reports a fault; a soft error if the context allows it.  A malformed entry
 * is named by its number only, because it can be anything, also a secret.
 */
void
ak_list_report(Node *context, const AkListFault *fault)
{
	if (fault->kind == AK_LIST_TOO_LONG)
		ak_list_report_too_long(context);
	else if (fault->kind == AK_LIST_BAD_ENTRY && fault->error == AK_NETWORK_HOST_BITS)
		report_host_bits(context, &fault->network);
	else if (fault->kind == AK_LIST_BAD_ENTRY)
		ereturn(context,,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "apikeys.access_list"),
				 errdetail("Entry %zu is not a network.", fault->number),
				 errhint("A network is an IPv4 or IPv6 address, and optionally a slash and the length of its prefix."),
				 ak_errid("invalid_access_list")));
	else
		ereturn(context,,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "apikeys.access_list"),
				 errdetail("The value must be enclosed in braces."),
				 errhint("An access list is written {10.0.0.0/8,2001:db8::/32}."),
				 ak_errid("invalid_access_list")));
}

static void
trim_blanks(const char **text, size_t *length)
{
	while (*length > 0 && scanner_isspace(**text))
	{
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && scanner_isspace((*text)[*length - 1]))
		(*length)--;
}

/*
 * Removes blanks, then a pair of double quotes, from both ends of an entry.
 * Some writers of JSON put a backslash before each slash: an entry in quotes is
 * read from the buffer, without it.
 */
static void
trim_entry(const char **text, size_t *length, char buffer[MAX_ENTRY_TEXT])
{
	size_t		end;
	size_t		kept = 0;

	trim_blanks(text, length);
	if (*length < 2 || **text != '"' || (*text)[*length - 1] != '"')
		return;
	end = *length - 1;
	for (size_t i = 1; i < end; i++)
		if ((*text)[i] != '\\' || (*text)[i + 1] != '/')
			buffer[kept++] = (*text)[i];
	*text = buffer;
	*length = kept;
}

/* Parses the entries between the braces or brackets into *networks (palloc'd). */
static void
parse_entries(const char *text, size_t length,
			  AkNetwork **networks, size_t *count, AkListFault *fault)
{
	const char *end = text + length;
	size_t		allocated = 16;

	*networks = palloc(allocated * sizeof(AkNetwork));
	*count = 0;
	for (;;)
	{
		const char *comma = memchr(text, ',', end - text);
		const char *entry = text;
		char		buffer[MAX_ENTRY_TEXT];
		size_t		entry_length = (comma ? comma : end) - text;
		AkNetworkError error = AK_NETWORK_BAD_ADDRESS;

		if (*count == allocated)
		{
			allocated *= 2;
			*networks = repalloc(*networks, allocated * sizeof(AkNetwork));
		}
		if (entry_length <= MAX_ENTRY_TEXT)
		{
			trim_entry(&entry, &entry_length, buffer);
			error = ak_network_parse(entry, entry_length,
									 &(*networks)[*count]);
		}
		if (error != AK_NETWORK_OK)
		{
			fault->kind = AK_LIST_BAD_ENTRY;
			fault->error = error;
			fault->number = *count + 1;
			fault->network = (*networks)[*count];
			return;
		}
		if (++*count > AK_ACCESS_LIST_MAX)
		{
			fault->kind = AK_LIST_TOO_LONG;
			return;
		}
		if (comma == NULL)
			return;
		text = comma + 1;
	}
}

/*
 * Reads {network, ...}, or ["network", ...] as JSON has it, into *networks, palloc'd and in the order given.  False,
 * with what is wrong in *fault, if it is no such text; raises nothing but out
 * of memory.
 */
bool
ak_list_parse(const char *text, AkNetwork **networks, size_t *count,
			  AkListFault *fault)
{
	size_t		length = strlen(text);

	memset(fault, 0, sizeof(*fault));
	*networks = NULL;
	*count = 0;
	trim_blanks(&text, &length);
	if (length < 2 ||
		!((text[0] == '{' && text[length - 1] == '}') ||
		  (text[0] == '[' && text[length - 1] == ']')))
	{
		fault->kind = AK_LIST_NO_BRACES;
		return false;
	}
	text++;
	length -= 2;
	if (strspn(text, " \t\n\r\f\v") < length)
		parse_entries(text, length, networks, count, fault);
	return fault->kind == AK_LIST_OK;
}
