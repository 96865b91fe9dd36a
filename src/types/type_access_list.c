/*
 * type_access_list.c
 *	  The SQL interface of type apikeys.access_list: a netset in a varlena.
 *
 * A stored list is the number of its IPv4 networks, followed by the packed
 * entries of netset.h; the number of IPv6 networks follows from the size.
 * Nothing in it is aligned, so that short headers need no copy.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/netset.h"
#include "types/types.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(apikeys_is_access_list);
PG_FUNCTION_INFO_V1(apikeys_access_list_in);
PG_FUNCTION_INFO_V1(apikeys_access_list_out);
PG_FUNCTION_INFO_V1(apikeys_access_list_recv);
PG_FUNCTION_INFO_V1(apikeys_access_list_send);
PG_FUNCTION_INFO_V1(apikeys_access_list_contains);
PG_FUNCTION_INFO_V1(apikeys_access_list_contained);
PG_FUNCTION_INFO_V1(apikeys_access_list_add);
PG_FUNCTION_INFO_V1(apikeys_access_list_remove);
PG_FUNCTION_INFO_V1(apikeys_access_list_without);
PG_FUNCTION_INFO_V1(apikeys_access_list_eq);
PG_FUNCTION_INFO_V1(apikeys_access_list_ne);
PG_FUNCTION_INFO_V1(apikeys_access_list_hash);
PG_FUNCTION_INFO_V1(apikeys_access_list_hash_extended);
PG_FUNCTION_INFO_V1(apikeys_access_list);
PG_FUNCTION_INFO_V1(apikeys_networks_array);
PG_FUNCTION_INFO_V1(apikeys_networks);
PG_FUNCTION_INFO_V1(apikeys_matching_network);
PG_FUNCTION_INFO_V1(apikeys_cardinality);

/* --- Lists, networks and PostgreSQL's inet ------------------------------- */

/* Returns the network or the address of an inet or cidr value. */
void
ak_network_from_inet(const inet *value, AkNetwork *network)
{
	memset(network, 0, sizeof(*network));
	network->family = ip_family(value) == PGSQL_AF_INET ? 4 : 6;
	network->prefix = ip_bits(value);
	memcpy(network->address, ip_addr(value), ip_addrsize(value));
	ak_network_normalize(network);
}

/*
 * Reads an address as a client sends it (ak_address_parse()). Raises 22P02 for
 * anything else.  The text is not quoted, and statement and context are hidden
 * from the log, because they may contain a secret.
 */
void
ak_network_from_text(const text *candidate, AkNetwork *address)
{
	if (!ak_address_parse(VARDATA_ANY(candidate), VARSIZE_ANY_EXHDR(candidate),
						  address))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid address"),
				 errdetail("An address is a single IPv4 or IPv6 address."),
				 ak_errid("invalid_address"),
				 errhidestmt(true),
				 errhidecontext(true)));
}

/* Makes an inet, which is also a cidr if no host bits are set; palloc'd. */
inet *
ak_network_to_inet(const AkNetwork *network)
{
	inet	   *value = palloc0(sizeof(inet));

	ip_family(value) = network->family == 4 ? PGSQL_AF_INET : PGSQL_AF_INET6;
	ip_bits(value) = network->prefix;
	memcpy(ip_addr(value), network->address, ip_addrsize(value));
	SET_INET_VARSIZE(value);
	return value;
}

static void
get_list_argument(FunctionCallInfo fcinfo, int argument, AkNetset *set)
{
	ak_access_list_view(PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(argument)),
						set);
}

static size_t
count_networks(const AkNetset *set)
{
	return set->count4 + set->count6;
}

/*
 * Makes a list of networks in any order, with or without duplicates; palloc'd.
 */
static struct varlena *
make_list(AkNetwork *networks, size_t count)
{
	size_t		unique = ak_netset_sort(networks, count);
	size_t		count4 = 0;
	size_t		size;
	struct varlena *list;
	uint32		stored_count4;

	while (count4 < unique && networks[count4].family == 4)
		count4++;
	size = VARHDRSZ + AK_ACCESS_LIST_COUNT_SIZE + ak_netset_size(count4, unique - count4);
	list = palloc(size);
	SET_VARSIZE(list, size);
	ak_netset_pack(networks, unique,
				   (uint8 *) VARDATA(list) + AK_ACCESS_LIST_COUNT_SIZE, &count4);
	stored_count4 = count4;
	memcpy(VARDATA(list), &stored_count4, AK_ACCESS_LIST_COUNT_SIZE);
	return list;
}

/* Returns the networks of a set, palloc'd, with room for more. */
static AkNetwork *
unpack_networks(const AkNetset *set, size_t more)
{
	size_t		count = count_networks(set);
	AkNetwork  *networks = palloc((count + more) * sizeof(AkNetwork));

	for (size_t i = 0; i < count; i++)
		ak_netset_get(set, i, &networks[i]);
	return networks;
}

