/*
 * short_token.c
 *	  Short-lived tokens: what they say, sealed and opened.
 *
 * A token is a PASETO (core/crypto.c) of version 4, purpose local.  Its payload
 * is JSON:
 *
 *		sub		the public key of the key that it stands for
 *		iat		when it was issued, exp: until when it is good (RFC 3339, UTC)
 *		sec		the version of the key's secret that it came from, and sat: when that
 *				was created, since a version that was rolled back, or lost with a
 *				server, is issued again
 *		scope	patterns of scopes with blanks between; absent: any scope
 *		prj		the project that it is good in; absent: anywhere
 *
 * Its footer is {"kid":"<id of a pepper, or 0>"}.  The key that seals it is derived
 * from the random value in table token_key, from that pepper, and from what server
 * and database this is.  So neither who has a pepper nor who has read the tables can
 * make tokens, and another random value ends all.  Without a pepper (0) the random
 * value is all that is secret; so such tokens count only as long as there are none.
 *
 * The text of a token is a secret, and is never told in a message.  What it says
 * is none.
 *
 * Nothing is parsed before it is known to be authentic but the footer, which is
 * compared with the one form that it has.  The payload is read all the same as
 * if anybody had written it: what is not exactly as it is written here makes the
 * token no good, and is never an error.
 */
#include "postgres.h"

#include <ctype.h>

#include "base/base.h"
#include "core/compat.h"
#include "core/crypto.h"
#include "core/scope.h"
#include "store/store.h"
#include "types/types.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

/* What the key of tokens is derived with. */
#define KEY_CONTEXT		"apikeys short-lived tokens 1"

#define FOOTER_START	"{\"kid\":\""
#define FOOTER_END		"\"}"
#define FOOTER_MAX \
	(sizeof(FOOTER_START) + AK_PEPPER_ID_MAX + sizeof(FOOTER_END))

#define UUID_TEXT		"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
#define TIME_TEXT		"dddd-dd-ddTdd:dd:dd.ddddddZ"

/* As in sql/parts/30_tables.sql. */
enum
{
	TOKEN_KEY_KEY = 2
};
enum
{
	SECRET_VERSION = 2,
	SECRET_CREATED_AT = 5
};

PG_FUNCTION_INFO_V1(apikeys_random_key);

static const AkPasetoBytes no_assertion = {NULL, 0};

/* The random key of the database as it was read last. */
static uint8 random_key[AK_PASETO_KEY_SIZE];
static AkRowVersion random_key_version;
static bool has_random_key = false;

/* --- The server's key ------------------------------------------------------- */

/* What a keystore is opened to read, so that tokens can be sealed and opened. */
uint32
ak_short_token_tables(void)
{
	return AK_TABLE_BIT(AK_TOKEN_KEY) | AK_TABLE_BIT(AK_KEY_SECRET);
}

/*
 * The key that tokens are sealed with, from the random key of the database and a
 * pepper, if that is not NULL.  Peppers are those of all databases of a server and of
 * others with the same file, and a copy of a database has the random key of its
 * source: in each of them somebody else says what a public key stands for.  So it is
 * of one database of one server and its standbys.
 */
static void
derive_key(const uint8 secret[AK_PASETO_KEY_SIZE], const AkPepper *pepper,
		   uint8 key[AK_PASETO_KEY_SIZE])
{
	const uint64 system = GetSystemIdentifier();
	AkBlake2b	hash;

	ak_crypto_mac_begin(&hash, secret, AK_PASETO_KEY_SIZE);
	ak_crypto_blake2b_add(&hash, KEY_CONTEXT, strlen(KEY_CONTEXT));
	ak_crypto_blake2b_add(&hash, &system, sizeof(system));
	ak_crypto_blake2b_add(&hash, &MyDatabaseId, sizeof(MyDatabaseId));
	if (pepper)
		ak_crypto_blake2b_add(&hash, pepper->bytes, sizeof(pepper->bytes));
	ak_crypto_mac_end(&hash, key, AK_PASETO_KEY_SIZE);
}

