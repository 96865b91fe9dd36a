/*
 * audit_lock.h
 *	  Lets who seals the audit know which events are settled, without anybody
 *	  waiting for another's commit.
 */
#ifndef AK_AUDIT_LOCK_H
#define AK_AUDIT_LOCK_H

#include "postgres.h"

#include "utils/snapshot.h"

extern void ak_audit_lock_for_write(void);
extern void ak_audit_unlock_after_write(void);

extern bool ak_audit_lock_chain(bool wait);
extern void ak_audit_wait_for_writers(void);
extern Snapshot ak_audit_take_snapshot(void);

#endif							/* AK_AUDIT_LOCK_H */
