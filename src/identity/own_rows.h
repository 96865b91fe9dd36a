/*
 * own_rows.h
 *	  A scan that merges what an index has of each of the reader's organizations.
 */
#ifndef AK_OWN_ROWS_H
#define AK_OWN_ROWS_H

#include "postgres.h"

#include "nodes/pathnodes.h"

extern void ak_own_rows_init(void);
extern Path *ak_own_rows_path(PlannerInfo *root, RelOptInfo *rel,
							  IndexPath *walk, Path *otherwise,
							  const char *const *scopes, int scope_count);

#endif							/* AK_OWN_ROWS_H */
