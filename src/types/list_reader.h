/*
 * list_reader.h
 *	  Access lists, read where they are stored: of a list that is out of line,
 *	  only what a search needs.
 */
#ifndef AK_LIST_READER_H
#define AK_LIST_READER_H

#include "postgres.h"

#include "core/netset.h"

#include "storage/buf.h"
#include "utils/relcache.h"

/* A stored list begins with the number of its IPv4 networks. */
#define AK_ACCESS_LIST_COUNT_SIZE	sizeof(uint32)

typedef struct AkListMemory AkListMemory;

typedef struct AkListChunk
{
	const char *data;			/* NULL: there is none */
	int32		number;
	Buffer		buffer;			/* pinned, if the data are in one */
} AkListChunk;

/* A list that is being read; nothing in it is for others. */
typedef struct AkListReader
{
	Relation	toast;			/* NULL: the list is in memory */
	Oid			value;
	uint32		size;			/* bytes of the list */
	uint32		count4;
	AkListMemory *memory;		/* what is known of it; NULL: nothing is */
	AkListChunk chunks[2];		/* that were read last */
} AkListReader;

extern void ak_access_list_view(struct varlena *list, AkNetset *set);
extern void ak_list_open(struct varlena *list, TransactionId writer,
						 AkListReader *reader, AkNetset *set);
extern void ak_list_close(AkListReader *reader);

#endif							/* AK_LIST_READER_H */
