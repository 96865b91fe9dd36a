/*
 * audit_detail.h
 *	  Columns of a row as jsonb, for the audit.
 */
#ifndef AK_AUDIT_DETAIL_H
#define AK_AUDIT_DETAIL_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "utils/jsonb.h"

/* A list of names of columns, which ends with NULL. */
typedef const char *const *AkColumns;

extern bool ak_audit_columns_differ(TupleDesc descriptor, HeapTuple a,
									HeapTuple b, AkColumns columns);
extern Jsonb *ak_audit_detail(TupleDesc descriptor, HeapTuple old,
							  HeapTuple new, AkColumns columns);

#endif							/* AK_AUDIT_DETAIL_H */
