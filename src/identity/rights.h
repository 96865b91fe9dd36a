/*
 * rights.h
 *	  The predicates on the principal's rights that C code calls.
 */
#ifndef AK_RIGHTS_H
#define AK_RIGHTS_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/uuid.h"

extern bool ak_rights_reads_key(text *public_key);
extern bool ak_rights_reads_key_at(text *public_key, const pg_uuid_t *project);
extern bool ak_rights_reads_organization(const pg_uuid_t *organization);
extern bool ak_rights_reads_keys_in(const pg_uuid_t *organization,
									const pg_uuid_t *project);
extern bool ak_rights_reads_key_of(text *public_key,
								   ArrayType *organizations);

#endif							/* AK_RIGHTS_H */