/* --- Text and binary form ------------------------------------------------ */

/*
 * Returns the list of a text as a plain varlena, palloc'd, or NULL if the text
 * is malformed.  Raises nothing except out of memory.
 */
struct varlena *
ak_access_list_parse(const char *text)
{
	AkNetwork  *networks;
	size_t		count;
	AkListFault fault;

	return ak_list_parse(text, &networks, &count, &fault) ?
		make_list(networks, count) : NULL;
}

Datum
apikeys_access_list_in(PG_FUNCTION_ARGS)
{
	AkNetwork  *networks;
	size_t		count;
	AkListFault fault;

	if (!ak_list_parse(PG_GETARG_CSTRING(0), &networks, &count, &fault))
	{
		ak_list_report(fcinfo->context, &fault);
		PG_RETURN_NULL();
	}
	PG_RETURN_POINTER(make_list(networks, count));
}

Datum
apikeys_is_access_list(PG_FUNCTION_ARGS)
{
	AkNetwork  *networks;
	size_t		count;
	AkListFault fault;

	PG_RETURN_BOOL(ak_list_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)),
								 &networks, &count, &fault));
}

Datum
apikeys_access_list_out(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	StringInfoData text;

	get_list_argument(fcinfo, 0, &set);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	for (size_t i = 0; i < count_networks(&set); i++)
	{
		AkNetwork	network;
		char		entry[AK_NETWORK_TEXT_SIZE];

		ak_netset_get(&set, i, &network);
		ak_network_format(&network, entry);
		if (i > 0)
			appendStringInfoChar(&text, ',');
		appendStringInfoString(&text, entry);
	}
	appendStringInfoChar(&text, '}');
	PG_RETURN_CSTRING(text.data);
}

/*
 * The binary form: the number of networks (4 bytes), then for each the family
 * (4 or 6), the prefix length, and the 4 or 16 bytes of the address.
 */
Datum
apikeys_access_list_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	uint32		count = pq_getmsgint(message, 4);
	AkNetwork  *networks;

	if (count > AK_ACCESS_LIST_MAX)
		ak_list_report_too_long(NULL);
	/*
	 * An entry has at least 6 bytes: do not allocate more than the message
	 * holds.
	 */
	if (count > (message->len - message->cursor) / 6)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("insufficient data left in access list"),
				 ak_errid("invalid_access_list")));

	networks = palloc0(count * sizeof(AkNetwork));
	for (uint32 i = 0; i < count; i++)
	{
		AkNetwork  *network = &networks[i];

		network->family = pq_getmsgbyte(message);
		network->prefix = pq_getmsgbyte(message);
		if (network->family == 4 || network->family == 6)
			pq_copymsgbytes(message, (char *) network->address,
							network->family == 4 ? 4 : 16);
		if (ak_network_check(network) != AK_NETWORK_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("entry %u of access list is not a network", i + 1),
					 ak_errid("invalid_access_list")));
		ak_network_normalize(network);
	}
	PG_RETURN_POINTER(make_list(networks, count));
}

