/*
 * identity.c
 *	  Who is acting: the key that is bound to the transaction, else a user of
 *	  the application that a trusted role has named with act_as(), else the
 *	  current PostgreSQL role.
 *
 * The key and the user are kept in this process's memory, out of reach of any
 * SET, and end with the transaction, or with the savepoint they were named in
 * when that is rolled back.  So they are safe behind a pooler that hands one
 * connection to many clients.
 */
#include "postgres.h"

#include "base/names.h"
#include "core/compat.h"
#include "identity/identity.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#define ROLE_PREFIX			"role:"
#define USER_PREFIX			"user:"
#define KEY_PREFIX			"key:"
#define PRINCIPAL_MAX_SIZE	255	/* as in member_principal_check */

/*
 * Who was named to be acting, the latest first; in TopTransactionContext.
 * Nobody is named after a key.
 */
typedef struct Acting
{
	struct Acting *before;
	SubTransactionId subtransaction;
	char	   *principal;
	AkBoundKey *key;			/* NULL: a user */
} Acting;

static Acting *acting = NULL;

PG_FUNCTION_INFO_V1(apikeys_principal);
PG_FUNCTION_INFO_V1(apikeys_principals);
PG_FUNCTION_INFO_V1(apikeys_act_as);
PG_FUNCTION_INFO_V1(apikeys_current_key);
PG_FUNCTION_INFO_V1(apikeys_current_organization);
PG_FUNCTION_INFO_V1(apikeys_permits);

static void
end_transaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			acting = NULL;		/* the memory goes with its context */
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		while (acting && acting->subtransaction == own)
			acting = acting->before;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (Acting *named = acting;
			 named && named->subtransaction == own;
			 named = named->before)
			named->subtransaction = parent;
}

/* Called once, when the library is loaded. */
void
ak_identity_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/* Whoever is named acts until the end of the (sub)transaction. */
static void
name_acting(const char *prefix, const text *name, AkBoundKey *key)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Acting	   *named = palloc(sizeof(Acting));

	named->before = acting;
	named->subtransaction = GetCurrentSubTransactionId();
	named->principal = psprintf("%s%.*s", prefix,
								(int) VARSIZE_ANY_EXHDR(name),
								VARDATA_ANY(name));
	named->key = key;
	acting = named;
	MemoryContextSwitchTo(old);
}

/*
 * Binds a key, whose secret was proved, to the (sub)transaction, with the
 * address that it is called from, or NULL; what it may do is resolved now,
 * unless it is bound already.  The store that the image
 * was found in is open, and the roles are refreshed.  Raises 55000 if another
 * key is bound.
 */