/* random_key(): a new one, for table token_key. */
Datum
apikeys_random_key(PG_FUNCTION_ARGS)
{
	bytea	   *key = palloc(VARHDRSZ + AK_PASETO_KEY_SIZE);

	SET_VARSIZE(key, VARHDRSZ + AK_PASETO_KEY_SIZE);
	ak_crypto_random_bytes(VARDATA(key), AK_PASETO_KEY_SIZE);
	PG_RETURN_BYTEA_P(key);
}

/* Makes random_key what the store sees; false if there is none. */
static bool
read_random_key(AkKeystore *store)
{
	ScanKeyData scan_key;
	AkIndexScan scan;

	if (has_random_key &&
		ak_keystore_sees(store, AK_TOKEN_KEY, &random_key_version))
		return true;
	has_random_key = false;
	ak_index_scan_text_key(&scan_key, cstring_to_text(AK_NO_PEPPER));
	ak_index_scan_open(store->snapshot, AK_TOKEN_KEY, AK_TOKEN_KEY_BY_ID,
					   &scan_key, false, &scan);
	if (ak_index_scan_next_row(&scan))
	{
		bool		isnull;
		bytea	   *stored = DatumGetByteaPP(slot_getattr(scan.slot,
														  TOKEN_KEY_KEY,
														  &isnull));

		has_random_key = VARSIZE_ANY_EXHDR(stored) == AK_PASETO_KEY_SIZE;
		if (has_random_key)
		{
			memcpy(random_key, VARDATA_ANY(stored), AK_PASETO_KEY_SIZE);
			ak_keystore_note_version(store, &scan, &random_key_version);
		}
	}
	ak_index_scan_close(&scan);
	return has_random_key;
}

/*
 * The key of an id; false if there is none that counts.  That without a pepper does
 * only where it is known that there are to be none.
 */
static bool
find_key(AkKeystore *store, const char *id, size_t size,
		 uint8 key[AK_PASETO_KEY_SIZE])
{
	const AkPepper *pepper = NULL;
	bool		counts;

	if (size == strlen(AK_NO_PEPPER) && memcmp(id, AK_NO_PEPPER, size) == 0)
		counts = ak_pepper_current() == NULL && ak_pepper_is_fresh();
	else
	{
		pepper = ak_pepper_find(id, size);
		counts = pepper != NULL;
	}
	if (!counts || !read_random_key(store))
		return false;
	derive_key(random_key, pepper, key);
	return true;
}

/* Where the id of the key stands in a footer; false if it is none of ours. */
static bool
read_footer(const char *footer, size_t size, const char **id, size_t *id_size)
{
	const size_t around = strlen(FOOTER_START) + strlen(FOOTER_END);

	if (size <= around ||
		memcmp(footer, FOOTER_START, strlen(FOOTER_START)) != 0 ||
		memcmp(footer + size - strlen(FOOTER_END), FOOTER_END,
			   strlen(FOOTER_END)) != 0)
		return false;
	*id = footer + strlen(FOOTER_START);
	*id_size = size - around;
	return true;
}

/* --- Values in the payload -------------------------------------------------- */

/* Whether a text has digits where the form has d, hex digits where it has x. */
static bool
has_form(const char *value, const char *form)
{
	for (; *form; form++, value++)
	{
		bool		fits = *value == *form;

		if (*form == 'd')
			fits = *value >= '0' && *value <= '9';
		else if (*form == 'x')
			fits = isxdigit((unsigned char) *value);
		if (!fits)
			return false;
	}
	return *value == '\0';
}

