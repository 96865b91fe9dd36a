/*
 * image.c
 *	  See image.h.
 *
 * Nothing but the table's triggers keeps an image well-formed, and an owner
 * can disable those.  So it is looked at closely: what is damaged is an error,
 * and never an answer.
 */
#include "postgres.h"

#include "core/compat.h"
#include "core/errors.h"
#include "store/image.h"

#include "access/htup_details.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Columns of the table, as in sql/parts/31_key_image.sql, counted from 0. */
enum
{
	IMAGE_ORGANIZATION_ID = 1,
	IMAGE_DISABLED,
	IMAGE_EXPIRES_AT,
	IMAGE_ACCESS_LIST,
	IMAGE_SECRETS,
	IMAGE_SECRET_EXPIRATIONS,
	IMAGE_ORGANIZATION_ROLES,
	IMAGE_PROJECT_ROLES,
	IMAGE_PROJECTS,
	IMAGE_CREATED_AT,
	IMAGE_SECRET_VERSIONS,
	IMAGE_LIMITS,
	IMAGE_COLUMN_COUNT
};

/* An element size of 0 stands for varlenas. */
static bool
view_array(Datum value, size_t element_size, AkPackedArray *array)
{
	return ak_packed_array_view(PG_DETOAST_DATUM_PACKED(value), element_size,
								array);
}

/* A secret's version is four bytes. */
static bool
view_versions(Datum value, int count, const char **versions)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);

	*versions = VARDATA_ANY(stored);
	return VARSIZE_ANY_EXHDR(stored) == count * sizeof(int32);
}

/* What stands for the key in limits, and the images of its own ones. */
static bool
view_limits(Datum value, AkImage *image)
{
	struct varlena *stored = PG_DETOAST_DATUM_PACKED(value);

	if (VARSIZE_ANY_EXHDR(stored) < UUID_LEN)
		return false;
	memcpy(&image->limits_id, VARDATA_ANY(stored), UUID_LEN);
	image->limits.data = VARDATA_ANY(stored) + UUID_LEN;
	image->limits.size = VARSIZE_ANY_EXHDR(stored) - UUID_LEN;
	return true;
}

/*
 * Takes a row of key_image apart, without copying what is in it: the caller
 * keeps the row as long as the image, and has a snapshot that sees it.  False
 * if it is no image.
 */
bool
ak_image_try(Relation table, HeapTuple row, AkImage *image)
{
	Datum		values[IMAGE_COLUMN_COUNT];
	bool		nulls[IMAGE_COLUMN_COUNT];

	if (RelationGetNumberOfAttributes(table) != IMAGE_COLUMN_COUNT ||
		HeapTupleHeaderGetNatts(row->t_data) != IMAGE_COLUMN_COUNT ||
		HeapTupleHasNulls(row))
		return false;
	heap_deform_tuple(row, RelationGetDescr(table), values, nulls);
	image->writer = HeapTupleHeaderGetRawXmin(row->t_data);
	image->organization_id = *DatumGetUUIDP(values[IMAGE_ORGANIZATION_ID]);
	image->disabled = DatumGetBool(values[IMAGE_DISABLED]);
	image->expires_at = DatumGetTimestampTz(values[IMAGE_EXPIRES_AT]);
	image->access_list = (struct varlena *)
		DatumGetPointer(values[IMAGE_ACCESS_LIST]);
	image->created_at = DatumGetTimestampTz(values[IMAGE_CREATED_AT]);
	return view_array(values[IMAGE_SECRETS], 0, &image->secrets) &&
		view_array(values[IMAGE_SECRET_EXPIRATIONS], sizeof(TimestampTz),
				   &image->secret_expirations) &&
		view_array(values[IMAGE_ORGANIZATION_ROLES], 0,
				   &image->organization_roles) &&
		view_array(values[IMAGE_PROJECT_ROLES], 0, &image->project_roles) &&
		view_array(values[IMAGE_PROJECTS], sizeof(pg_uuid_t),
				   &image->projects) &&
		view_versions(values[IMAGE_SECRET_VERSIONS], image->secrets.count,
					  &image->secret_versions) &&
		view_limits(values[IMAGE_LIMITS], image) &&
		image->secrets.count == image->secret_expirations.count &&
		image->project_roles.count == image->projects.count;
}

/* The same, but raises XX001 if it is no image. */
void
ak_image_read(Relation table, HeapTuple row, AkImage *image)
{
	if (!ak_image_try(table, row, image))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("image of a key is damaged"),
				 ak_errid("image_damaged"),
				 errhint("SELECT apikeys.rebuild_images() makes all of them again.")));
}
