/*
 * settings.c
 *	  The apikeys.* settings.
 */
#include "base/base.h"
#include "core/compat.h"
#include "core/counting.h"
#include "core/crypto.h"
#include "types/types.h"

#include "access/parallel.h"
#include "miscadmin.h"
#include "utils/guc.h"

char	   *ak_token_prefix;
bool		ak_track_usage;
bool		ak_notify;
int			ak_usage_flush_interval;
int			ak_usage_max_entries;
int			ak_limit_max_entries;
int			ak_limit_overflow_denies;
double		ak_limit_share;
int			ak_usage_retention;
char	   *ak_usage_primary_conninfo;
int			ak_locator_size;
char	   *ak_api_key_header;
int			ak_token_max_lifetime;
int			ak_digest_nonce_lifetime;

static const struct config_enum_entry overflow_options[] = {
	{"allow", 0, false},
	{"deny", 1, false},
	{NULL, 0, false}
};
int			ak_wrong_secret_limit;

static char *pepper_file;

/* The setting's text, and the stored access list made from it. */
static char *trusted_proxies_text;
static struct varlena *trusted_proxies;

static bool check_token_prefix(char **newval, void **extra, GucSource source);
static bool check_pepper_file(char **newval, void **extra, GucSource source);
static void assign_pepper_file(const char *newval, void *extra);
static bool check_api_key_header(char **newval, void **extra,
								 GucSource source);
static bool check_trusted_proxies(char **newval, void **extra,
								  GucSource source);
static void assign_trusted_proxies(const char *newval, void *extra);

/* --- Definitions --------------------------------------------------------- */