static void
append_time(StringInfo payload, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fraction;

	if (timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp out of range");
	appendStringInfo(payload, "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"",
					 tm.tm_year, tm.tm_mon, tm.tm_mday,
					 tm.tm_hour, tm.tm_min, tm.tm_sec, (int) fraction);
}

/* The number that a text begins with, of six digits at most. */
static int
read_digits(const char *value)
{
	int			number = 0;

	while (isdigit((unsigned char) *value))
		number = number * 10 + (*value++ - '0');
	return number;
}

static bool
read_time(const char *value, TimestampTz *time)
{
	struct pg_tm tm = {0};
	int			fraction;

	if (!has_form(value, TIME_TEXT))
		return false;
	tm.tm_year = read_digits(value);
	tm.tm_mon = read_digits(value + 5);
	tm.tm_mday = read_digits(value + 8);
	tm.tm_hour = read_digits(value + 11);
	tm.tm_min = read_digits(value + 14);
	tm.tm_sec = read_digits(value + 17);
	fraction = read_digits(value + 20);
	return tm.tm_year > 0 && tm.tm_mon >= 1 && tm.tm_mon <= 12 &&
		tm.tm_mday >= 1 && tm.tm_mday <= day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] &&
		tm.tm_hour < 24 && tm.tm_min < 60 && tm.tm_sec < 60 &&
		tm2timestamp(&tm, fraction, NULL, time) == 0;
}

static bool
read_project(const char *value, AkShortToken *token)
{
	char		digits[2 * UUID_LEN + 1];
	int			count = 0;

	if (!has_form(value, UUID_TEXT))
		return false;
	for (; *value; value++)
		if (*value != '-')
			digits[count++] = *value;
	token->has_project = true;
	return ak_crypto_hex_decode(digits, count, token->project.data, UUID_LEN);
}

static bool
read_public_key(const char *value, AkShortToken *token)
{
	size_t		size = strlen(value);

	if (size == 0 || size > AK_PUBLIC_KEY_MAX_SIZE)
		return false;
	token->public_key = cstring_to_text_with_len(value, size);
	return true;
}

/* A number from 1 on. */
static bool
read_version(const char *digits, size_t length, AkShortToken *token)
{
	int64		version = 0;

	if (length == 0 || length > 10)
		return false;
	for (size_t i = 0; i < length; i++)
	{
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		version = version * 10 + (digits[i] - '0');
	}
	token->secret_version = (int32) version;
	return version > 0 && version <= PG_INT32_MAX;
}

/*
 * Narrows the token to patterns with single blanks between them, which stay
 * the caller's and must live as long; false, if these are not 1 to
 * AK_SHORT_TOKEN_SCOPES_MAX patterns.  Allocates in the current memory context.
 */
bool
ak_short_token_set_scopes(AkShortToken *token, char *scopes)
{
	size_t		length = strlen(scopes);
	size_t		offset = 0;
	AkPermissions *patterns = &token->patterns;

	token->scopes = scopes;
	patterns->count = 0;
	patterns->items = palloc(AK_SHORT_TOKEN_SCOPES_MAX * sizeof(AkPermission));
	do
	{
		AkPermission *pattern = &patterns->items[patterns->count];

		if (patterns->count++ == AK_SHORT_TOKEN_SCOPES_MAX)
			return false;
		pattern->length = ak_scope_next(scopes, length, &offset,
										&pattern->text);
		if (!ak_permission_is_valid(pattern->text, pattern->length))
			return false;
	} while (offset <= length);
	return true;
}

/* --- The payload ------------------------------------------------------------ */

/* Public keys, patterns and these times have nothing that JSON would escape. */
static void
write_payload(const AkShortToken *token, StringInfo payload)
{
	appendStringInfo(payload, "{\"sub\":\"%.*s\",\"iat\":",
					 (int) VARSIZE_ANY_EXHDR(token->public_key),
					 VARDATA_ANY(token->public_key));
	append_time(payload, token->issued_at);
	appendStringInfoString(payload, ",\"exp\":");
	append_time(payload, token->expires_at);
	appendStringInfo(payload, ",\"sec\":%d,\"sat\":", token->secret_version);
	append_time(payload, token->secret_created_at);
	if (token->scopes)
		appendStringInfo(payload, ",\"scope\":\"%s\"", token->scopes);
	if (token->has_project)
		appendStringInfo(payload, ",\"prj\":\"%s\"",
						 DatumGetCString(DirectFunctionCall1(uuid_out,
															 UUIDPGetDatum(&token->project))));
	appendStringInfoChar(payload, '}');
}

