/*
 * own_rows.h
 *	  A scan that merges the rows of each of the reader's organizations from
 *	  an index.
 */
#ifndef AK_OWN_ROWS_H
#define AK_OWN_ROWS_H

#include "postgres.h"

#include "nodes/pathnodes.h"
#include "utils/uuid.h"

/* Where the principal has one of some scopes. */
typedef struct AkOwnRows
{
	pg_uuid_t  *organizations;
	int			count;
	bool		is_all;			/* and in no other place */
} AkOwnRows;

extern AkOwnRows ak_own_rows_find(List *scopes);
extern void ak_own_rows_init(void);
extern Path *ak_own_rows_path(PlannerInfo *root, RelOptInfo *rel,
							  IndexPath *walk, Path *otherwise, List *scopes,
							  const AkOwnRows *own);
extern Path *ak_own_rows_index_only_path(PlannerInfo *root, RelOptInfo *rel,
										 Path *otherwise, List *scopes,
										 const AkOwnRows *own);

#endif							/* AK_OWN_ROWS_H */
