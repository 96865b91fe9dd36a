/*
 * audit_lock.c
 *	  See audit_lock.h.
 *
 * An event gets its number before it is in the table, and both happen before
 * its transaction commits.  So that no seal skips a number whose event is
 * still to come, there are two locks, neither of which SQL can take:
 *
 * The writers' lock.  A writer of events holds it in shared mode from before
 * they are numbered until they are in the table and its index: for the time of
 * the INSERT, not until the commit.  A sealer holds it exclusively while it
 * takes a snapshot.  Hence every event that this snapshot finds neither
 * committed nor in progress nor rolled back comes later, with a higher number
 * than all present events; and events in progress can be seen in the table.
 * (The sequence must give out numbers one by one, as it does with CACHE 1.)
 *
 * The chain's lock.  A transaction that adds or removes seals holds it until
 * the commit.
 *
 * A holder of the writers' lock waits for nothing except the disk: the table
 * is locked before.  The chain's lock is taken before the writers'.
 */
#include "postgres.h"

#include "audit/audit_lock.h"
#include "base/tables.h"
#include "core/compat.h"
#include "usage/counter_table.h"
#include "usage/database_slot.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* SQL uses the classes 1 and 2 of advisory locks. */
#define LOCK_CLASS		4

enum
{
	WRITERS,
	CHAIN
};

static LOCKTAG
make_tag(uint32 what)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, what, LOCK_CLASS);
	return tag;
}

/*
 * Call this right before inserting events.  Waits for a sealer, some
 * microseconds, and for a lock on the table.
 */
void
ak_audit_lock_for_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);

	LockRelationOid(ak_table_oid(AK_AUDIT_EVENT), RowExclusiveLock);
	(void) LockAcquire(&tag, ShareLock, false, false);
}

/*
 * Call this right after inserting events; after an error the end of the
 * (sub)transaction does it.  Makes the worker seal them.
 */
void
ak_audit_unlock_after_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);
	AkDatabaseSlot *slot;

	(void) LockRelease(&tag, ShareLock, false);
	slot = ak_counters_exist() ? ak_database_slot_get() : NULL;
	if (slot)
		ak_database_slot_want(slot);
}

/*
 * Checks whether another transaction that may have written events is still
 * open, also a prepared one.  Never waits; in a transaction.
 */
bool
ak_audit_is_being_written(void)
{
	LOCKTAG		tag;
	int			count;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, ak_table_oid(AK_AUDIT_EVENT));
	GetLockConflicts(&tag, ShareLock, &count);
	return count > 0;
}

/*
 * Keeps other transactions from adding or removing seals until the end of the
 * transaction.  Returns false if it would have to wait and "wait" is false.
 */
bool
ak_audit_lock_chain(bool wait)
{
	LOCKTAG		tag = make_tag(CHAIN);

	if (!wait)
		return ak_try_lock(&tag, ExclusiveLock);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	return true;
}

/*
 * Returns a snapshot of the latest state, registered; the caller unregisters
 * it.  Each event inserted after it belongs to a transaction that is in
 * progress in it, and has a higher number than all present events.
 */
Snapshot
ak_audit_take_snapshot(void)
{
	LOCKTAG		tag = make_tag(WRITERS);
	Snapshot	snapshot;

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	(void) LockRelease(&tag, ExclusiveLock, false);
	return snapshot;
}

/*
 * Waits until each event that has its number now is in the table: those that
 * come later have higher numbers than all that are there.
 */
void
ak_audit_wait_for_writers(void)
{
	LOCKTAG		tag = make_tag(WRITERS);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	(void) LockRelease(&tag, ExclusiveLock, false);
}
