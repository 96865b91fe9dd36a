/*
 * list_reader.h
 *	  Reads access lists where they are stored: of a list that is out of line,
 *	  only the parts that a search needs.
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
	const char *data;			/* NULL: none */
	int32		number;
	Buffer		buffer;			/* pinned, if it contains the data */
} AkListChunk;

/* A list that is being read; its fields are private. */
typedef struct AkListReader
{
	Relation	toast;			/* NULL: the list is in memory */
	Oid			value;
	uint32		size;			/* size of the list in bytes */
	uint32		count4;
	AkListMemory *memory;		/* its cache entry; NULL: none */
	AkListChunk chunks[2];		/* the chunks read last */
} AkListReader;

extern void ak_access_list_view(struct varlena *list, AkNetset *set);
extern void ak_list_open(struct varlena *list, TransactionId writer,
						 AkListReader *reader, AkNetset *set);
extern void ak_list_close(AkListReader *reader);

#endif							/* AK_LIST_READER_H */
