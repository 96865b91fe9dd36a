/*
 * image.h
 *	  The image of a key: all that a decision asks of it, in one row of table
 *	  key_image, read where it lies.
 */
#ifndef AK_IMAGE_H
#define AK_IMAGE_H

#include "postgres.h"

#include "core/packed_array.h"

#include "port/pg_bswap.h"
#include "access/htup.h"
#include "datatype/timestamp.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

/*
 * Lists and arrays point into the row, or, where they were compressed or out
 * of line, into the memory context that was current; access_list is left as
 * it is stored, and may be either.
 */
typedef struct AkImage
{
	TransactionId writer;		/* who wrote the row */
	pg_uuid_t	organization_id;
	bool		disabled;
	TimestampTz created_at;
	TimestampTz expires_at;
	struct varlena *access_list;
	AkPackedArray secrets;		/* stored secret hashes */
	AkPackedArray secret_expirations;	/* one for each; TimestampTz */
	const char *secret_versions;	/* one for each; ak_image_secret_version() */
	AkPackedArray organization_roles;	/* names */
	AkPackedArray project_roles;	/* one for each of projects; names */
	AkPackedArray projects;		/* pg_uuid_t */
	pg_uuid_t	limits_id;		/* what was spent of limits is known by it */
	AkBytes		limits;			/* its own limits; ak_limit_next() */
} AkImage;

/* The version of the secret at an index below the number of secrets. */
static inline int32
ak_image_secret_version(const AkImage *image, int index)
{
	uint32		version;

	memcpy(&version, image->secret_versions + index * sizeof(version),
		   sizeof(version));
	return (int32) pg_ntoh32(version);
}

extern bool ak_image_try(Relation table, HeapTuple row, AkImage *image);
extern void ak_image_read(Relation table, HeapTuple row, AkImage *image);

#endif							/* AK_IMAGE_H */
