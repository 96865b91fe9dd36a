/*
 * new_keys.c
 *	  Inserts keys, with their roles and permissions, one secret each and their images, in one
 *	  statement.
 *
 * What is inserted refers to what the statement inserts along with it, and to the
 * organization, project and roles that the verb has locked.  So no trigger need
 * check that, and the images are made of what is given, not read back; unless
 * somebody's trigger may change what is inserted.
 */
#include "postgres.h"

#include "base/owner.h"
#include "base/trigger.h"
#include "core/compat.h"
#include "core/errors.h"
#include "store/key_image.h"

#include "catalog/pg_type.h"

PG_FUNCTION_INFO_V1(apikeys_insert_keys);

/* In the order of the arguments of insert_keys. */
#define ARGUMENT_COUNT	11
#define PUBLIC_KEYS		2

#define ARGUMENT_TYPES \
	{UUIDOID, UUIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, \
	JSONBARRAYOID}

/* In the order of the indexes. */
#define GIVEN_KEYS \
	"s AS MATERIALIZED (" \
	"SELECT u.public_key, u.hash::apikeys.secret_hash AS hash, " \
	"coalesce(u.hint, '') AS hint, u.description, " \
	"coalesce(u.grants, '{}')::pg_catalog.text[] AS grants, " \
	"coalesce(u.access_list, '{}')::apikeys.access_list AS access_list, " \
	"nullif(u.expires_at, 'infinity') AS expires_at, " \
	"u.owner, coalesce(u.metadata, '{}') AS metadata " \
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
	"metadata) SELECT s.public_key, $1, s.description, s.access_list, " \
	"s.expires_at, s.owner, s.metadata FROM s"

#define INSERT_ROLES_AND_SECRETS \
	"r AS (INSERT INTO apikeys.key_role " \
	"(public_key, organization_id, project_id, role, permission) " \
	"SELECT s.public_key, $1, $2, " \
	"CASE WHEN NOT " IS_PERMISSION " THEN g.held END, " \
	"CASE WHEN " IS_PERMISSION " THEN pg_catalog.substr(g.held, 2) END " \
	"FROM s CROSS JOIN pg_catalog.unnest(s.grants) AS g (held)), " \
	"c AS (INSERT INTO apikeys.key_secret (public_key, version, hash, hint) " \
	"SELECT s.public_key, 1, s.hash, s.hint FROM s)"

/* What view key_image_source says of them. */
#define INSERT_IMAGES \
	"i AS (INSERT INTO apikeys.key_image (public_key, organization_id, disabled, " \
	"expires_at, access_list, secrets, secret_expirations, organization_roles, " \
	"project_roles, projects, created_at, secret_versions, details) " \
	"SELECT i.public_key, $1, false, coalesce(i.expires_at, 'infinity'), " \
	"i.access_list, ARRAY[i.hash], '{infinity}', " \
	"CASE WHEN $2 IS NULL THEN i.grants ELSE '{}' END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE i.grants END, " \
	"CASE WHEN $2 IS NULL THEN '{}' ELSE " \
	"pg_catalog.array_fill($2, ARRAY[pg_catalog.cardinality(i.grants)]) END, " \
	"pg_catalog.now(), pg_catalog.int4send(1), " \
	"apikeys_internal.key_details(i.owner, i.metadata) " \
	"FROM (SELECT s.public_key, s.hash, s.access_list, s.expires_at, s.owner, s.metadata, " \
	"CASE WHEN pg_catalog.array_dims(s.grants) OPERATOR(pg_catalog.=) '[1:1]' THEN s.grants " \
	"ELSE ARRAY(SELECT g.held FROM pg_catalog.unnest(s.grants) AS g (held) " \
	"ORDER BY " IS_PERMISSION ", g.held COLLATE \"C\") END AS grants FROM s OFFSET 0) AS i)"

/* Where triggers of others may change the rows, which are read again then. */
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

/* Whether the current error says that a public key is taken. */
static bool
is_taken_key(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION &&
		error->schema_name && strcmp(error->schema_name, "apikeys") == 0 &&
		error->table_name && strcmp(error->table_name, "key") == 0;
}

/*
 * insert_keys(organization, project, public_keys, hashes, hints, descriptions,
 * grants, access_lists, expirations, owners, metadata): raises 23505 if a public
 * key is taken.  No hints, grants or networks are NULL, as is an expiration that
 * never comes.
 */
Datum
apikeys_insert_keys(PG_FUNCTION_ARGS)
{
	MemoryContext old = CurrentMemoryContext;
	Datum		values[ARGUMENT_COUNT];
	char		nulls[] = "           ";
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
				 errmsg("public key is taken, or has been used before"),
				 ak_errid("public_key_taken")));
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}