void
ak_identity_bind(text *public_key, const AkImage *image,
				 const AkNetwork *address)
{
	text	   *bound = ak_identity_key();

	if (bound == NULL)
		name_acting(KEY_PREFIX, public_key,
					ak_bound_key_make(public_key, image, address));
	else if (VARSIZE_ANY_EXHDR(bound) != VARSIZE_ANY_EXHDR(public_key) ||
			 memcmp(VARDATA_ANY(bound), VARDATA_ANY(public_key),
					VARSIZE_ANY_EXHDR(bound)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("another key is bound to this transaction"),
				 errhint("A key stays bound until the transaction ends."),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/* The public key of the bound key, or NULL; good as long as it is bound. */
text *
ak_identity_key(void)
{
	return acting && acting->key ? ak_bound_key_name(acting->key) : NULL;
}

/* The address that the bound key is called from; NULL: unknown, or no key. */
const AkNetwork *
ak_identity_key_address(void)
{
	return acting && acting->key ? ak_bound_key_address(acting->key) : NULL;
}

/* The principal that is acting, as text; palloc'd. */
char *
ak_identity_principal(void)
{
	if (acting)
		return pstrdup(acting->principal);
	/* Where a statement runs with the owner's rights, who has called it. */
	return psprintf(ROLE_PREFIX "%s",
					GetUserNameFromId(InNoForceRLSOperation() ?
									  GetOuterUserId() : GetUserId(), false));
}

/* The current role and the roles that it is a member of, at any distance. */
static List *
list_role_oids(void)
{
	List	   *roles = list_make1_oid(GetUserId());

	/* The list grows while it is walked. */
	for (int i = 0; i < list_length(roles); i++)
	{
		CatCList   *memberships =
			SearchSysCacheList1(AUTHMEMMEMROLE,
								ObjectIdGetDatum(list_nth_oid(roles, i)));

		for (int j = 0; j < memberships->n_members; j++)
		{
			HeapTuple	tuple = &memberships->members[j]->tuple;
			Form_pg_auth_members form =
				(Form_pg_auth_members) GETSTRUCT(tuple);

			roles = list_append_unique_oid(roles, form->roleid);
		}
		ReleaseSysCacheList(memberships);
	}
	return roles;
}

/*
 * Every name under which the one who is acting may be a member, as a List of
 * text; palloc'd.  Of the roles it is those whose privileges the current role
 * has, as PostgreSQL's own policies count them.
 */
List *
ak_identity_names(void)
{
	List	   *names = NIL;
	ListCell   *cell;

	if (acting)
		return list_make1(cstring_to_text(acting->principal));
	foreach(cell, list_role_oids())
	{
		char	   *role;

		if (!has_privs_of_role(GetUserId(), lfirst_oid(cell)))
			continue;
		role = GetUserNameFromId(lfirst_oid(cell), true);
		if (role)
			names = lappend(names,
							cstring_to_text(psprintf(ROLE_PREFIX "%s", role)));
	}
	return names;
}

Datum
apikeys_principal(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ak_identity_principal()));
}

Datum
apikeys_principals(PG_FUNCTION_ARGS)
{
	List	   *names = ak_identity_names();
	Datum	   *elements = palloc(list_length(names) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, names)
		elements[count++] = PointerGetDatum(lfirst(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* Whether it begins with user: and would do as a member's name. */
static bool
names_user(const text *principal)
{
	const char *name = VARDATA_ANY(principal);
	size_t		size = VARSIZE_ANY_EXHDR(principal);

	if (size <= strlen(USER_PREFIX) || size > PRINCIPAL_MAX_SIZE ||
		memcmp(name, USER_PREFIX, strlen(USER_PREFIX)) != 0)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char) name[i] < ' ' || name[i] == 0x7f)
			return false;
	return true;
}

Datum
apikeys_act_as(PG_FUNCTION_ARGS)
{
	text	   *principal;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("principal must not be null")));
	principal = PG_GETARG_TEXT_PP(0);
	if (!names_user(principal))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid principal"),
				 errdetail("act_as takes " USER_PREFIX " and the name of a user, %d bytes together at most.",
						   PRINCIPAL_MAX_SIZE)));

	if (ak_identity_key())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a key is bound to this transaction"),
				 errhint("Nobody but the key acts until the transaction ends.")));
	name_acting("", principal, NULL);
	PG_RETURN_VOID();
}

/* --- The bound key -------------------------------------------------------- */

Datum
apikeys_current_key(PG_FUNCTION_ARGS)
{
	text	   *bound = ak_identity_key();

	if (bound == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(datumCopy(PointerGetDatum(bound), false, -1));
}

Datum
apikeys_current_organization(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *organization;

	if (ak_identity_key() == NULL)
		PG_RETURN_NULL();
	organization = palloc(sizeof(pg_uuid_t));
	*organization = *ak_bound_key_organization(acting->key);
	PG_RETURN_UUID_P(organization);
}

Datum
apikeys_permits(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	if (ak_identity_key() == NULL)
	{
		ak_check_scope(PG_GETARG_TEXT_PP(0));
		PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(ak_bound_key_permits(acting->key, PG_GETARG_TEXT_PP(0),
										PG_ARGISNULL(1) ? NULL :
										PG_GETARG_UUID_P(1)));
}
