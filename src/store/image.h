/*
 * image.h
 *	  The image of a key: everything a decision reads of it, in one row of
 *	  table key_image, read in place.
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
 * An image is read in parts: first the columns that prove a key; for a proved
 * key the rest; and the roles in projects only if they are needed.  So the
 * rights of a key do not affect the time before its secret is proved.  Arrays
 * point into the row or, if they were compressed or out of line, into the
 * memory context that was current; access_list is left as it is stored.
 */
typedef struct AkImage
{
	/* Where the row is, and the position up to which it was read. */
	const char *row;
	uint32		offset;
	uint32		end;

	/* The columns that prove a key, and those of a fixed size. */
	TransactionId writer;		/* transaction that wrote the row */
	pg_uuid_t	organization_id;
	bool		disabled;
	TimestampTz created_at;
	TimestampTz expires_at;
	AkPackedArray secrets;		/* stored secret hashes */
	AkPackedArray secret_expirations;	/* one for each secret; TimestampTz */
	const char *secret_versions;	/* see ak_image_secret_version() */

	/* Filled in by ak_image_read_rest(). */
	AkPackedArray organization_roles;	/* names */
	struct varlena *access_list;
	struct varlena *stored_project_roles;
	struct varlena *stored_projects;

	/* Filled in later by ak_image_read_projects(). */
	AkPackedArray project_roles;	/* one for each project; names */
	AkPackedArray projects;		/* pg_uuid_t */
} AkImage;

/*
 * Returns the version of the secret at an index below the number of secrets.
 */
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
extern void ak_image_read_rest(AkImage *image);
extern void ak_image_read_projects(AkImage *image);

#endif							/* AK_IMAGE_H */
