/*
 * clock.h
 *	  A clock for timers, which cannot be set.
 */
#ifndef AK_CLOCK_H
#define AK_CLOCK_H

#include <stdint.h>
#include <time.h>

/*
 * Milliseconds since an arbitrary moment; the same in all processes of a
 * machine.
 */
static inline int64_t
ak_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif							/* AK_CLOCK_H */
