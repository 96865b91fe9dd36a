/*
 * address.c
 *	  Where clients are: the address of the connection, and addresses that are
 *	  arguments.
 */
#include "postgres.h"

#include "base/base.h"
#include "core/compat.h"
#include "identity/identity.h"
#include "types/types.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The client address of this connection; false for a Unix-domain socket. */
bool
ak_identity_peer(AkNetwork *address)
{
	LOCAL_FCINFO(call, 0);
	Datum		peer;

	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	peer = inet_client_addr(call);
	if (call->isnull)
		return false;
	ak_network_from_inet(DatumGetInetPP(peer), address);
	return true;
}

/*
 * Reads an argument that is an address, an inet or a text, into *address, and
 * returns that; NULL if it is NULL.
 */
const AkNetwork *
ak_identity_address_argument(FunctionCallInfo fcinfo, int argument,
							 bool is_text, AkNetwork *address)
{
	if (PG_ARGISNULL(argument))
		return NULL;
	if (is_text)
		ak_network_from_text(PG_GETARG_TEXT_PP(argument), address);
	else
		ak_network_from_inet(PG_GETARG_INET_PP(argument), address);
	return address;
}