Datum
apikeys_access_list_send(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	StringInfoData message;

	get_list_argument(fcinfo, 0, &set);
	pq_begintypsend(&message);
	pq_sendint32(&message, count_networks(&set));
	for (size_t i = 0; i < count_networks(&set); i++)
	{
		AkNetwork	network;

		ak_netset_get(&set, i, &network);
		pq_sendbyte(&message, network.family);
		pq_sendbyte(&message, network.prefix);
		pq_sendbytes(&message, (char *) network.address,
					 network.family == 4 ? 4 : 16);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

/* --- Operators ----------------------------------------------------------- */

/* Returns the network of a list that contains an address. */
static bool
find_network(FunctionCallInfo fcinfo, int list, int address, AkNetwork *match)
{
	AkListReader reader;
	AkNetset	set;
	AkNetwork	network;
	bool		found;

	ak_network_from_inet(PG_GETARG_INET_PP(address), &network);
	ak_list_open((struct varlena *) PG_GETARG_POINTER(list),
				 InvalidTransactionId, &reader, &set);
	found = ak_netset_find(&set, &network, match);
	ak_list_close(&reader);
	return found;
}

Datum
apikeys_access_list_contains(PG_FUNCTION_ARGS)
{
	AkNetwork	match;

	PG_RETURN_BOOL(find_network(fcinfo, 0, 1, &match));
}

Datum
apikeys_access_list_contained(PG_FUNCTION_ARGS)
{
	AkNetwork	match;

	PG_RETURN_BOOL(find_network(fcinfo, 1, 0, &match));
}

Datum
apikeys_matching_network(PG_FUNCTION_ARGS)
{
	AkNetwork	match;

	if (!find_network(fcinfo, 0, 1, &match))
		PG_RETURN_NULL();
	PG_RETURN_INET_P(ak_network_to_inet(&match));
}

Datum
apikeys_access_list_add(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	AkNetwork  *networks;
	size_t		count;

	get_list_argument(fcinfo, 0, &set);
	count = count_networks(&set);
	networks = unpack_networks(&set, 1);
	ak_network_from_inet(PG_GETARG_INET_PP(1), &networks[count]);
	if (count >= AK_ACCESS_LIST_MAX &&
		!ak_netset_contains_entry(&set, &networks[count]))
		ak_list_report_too_long(NULL);
	PG_RETURN_POINTER(make_list(networks, count + 1));
}

Datum
apikeys_access_list_remove(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	AkNetwork	removed;
	AkNetwork  *networks;
	size_t		count;
	size_t		kept = 0;

	get_list_argument(fcinfo, 0, &set);
	count = count_networks(&set);
	networks = unpack_networks(&set, 0);
	ak_network_from_inet(PG_GETARG_INET_PP(1), &removed);
	for (size_t i = 0; i < count; i++)
		if (ak_network_compare(&networks[i], &removed) != 0)
			networks[kept++] = networks[i];
	PG_RETURN_POINTER(make_list(networks, kept));
}

/* The entries of the first list that the second one lacks. */
Datum
apikeys_access_list_without(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	AkNetset	other;
	AkNetwork  *networks;
	size_t		count;
	size_t		kept = 0;

	get_list_argument(fcinfo, 0, &set);
	get_list_argument(fcinfo, 1, &other);
	count = count_networks(&set);
	networks = unpack_networks(&set, 0);
	for (size_t i = 0; i < count; i++)
	{
		if (i % 10000 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!ak_netset_contains_entry(&other, &networks[i]))
			networks[kept++] = networks[i];
	}
	PG_RETURN_POINTER(make_list(networks, kept));
}

/* Checks whether two lists, arguments 0 and 1, have the same entries. */
static bool
lists_are_equal(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));
	struct varlena *b = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));

	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

Datum
apikeys_access_list_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lists_are_equal(fcinfo));
}

Datum
apikeys_access_list_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!lists_are_equal(fcinfo));
}

Datum
apikeys_access_list_hash(PG_FUNCTION_ARGS)
{
	struct varlena *list = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	return hash_any((unsigned char *) VARDATA_ANY(list),
					VARSIZE_ANY_EXHDR(list));
}

Datum
apikeys_access_list_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *list = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	return hash_any_extended((unsigned char *) VARDATA_ANY(list),
							 VARSIZE_ANY_EXHDR(list), PG_GETARG_INT64(1));
}

/* --- Arrays and sets ----------------------------------------------------- */

Datum
apikeys_access_list(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	AkNetwork  *networks;

	deconstruct_array(array, CIDROID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	if (count > AK_ACCESS_LIST_MAX)
		ak_list_report_too_long(NULL);
	networks = palloc(count * sizeof(AkNetwork));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a network must not be null"),
					 ak_errid("null_argument")));
		ak_network_from_inet(DatumGetInetPP(elements[i]), &networks[i]);
	}
	PG_RETURN_POINTER(make_list(networks, count));
}

Datum
apikeys_networks_array(PG_FUNCTION_ARGS)
{
	AkNetset	set;
	size_t		count;
	Datum	   *elements;

	get_list_argument(fcinfo, 0, &set);
	count = count_networks(&set);
	elements = palloc(count * sizeof(Datum));
	for (size_t i = 0; i < count; i++)
	{
		AkNetwork	network;

		ak_netset_get(&set, i, &network);
		elements[i] = InetPGetDatum(ak_network_to_inet(&network));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, count, CIDROID,
										  -1, false, TYPALIGN_INT));
}

Datum
apikeys_networks(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	AkNetset   *set;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		set = palloc(sizeof(AkNetset));
		ak_access_list_view(PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0)), set);
		call->user_fctx = set;
		call->max_calls = count_networks(set);
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	set = call->user_fctx;
	if (call->call_cntr < call->max_calls)
	{
		AkNetwork	network;

		ak_netset_get(set, call->call_cntr, &network);
		SRF_RETURN_NEXT(call, InetPGetDatum(ak_network_to_inet(&network)));
	}
	SRF_RETURN_DONE(call);
}

Datum
apikeys_cardinality(PG_FUNCTION_ARGS)
{
	AkNetset	set;

	get_list_argument(fcinfo, 0, &set);
	PG_RETURN_INT32(count_networks(&set));
}
