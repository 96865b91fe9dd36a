/*
 * guards.c
 *	  Triggers that keep people and keys from locking themselves out, and keys
 *	  from giving away more than they have.
 *
 * They hold on every path.  That an organization keeps an owner does not bind
 * who bypasses row-level security: he can mend what he has done.
 */
#include "postgres.h"

#include "base/privileged.h"
#include "base/tables.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "identity/delegation.h"
#include "identity/identity.h"
#include "types/type_access_list.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

/* Column numbers, as in sql/parts/30_tables.sql. */
enum
{
	KEY_PUBLIC_KEY = 1,
	KEY_ORGANIZATION_ID,
	KEY_ACCESS_LIST = 4,
	KEY_EXPIRES_AT = 7,
	KEY_DISABLED_AT
};
enum
{
	MEMBER_ORGANIZATION_ID = 1
};
enum
{
	KEY_ROLE_ORGANIZATION_ID = 2
};
enum
{
	KEY_SECRET_PUBLIC_KEY = 1
};

PG_FUNCTION_INFO_V1(apikeys_key_guarded);
PG_FUNCTION_INFO_V1(apikeys_owner_removed);
PG_FUNCTION_INFO_V1(apikeys_secret_ended);

static bool
texts_are_equal(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* --- The last owner ------------------------------------------------------- */

/*
 * Raises 55000 if an organization that still exists has no owner but the key.
 * Owners are removed by one at a time: a second waits here for the first, or
 * fails to serialize.
 */
static void
keep_an_owner(Datum organization, text *but_key)
{
	static AkStatement lock = {
		"UPDATE apikeys.organization AS o SET name = o.name "
		"WHERE o.id OPERATOR(pg_catalog.=) $1",
		1, {UUIDOID}
	};
	static AkStatement find = {
		"SELECT FROM apikeys.member AS m "
		"WHERE m.organization_id OPERATOR(pg_catalog.=) $1 "
		"AND m.project_id IS NULL AND m.role OPERATOR(pg_catalog.=) 'ORG_OWNER' "
		"UNION ALL "
		"SELECT FROM apikeys.key_role AS r "
		"JOIN apikeys.key AS k ON k.public_key OPERATOR(pg_catalog.=) r.public_key "
		"WHERE k.organization_id OPERATOR(pg_catalog.=) $1 "
		"AND r.role OPERATOR(pg_catalog.=) 'ORG_OWNER' "
		"AND k.public_key OPERATOR(pg_catalog.<>) $2 AND k.disabled_at IS NULL "
		"AND (k.expires_at IS NULL OR k.expires_at OPERATOR(pg_catalog.>) pg_catalog.now()) "
		"LIMIT 1",
		2, {UUIDOID, TEXTOID}
	};
	Datum		values[] = {organization, PointerGetDatum(but_key)};

	if (ak_identity_key() == NULL &&
		check_enable_rls(ak_table_oid(AK_KEY), InvalidOid, true) != RLS_ENABLED)
		return;
	if (ak_privileged_execute(&lock, values, NULL) > 0 &&
		ak_privileged_execute(&find, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the organization would be left without an owner"),
				 errhint("Give role ORG_OWNER to somebody else first.")));
}

/* Trigger of tables member and key_role, after an ORG_OWNER was deleted. */
Datum
apikeys_owner_removed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	bool		is_member =
		RelationGetRelid(trigger->tg_relation) == ak_table_oid(AK_MEMBER);
	bool		isnull;

	keep_an_owner(ak_trigger_get_column(trigger, trigger->tg_trigtuple,
										is_member ? MEMBER_ORGANIZATION_ID :
										KEY_ROLE_ORGANIZATION_ID, &isnull),
				  cstring_to_text(""));
	PG_RETURN_POINTER(NULL);
}

/* Whether the key has a role that makes it an owner. */
static bool
is_owner(text *public_key)
{
	static AkStatement find = {
		"SELECT FROM apikeys.key_role AS r "
		"WHERE r.public_key OPERATOR(pg_catalog.=) $1 "
		"AND r.role OPERATOR(pg_catalog.=) 'ORG_OWNER'",
		1, {TEXTOID}
	};
	Datum		value = PointerGetDatum(public_key);

	return ak_privileged_execute(&find, &value, NULL) > 0;
}

/* --- A key ---------------------------------------------------------------- */

/* A row of table key, as far as it matters here. */
typedef struct KeyRow
{
	text	   *public_key;
	Datum		organization;
	struct varlena *access_list;
	TimestampTz expires_at;		/* DT_NOEND: never */
	bool		disabled;
} KeyRow;