/* Reads the value of a member, which the lexer is at, once. */
static bool
read_member(const char *name, const JsonLexContext *lexer, AkShortToken *token)
{
	const char *value = lexer->strval->data;

	if (strcmp(name, "sec") == 0)
		return token->secret_version == 0 &&
			lexer->token_type == JSON_TOKEN_NUMBER &&
			read_version(lexer->token_start,
						 lexer->token_terminator - lexer->token_start, token);
	if (lexer->token_type != JSON_TOKEN_STRING)
		return false;
	if (strcmp(name, "sub") == 0)
		return token->public_key == NULL && read_public_key(value, token);
	if (strcmp(name, "iat") == 0)
		return token->issued_at == 0 && read_time(value, &token->issued_at);
	if (strcmp(name, "exp") == 0)
		return token->expires_at == 0 && read_time(value, &token->expires_at);
	if (strcmp(name, "sat") == 0)
		return token->secret_created_at == 0 &&
			read_time(value, &token->secret_created_at);
	if (strcmp(name, "scope") == 0)
		return token->scopes == NULL &&
			ak_short_token_set_scopes(token, pstrdup(value));
	if (strcmp(name, "prj") == 0)
		return !token->has_project && read_project(value, token);
	return false;
}

static bool
next_is(JsonLexContext *lexer, JsonTokenType type)
{
	return json_lex(lexer) == JSON_SUCCESS && lexer->token_type == type;
}

/* Every member must be known: what it would forbid is not to be passed over. */
static bool
read_payload(AkPasetoBytes payload, AkShortToken *token)
{
	JsonLexContext *lexer = ak_json_lexer(unconstify(void *, payload.data),
										  payload.size);

	if (!next_is(lexer, JSON_TOKEN_OBJECT_START))
		return false;
	do
	{
		char	   *name;

		if (!next_is(lexer, JSON_TOKEN_STRING))
			return false;
		name = pstrdup(lexer->strval->data);
		if (!next_is(lexer, JSON_TOKEN_COLON) ||
			json_lex(lexer) != JSON_SUCCESS ||
			!read_member(name, lexer, token))
			return false;
	} while (next_is(lexer, JSON_TOKEN_COMMA));
	return lexer->token_type == JSON_TOKEN_OBJECT_END &&
		next_is(lexer, JSON_TOKEN_END) &&
		token->public_key && token->issued_at && token->expires_at &&
		token->secret_version && token->secret_created_at;
}

/* --- The secret that a token came from --------------------------------------- */

/*
 * Whether the secret of the version that the token names is the one that it came
 * from.  The store was opened with ak_short_token_tables().
 */
bool
ak_short_token_knows_secret(AkKeystore *store, const AkShortToken *token)
{
	ScanKeyData keys[2];
	AkIndexScan scan;
	bool		isnull;
	bool		is_known;

	ak_index_scan_text_key(&keys[0], token->public_key);
	ScanKeyInit(&keys[1], SECRET_VERSION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(token->secret_version));
	ak_index_scan_open_for(store->snapshot, AK_KEY_SECRET, AK_KEY_SECRET_BY_KEY,
						   keys, lengthof(keys), &scan);
	is_known = ak_index_scan_next_row(&scan) &&
		DatumGetTimestampTz(slot_getattr(scan.slot, SECRET_CREATED_AT,
										 &isnull)) == token->secret_created_at;
	ak_index_scan_close(&scan);
	return is_known;
}

/* --- Tokens ----------------------------------------------------------------- */

