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
#include "utils/jsonb.h"
#include "utils/relcache.h"
#include "utils/uuid.h"

/*
 * An image is read in parts: first what proves a key, then, of a key that is
 * proved, the rest, and of that the roles in projects where they are asked for.
 * So what a key may do takes no time before its secret is proved.  Arrays point
 * into the row, or, where they were compressed or out of line, into the memory
 * context that was current; access_list and details are left as they are
 * stored.
 */
typedef struct AkImage
{
	/* Where the row is, and how far it was read. */
	const char *row;
	uint32		offset;
	uint32		end;

	/* What proves a key, and what is of a fixed size. */
	TransactionId writer;		/* who wrote the row */
	pg_uuid_t	organization_id;
	bool		disabled;
	TimestampTz created_at;
	TimestampTz expires_at;
	AkPackedArray secrets;		/* stored secret hashes */
	AkPackedArray secret_expirations;	/* one for each; TimestampTz */
	const char *secret_versions;	/* one for each; ak_image_secret_version() */

	/* By ak_image_read_rest(). */
	AkPackedArray organization_roles;	/* names */
	struct varlena *access_list;
	struct varlena *stored_project_roles;
	struct varlena *stored_projects;
	struct varlena *details;	/* jsonb; ak_image_read_details() */

	/* After that, by ak_image_read_projects(). */
	AkPackedArray project_roles;	/* one for each of projects; names */
	AkPackedArray projects;		/* pg_uuid_t */
} AkImage;

/* What the application has noted of a key; NULL: nothing. */
typedef struct AkDetails
{
	text	   *owner;
	Jsonb	   *metadata;
} AkDetails;

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
extern void ak_image_read_details(const AkImage *image, AkDetails *details);
extern void ak_image_read(Relation table, HeapTuple row, AkImage *image);
extern void ak_image_read_rest(AkImage *image);
extern void ak_image_read_projects(AkImage *image);

#endif							/* AK_IMAGE_H */
