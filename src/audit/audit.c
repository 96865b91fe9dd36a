/*
 * audit.c
 *	  Writes an event of the audit, in the transaction that makes the change.
 *
 * Each verb writes one, and the trigger of each table one for each row that a
 * superuser changes by direct SQL (sql/parts/35_audit.sql).
 */
#include "postgres.h"

#include "audit/audit_lock.h"
#include "audit/notices.h"
#include "base/owner.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "types/type_access_list.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

enum
{
	ACTION,
	ORGANIZATION_ID,
	PROJECT_ID,
	PUBLIC_KEY,
	DETAIL,
	PRINCIPAL,
	ADDRESS,
	DATABASE_ROLE,
	COLUMN_COUNT
};

#define COLUMNS \
	"action, organization_id, project_id, public_key, detail, principal, " \
	"address, database_role"

PG_FUNCTION_INFO_V1(apikeys_note_event);
PG_FUNCTION_INFO_V1(apikeys_note_key_events);

/*
 * Fills in who is acting, from where, and who is logged in, and executes the
 * statement, which inserts events with these columns.
 */
static void
insert_events(AkStatement *insert, Datum *values, char *nulls)
{
	AkNetwork	address;

	values[PRINCIPAL] = CStringGetTextDatum(ak_identity_principal());
	if (ak_identity_address(&address))
		values[ADDRESS] = InetPGetDatum(ak_network_to_inet(&address));
	else
		nulls[ADDRESS] = 'n';
	values[DATABASE_ROLE] =
		CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	ak_audit_lock_for_write();
	ak_owner_execute(insert, values, nulls);
	ak_audit_unlock_after_write();
}

/*
 * note_event(action, organization, project, public_key, detail): writes an
 * event; listeners are told at the commit.
 */
Datum
apikeys_note_event(PG_FUNCTION_ARGS)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (" COLUMNS ") "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		COLUMN_COUNT,
		{TEXTOID, UUIDOID, UUIDOID, TEXTOID, JSONBOID, TEXTOID, INETOID, TEXTOID}
	};
	Datum		values[COLUMN_COUNT];
	char		nulls[COLUMN_COUNT + 1] = "        ";

	for (int i = ACTION; i <= DETAIL; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	insert_events(&insert, values, nulls);
	ak_notices_count(TextDatumGetCString(values[ACTION]),
					 PG_ARGISNULL(PUBLIC_KEY) ? NULL :
					 TextDatumGetCString(values[PUBLIC_KEY]), 1);
	PG_RETURN_VOID();
}

/*
 * note_key_events(action, organization, public_keys, details): the same for
 * several keys of an organization at once, in the order of the keys.
 */
Datum
apikeys_note_key_events(PG_FUNCTION_ARGS)
{
	static AkStatement insert = {
		"INSERT INTO apikeys.audit_event (" COLUMNS ") "
		"SELECT $1, $2, $3, e.public_key, e.detail, $6, $7, $8 "
		"FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5)) "
		"AS e (public_key, detail) "
		"ORDER BY e.public_key COLLATE \"C\"",
		COLUMN_COUNT,
		{TEXTOID, UUIDOID, UUIDOID, TEXTARRAYOID, JSONBARRAYOID, TEXTOID, INETOID, TEXTOID}
	};
	ArrayType  *keys = PG_GETARG_ARRAYTYPE_P(2);
	int			count = ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys));
	Datum		values[COLUMN_COUNT] = {0};
	char		nulls[COLUMN_COUNT + 1] = "  n     ";

	values[ACTION] = PG_GETARG_DATUM(0);
	values[ORGANIZATION_ID] = PG_GETARG_DATUM(1);
	values[PUBLIC_KEY] = PointerGetDatum(keys);
	values[DETAIL] = PG_GETARG_DATUM(3);
	insert_events(&insert, values, nulls);
	ak_notices_count(TextDatumGetCString(values[ACTION]), NULL, count);
	PG_RETURN_VOID();
}
