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

#endif							/* AK_REACH_H */
