/*
 * key_image.c
 *	  Keeps table key_image, from which decisions are made, the same as what
 *	  the tables of truth say: key, key_secret and key_role.
 *
 * A trigger on each of them makes the image of the key again.  It locks the
 * image first and reads the tables after that: of two transactions that change
 * one key, the second waits for the first and then sees what it has done (in
 * READ COMMITTED; in the stricter levels it fails to serialize).
 */
#include "postgres.h"

#include "compat.h"
#include "privileged.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#define COLUMNS \
	"public_key, organization_id, disabled, expires_at, access_list, " \
	"secrets, secret_expirations, organization_roles, project_roles, projects, " \
	"created_at, secret_versions"

PG_FUNCTION_INFO_V1(apikeys_key_changed);
PG_FUNCTION_INFO_V1(apikeys_rebuild_images);

static void
make_image(Datum public_key)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) $1 FOR UPDATE",
		1, {TEXTOID}
	};
	static AkStatement make = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		"SELECT " COLUMNS " FROM apikeys.key_image_source "
		"WHERE public_key OPERATOR(pg_catalog.=) $1 "
		"ON CONFLICT (public_key) DO UPDATE SET "
		"organization_id = excluded.organization_id, "
		"disabled = excluded.disabled, expires_at = excluded.expires_at, "
		"access_list = excluded.access_list, secrets = excluded.secrets, "
		"secret_expirations = excluded.secret_expirations, "
		"organization_roles = excluded.organization_roles, "
		"project_roles = excluded.project_roles, "
		"projects = excluded.projects, created_at = excluded.created_at, "
		"secret_versions = excluded.secret_versions",
		1, {TEXTOID}
	};

	ak_privileged_execute(&lock, &public_key, NULL);
	ak_privileged_execute(&make, &public_key, NULL);
}

static void
delete_image(Datum public_key)
{
	static AkStatement delete = {
		"DELETE FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) $1",
		1, {TEXTOID}
	};

	ak_privileged_execute(&delete, &public_key, NULL);
}

static uint64
make_all_images(void)
{
	static AkStatement delete = {"DELETE FROM apikeys.key_image"};
	static AkStatement make = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		"SELECT " COLUMNS " FROM apikeys.key_image_source"
	};

	ak_privileged_execute(&delete, NULL, NULL);
	return ak_privileged_execute(&make, NULL, NULL);
}

/* The public key is the first column of each of the tables. */
static Datum
get_public_key(HeapTuple tuple, const TriggerData *trigger)
{
	bool		isnull;

	return heap_getattr(tuple, 1, RelationGetDescr(trigger->tg_relation),
						&isnull);
}

/* Trigger of tables key, key_role and key_secret. */
Datum
apikeys_key_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Datum		public_key;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("key_changed must be called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		make_all_images();
		PG_RETURN_POINTER(NULL);
	}
	public_key = get_public_key(trigger->tg_trigtuple, trigger);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) &&
		strcmp(RelationGetRelationName(trigger->tg_relation), "key") == 0)
		delete_image(public_key);
	else
		make_image(public_key);

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		Datum		new_key = get_public_key(trigger->tg_newtuple, trigger);

		if (!DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
												  public_key, new_key)))
		{
			delete_image(public_key);
			make_image(public_key);
			make_image(new_key);
		}
	}
	PG_RETURN_POINTER(NULL);
}

Datum
apikeys_rebuild_images(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(make_all_images());
}
