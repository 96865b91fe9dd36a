/*
 * faults.c
 *	  A slow disk, and a clock that somebody moves, for tests: to be preloaded
 *	  into the server (LD_PRELOAD).
 *
 * The file AK_TEST_FAULTS holds three 64-bit numbers, in microseconds: what is
 * added to the time of the calendar, how long each flush to the disk takes, and
 * how long each write.  It is read at each call, so a change counts for all
 * processes at once.  The monotonic clock is left alone: setting a machine's
 * clock does not change it.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum
{
	OFFSET,
	FLUSH,
	WRITE,
	COUNT
};

static const volatile int64_t *faults;

static void __attribute__((constructor))
init(void)
{
	const char *path = getenv("AK_TEST_FAULTS");
	int			file = path ? open(path, O_RDONLY) : -1;

	if (file < 0)
		return;
	faults = mmap(NULL, COUNT * sizeof(int64_t), PROT_READ, MAP_SHARED, file,
				  0);
	if (faults == MAP_FAILED)
		faults = NULL;
	close(file);
}

/* The function of that name that would be called without this library. */
static void *
real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static int64_t
fault(int which)
{
	return faults ? faults[which] : 0;
}

/* --- The disk --------------------------------------------------------------- */

/* A disk does not care for signals. */
static void
delay(int which)
{
	int64_t		us = fault(which);
	struct timespec left = {us / 1000000, us % 1000000 * 1000};
	int			error = errno;

	while (us > 0 && nanosleep(&left, &left) != 0)
		;
	errno = error;
}

int
fsync(int file)
{
	static int	(*next) (int);

	if (next == NULL)
		next = real("fsync");
	delay(FLUSH);
	return next(file);
}

int
fdatasync(int file)
{
	static int	(*next) (int);

	if (next == NULL)
		next = real("fdatasync");
	delay(FLUSH);
	return next(file);
}

ssize_t
pwrite(int file, const void *data, size_t size, off_t place)
{
	static ssize_t (*next) (int, const void *, size_t, off_t);

	if (next == NULL)
		next = real("pwrite");
	delay(WRITE);
	return next(file, data, size, place);
}

ssize_t
pwrite64(int file, const void *data, size_t size, off64_t place)
{
	static ssize_t (*next) (int, const void *, size_t, off64_t);

	if (next == NULL)
		next = real("pwrite64");
	delay(WRITE);
	return next(file, data, size, place);
}

ssize_t
pwritev(int file, const struct iovec *parts, int count, off_t place)
{
	static ssize_t (*next) (int, const struct iovec *, int, off_t);

	if (next == NULL)
		next = real("pwritev");
	delay(WRITE);
	return next(file, parts, count, place);
}

/* --- The clock -------------------------------------------------------------- */

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int	(*next) (clockid_t, struct timespec *);
	int			result;

	if (next == NULL)
		next = real("clock_gettime");
	result = next(clock, now);
	if (result == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += fault(OFFSET) / 1000000;
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	static int	(*next) (struct timeval *restrict, void *restrict);
	int			result;

	if (next == NULL)
		next = real("gettimeofday");
	result = next(now, zone);
	if (result == 0)
		now->tv_sec += fault(OFFSET) / 1000000;
	return result;
}

time_t
time(time_t *stored)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (stored)
		*stored = now.tv_sec;
	return now.tv_sec;
}
