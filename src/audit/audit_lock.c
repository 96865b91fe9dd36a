/*
 * audit_lock.c
 *	  See audit_lock.h.
 *
 * An event has its number before it is in the table, and both before its
 * transaction commits.  So that no number is passed over that an event still
 * comes with, there are two locks, neither of which SQL can take:
 *
 * The writers' lock.  Who writes events shares it from before they are
 * numbered until they are in the table and its index, which is no longer than
 * the INSERT, and not until the commit.  A sealer holds it exclusively while it
 * takes a snapshot.  Hence every event that this snapshot finds neither
 * committed nor in progress nor gone comes later, with a higher number than
 * all that are there; and those in progress can be seen in the table.  (The
 * sequence must give out numbers one by one, as it does with CACHE 1.)
 *
 * The chain's lock is held, until the commit, by whoever adds or removes seals.
 *
 * Whoever has the writers' lock waits for nothing but the disk: the table is
 * locked before.  The chain's lock is taken before the writers'.
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

/* SQL has the classes 1 and 2 of advisory locks. */
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
 * To be called right before events are inserted.  Waits for who seals, some
 * microseconds, and for who has locked the table.
 */
void
ak_audit_lock_for_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);

	LockRelationOid(ak_table_oid(AK_AUDIT_EVENT), RowExclusiveLock);
	(void) LockAcquire(&tag, ShareLock, false, false);
}

/*
 * To be called right after events are inserted; after an error the end of the
 * (sub)transaction does it.  Has the worker started that seals them.
 */
void
ak_audit_unlock_after_write(void)
{
	LOCKTAG		tag = make_tag(WRITERS);
	AkDatabaseSlot *slot;

	(void) LockRelease(&tag, ShareLock, false);
	slot = ak_counters_exist() ? ak_database_slot_get() : NULL;
	if (slot)
		ak_database_slot_start_worker(slot);
}

/*
 * Until the end of the transaction nobody else adds seals or takes some away.
 * Where that would have to wait and shall not, false.
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
 * A snapshot of the latest state, registered, to unregister: what is inserted
 * after it is inserted by a transaction that it has in progress, and has a
 * higher number than all events that are there.
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
