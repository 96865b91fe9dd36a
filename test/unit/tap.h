/*
 * tap.h
 *	  The least that a unit test needs to speak TAP.
 *
 * Include it once per test program.  CHECK() reports one assertion; a loop of
 * many assertions counts its failures and reports them as one with CHECK().
 */
#ifndef AK_TEST_TAP_H
#define AK_TEST_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int	tap_count;
static int	tap_failures;

#define CHECK(condition, name) \
	tap_check((condition), (name), #condition, __FILE__, __LINE__)

static void
tap_check(bool passed, const char *name, const char *condition,
		  const char *file, int line)
{
	printf("%sok %d - %s\n", passed ? "" : "not ", ++tap_count, name);
	if (!passed)
	{
		tap_failures++;
		printf("# %s:%d: %s\n", file, line, condition);
	}
}

/*
 * Print the plan; returns the exit status.
 */
static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures == 0 ? 0 : 1;
}

/*
 * The next of a fixed sequence of numbers (xorshift64*), the same on every
 * machine, less than "limit".
 */
static inline uint32_t
tap_random(uint32_t limit)
{
	static uint64_t state = UINT64_C(0x9E3779B97F4A7C15);

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t) ((state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % limit;
}

#endif							/* AK_TEST_TAP_H */
