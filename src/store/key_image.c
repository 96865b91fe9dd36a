/*
 * key_image.c
 *	  Keeps table key_image, from which decisions are made, the same as what
 *	  the tables of truth say: key, key_secret and key_role.
 *
 * The bodies of verbs make the images of the keys that they have changed; for
 * all other changes triggers do it, at the end of each statement.  Images are
 * locked first, in the order of the keys, and the tables are read after that: of
 * two transactions that change one key, the second waits for the first and then
 * sees what it has done (in READ COMMITTED; in the stricter levels it fails to
 * serialize).  Where rows arrive by logical replication, there are no
 * statements: there a trigger of each row does it.
 */
#include "postgres.h"

#include "base/changed_keys.h"
#include "base/owner.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "store/key_image.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#define COLUMNS \
	"public_key, organization_id, disabled, expires_at, created_at, " \
	"secrets, secret_expirations, secret_versions, " \
	"organization_roles, access_list, project_roles, projects, details"

PG_FUNCTION_INFO_V1(apikeys_key_changed);
PG_FUNCTION_INFO_V1(apikeys_make_images);
PG_FUNCTION_INFO_V1(apikeys_rebuild_images);

/* The place of the first of the eight newest secrets, of a group of all. */
#define NEWEST \
	"GREATEST(pg_catalog.count(*)::pg_catalog.int4 OPERATOR(pg_catalog.-) 7, 1)"

/*
 * What view key_image_source says of the keys $1, made of each table's rows at
 * once; aggregates take rows in the order of the sub-select.
 */
#define SOURCE_OF_KEYS \
	"SELECT k.public_key, k.organization_id, k.disabled_at IS NOT NULL, " \
	"coalesce(k.expires_at, 'infinity'), k.created_at, " \
	"coalesce(s.hashes, '{}'), coalesce(s.expirations, '{}'), coalesce(s.versions, ''), " \
	"coalesce(r.organization_roles, '{}'), k.access_list, " \
	"coalesce(r.project_roles, '{}'), coalesce(r.projects, '{}'), " \
	"apikeys_internal.key_details(k.owner, k.metadata) " \
	"FROM apikeys.key AS k " \
	"LEFT JOIN (SELECT s.public_key, " \
	"(pg_catalog.array_agg(s.hash))[" NEWEST ":] AS hashes, " \
	"(pg_catalog.array_agg(coalesce(s.expires_at, 'infinity')))[" NEWEST ":] AS expirations, " \
	"pg_catalog.substr(pg_catalog.string_agg(pg_catalog.int4send(s.version), ''::pg_catalog.bytea), " \
	"4 OPERATOR(pg_catalog.*) (" NEWEST ") OPERATOR(pg_catalog.-) 3) AS versions " \
	"FROM (SELECT s.public_key, s.version, s.hash, s.expires_at FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY s.public_key, s.version) AS s GROUP BY s.public_key) AS s " \
	"ON s.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"LEFT JOIN (SELECT r.public_key, " \
	"pg_catalog.array_agg(r.held) FILTER (WHERE r.project_id IS NULL) AS organization_roles, " \
	"pg_catalog.array_agg(r.held) FILTER (WHERE r.project_id IS NOT NULL) AS project_roles, " \
	"pg_catalog.array_agg(r.project_id) FILTER (WHERE r.project_id IS NOT NULL) AS projects " \
	"FROM (SELECT r.public_key, r.project_id, " \
	"coalesce(r.role, '=' OPERATOR(pg_catalog.||) r.permission) AS held " \
	"FROM apikeys.key_role AS r " \
	"WHERE r.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY r.public_key, r.project_id, r.role, r.permission) AS r GROUP BY r.public_key) AS r " \
	"ON r.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) ANY ($1) "

/* Of the keys that are there; the images of the others stay as they are. */
static void
write_images(Datum keys)
{
	static AkStatement write = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		SOURCE_OF_KEYS
		"ON CONFLICT (public_key) DO UPDATE SET "
		"organization_id = excluded.organization_id, "
		"disabled = excluded.disabled, expires_at = excluded.expires_at, "
		"created_at = excluded.created_at, secrets = excluded.secrets, "
		"secret_expirations = excluded.secret_expirations, "
		"secret_versions = excluded.secret_versions, "
		"organization_roles = excluded.organization_roles, "
		"access_list = excluded.access_list, "
		"project_roles = excluded.project_roles, "
		"projects = excluded.projects, details = excluded.details",
		1, {TEXTARRAYOID}, .by_index = true
	};

	ak_owner_execute(&write, &keys, NULL);
}

/* Of two transactions that change a key, the second waits here for the first. */
static void
lock_images(Datum keys)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"ORDER BY public_key FOR UPDATE",
		1, {TEXTARRAYOID}, .by_index = true
	};

	ak_owner_execute(&lock, &keys, NULL);
}

/* Of keys that are gone, or have another name now. */
static void
delete_images(Datum keys)
{
	static AkStatement delete = {
		"DELETE FROM apikeys.key_image AS i "
		"WHERE i.public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"AND NOT EXISTS (SELECT FROM apikeys.key AS k "
		"WHERE k.public_key OPERATOR(pg_catalog.=) i.public_key)",
		1, {TEXTARRAYOID}, .by_index = true
	};

	ak_owner_execute(&delete, &keys, NULL);
}

/*
 * Makes the images of keys, an array of text, the same as the tables; whoever
 * has changed a key by the extension's own code calls it afterwards.
 */
void
ak_key_image_make(Datum keys)
{
	lock_images(keys);
	write_images(keys);
	delete_images(keys);
}

/* Nobody changes a key until the end of the transaction; decisions go on. */
static uint64
make_all_images(void)
{
	static AkStatement lock = {
		"LOCK TABLE apikeys.key, apikeys.key_role, apikeys.key_secret "
		"IN SHARE ROW EXCLUSIVE MODE"
	};
	static AkStatement delete = {"DELETE FROM apikeys.key_image"};
	static AkStatement make = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		"SELECT " COLUMNS " FROM apikeys.key_image_source"
	};

	ak_owner_execute(&lock, NULL, NULL);
	ak_owner_execute(&delete, NULL, NULL);
	return ak_owner_execute(&make, NULL, NULL);
}

/* --- For SQL -------------------------------------------------------------- */

static void
follow_changes(Datum keys, const TriggerData *trigger)
{
	ak_key_image_make(keys);
}

/*
 * Trigger of tables key, key_role and key_secret, for changes that are not made
 * by the extension's own code: direct SQL, a restore, logical replication.
 */
Datum
apikeys_key_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(AK_KEY) |
										  AK_TABLE_BIT(AK_KEY_ROLE) |
										  AK_TABLE_BIT(AK_KEY_SECRET));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		make_all_images();
	else if (!ak_owner_is_acting())
		ak_changed_keys_each(trigger, follow_changes);
	PG_RETURN_POINTER(NULL);
}

/* make_images(keys text[]): for the bodies of verbs. */
Datum
apikeys_make_images(PG_FUNCTION_ARGS)
{
	ak_key_image_make(PG_GETARG_DATUM(0));
	PG_RETURN_VOID();
}

Datum
apikeys_rebuild_images(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(make_all_images());
}
