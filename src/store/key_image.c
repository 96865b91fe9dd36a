/*
 * key_image.c
 *	  Keeps table key_image, from which decisions are made, the same as what
 *	  the tables of truth say: key, key_secret and key_role.
 *
 * Triggers on each of them make the images of the keys that a statement has
 * changed again, at its end.  They lock the images first, in the order of the
 * keys, and read the tables after that: of two transactions that change one
 * key, the second waits for the first and then sees what it has done (in READ
 * COMMITTED; in the stricter levels it fails to serialize).  Where rows arrive
 * by logical replication, there are no statements: there a trigger of each row
 * does it.
 */
#include "postgres.h"

#include "base/changed_keys.h"
#include "base/privileged.h"
#include "base/tables.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "store/keystore.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define COLUMNS \
	"public_key, organization_id, disabled, expires_at, access_list, " \
	"secrets, secret_expirations, organization_roles, project_roles, projects, " \
	"created_at, secret_versions"

PG_FUNCTION_INFO_V1(apikeys_key_changed);
PG_FUNCTION_INFO_V1(apikeys_rebuild_images);

/*
 * What view key_image_source says of the keys $1, made of each table's rows at
 * once; aggregates take rows in the order of the sub-select.
 */
#define SOURCE_OF_KEYS \
	"SELECT k.public_key, k.organization_id, k.disabled_at IS NOT NULL, " \
	"coalesce(k.expires_at, 'infinity'), k.access_list, " \
	"coalesce(s.hashes, '{}'), coalesce(s.expirations, '{}'), " \
	"coalesce(r.organization_roles, '{}'), coalesce(r.project_roles, '{}'), " \
	"coalesce(r.projects, '{}'), k.created_at, coalesce(s.versions, '') " \
	"FROM apikeys.key AS k " \
	"LEFT JOIN (SELECT s.public_key, pg_catalog.array_agg(s.hash) AS hashes, " \
	"pg_catalog.array_agg(coalesce(s.expires_at, 'infinity')) AS expirations, " \
	"pg_catalog.string_agg(pg_catalog.int4send(s.version), ''::pg_catalog.bytea) AS versions " \
	"FROM (SELECT s.public_key, s.version, s.hash, s.expires_at FROM apikeys.key_secret AS s " \
	"WHERE s.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY s.public_key, s.version) AS s GROUP BY s.public_key) AS s " \
	"ON s.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"LEFT JOIN (SELECT r.public_key, " \
	"pg_catalog.array_agg(r.role) FILTER (WHERE r.project_id IS NULL) AS organization_roles, " \
	"pg_catalog.array_agg(r.role) FILTER (WHERE r.project_id IS NOT NULL) AS project_roles, " \
	"pg_catalog.array_agg(r.project_id) FILTER (WHERE r.project_id IS NOT NULL) AS projects " \
	"FROM (SELECT r.public_key, r.project_id, r.role FROM apikeys.key_role AS r " \
	"WHERE r.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY r.public_key, r.project_id, r.role) AS r GROUP BY r.public_key) AS r " \
	"ON r.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) ANY ($1) "

/*
 * Of the keys that are there; the images of the others stay as they are.  Keys
 * that are new are not seen by anybody else yet.
 */
static void
make_images(Datum keys, bool are_new)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"ORDER BY public_key FOR UPDATE",
		1, {TEXTARRAYOID}, .by_index = true
	};
	static AkStatement make = {
		"INSERT INTO apikeys.key_image (" COLUMNS ") "
		SOURCE_OF_KEYS
		"ON CONFLICT (public_key) DO UPDATE SET "
		"organization_id = excluded.organization_id, "
		"disabled = excluded.disabled, expires_at = excluded.expires_at, "
		"access_list = excluded.access_list, secrets = excluded.secrets, "
		"secret_expirations = excluded.secret_expirations, "
		"organization_roles = excluded.organization_roles, "
		"project_roles = excluded.project_roles, "
		"projects = excluded.projects, created_at = excluded.created_at, "
		"secret_versions = excluded.secret_versions",
		1, {TEXTARRAYOID}, .by_index = true
	};

	if (!are_new)
		ak_privileged_execute(&lock, &keys, NULL);
	ak_privileged_execute(&make, &keys, NULL);
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

	ak_privileged_execute(&delete, &keys, NULL);
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

/* --- Images that are made already ----------------------------------------- */

/*
 * A query may change several of the tables, each of which has its trigger; all
 * of these are called when the query has done what it does.  So an image that
 * one of them has made is right for the others.  Only what is deleted along
 * with something else is deleted still later.
 *
 * A query is told by its command id, which no other of the transaction has
 * that changes anything; the first command after it is that of the first
 * trigger.
 */
static FullTransactionId query_transaction;
static CommandId query_command;
static CommandId first_command;

/* Whether an earlier trigger of the same query may have made images. */
static bool
follows_another(const TriggerData *trigger)
{
	FullTransactionId transaction = GetTopFullTransactionIdIfAny();
	CommandId	command = GetActiveSnapshot()->curcid;

	if (FullTransactionIdEquals(transaction, query_transaction) &&
		command == query_command)
		return TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) &&
			!TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
	query_transaction = transaction;
	query_command = command;
	first_command = GetCurrentCommandId(false);
	return false;
}

/* Leaves those of the keys whose images are older; false if there are none. */
static bool
leave_out_made(Datum *keys)
{
	AkKeystore	store;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			kept = 0;

	deconstruct_array(DatumGetArrayTypeP(*keys), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &count);
	ak_keystore_open(&store);
	for (int i = 0; i < count; i++)
		if (!ak_keystore_image_is_since(&store, DatumGetTextPP(elements[i]),
										first_command))
			elements[kept++] = elements[i];
	ak_keystore_close(&store);
	*keys = PointerGetDatum(construct_array(elements, kept, TEXTOID, -1, false,
											TYPALIGN_INT));
	return kept > 0;
}

/* --- Triggers ------------------------------------------------------------- */

static void
follow_changes(Datum keys, const TriggerData *trigger)
{
	bool		is_insert = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	bool		is_key =
		RelationGetRelid(trigger->tg_relation) == ak_table_oid(AK_KEY);

	make_images(keys, is_key && is_insert);
	if (is_key && !is_insert)
		delete_images(keys);
}

static void
follow_more_changes(Datum keys, const TriggerData *trigger)
{
	if (leave_out_made(&keys))
		follow_changes(keys, trigger);
}

/* Trigger of tables key, key_role and key_secret. */
Datum
apikeys_key_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo);

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		make_all_images();
	else
		ak_changed_keys_each(trigger, follows_another(trigger) ?
							 follow_more_changes : follow_changes);
	PG_RETURN_POINTER(NULL);
}

Datum
apikeys_rebuild_images(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(make_all_images());
}
