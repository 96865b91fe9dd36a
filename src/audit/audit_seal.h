/*
 * audit_seal.h
 *	  Seals the events of the audit log.
 */
#ifndef AK_AUDIT_SEAL_H
#define AK_AUDIT_SEAL_H

#include "postgres.h"

extern int64 ak_audit_seal(int max_seals, bool wait);

#endif							/* AK_AUDIT_SEAL_H */
