/*
 * owner.h
 *	  Acting as the owner of the extension, in one way for all of its code: the
 *	  verbs behind the door (manage/door.c) and single statements from C.
 *
 * While it acts as the owner, the code knows who has called it: that role, and
 * not the owner, is who acts (identity/identity.h).
 */
#ifndef AK_OWNER_H
#define AK_OWNER_H

#include "postgres.h"

#include "utils/snapshot.h"

/*
 * What is restored when the code acts as its caller again.  It lives on the
 * stack of the function that has begun it.
 */
typedef struct AkOwner
{
	struct AkOwner *outer;
	Oid			owner;
	Oid			caller;
	int			caller_context;
	int			settings_level; /* 0: no setting was changed */
} AkOwner;

extern void ak_owner_init(void);
extern void ak_owner_begin(AkOwner *owner, Oid as_role, bool by_index);
extern void ak_owner_end(AkOwner *owner, bool is_error);
extern bool ak_owner_is_acting(void);
extern Oid	ak_owner_caller(void);
extern void ak_plan_by_index(void);

/*
 * A statement with its arguments' types, to be a static variable: the plan is
 * made once in a session, for whatever values.
 */
typedef struct AkStatement
{
	const char *sql;
	int			argument_count;
	Oid			types[11];

	bool		by_index;		/* see ak_plan_by_index(); the door sees to it */

	/*
	 * An INSERT that fires no triggers, nor those that check references: see
	 * ak_quiet_insert().
	 */
	bool		is_quiet;
	struct _SPI_plan *plan;
} AkStatement;

extern uint64 ak_owner_execute(AkStatement *statement, Datum *values,
							   const char *nulls);
extern uint64 ak_owner_execute_at(Snapshot snapshot, AkStatement *statement,
								  Datum *values, const char *nulls);
extern bool ak_owner_get_int64(AkStatement *statement, Datum *values,
							   int64 *result);

#endif							/* AK_OWNER_H */
