/*
 * new_keys.c
 *	  Inserts keys, with their roles and permissions, one secret each and their images, in one
 *	  statement; and counts keys.
 *
 * New rows refer to rows of the same statement, and to the organization,
 * project and roles that the caller has locked.  So no trigger needs to check
 * that, and the images are made from the arguments and not read back, unless a
 * trigger of the user may change the rows.
 */
#include "postgres.h"

#include "base/owner.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "core/errors.h"
#include "store/key_image.h"
#include "store/keystore.h"

#include "catalog/pg_type.h"

PG_FUNCTION_INFO_V1(apikeys_count_keys);
PG_FUNCTION_INFO_V1(apikeys_insert_keys);

/* In the order of the arguments of insert_keys. */
#define ARGUMENT_COUNT	12
#define PUBLIC_KEYS		2

#define ARGUMENT_TYPES \
	{UUIDOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, \
	JSONBARRAYOID, TEXTOID}

/* In the order of the indexes. */
#define GIVEN_KEYS \
	"s AS MATERIALIZED (" \
	"SELECT u.public_key, u.hash::apikeys.secret_hash AS hash, " \
	"coalesce(u.hint, '') AS hint, u.description, " \
	"coalesce(u.grants, '{}')::pg_catalog.text[] AS grants, " \
	"coalesce(u.access_list, '{}')::apikeys.access_list AS access_list, " \
	"nullif(u.expires_at, 'infinity') AS expires_at, " \
	"u.owner, coalesce(u.metadata, '{}') AS metadata, " \
	"pg_catalog.gen_random_uuid() AS limits_id " \
	"FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), " \
	"pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), " \
	"pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10), " \
	"pg_catalog.unnest($11)) AS u (public_key, hash, hint, description, grants, " \
	"access_list, expires_at, owner, metadata) " \
	"ORDER BY u.public_key COLLATE \"C\")"

/* As in an image: a role's id, or an equals sign and a permission. */
#define IS_PERMISSION	"(pg_catalog.left(g.held, 1) OPERATOR(pg_catalog.=) '=')"

/* The statement itself inserts first, and so waits where a key may be taken. */
#define INSERT_KEYS \
	"INSERT INTO apikeys.key " \
	"(public_key, organization_id, description, access_list, expires_at, owner, " \
	"metadata, environment, limits_id) SELECT s.public_key, $1, s.description, s.access_list, " \
	"s.expires_at, s.owner, s.metadata, $12, s.limits_id FROM s"

#define INSERT_ROLES_AND_SECRETS \
	"r AS (INSERT INTO apikeys.key_role " \
	"(public_key, organization_id, project_id, role, permission) " \
	"SELECT s.public_key, $1, $2, " \
	"CASE WHEN NOT " IS_PERMISSION " THEN g.held END, " \
	"CASE WHEN " IS_PERMISSION " THEN pg_catalog.substr(g.held, 2) END " \
	"FROM s CROSS JOIN pg_catalog.unnest(s.grants) AS g (held)), " \
	"c AS (INSERT INTO apikeys.key_secret (public_key, version, hash, hint) " \
	"SELECT s.public_key, 1, s.hash, s.hint FROM s)"

/* The same as view key_image_source for these keys. */
#define INSERT_IMAGES \
	"i AS (INSERT INTO apikeys.key_image (public_key, organization_id, disabled, " \
	"expires_at, access_list, secrets, secret_expirations, organization_roles, " \
	"project_roles, projects, created_at, secret_versions, details, limits) " \
	"SELECT i.public_key, $1, false, coalesce(i.expires_at, 'infinity'), " \
	"i.access_list, ARRAY[i.hash], '{infinity}', " \
	"CASE WHEN $2 IS NULL THEN i.grants ELSE '{}' END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE i.grants END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE " \
	"pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality(i.grants)]) END, " \
	"pg_catalog.now(), pg_catalog.int4send(1), " \
	"apikeys_internal.key_details(i.owner, i.metadata, $12), " \
	"pg_catalog.uuid_send(i.limits_id) " \
	"FROM (SELECT s.public_key, s.hash, s.access_list, s.expires_at, s.owner, s.metadata, s.limits_id, " \
	"CASE WHEN pg_catalog.array_dims(s.grants) OPERATOR(pg_catalog.=) '[1:1]' THEN s.grants " \
	"ELSE ARRAY(SELECT g.held FROM pg_catalog.unnest(s.grants) AS g (held) " \
	"ORDER BY " IS_PERMISSION ", g.held COLLATE \"C\") END AS grants FROM s OFFSET 0) AS i)"

/* For triggers of users, which may change the rows: these are read back. */
static void
insert_with_triggers(Datum *values, const char *nulls)
{
	static AkStatement insert = {
		"WITH " GIVEN_KEYS ", " INSERT_ROLES_AND_SECRETS " " INSERT_KEYS,
		ARGUMENT_COUNT, ARGUMENT_TYPES
	};

	ak_owner_execute(&insert, values, nulls);
	ak_key_image_make(values[PUBLIC_KEYS]);
}

static void
insert(Datum *values, const char *nulls)
{
	static AkStatement insert = {
		"WITH " GIVEN_KEYS ", " INSERT_ROLES_AND_SECRETS ", " INSERT_IMAGES " "
		INSERT_KEYS,
		ARGUMENT_COUNT, ARGUMENT_TYPES, .is_quiet = true
	};

	if (ak_trigger_all_are_own(AK_KEY) &&
		ak_trigger_all_are_own(AK_KEY_ROLE) &&
		ak_trigger_all_are_own(AK_KEY_SECRET))
		ak_owner_execute(&insert, values, nulls);
	else
		insert_with_triggers(values, nulls);
}

/* Checks whether the current error is that a public key is taken. */
static bool
is_taken_key(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION &&
		error->schema_name && strcmp(error->schema_name, "apikeys") == 0 &&
		error->table_name && strcmp(error->table_name, "key") == 0;
}

/*
 * insert_keys(organization, project, public_keys, hashes, hints, descriptions,
 * grants, access_lists, expirations, owners, metadata, environment): raises 23505
 * if a public key is taken.  No hints, grants or networks are NULL, as is an expiration that
 * never comes.
 */
Datum
apikeys_insert_keys(PG_FUNCTION_ARGS)
{
	MemoryContext old = CurrentMemoryContext;
	Datum		values[ARGUMENT_COUNT];
	char		nulls[] = "            ";
	ErrorData  *error;

	for (int i = 0; i < ARGUMENT_COUNT; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		if (PG_ARGISNULL(i))
			nulls[i] = 'n';
	}
	PG_TRY();
	{
		insert(values, nulls);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		if (!is_taken_key(error))
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("public key is in use, or was used before"),
				 ak_errid("public_key_taken")));
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

/* count_keys(organization, most); as a keystore sees them. */
Datum
apikeys_count_keys(PG_FUNCTION_ARGS)
{
	AkKeystore	store;
	int64		count;

	ak_keystore_open(&store, AK_TABLE_BIT(AK_KEY));
	count = ak_keystore_count_keys(&store, PG_GETARG_UUID_P(0),
								   PG_GETARG_INT64(1));
	ak_keystore_close(&store);
	PG_RETURN_INT64(count);
}