/* False if something is NULL that a constraint will not let be so. */
static bool
read_key(const TriggerData *trigger, HeapTuple row, KeyRow *key)
{
	static const int columns[] = {
		KEY_PUBLIC_KEY, KEY_ORGANIZATION_ID, KEY_ACCESS_LIST
	};
	Datum		values[lengthof(columns)];
	bool		isnull;

	for (int i = 0; i < lengthof(columns); i++)
	{
		values[i] = ak_trigger_get_column(trigger, row, columns[i], &isnull);
		if (isnull)
			return false;
	}
	key->public_key = DatumGetTextPP(values[0]);
	key->organization = values[1];
	key->access_list = PG_DETOAST_DATUM_PACKED(values[2]);
	key->expires_at =
		DatumGetTimestampTz(ak_trigger_get_column(trigger, row, KEY_EXPIRES_AT,
												  &isnull));
	if (isnull)
		key->expires_at = DT_NOEND;
	(void) ak_trigger_get_column(trigger, row, KEY_DISABLED_AT, &isnull);
	key->disabled = !isnull;
	return true;
}

static bool
is_usable(const KeyRow *key)
{
	return !key->disabled && key->expires_at > GetCurrentTimestamp();
}

/* Raises 42501 where a key gives more than it has; old is NULL for a new one. */
static void
check_delegation(const KeyRow *old, const KeyRow *new)
{
	AkKeystore	store;
	bool		list_is_covered = true;
	bool		life_is_covered = true;

	ak_keystore_open(&store);
	if (old == NULL || !texts_are_equal(old->access_list, new->access_list))
		list_is_covered = ak_delegation_covers_list(&store, new->access_list);
	if (old == NULL || old->expires_at != new->expires_at)
		life_is_covered = ak_delegation_covers_life(&store, new->expires_at);
	ak_keystore_close(&store);
	if (!list_is_covered)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a key cannot give more networks than it has"),
				 errhint("Each entry of the access list must be within an entry of the list of the key that is acting.")));
	if (!life_is_covered)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a key cannot give a longer life than it has"),
				 errhint("Name an expires_at that is not later than that of the key that is acting.")));
}

/* Raises 55000 where the acting key shuts itself out. */
static void
check_own_address(const KeyRow *old, const KeyRow *new)
{
	const AkNetwork *address = ak_identity_key_address();
	AkNetset	set;
	AkNetwork	match;
	char		text[AK_NETWORK_TEXT_SIZE];

	if (address == NULL ||
		!texts_are_equal(new->public_key, ak_identity_key()) ||
		texts_are_equal(old->access_list, new->access_list))
		return;
	ak_access_list_view(new->access_list, &set);
	if (set.count4 + set.count6 == 0 || ak_netset_find(&set, address, &match))
		return;
	ak_network_format(address, text);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the key would shut out the address that it is called from"),
			 errhint("Keep an entry that contains %s.", text)));
}

/* Raises 55000 if the key, which is about to end, is the last owner. */
static void
check_owner(const KeyRow *key)
{
	if (is_usable(key) && is_owner(key->public_key))
		keep_an_owner(key->organization, key->public_key);
}

/* Trigger of table key, before a row is inserted, updated or deleted. */
Datum
apikeys_key_guarded(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);
	KeyRow		old;
	KeyRow		new;

	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		if (read_key(trigger, trigger->tg_trigtuple, &new))
			check_delegation(NULL, &new);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (!read_key(trigger, trigger->tg_trigtuple, &old))
		elog(ERROR, "a key has a NULL where there can be none");
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		check_owner(&old);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (read_key(trigger, trigger->tg_newtuple, &new))
	{
		check_own_address(&old, &new);
		check_delegation(&old, &new);
		if (!is_usable(&new))
			check_owner(&old);
	}
	return PointerGetDatum(trigger->tg_newtuple);
}

/*
 * Trigger of table key_secret, after one was ended or deleted: the acting key
 * keeps a live one, unless it is deleted itself.
 */
Datum
apikeys_secret_ended(PG_FUNCTION_ARGS)
{
	static AkStatement find = {
		"SELECT FROM apikeys.key AS k "
		"WHERE k.public_key OPERATOR(pg_catalog.=) $1 AND NOT EXISTS ("
		"SELECT FROM apikeys.key_secret AS s "
		"WHERE s.public_key OPERATOR(pg_catalog.=) k.public_key "
		"AND (s.expires_at IS NULL OR s.expires_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()))",
		1, {TEXTOID}
	};
	TriggerData *trigger = ak_trigger_get(fcinfo);
	text	   *acting = ak_identity_key();
	Datum		public_key;
	bool		isnull;

	public_key = ak_trigger_get_column(trigger, trigger->tg_trigtuple,
									   KEY_SECRET_PUBLIC_KEY, &isnull);
	if (acting && texts_are_equal(DatumGetTextPP(public_key), acting) &&
		ak_privileged_execute(&find, &public_key, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a key cannot end its own last secret"),
				 errhint("Rotate it with apikeys.rotate_secret, or let somebody else disable the key.")));
	PG_RETURN_POINTER(NULL);
}
