/*
 * limit_image.c
 *	  Limits of keys and organizations, as the tables say: rates and quotas.
 *
 * Each row of tables key_limit and organization_limit has an image, some bytes
 * that decisions read: kind and id, three numbers and a pattern.  The images of
 * a key's limits stand one after the other in the key's image.
 */
#include "postgres.h"

#include "core/compat.h"
#include "store/store.h"

#include "common/int.h"
#include "datatype/timestamp.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* Kind, id, three numbers, and the length of the pattern that follows. */
#define FIXED_SIZE	(1 + UUID_LEN + 3 * sizeof(int64) + sizeof(uint16))

PG_FUNCTION_INFO_V1(apikeys_interval_length);
PG_FUNCTION_INFO_V1(apikeys_is_rate);
PG_FUNCTION_INFO_V1(apikeys_limit_image);

/* --- Reading -------------------------------------------------------------- */

/*
 * Reads a limit of those from *image to end, and moves *image behind it; false
 * if what is there is no limit.
 */
bool
ak_limit_next(const char **image, const char *end, AkLimit *limit)
{
	const char *bytes = *image;
	uint16		length;
	uint64		number;
	int64		numbers[3];

	if (end - bytes < (ptrdiff_t) FIXED_SIZE)
		return false;
	limit->kind = (unsigned char) *bytes++;
	/* An id is random: half of it is as good. */
	memcpy(&limit->id, bytes, sizeof(limit->id));
	bytes += UUID_LEN;
	for (int i = 0; i < lengthof(numbers); i++, bytes += sizeof(number))
	{
		memcpy(&number, bytes, sizeof(number));
		numbers[i] = (int64) pg_ntoh64(number);
	}
	memcpy(&length, bytes, sizeof(length));
	bytes += sizeof(length);
	limit->scope_length = pg_ntoh16(length);
	limit->scope = bytes;
	if (end - bytes < limit->scope_length)
		return false;
	*image = bytes + limit->scope_length;
	if (limit->kind == AK_LIMIT_QUOTA)
	{
		limit->period = (AkPeriod) numbers[0];
		limit->amount = numbers[1];
		return numbers[0] >= 0 && numbers[0] < AK_PERIOD_COUNT &&
			limit->amount >= 0;
	}
	limit->rate.requests = numbers[0];
	limit->rate.period = numbers[1];
	limit->rate.burst = numbers[2];
	return (limit->kind == AK_LIMIT_RATE || limit->kind == AK_LIMIT_EACH_KEY) &&
		ak_rate_is_valid(&limit->rate);
}

/* --- For SQL -------------------------------------------------------------- */

/* Whether an interval has one length, in microseconds: no months, and finite. */
static bool
get_length(const Interval *interval, int64 *length)
{
	return interval->month == 0 &&
		!pg_mul_s64_overflow(interval->day, USECS_PER_DAY, length) &&
		!pg_add_s64_overflow(*length, interval->time, length);
}

/* Returns an interval of so many microseconds, without days; palloc'd. */
Datum
ak_limit_interval(int64 length)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = length;
	return IntervalPGetDatum(interval);
}

/* interval_length(per): NULL if it has none. */
Datum
apikeys_interval_length(PG_FUNCTION_ARGS)
{
	int64		length;

	if (!get_length(PG_GETARG_INTERVAL_P(0), &length))
		PG_RETURN_NULL();
	PG_RETURN_INT64(length);
}

/* is_rate(requests, per, burst) */
Datum
apikeys_is_rate(PG_FUNCTION_ARGS)
{
	AkRate		rate = {.requests = PG_GETARG_INT64(0),.burst = PG_GETARG_INT64(2)};
	int64		length;

	if (!get_length(PG_GETARG_INTERVAL_P(1), &length))
		PG_RETURN_BOOL(false);
	rate.period = length;
	PG_RETURN_BOOL(ak_rate_is_valid(&rate));
}

static void
send_number(FunctionCallInfo fcinfo, int argument, StringInfo image)
{
	pq_sendint64(image, PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT64(argument));
}

/*
 * limit_image(kind text, scope text, id uuid, requests bigint, per interval,
 * burst bigint, amount bigint): called before the row's constraints are checked,
 * so that anything may be NULL.
 */
Datum
apikeys_limit_image(PG_FUNCTION_ARGS)
{
	text	   *kind;
	StringInfoData image;
	AkPeriod	period;
	int64		length = 0;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	kind = PG_GETARG_TEXT_PP(0);
	pq_begintypsend(&image);
	if (ak_period_parse(VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind), &period))
	{
		pq_sendbyte(&image, AK_LIMIT_QUOTA);
		pq_sendbytes(&image, (char *) PG_GETARG_UUID_P(2), UUID_LEN);
		pq_sendint64(&image, period);
		send_number(fcinfo, 6, &image);
		pq_sendint64(&image, 0);
	}
	else
	{
		if (!PG_ARGISNULL(4))
			(void) get_length(PG_GETARG_INTERVAL_P(4), &length);
		pq_sendbyte(&image, VARSIZE_ANY_EXHDR(kind) == strlen("each_key") ?
					AK_LIMIT_EACH_KEY : AK_LIMIT_RATE);
		pq_sendbytes(&image, (char *) PG_GETARG_UUID_P(2), UUID_LEN);
		send_number(fcinfo, 3, &image);
		pq_sendint64(&image, length);
		send_number(fcinfo, 5, &image);
	}
	if (PG_ARGISNULL(1))
		pq_sendint16(&image, 0);
	else
	{
		text	   *scope = PG_GETARG_TEXT_PP(1);

		pq_sendint16(&image, VARSIZE_ANY_EXHDR(scope));
		pq_sendbytes(&image, VARDATA_ANY(scope), VARSIZE_ANY_EXHDR(scope));
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&image));
}
