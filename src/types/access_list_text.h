/*
 * access_list_text.h
 *	  Reads the text form of an access list.
 */
#ifndef AK_ACCESS_LIST_TEXT_H
#define AK_ACCESS_LIST_TEXT_H

#include "postgres.h"

#include "core/netset.h"

#include "nodes/nodes.h"

/* No list has more networks than this: 17 MB, were they all IPv6. */
#define AK_ACCESS_LIST_MAX	1000000

/* What is wrong with a text that is no access list. */
typedef struct AkListFault
{
	enum
	{
		AK_LIST_OK,
		AK_LIST_NO_BRACES,
		AK_LIST_BAD_ENTRY,
		AK_LIST_TOO_LONG
	}			kind;

	/* Of a bad entry: what is wrong, its number, and what was read of it. */
	AkNetworkError error;
	size_t		number;
	AkNetwork	network;
} AkListFault;

extern bool ak_list_parse(const char *text, AkNetwork **networks,
						  size_t *count, AkListFault *fault);
extern void ak_list_report(Node *context, const AkListFault *fault);
extern void ak_list_report_too_long(Node *context);

#endif							/* AK_ACCESS_LIST_TEXT_H */
