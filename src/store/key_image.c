/*
 * key_image.c
 *	  Keeps table key_image, from which decisions are made, the same as what
 *	  the tables of truth say: key, key_secret, key_role and key_limit.
 *
 * Bodies of functions make the images of the keys that they have changed; for
 * all other changes triggers do it, at the end of each statement.  Images are
 * locked first, in the order of the keys, and the tables are read after that:
 * if two transactions change one key, the second waits for the first and then
 * sees its changes (in READ COMMITTED; in the stricter levels it fails to
 * serialize). Logical replication has no statements, so a trigger for each row
 * does it; for rows of key_role, of which a key may have thousands, at the end of
 * the transaction, and once for each key.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "store/store.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define COLUMNS \
	"public_key, organization_id, disabled, expires_at, created_at, " \
	"secrets, secret_expirations, secret_versions, " \
	"organization_roles, access_list, project_roles, projects, details, limits"

PG_FUNCTION_INFO_V1(apikeys_key_changed);
PG_FUNCTION_INFO_V1(apikeys_make_images);
PG_FUNCTION_INFO_V1(apikeys_rebuild_images);

/* The position of the first of the eight newest secrets in a group. */
#define NEWEST \
	"GREATEST(pg_catalog.count(*)::pg_catalog.int4 OPERATOR(pg_catalog.-) 7, 1)"

/*
 * The rows of view key_image_source for the keys $1, with one scan of each
 * table.  Aggregates take rows in the order of the sub-select.
 */
#define SOURCE_OF_KEYS \
	"SELECT k.public_key, k.organization_id, k.disabled_at IS NOT NULL, " \
	"coalesce(k.expires_at, 'infinity'), k.created_at, " \
	"coalesce(s.hashes, '{}'), coalesce(s.expirations, '{}'), coalesce(s.versions, ''), " \
	"coalesce(r.organization_roles, '{}'), k.access_list, " \
	"coalesce(r.project_roles, '{}'), coalesce(r.projects, '{}'), " \
	"apikeys_internal.key_details(k.owner, k.metadata, k.environment), " \
	"pg_catalog.uuid_send(k.limits_id) OPERATOR(pg_catalog.||) coalesce(l.limits, '') " \
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
	"LEFT JOIN (SELECT l.public_key, pg_catalog.string_agg(l.image, ''::pg_catalog.bytea) AS limits " \
	"FROM (SELECT l.public_key, l.image FROM apikeys.key_limit AS l " \
	"WHERE l.public_key OPERATOR(pg_catalog.=) ANY ($1) " \
	"ORDER BY l.public_key, l.kind, l.scope) AS l GROUP BY l.public_key) AS l " \
	"ON l.public_key OPERATOR(pg_catalog.=) k.public_key " \
	"WHERE k.public_key OPERATOR(pg_catalog.=) ANY ($1) "

/* For the keys that exist; images of other keys are left unchanged. */
static void
write_images(Datum keys)
{
	/* What is stored out of line, and may be megabytes, is not stored again. */
#define UNLESS_SAME(column, equals) \
	column " = CASE WHEN i." column " OPERATOR(" equals ") excluded." column \
	" THEN i." column " ELSE excluded." column " END"
	static AkStatement write = {
		"INSERT INTO apikeys.key_image AS i (" COLUMNS ") "
		SOURCE_OF_KEYS
		"ON CONFLICT (public_key) DO UPDATE SET "
		"organization_id = excluded.organization_id, "
		"disabled = excluded.disabled, expires_at = excluded.expires_at, "
		"created_at = excluded.created_at, secrets = excluded.secrets, "
		"secret_expirations = excluded.secret_expirations, "
		"secret_versions = excluded.secret_versions, "
		"organization_roles = excluded.organization_roles, "
		UNLESS_SAME("access_list", "apikeys.=") ", "
		UNLESS_SAME("project_roles", "pg_catalog.=") ", "
		UNLESS_SAME("projects", "pg_catalog.=") ", "
		"details = excluded.details, limits = excluded.limits",
		1, {TEXTARRAYOID}, .by_index = true
	};
#undef UNLESS_SAME

	ak_owner_execute(&write, &keys, NULL);
}

/*
 * Rebuilds the images of keys, an array of text, from the tables.  Code of the
 * extension that changes keys calls it afterwards.
 */
void
ak_key_image_make(Datum keys)
{
	static AkStatement lock = {
		"SELECT FROM apikeys.key_image "
		"WHERE public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"ORDER BY public_key FOR UPDATE",
		1, {TEXTARRAYOID}, .by_index = true
	};
	static AkStatement delete = {
		"DELETE FROM apikeys.key_image AS i "
		"WHERE i.public_key OPERATOR(pg_catalog.=) ANY ($1) "
		"AND NOT EXISTS (SELECT FROM apikeys.key AS k "
		"WHERE k.public_key OPERATOR(pg_catalog.=) i.public_key)",
		1, {TEXTARRAYOID}, .by_index = true
	};

	/* If two transactions change a key, the second waits here for the first. */
	ak_owner_execute(&lock, &keys, NULL);
	write_images(keys);
	/* Those of keys that were deleted or renamed. */
	ak_owner_execute(&delete, &keys, NULL);
}

/*
 * No other session changes a key until the end of the transaction; decisions
 * are not blocked.
 */
