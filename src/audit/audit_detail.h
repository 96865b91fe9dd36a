/*
 * audit_detail.h
 *	  Columns of a row as jsonb, for the audit.
 */
#ifndef AK_AUDIT_DETAIL_H
#define AK_AUDIT_DETAIL_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/jsonb.h"

/* A list of names of columns, which ends with NULL. */
typedef const char *const *AkColumns;

extern bool ak_audit_columns_differ(TupleTableSlot *a, TupleTableSlot *b,
									AkColumns columns);
extern Jsonb *ak_audit_detail(TupleTableSlot *old, TupleTableSlot *new,
							  AkColumns columns);

#endif							/* AK_AUDIT_DETAIL_H */