static void
define_key_settings(void)
{
	DefineCustomStringVariable("apikeys.token_prefix",
							   "Prefix of new public and private keys.",
							   "A lower-case letter and up to 15 lower-case letters, digits and underscores, not ending in an underscore.",
							   &ak_token_prefix,
							   "ak",
							   PGC_SUSET,
							   0,
							   check_token_prefix,
							   NULL,
							   NULL);
	DefineCustomIntVariable("apikeys.token_max_lifetime",
							"How long a short-lived token can be good.",
							NULL,
							&ak_token_max_lifetime,
							24 * 3600,
							1,
							366 * 24 * 3600,
							PGC_SUSET,
							GUC_UNIT_S,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("apikeys.digest_nonce_lifetime",
							"How long a nonce of an HTTP Digest challenge is good.",
							"Then clients get a new one, without being asked for their credentials again.",
							&ak_digest_nonce_lifetime,
							300,
							1,
							24 * 3600,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL,
							NULL,
							NULL);
	DefineCustomStringVariable("apikeys.pepper_file",
							   "File with the peppers of hashes: one line id:64 hex digits for each, the current one first.",
							   "Read at start and on reload; a relative path is relative to the data directory.",
							   &pepper_file,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY,
							   check_pepper_file,
							   assign_pepper_file,
							   NULL);
	DefineCustomIntVariable("apikeys.wrong_secret_limit",
							"How many wrong secrets a minute imported argon2id hashes of a key are computed for, from one network.",
							"Beyond that a secret that these hashes have not proved before is taken for wrong, and nothing is computed. Of all keys of an organization it is four times as many, and beyond as many of the whole server only half of the processors compute such hashes at once. Zero: no limit.",
							&ak_wrong_secret_limit,
							100,
							0,
							AK_GUESS_LIMIT_MAX,
							PGC_SIGHUP,
							0,
							NULL,
							NULL,
							NULL);
}

static void
define_usage_settings(GucContext at_start)
{
	DefineCustomBoolVariable("apikeys.notify",
							 "Notifies channel apikeys of changes, once a transaction.",
							 "A transaction that notifies holds a lock of the whole cluster until its commit is durable.",
							 &ak_notify,
							 false,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomBoolVariable("apikeys.track_usage",
							 "Records when and from where keys are used.",
							 NULL,
							 &ak_track_usage,
							 true,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomIntVariable("apikeys.usage_flush_interval",
							"Interval at which counted uses are written to the tables and the audit log is sealed.",
							NULL,
							&ak_usage_flush_interval,
							10000,
							10,
							3600 * 1000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("apikeys.usage_max_entries",
							"Maximum number of counters of uses and denials in shared memory, for all databases.",
							"A key takes one, and one more for each network, secret and role that allowed it and each reason that denied it, until they are written.",
							&ak_usage_max_entries,
							100000,
							1000,
							100000000,
							at_start,
							0,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("apikeys.usage_retention",
							"How long the hours of the history of usage are kept.",
							"The background worker deletes those that ended longer ago.",
							&ak_usage_retention,
							400 * 24 * 60,
							60,
							100 * 366 * 24 * 60,
							PGC_SIGHUP,
							GUC_UNIT_MIN,
							NULL,
							NULL,
							NULL);
	DefineCustomStringVariable("apikeys.usage_primary_conninfo",
							   "Primary to which a standby sends its counted uses: a libpq connection string without a database.",
							   "If it is empty, they stay in the standby's memory.",
							   &ak_usage_primary_conninfo,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY,
							   NULL,
							   NULL,
							   NULL);
	DefineCustomIntVariable("apikeys.argon2id_max_cost",
							"Maximum cost of an imported argon2id hash: its memory times its passes.",
							"A hash that costs more is not imported, and a decision does not compute it. The default is 64 MB and 3 passes.",
							&ak_argon2id_max_cost,
							192 * 1024,
							8 * 1024,
							AK_ARGON2ID_MAX_COST_KIB,
							PGC_SIGHUP,
							GUC_UNIT_KB,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("apikeys.locator_size",
							"Shared memory that caches where keys are stored.",
							"Sixteen bytes for each key in use are enough; with less, some decisions use the index.",
							&ak_locator_size,
							16 * 1024,
							64,
							2 * 1024 * 1024,
							at_start,
							GUC_UNIT_KB,
							NULL,
							NULL,
							NULL);
}

static void
define_limit_settings(GucContext at_start)
{
	DefineCustomIntVariable("apikeys.limit_max_entries",
							"How many limits that something was spent of fit into shared memory, for all databases.",
							"A rate takes one until all that was spent has come back, a quota until it is written, and on a standby replayed. While more than half are taken, an organization that has an eighth gets no more for its keys.",
							&ak_limit_max_entries,
							50000,
							3,
							100000000,
							at_start,
							0,
							NULL,
							NULL,
							NULL);
	DefineCustomEnumVariable("apikeys.limit_overflow",
							 "Whether a request is allowed or denied where there is no room to count what is spent of a limit.",
							 NULL,
							 &ak_limit_overflow_denies,
							 0,
							 overflow_options,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomRealVariable("apikeys.limit_share",
							 "Which part of each limit is this server's, to the millionth.",
							 "Servers whose shares add up to 1 let through a limit together, and not each of them.",
							 &ak_limit_share,
							 1.0,
							 0.0,
							 1.0,
							 PGC_SIGHUP,
							 0,
							 NULL,
							 NULL,
							 NULL);
}

static void
define_request_settings(void)
{
	DefineCustomStringVariable("apikeys.api_key_header",
							   "HTTP header in which authenticate_request looks for an API key, in one string or with a colon between public and private key, or a token, before Authorization.",
							   NULL,
							   &ak_api_key_header,
							   "X-API-Key",
							   PGC_SUSET,
							   0,
							   check_api_key_header,
							   NULL,
							   NULL);
	DefineCustomStringVariable("apikeys.trusted_proxies",
							   "Proxies whose X-Forwarded-For header authenticate_request trusts, as an access list.",
							   "127.0.0.1 and ::1 stand for Unix-domain sockets too.",
							   &trusted_proxies_text,
							   "{}",
							   PGC_SUSET,
							   0,
							   check_trusted_proxies,
							   assign_trusted_proxies,
							   NULL);
}

/* Defines the settings; called once, when the library is loaded. */
void
ak_settings_define(void)
{
	/*
	 * A setting that needs a restart can be defined only while the server
	 * starts.  Without preloading such settings have no effect; they exist so
	 * that postgresql.conf may contain them in any case.
	 */
	GucContext	at_start = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	define_key_settings();
	define_usage_settings(at_start);
	define_limit_settings(at_start);
	define_request_settings();
	MarkGUCPrefixReserved("apikeys");
}

/* --- Check and assign hooks ---------------------------------------------- */

static bool
check_token_prefix(char **newval, void **extra, GucSource source)
{
	if (ak_token_prefix_is_valid(*newval))
		return true;
	GUC_check_errdetail("A prefix is a lower-case letter followed by up to %d lower-case letters, digits and underscores, and does not end in an underscore.",
						AK_TOKEN_PREFIX_MAX - 1);
	return false;
}

/*
 * The file is read here, in each process on each reload.  A parallel worker
 * receives its leader's settings, and has the postmaster's peppers already.
 */
static bool
check_pepper_file(char **newval, void **extra, GucSource source)
{
	uint64		load;
	char	   *fault = NULL;

	if (InitializingParallelWorker)
		return true;
	if (!ak_pepper_load(*newval, &load, &fault))
	{
		GUC_check_errdetail("%s", fault);
		pfree(fault);
		return false;
	}
	*extra = ak_guc_malloc(sizeof(load));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &load, sizeof(load));
	return true;
}

static void
assign_pepper_file(const char *newval, void *extra)
{
	if (extra)
		ak_pepper_use(newval, *(uint64 *) extra);
}

static bool
check_api_key_header(char **newval, void **extra, GucSource source)
{
	if (ak_header_name_is_valid(*newval, strlen(*newval)))
		return true;
	GUC_check_errdetail("A header name is 1 to %d letters, digits and characters of !#$%%&'*+-.^_`|~.",
						AK_HEADER_NAME_MAX);
	return false;
}

static bool
check_trusted_proxies(char **newval, void **extra, GucSource source)
{
	struct varlena *list = ak_access_list_parse(*newval);

	if (list)
	{
		*extra = ak_guc_malloc(VARSIZE(list));
		if (*extra == NULL)
			return false;
		memcpy(*extra, list, VARSIZE(list));
		pfree(list);
		return true;
	}
	GUC_check_errdetail("The value must be an access list, written {10.0.0.0/8,2001:db8::/32}.");
	return false;
}

static void
assign_trusted_proxies(const char *newval, void *extra)
{
	trusted_proxies = extra;
}

/* Fills in *proxies as a view of setting apikeys.trusted_proxies. */
void
ak_trusted_proxies_view(AkNetset *proxies)
{
	ak_access_list_view(trusted_proxies, proxies);
}

/* --- Preloading ---------------------------------------------------------- */

bool		ak_is_preloaded = false;

/*
 * Raises 55000 if the library was not preloaded; every function that decides
 * or counts calls it first.  The statement is hidden from the log, because it
 * may contain a secret.
 */
void
ak_require_preload(void)
{
	if (unlikely(!ak_is_preloaded))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("apikeys must be loaded via \"shared_preload_libraries\""),
				 errhint("Add apikeys to shared_preload_libraries, and restart the server."),
				 ak_errid("not_preloaded"),
				 errhidestmt(true),
				 errhidecontext(true)));
}
