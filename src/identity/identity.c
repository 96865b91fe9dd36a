/*
 * identity.c
 *	  The current principal: the key that is bound to the transaction, else
 *	  the user of the application that a trusted role has named with act_as(),
 *	  else the calling PostgreSQL role.
 *
 * The key and the user are kept in this process's memory, where no SET can
 * change them.  They end with the transaction, or with the savepoint they were
 * named in when that is rolled back.  So they are safe behind a pooler that
 * serves many clients by one connection.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "types/types.h"

#include "access/htup_details.h"
#include "access/parallel.h"
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

/*
 * The named principals, the latest first, at most one of each (sub)transaction:
 * those that come back when a savepoint is rolled back.  Each is in a memory
 * context of its own, which is deleted where it ends, so that a long transaction
 * does not keep what it has undone.  Nothing is named after a key.
 */
typedef struct Acting
{
	struct Acting *before;
	MemoryContext context;		/* of all of it; child of TopTransactionContext */
	SubTransactionId subtransaction;
	char	   *principal;
	AkNetwork	address;		/* of the user or key; family 0: unknown */
	AkBoundKey *key;			/* NULL: a user */
} Acting;

static Acting *acting = NULL;

PG_FUNCTION_INFO_V1(apikeys_principal);
PG_FUNCTION_INFO_V1(apikeys_principals);
PG_FUNCTION_INFO_V1(apikeys_act_as);
PG_FUNCTION_INFO_V1(apikeys_act_as_text);
PG_FUNCTION_INFO_V1(apikeys_current_address);
PG_FUNCTION_INFO_V1(apikeys_principal_roles);
PG_FUNCTION_INFO_V1(apikeys_current_key);
PG_FUNCTION_INFO_V1(apikeys_own_reader);
PG_FUNCTION_INFO_V1(apikeys_is_bound_by_token);
PG_FUNCTION_INFO_V1(apikeys_proved_secret);
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
			acting = NULL;		/* the context frees the memory */
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

/* Returns what is named without the latest, if that is of the (sub)transaction. */
static Acting *
without(Acting *named, SubTransactionId subtransaction)
{
	Acting	   *before;

	if (named == NULL || named->subtransaction != subtransaction)
		return named;
	before = named->before;
	MemoryContextDelete(named->context);
	return before;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId own,
				   SubTransactionId parent, void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		acting = without(acting, own);
		if (acting && acting->key)
			ak_bound_key_forget_answers(acting->key);
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB && acting &&
			 acting->subtransaction == own)
	{
		acting->before = without(acting->before, parent);
		acting->subtransaction = parent;
	}
}

/* Called once, when the library is loaded. */
void
ak_identity_init(void)
{
	RegisterXactCallback(end_transaction, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Only the process in which a key was bound or a user was named knows it: a
 * parallel worker would answer for another principal.
 */
static void
check_process(void)
{
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the principal is not known in a parallel worker"),
				 errhint("Mark the function that calls it PARALLEL RESTRICTED."),
				 ak_errid("parallel_worker")));
}

/*
 * Checks whether what acts has its rights here: what was named has none in code that is
 * run for others.  Who it is can be seen there all the same: else a policy or a trigger
 * would take it for the role.
 */
bool
ak_identity_has_rights(void)
{
	return acting == NULL || !ak_owner_is_run_for_others();
}

/* Raises 42501 if it has none. */
void
ak_identity_require_rights(void)
{
	if (!ak_identity_has_rights())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("a named principal has no rights in code that is run for others"),
				 ak_errid("restricted_operation")));
}

/*
 * Makes a principal that can act.  Its memory goes with that of the caller until it does.
 * Raises 42501 in code that is run for others, or by a verb: what goes on after it is not
 * for it to name.
 */
static Acting *
make_acting(const char *prefix, const text *name, const AkNetwork *address)
{
	MemoryContext old;
	Acting	   *made;

	if (ak_owner_is_run_for_others() || ak_owner_is_under_way())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("no principal can be named in code that is run for others"),
				 ak_errid("restricted_operation"),
				 errhidestmt(true),
				 errhidecontext(true)));
	old = MemoryContextSwitchTo(AllocSetContextCreate(CurrentMemoryContext,
													  "apikeys principal",
													  ALLOCSET_SMALL_SIZES));
	made = palloc0(sizeof(Acting));
	made->context = CurrentMemoryContext;
	made->principal = psprintf("%s%.*s", prefix,
							   (int) VARSIZE_ANY_EXHDR(name),
							   VARDATA_ANY(name));
	if (address)
		made->address = *address;
	MemoryContextSwitchTo(old);
	return made;
}

/*
 * Makes it act until the end of the (sub)transaction, in place of what this one has
 * named before.
 */
static void
let_act(Acting *made)
{
	made->subtransaction = GetCurrentSubTransactionId();
	MemoryContextSetParent(made->context, TopTransactionContext);
	made->before = without(acting, made->subtransaction);
	acting = made;
}

