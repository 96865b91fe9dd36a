/*
 * rights.h
 *	  What C asks about the principal's rights.
 */
#ifndef AK_RIGHTS_H
#define AK_RIGHTS_H

#include "postgres.h"

extern bool ak_rights_reads_key(text *public_key);

#endif							/* AK_RIGHTS_H */
