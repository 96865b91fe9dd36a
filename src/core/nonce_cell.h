/*
 * nonce_cell.h
 *	  Remembers which requests were made with a nonce, so that none is made
 *	  twice, in a memory of a fixed size.
 *
 * A client counts its requests with a nonce.  They can arrive in another order, so
 * a cell remembers the highest count and which of those just below it were there.
 * Where a bucket has no cell left, its oldest nonce is forgotten, and with it
 * every nonce of the bucket that is as old: a client gets a new one, and nothing
 * is ever taken twice.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing; the
 * caller owns the buckets, all zero at first, and holds their lock.
 */
#ifndef AK_NONCE_CELL_H
#define AK_NONCE_CELL_H

#include <stdint.h>

#define AK_NONCE_CELLS	8

/* How many counts below the highest, with it, are told apart. */
#define AK_NONCE_WINDOW	64

typedef struct AkNonceCell
{
	uint64_t	mark;			/* of the nonce */
	int64_t		issued_at;		/* 0: free */
	uint64_t	seen;			/* a bit for each count, the highest the lowest bit */
	uint32_t	highest;
} AkNonceCell;

typedef struct AkNonceBucket
{
	int64_t		forgotten_until;	/* nonces as old as that are not taken */
	AkNonceCell cells[AK_NONCE_CELLS];
} AkNonceBucket;

typedef enum AkNonceUse
{
	AK_NONCE_TAKEN,
	AK_NONCE_USED_BEFORE,
	AK_NONCE_FORGOTTEN			/* not known whether it was used */
} AkNonceUse;

extern AkNonceUse ak_nonce_take(AkNonceBucket *bucket, uint64_t mark,
								int64_t issued_at, uint32_t count);

#endif							/* AK_NONCE_CELL_H */