static uint64
make_all_images(void)
{
	static AkStatement lock = {
		"LOCK TABLE apikeys.key, apikeys.key_role, apikeys.key_secret, "
		"apikeys.key_limit "
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

/* --- For SQL ------------------------------------------------------------- */

/*
 * The keys whose images were made for rows of key_role in this (sub)transaction, each
 * with the command that saw what had been changed before it: a key may have
 * thousands of rows.
 */
typedef struct MadeName
{
	int			size;
	char		public_key[AK_PUBLIC_KEY_MAX_SIZE]; /* and zeros */
} MadeName;

typedef struct Made
{
	MadeName	name;
	CommandId	command;
} Made;

static HTAB *made;				/* in TopTransactionContext, until that ends */
static TransactionId made_in = InvalidTransactionId;
static SubTransactionId made_within;

/* Finds what was noted of a key, or enters it; NULL: nothing was. */
static Made *
find_made(const text *key, HASHACTION action)
{
	HASHCTL		info = {
		.keysize = sizeof(MadeName),.entrysize = sizeof(Made),
		.hcxt = TopTransactionContext
	};
	MadeName	name = {VARSIZE_ANY_EXHDR(key)};

	if (name.size > AK_PUBLIC_KEY_MAX_SIZE)
		return NULL;
	memcpy(name.public_key, VARDATA_ANY(key), name.size);
	if (made_in != GetTopTransactionIdIfAny() ||
		made_within != GetCurrentSubTransactionId())
	{
		if (made_in == GetTopTransactionIdIfAny())
			hash_destroy(made);
		made_in = InvalidTransactionId;
		made = hash_create("apikeys made images", 16, &info,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		made_in = GetTopTransactionIdIfAny();
		made_within = GetCurrentSubTransactionId();
	}
	return hash_search(made, &name, action, NULL);
}

/* Returns the command that changed the row, in this transaction. */
static CommandId
get_command(const TriggerData *trigger)
{
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return HeapTupleHeaderGetCmin(trigger->tg_newtuple->t_data);
	return TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ?
		HeapTupleHeaderGetCmin(trigger->tg_trigtuple->t_data) :
		HeapTupleHeaderGetCmax(trigger->tg_trigtuple->t_data);
}

/* Makes the images of keys unless they were made after the row was changed. */
static void
follow_changes(Datum keys, const TriggerData *trigger)
{
	Datum	   *elements;
	int			count;
	bool		is_made = TRIGGER_FIRED_FOR_ROW(trigger->tg_event) &&
		RelationGetRelid(trigger->tg_relation) == ak_table_oid(AK_KEY_ROLE);

	if (!is_made)
	{
		ak_key_image_make(keys);
		return;
	}
	deconstruct_array(DatumGetArrayTypeP(keys), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		const Made *found = find_made(DatumGetTextPP(elements[i]), HASH_FIND);

		is_made &= found && get_command(trigger) < found->command;
	}
	if (is_made)
		return;
	ak_key_image_make(keys);
	for (int i = 0; i < count; i++)
	{
		Made	   *entered = find_made(DatumGetTextPP(elements[i]), HASH_ENTER);

		if (entered)
			entered->command = GetCurrentCommandId(false);
	}
}

/*
 * Runs the row triggers of key_role that wait for the end of the transaction: their
 * rows are gone after a TRUNCATE.  One that is replicated does not ask for them.
 */
static void
end_waiting(void)
{
	static AkStatement run = {
		"SET CONSTRAINTS apikeys.key_role_replicated IMMEDIATE"
	};
	static AkStatement wait_again = {
		"SET CONSTRAINTS apikeys.key_role_replicated DEFERRED"
	};

	ak_owner_execute(&run, NULL, NULL);
	ak_owner_execute(&wait_again, NULL, NULL);
}

/*
 * Trigger of tables key, key_role, key_secret and key_limit, for changes that are not made
 * by the extension's own code: direct SQL, a restore, logical replication.
 */
Datum
apikeys_key_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = ak_trigger_get(fcinfo, AK_TABLE_BIT(AK_KEY) |
										  AK_TABLE_BIT(AK_KEY_ROLE) |
										  AK_TABLE_BIT(AK_KEY_LIMIT) |
										  AK_TABLE_BIT(AK_KEY_SECRET));

	if (TRIGGER_FIRED_BEFORE(trigger->tg_event))
		end_waiting();
	else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		make_all_images();
	else if (!ak_owner_is_own_code())
		ak_changed_keys_each(trigger, follow_changes);
	PG_RETURN_POINTER(NULL);
}

/* make_images(keys text[]): for bodies of functions. */
Datum
apikeys_make_images(PG_FUNCTION_ARGS)
{
	ak_key_image_make(PG_GETARG_DATUM(0));
	PG_RETURN_VOID();
}

/*
 * rebuild_images(): also sets when triggers fire, so that the images follow
 * the tables from now on.
 */
Datum
apikeys_rebuild_images(PG_FUNCTION_ARGS)
{
	static AkStatement set_modes = {
		"SELECT apikeys_internal.set_trigger_modes()"
	};

	ak_owner_execute(&set_modes, NULL, NULL);
	ak_policy_write_all_limits();
	PG_RETURN_INT64(make_all_images());
}
