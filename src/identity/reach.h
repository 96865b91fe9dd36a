/*
 * reach.h
 *	  Where the principal has a scope.
 */
#ifndef AK_REACH_H
#define AK_REACH_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/uuid.h"

extern int	ak_reach_organizations(ArrayType *scopes, pg_uuid_t **ids);
extern bool ak_reach_is_by_organization(ArrayType *scopes, pg_uuid_t **ids,
										int *count);

extern bool ak_reach_contains(ArrayType *ids, const pg_uuid_t *id);

#endif							/* AK_REACH_H */
