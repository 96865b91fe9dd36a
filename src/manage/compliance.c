/*
 * compliance.c
 *	  Triggers that keep new and changed keys and secrets within what their
 *	  organization demands, on every path.
 *
 * Only what is changed is judged, so that a key that does not comply can be
 * brought into line step by step; until then decisions refuse it.  A new key
 * may be without an access list, to be given one when it is known: it is
 * refused as long, by decisions.
 */
#include "postgres.h"

#include "base/changed_keys.h"
#include "base/privileged.h"
#include "base/tables.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "store/keystore.h"
#include "store/policy.h"
#include "types/type_access_list.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Column numbers, as in sql/parts/30_tables.sql. */
enum
{
	KEY_ORGANIZATION_ID = 2,
	KEY_ACCESS_LIST = 4,
	KEY_CREATED_AT,
	KEY_EXPIRES_AT = 7
};

PG_FUNCTION_INFO_V1(apikeys_key_complies);
PG_FUNCTION_INFO_V1(apikeys_key_secret_complies);

/* DT_NOEND if it is NULL. */
static TimestampTz
get_time(const TriggerData *trigger, HeapTuple row, int column)
{
	bool		isnull;
	Datum		value = ak_trigger_get_column(trigger, row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

/* --- Keys ----------------------------------------------------------------- */

/* Whether there is no old row, or another value in it. */
static bool
is_changed(const TriggerData *trigger, int column)
{
	Form_pg_attribute attribute =
		TupleDescAttr(RelationGetDescr(trigger->tg_relation), column - 1);
	Datum		old;
	Datum		new;
	bool		old_isnull;
	bool		new_isnull;

	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return true;
	old = ak_trigger_get_column(trigger, trigger->tg_trigtuple, column,
								&old_isnull);
	new = ak_trigger_get_column(trigger, trigger->tg_newtuple, column,
								&new_isnull);
	return old_isnull != new_isnull ||
		(!new_isnull &&
		 !datum_image_eq(old, new, attribute->attbyval, attribute->attlen));
}

/* Of a row that is updated. */
static void
check_list(const TriggerData *trigger, const AkPolicy *policy)
{
	bool		isnull;
	Datum		list = ak_trigger_get_column(trigger, trigger->tg_newtuple,
											 KEY_ACCESS_LIST, &isnull);
	AkNetset	set;

	if (isnull || !policy->require_access_list)
		return;
	ak_access_list_view(PG_DETOAST_DATUM_PACKED(list), &set);
	if (set.count4 + set.count6 == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("the organization demands an access list"),
				 errhint("Leave at least one network in it.")));
}

static void
check_life(const TriggerData *trigger, const AkPolicy *policy)
{
	HeapTuple	row = ak_trigger_new_row(trigger);
	TimestampTz end;

	if (!policy->limits_lifetime)
		return;
	end = ak_policy_end_of_life(policy, get_time(trigger, row, KEY_CREATED_AT));
	if (get_time(trigger, row, KEY_EXPIRES_AT) > end)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("the organization limits the life of its keys"),
				 errhint("Name an expires_at that is not later than %s.",
						 timestamptz_to_str(end))));
}

/*
 * Trigger of table key, after a row was inserted or updated.  Raises 23514 for
 * what the organization does not allow.
 */
Datum
apikeys_key_complies(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	HeapTuple	row = ak_trigger_new_row(trigger);
	bool		list_is_changed = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) &&
		is_changed(trigger, KEY_ACCESS_LIST);
	bool		life_is_changed = is_changed(trigger, KEY_EXPIRES_AT);
	AkKeystore	store;
	AkPolicy	policy;
	Datum		organization;
	bool		isnull;

	organization = ak_trigger_get_column(trigger, row, KEY_ORGANIZATION_ID,
										 &isnull);
	if (isnull || !(list_is_changed || life_is_changed) ||
		ak_tables_are_restored())
		PG_RETURN_POINTER(NULL);
	ak_keystore_open(&store);
	if (ak_keystore_find_policy(&store, DatumGetUUIDP(organization), &policy))
	{
		if (list_is_changed)
			check_list(trigger, &policy);
		if (life_is_changed)
			check_life(trigger, &policy);
	}
	ak_keystore_close(&store);
	PG_RETURN_POINTER(NULL);
}

