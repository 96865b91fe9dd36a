/*
 * list_reader.h
 *	  Access lists, read where they are stored: of a list that is out of line,
 *	  only what a search needs.
 */
#ifndef AK_LIST_READER_H
#define AK_LIST_READER_H

#include "postgres.h"

#include "core/netset.h"

#include "access/heaptoast.h"
#include "utils/relcache.h"

typedef struct AkListMemory AkListMemory;

/* A list that is being read; nothing in it is for others. */
typedef struct AkListReader
{
	Relation	toast;			/* NULL: the list is in memory */
	Oid			value;
	uint32		size;			/* bytes of the list */
	uint32		count4;
	AkListMemory *memory;		/* what is known of it; NULL: nothing is */
	int32		chunks[2];		/* that were read last; -1: none */
	char		data[2][TOAST_MAX_CHUNK_SIZE];
} AkListReader;

extern void ak_list_open(struct varlena *list, TransactionId writer,
						 AkListReader *reader, AkNetset *set);
extern void ak_list_close(AkListReader *reader);

#endif							/* AK_LIST_READER_H */