/* Whether what is bound was bound by this token or, where it is NULL, by none. */
static bool
is_bound_by(const AkShortToken *token)
{
	const AkShortToken *bound = ak_identity_token();

	if (token == NULL || bound == NULL)
		return token == bound;
	return memcmp(token->nonce, bound->nonce, sizeof(token->nonce)) == 0;
}

/*
 * Binds a key, of which a secret of that version was proved, or a token (or NULL)
 * that came from it, to the (sub)transaction, with the address that it is called
 * from, or NULL; what it may do is resolved now, unless it is bound already.  The
 * store that the image was found in is open, and the rest of the image was read.
 * Raises 55000 if another key is bound, or the same one by another token, or by one
 * and not the other time: what the transaction may do never changes; or if one of
 * another organization was bound and that is undone; or if this is a parallel worker.
 */
void
ak_identity_bind(text *public_key, AkKeystore *store, AkImage *image,
				 const AkNetwork *address, int32 secret_version,
				 const AkShortToken *token)
{
	if (ak_identity_key() == NULL)
	{
		Acting	   *made = make_acting(KEY_PREFIX, public_key, address);

		made->key = ak_bound_key_make(made->context, public_key, store, image,
									  secret_version, token);
		let_act(made);
	}
	else if (!ak_identity_is_key(public_key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("another key is bound to this transaction"),
				 errhint("A key stays bound until the transaction ends."),
				 ak_errid("key_is_bound"),
				 errhidestmt(true),
				 errhidecontext(true)));
	else if (!is_bound_by(token))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key is bound to this transaction by something else"),
				 errdetail("It was bound by its secret and not by a token, or the other way round, or by another token."),
				 errhint("A key stays bound until the transaction ends."),
				 ak_errid("key_is_bound"),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/* Returns the bound key, or NULL; valid as long as it is bound. */
const AkBoundKey *
ak_identity_bound_key(void)
{
	check_process();
	return acting ? acting->key : NULL;
}

/* Returns its public key, or NULL. */
text *
ak_identity_key(void)
{
	const AkBoundKey *bound = ak_identity_bound_key();

	return bound ? bound->public_key : NULL;
}

/* The token that a key was bound by, or NULL; good as long as it is bound. */
const AkShortToken *
ak_identity_token(void)
{
	const AkBoundKey *bound = ak_identity_bound_key();

	return bound ? bound->token : NULL;
}

/* Whether this is the bound key. */
bool
ak_identity_is_key(const text *public_key)
{
	text	   *bound = ak_identity_key();

	return bound &&
		VARSIZE_ANY_EXHDR(bound) == VARSIZE_ANY_EXHDR(public_key) &&
		memcmp(VARDATA_ANY(bound), VARDATA_ANY(public_key),
			   VARSIZE_ANY_EXHDR(bound)) == 0;
}

/*
 * Whether a key is acting that reads itself, whatever its roles: of a token that
 * was narrowed more than that may be kept.
 */
static bool
reads_itself(void)
{
	const AkShortToken *token = ak_identity_token();

	return ak_identity_key() != NULL && ak_identity_has_rights() &&
		(token == NULL || (token->scopes == NULL && !token->has_project));
}

/* Whether this is the bound key, and it reads itself whatever its roles. */
bool
ak_identity_reads_itself(const text *public_key)
{
	return ak_identity_is_key(public_key) && reads_itself();
}

/*
 * The address of the bound key or of the named user; if neither said one, that
 * of the connection, if nobody is named.  False: unknown.
 */
bool
ak_identity_address(AkNetwork *address)
{
	check_process();
	if (acting)
	{
		*address = acting->address;
		if (address->family || acting->key)
			return address->family != 0;
	}
	return ak_identity_peer(address);
}

/* Returns the current principal as text; palloc'd. */
char *
ak_identity_principal(void)
{
	check_process();
	if (acting)
		return pstrdup(acting->principal);
	return psprintf(ROLE_PREFIX "%s",
					ak_role_name(ak_owner_caller(), false));
}

/*
 * Returns the current user as text, palloc'd; NULL if a key or a role is
 * acting.
 */
text *
ak_identity_user(void)
{
	check_process();
	return acting && !acting->key ? cstring_to_text(acting->principal) : NULL;
}

/* Checks whether a superuser is acting, and neither a key nor a user. */
bool
ak_identity_is_superuser(void)
{
	check_process();
	return acting == NULL && superuser_arg(ak_owner_caller());
}

/* Checks whether a role that bypasses row-level security is acting. */
bool
ak_identity_sees_all(void)
{
	check_process();
	return acting == NULL && has_bypassrls_privilege(ak_owner_caller());
}

/*
 * Returns the PostgreSQL roles whose privileges the calling role has, directly
 * or through other roles, itself first, as a List of OIDs; palloc'd.
 */
List *
ak_identity_roles(void)
{
	Oid			caller = ak_owner_caller();
	List	   *roles = list_make1_oid(caller);
	List	   *own = NIL;
	ListCell   *cell;

	check_process();
	/* the list grows during the loop */
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
	foreach(cell, roles)
		if (has_privs_of_role(caller, lfirst_oid(cell)))
			own = lappend_oid(own, lfirst_oid(cell));
	return own;
}

Datum
apikeys_principal(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ak_identity_principal()));
}