/* --- Secrets -------------------------------------------------------------- */

/* Of the keys $1, those that have more live secrets than so many. */
#define WITH_LIVE_SECRETS \
	"SELECT s.public_key FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"AND (s.expires_at IS NULL " \
	"OR s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()) " \
	"GROUP BY s.public_key HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) "

/*
 * Secrets of keys $1 that have two live ones, which outlive the issue of the
 * next one by more than the organization allows, and by a minute: the clock
 * goes on while a statement runs.
 */
#define OVERLONG \
	"SELECT s.public_key, s.version, n.latest FROM apikeys.key_secret AS s " \
	"JOIN apikeys.key AS k ON k.public_key OPERATOR(pg_catalog.=) s.public_key " \
	"JOIN apikeys.organization AS o ON o.id OPERATOR(pg_catalog.=) k.organization_id " \
	"CROSS JOIN LATERAL (SELECT pg_catalog.min(m.created_at) " \
	"OPERATOR(pg_catalog.+) o.max_rotation_overlap AS latest " \
	"FROM apikeys.key_secret AS m " \
	"WHERE m.public_key OPERATOR(pg_catalog.=) s.public_key " \
	"AND m.version OPERATOR(pg_catalog.>) s.version) AS n " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) ANY (ARRAY(" WITH_LIVE_SECRETS "1)) " \
	"AND coalesce(s.expires_at, 'infinity') OPERATOR(pg_catalog.>) " \
	"(n.latest OPERATOR(pg_catalog.+) '1 minute'::pg_catalog.interval)"

/* Whether one of the keys has a second live secret; 54000 for a third. */
static bool
some_have_two(Datum keys)
{
	static AkStatement find_two = {
		WITH_LIVE_SECRETS "1", 1, {TEXTARRAYOID}, .by_index = true
	};
	static AkStatement find_three = {
		WITH_LIVE_SECRETS "2", 1, {TEXTARRAYOID}, .by_index = true
	};

	if (ak_privileged_execute(&find_two, &keys, NULL) == 0)
		return false;
	if (ak_privileged_execute(&find_three, &keys, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a key has at most two live secrets"),
				 errhint("apikeys.rotate_secret ends the older one.")));
	return true;
}

/* A new secret sets an end to the one before. */
static void
end_older(Datum keys)
{
	static AkStatement end = {
		"UPDATE apikeys.key_secret AS t SET expires_at = v.latest "
		"FROM (" OVERLONG ") AS v "
		"WHERE t.public_key OPERATOR(pg_catalog.=) v.public_key "
		"AND t.version OPERATOR(pg_catalog.=) v.version",
		1, {TEXTARRAYOID}, .by_index = true
	};

	ak_privileged_execute(&end, &keys, NULL);
}

static void
refuse_overlong(Datum keys)
{
	static AkStatement find = {
		OVERLONG, 1, {TEXTARRAYOID}, .by_index = true
	};

	if (ak_privileged_execute(&find, &keys, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("the organization limits the life of an old secret"),
				 errdetail("It would outlive the issue of the next one by more than max_rotation_overlap.")));
}

static void
check_secrets(Datum keys, const TriggerData *trigger)
{
	if (!some_have_two(keys))
		return;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		end_older(keys);
	else
		refuse_overlong(keys);
}

/*
 * Trigger of table key_secret, after rows were inserted, or one was made to
 * live for longer.  Raises 54000 for a third live secret, and 23514 where an
 * old one is made to live for longer than the organization allows.
 */
Datum
apikeys_key_secret_complies(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);

	if (!ak_tables_are_restored())
		ak_changed_keys_each(trigger, check_secrets);
	PG_RETURN_POINTER(NULL);
}