/*
 * The text of a token, palloc'd, with a nonce that is made for it.  The store was
 * opened with ak_short_token_tables().  Raises 54000 if it would be too long,
 * 55000 if the server has no key for it.
 */
text *
ak_short_token_seal(AkKeystore *store, AkShortToken *token)
{
	uint8		key[AK_PASETO_KEY_SIZE];
	const AkPepper *pepper;
	char		id[AK_PEPPER_ID_MAX + 1];
	char		footer[FOOTER_MAX];
	StringInfoData payload;
	uint8	   *work;
	char	   *sealed;
	size_t		length;

	initStringInfo(&payload);
	write_payload(token, &payload);
	pepper = ak_pepper_demand();
	/* A copy: find_key() may read the peppers again. */
	strlcpy(id, pepper ? pepper->id : AK_NO_PEPPER, sizeof(id));
	length = snprintf(footer, sizeof(footer), FOOTER_START "%s" FOOTER_END, id);
	if (AK_PASETO_TEXT_SIZE(payload.len, length) > AK_SHORT_TOKEN_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("token would be longer than %d bytes",
						AK_SHORT_TOKEN_MAX),
				 errhint("Name fewer or shorter patterns of scopes."),
				 ak_errid("token_too_long")));
	if (!find_key(store, id, strlen(id), key))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no key to make tokens with"),
				 errhint("apikeys.renew_token_key() puts back the row of table apikeys.token_key."),
				 ak_errid("token_key_missing")));
	work = palloc(AK_PASETO_NONCE_SIZE + payload.len + AK_PASETO_TAG_SIZE);
	sealed = palloc(AK_PASETO_TEXT_SIZE(payload.len, length));
	ak_crypto_random_bytes(token->nonce, sizeof(token->nonce));
	length = ak_paseto_seal(key, token->nonce,
							(AkPasetoBytes) {payload.data, payload.len},
							(AkPasetoBytes) {footer, length},
							no_assertion, work, sealed);
	ak_crypto_wipe(key, sizeof(key));
	return cstring_to_text_with_len(sealed, length);
}

/*
 * Opens the text of a token, and fills in what it says, in the current memory
 * context; false, and nothing of use there, if it is not authentic.  It can have
 * expired.  The store was opened with ak_short_token_tables().
 */
bool
ak_short_token_open(AkKeystore *store, const char *sealed, size_t length,
					AkShortToken *token)
{
	uint8		key[AK_PASETO_KEY_SIZE];
	uint8		work[AK_SHORT_TOKEN_MAX];
	char		footer[FOOTER_MAX];
	const char *id;
	size_t		size;
	size_t		id_size;
	AkPasetoBytes payload;
	bool		is_authentic;

	memset(token, 0, sizeof(*token));
	if (length > AK_SHORT_TOKEN_MAX ||
		!ak_paseto_footer(sealed, length, (uint8 *) footer, sizeof(footer),
						  &size) ||
		!read_footer(footer, size, &id, &id_size) ||
		!find_key(store, id, id_size, key))
		return false;
	is_authentic = ak_paseto_open(key, sealed, length,
								  (AkPasetoBytes) {footer, size},
								  no_assertion, work, sizeof(work), &payload);
	ak_crypto_wipe(key, sizeof(key));
	if (!is_authentic)
		return false;
	memcpy(token->nonce, work, sizeof(token->nonce));
	return read_payload(payload, token);
}

/* A copy in the current memory context. */
AkShortToken *
ak_short_token_copy(const AkShortToken *token)
{
	AkShortToken *copy = palloc(sizeof(AkShortToken));

	*copy = *token;
	copy->public_key = cstring_to_text_with_len(VARDATA_ANY(token->public_key),
												VARSIZE_ANY_EXHDR(token->public_key));
	if (token->scopes)
		(void) ak_short_token_set_scopes(copy, pstrdup(token->scopes));
	return copy;
}