Datum
apikeys_principals(PG_FUNCTION_ARGS)
{
	List	   *names = NIL;
	ListCell   *cell;
	Datum	   *elements;
	int			count = 0;

	check_process();
	if (acting)
		names = list_make1(acting->principal);
	else
		foreach(cell, ak_identity_roles())
		{
			char	   *role = ak_role_name(lfirst_oid(cell), true);

			if (role)
				names = lappend(names, psprintf(ROLE_PREFIX "%s", role));
		}
	elements = palloc(list_length(names) * sizeof(Datum));
	foreach(cell, names)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* act_as(), whose address is an inet or a text; returns the principal. */
static Datum
act_as(FunctionCallInfo fcinfo, bool address_is_text)
{
	AkNetwork	address;
	const AkNetwork *given =
		ak_identity_address_argument(fcinfo, 1, address_is_text, &address);
	text	   *principal;

	check_process();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("principal must not be null"),
				 ak_errid("null_argument")));
	principal = PG_GETARG_TEXT_PP(0);
	if (!ak_is_principal(principal) ||
		memcmp(VARDATA_ANY(principal), USER_PREFIX, strlen(USER_PREFIX)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid principal"),
				 errdetail("act_as takes " USER_PREFIX " and the name of a user, 255 bytes of UTF-8 together at most."),
				 ak_errid("invalid_principal")));
	if (ak_identity_key())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a key is bound to this transaction"),
				 errhint("A key stays bound until the transaction ends."),
				 ak_errid("key_is_bound")));
	let_act(make_acting("", principal, given));
	PG_RETURN_TEXT_P(principal);
}

Datum
apikeys_act_as(PG_FUNCTION_ARGS)
{
	return act_as(fcinfo, false);
}

Datum
apikeys_act_as_text(PG_FUNCTION_ARGS)
{
	return act_as(fcinfo, true);
}

/*
 * SQL interface of ak_identity_roles(); no row if a key or a user is acting.
 */
Datum
apikeys_principal_roles(PG_FUNCTION_ARGS)
{
	List	   *roles = acting ? NIL : ak_identity_roles();
	Datum	   *elements = palloc((list_length(roles) + 1) * sizeof(Datum));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, roles)
		elements[count++] = ObjectIdGetDatum(lfirst_oid(cell));
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, OIDOID, sizeof(Oid),
										  true, TYPALIGN_INT));
}

/* SQL interface of ak_identity_address(). */
Datum
apikeys_current_address(PG_FUNCTION_ARGS)
{
	AkNetwork	address;

	if (!ak_identity_address(&address))
		PG_RETURN_NULL();
	PG_RETURN_INET_P(ak_network_to_inet(&address));
}

/* --- The bound key ------------------------------------------------------- */

Datum
apikeys_current_key(PG_FUNCTION_ARGS)
{
	text	   *bound = ak_identity_key();

	if (bound == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(datumCopy(PointerGetDatum(bound), false, -1));
}

/* For SQL: the bound key, if it reads itself whatever its roles. */
Datum
apikeys_own_reader(PG_FUNCTION_ARGS)
{
	if (!reads_itself())
		PG_RETURN_NULL();
	return apikeys_current_key(fcinfo);
}

/* For SQL: whether the bound key was bound by a token. */
Datum
apikeys_is_bound_by_token(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ak_identity_token() != NULL);
}

/* For SQL: the version of the secret that was proved of the bound key. */
Datum
apikeys_proved_secret(PG_FUNCTION_ARGS)
{
	const AkBoundKey *bound = ak_identity_bound_key();

	if (bound == NULL)
		PG_RETURN_NULL();
	PG_RETURN_INT32(bound->secret_version);
}

Datum
apikeys_current_organization(PG_FUNCTION_ARGS)
{
	const AkBoundKey *bound = ak_identity_bound_key();
	pg_uuid_t  *organization;

	if (bound == NULL)
		PG_RETURN_NULL();
	organization = palloc(sizeof(pg_uuid_t));
	*organization = bound->organization_id;
	PG_RETURN_UUID_P(organization);
}

Datum
apikeys_permits(PG_FUNCTION_ARGS)
{
	/* Nothing acts in a parallel worker. */
	if (acting && acting->key && !PG_ARGISNULL(0) && !ak_owner_is_run_for_others())
		PG_RETURN_BOOL(ak_bound_key_permits(acting->key, fcinfo));
	check_process();
	if (!PG_ARGISNULL(0))
		ak_check_scope(PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(false);
}
