/*
 * rights.h
 *	  The predicates on the principal's rights that C code calls.
 */
#ifndef AK_RIGHTS_H
#define AK_RIGHTS_H

#include "postgres.h"

extern bool ak_rights_reads_key(text *public_key);

#endif							/* AK_RIGHTS_H */
