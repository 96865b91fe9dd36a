/*
 * clock.h
 *	  The time for timers, which nobody can set, and that of the calendar.
 */
#ifndef AK_CLOCK_H
#define AK_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since some moment; the same in all processes of a machine. */
static inline int64_t
ak_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The same in milliseconds. */
static inline int64_t
ak_clock_ms(void)
{
	return ak_clock_us() / 1000;
}

/* The time of the calendar, in microseconds since 2000-01-01 00:00:00 UTC. */
static inline int64_t
ak_clock_calendar(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((int64_t) now.tv_sec - INT64_C(946684800)) * 1000000 +
		now.tv_nsec / 1000;
}

#endif							/* AK_CLOCK_H */
