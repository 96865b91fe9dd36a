/*
 * test_nonce_cell.c
 *	  Unit tests of src/core/counting.c.
 */
#include "core/counting.h"
#include "tap.h"

static bool
is_taken(AkNonceBucket *bucket, uint64_t mark, int64_t issued_at, uint32_t count)
{
	return ak_nonce_take(bucket, mark, issued_at, count) == AK_NONCE_TAKEN;
}

static void
test_counts(void)
{
	AkNonceBucket bucket = {0};
	bool		all = true;

	CHECK(is_taken(&bucket, 1, 10, 1) && !is_taken(&bucket, 1, 10, 1),
		  "the first, once");
	CHECK(is_taken(&bucket, 1, 10, 4) && is_taken(&bucket, 1, 10, 3) &&
		  is_taken(&bucket, 1, 10, 2) && !is_taken(&bucket, 1, 10, 3),
		  "in another order");
	CHECK(is_taken(&bucket, 2, 10, 1), "another nonce of the same moment");
	CHECK(is_taken(&bucket, 1, 10, 1000) &&
		  ak_nonce_take(&bucket, 1, 10, 1000) == AK_NONCE_USED_BEFORE &&
		  is_taken(&bucket, 1, 10, 937) &&
		  ak_nonce_take(&bucket, 1, 10, 936) == AK_NONCE_FORGOTTEN,
		  "what is too far below the highest is not known");
	CHECK(is_taken(&bucket, 1, 10, UINT32_MAX) &&
		  !is_taken(&bucket, 1, 10, UINT32_MAX) &&
		  is_taken(&bucket, 1, 10, UINT32_MAX - 63), "the highest count");
	for (uint32_t count = 1; count <= 1000; count++)
		all &= is_taken(&bucket, 3, 11, count) && !is_taken(&bucket, 3, 11, count);
	CHECK(all, "one after the other");
}

/* Whatever comes, no request is taken twice. */
static void
test_never_twice(void)
{
	static uint8_t taken[200][200];
	AkNonceBucket bucket = {0};
	int			twice = 0;
	int			total = 0;

	for (int i = 0; i < 200000; i++)
	{
		uint32_t	nonce = tap_random(200);
		uint32_t	count = tap_random(200);

		/* Nonces come later and later, and some are old. */
		if (nonce > (uint32_t) i / 500)
			continue;
		if (is_taken(&bucket, nonce + 1, 1 + nonce / 3, count + 1))
		{
			total++;
			twice += taken[nonce][count]++;
		}
	}
	CHECK(twice == 0, "nothing twice");
	CHECK(total > 1000, "and much once");
}

static void
test_crowd(void)
{
	AkNonceBucket bucket = {0};
	bool		all = true;

	for (int i = 1; i <= AK_NONCE_CELLS; i++)
		all &= is_taken(&bucket, i, 10 + i, 1);
	CHECK(all, "as many as there are cells");
	CHECK(ak_nonce_take(&bucket, 99, 10, 1) == AK_NONCE_FORGOTTEN,
		  "one that is older than all is not taken");
	CHECK(is_taken(&bucket, 100, 50, 1), "a newer one takes the place of the oldest");
	CHECK(ak_nonce_take(&bucket, 1, 11, 1) == AK_NONCE_FORGOTTEN &&
		  ak_nonce_take(&bucket, 1, 11, 2) == AK_NONCE_FORGOTTEN,
		  "which is taken no more");
	CHECK(ak_nonce_take(&bucket, 2, 12, 1) == AK_NONCE_USED_BEFORE &&
		  is_taken(&bucket, 2, 12, 2), "the others stay");
}

int
main(void)
{
	test_counts();
	test_never_twice();
	test_crowd();
	return tap_done();
}
