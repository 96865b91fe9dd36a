/*
 * access_list_text.h
 *	  Reads the text form of an access list.
 */
#ifndef AK_ACCESS_LIST_TEXT_H
#define AK_ACCESS_LIST_TEXT_H

#include "postgres.h"

#include "core/netset.h"

#include "nodes/nodes.h"

/* Most networks in a list: 17 MB if all are IPv6. */
#define AK_ACCESS_LIST_MAX	1000000

/* The fault of a text that is not an access list. */
typedef struct AkListFault
{
	enum
	{
		AK_LIST_OK,
		AK_LIST_NO_BRACES,
		AK_LIST_BAD_ENTRY,
		AK_LIST_TOO_LONG
	}			kind;

	/* For a malformed entry: the fault, its number, and the text. */
	AkNetworkError error;
	size_t		number;
	AkNetwork	network;
} AkListFault;

extern bool ak_list_parse(const char *text, AkNetwork **networks,
						  size_t *count, AkListFault *fault);
extern void ak_list_report(Node *context, const AkListFault *fault);
extern void ak_list_report_too_long(Node *context);

#endif							/* AK_ACCESS_LIST_TEXT_H */
