/*
 * image.c
 *	  The image of a key: everything a decision reads of it, in one row of
 *	  table key_image, read in place.
 *
 * A row is read by hand, column by column in their order, so that later
 * columns are not read before they are needed.  Only the table's triggers keep
 * an image well-formed, and an owner can disable them.  So each column is
 * checked: a damaged image is an error, and never a decision.
 */
#include "postgres.h"

#include "core/compat.h"
#include "store/store.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rel.h"

/* As in sql/parts/31_key_image.sql. */
#define COLUMN_COUNT	14

/* --- Columns ------------------------------------------------------------- */

/* Returns the next column, of a fixed size; NULL if the row ends before. */
static const char *
take_fixed(AkImage *image, char alignment, uint32 size)
{
	uint32		offset = att_align_nominal(image->offset, alignment);

	if (offset > image->end || image->end - offset < size)
		return NULL;
	image->offset = offset + size;
	return image->row + offset;
}

/*
 * Returns the size of the varlena at this position, of at most the given
 * number of bytes, which is not 0; 0 if there is none.
 */
static uint32
get_varlena_size(const char *at, uint32 rest)
{
	uint32		size;

	if (VARATT_IS_1B_E(at))
		return rest >= VARHDRSZ_EXTERNAL && VARATT_IS_EXTERNAL_ONDISK(at) ?
			VARSIZE_EXTERNAL(at) : 0;
	if (VARATT_IS_1B(at))
		return VARSIZE_1B(at);
	if (rest < VARHDRSZ)
		return 0;
	size = VARSIZE_4B(at);
	return size < VARHDRSZ ? 0 : size;
}

/*
 * Returns the next column, a varlena as it is stored; NULL if the row ends
 * before.
 */
static struct varlena *
take_varlena(AkImage *image, char alignment)
{
	const char *at = image->row + image->offset;
	uint32		offset = image->offset;
	uint32		size;

	/* To align it a byte is read, which must be in the row. */
	if (offset < image->end)
		offset = att_align_pointer(offset, alignment, -1, at);
	if (offset >= image->end)
		return NULL;
	at = image->row + offset;
	size = get_varlena_size(at, image->end - offset);
	if (size == 0 || size > image->end - offset)
		return NULL;
	image->offset = offset + size;
	return (struct varlena *) unconstify(char *, at);
}

/* An element size of 0 stands for varlenas. */
static bool
view_array(struct varlena *stored, size_t element_size, AkPackedArray *array)
{
	return stored &&
		ak_packed_array_view(pg_detoast_datum_packed(stored), element_size,
							 array);
}

/* --- Parts --------------------------------------------------------------- */

/*
 * Reads the columns that prove a key from a row of key_image, without copying.
 * The caller keeps the row as long as the image, and holds a snapshot that
 * sees it.  Returns false if the row is no image.
 */
bool
ak_image_try(Relation table, HeapTuple row, AkImage *image)
{
	const char *organization;
	const char *disabled;
	const char *expires_at;
	const char *created_at;
	struct varlena *versions;

	if (RelationGetNumberOfAttributes(table) != COLUMN_COUNT ||
		HeapTupleHeaderGetNatts(row->t_data) != COLUMN_COUNT ||
		HeapTupleHasNulls(row))
		return false;
	image->row = (const char *) row->t_data + row->t_data->t_hoff;
	image->offset = 0;
	image->end = row->t_len - row->t_data->t_hoff;
	image->writer = HeapTupleHeaderGetRawXmin(row->t_data);
	if (!take_varlena(image, TYPALIGN_INT) ||	/* public_key */
		!(organization = take_fixed(image, TYPALIGN_CHAR, UUID_LEN)) ||
		!(disabled = take_fixed(image, TYPALIGN_CHAR, sizeof(bool))) ||
		!(expires_at = take_fixed(image, TYPALIGN_DOUBLE,
								  sizeof(TimestampTz))) ||
		!(created_at = take_fixed(image, TYPALIGN_DOUBLE,
								  sizeof(TimestampTz))) ||
		!view_array(take_varlena(image, TYPALIGN_INT), 0, &image->secrets) ||
		!view_array(take_varlena(image, TYPALIGN_DOUBLE), sizeof(TimestampTz),
					&image->secret_expirations) ||
		!(versions = take_varlena(image, TYPALIGN_INT)))
		return false;
	memcpy(&image->organization_id, organization, UUID_LEN);
	image->disabled = *disabled != 0;
	memcpy(&image->expires_at, expires_at, sizeof(TimestampTz));
	memcpy(&image->created_at, created_at, sizeof(TimestampTz));
	versions = pg_detoast_datum_packed(versions);
	image->secret_versions = VARDATA_ANY(versions);
	return image->secrets.count == image->secret_expirations.count &&
		VARSIZE_ANY_EXHDR(versions) == image->secrets.count * sizeof(int32);
}

static void
raise_damaged(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("image of a key is damaged"),
			 ak_errid("image_damaged"),
			 errhint("Call apikeys.rebuild_images() to rebuild all images."),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* The same, but raises XX001 if the row is no image. */
void
ak_image_read(Relation table, HeapTuple row, AkImage *image)
{
	if (!ak_image_try(table, row, image))
		raise_damaged();
}

/* Reads the rest, once; raises XX001 if it is damaged. */
void
ak_image_read_rest(AkImage *image)
{
	if (!view_array(take_varlena(image, TYPALIGN_INT), 0,
					&image->organization_roles) ||
		!(image->access_list = take_varlena(image, TYPALIGN_INT)) ||
		!(image->stored_project_roles = take_varlena(image, TYPALIGN_INT)) ||
		!(image->stored_projects = take_varlena(image, TYPALIGN_INT)) ||
		!(image->details = take_varlena(image, TYPALIGN_INT)))
		raise_damaged();
}

/* Reads the roles in projects, after the rest; raises XX001 if they are damaged. */
void
ak_image_read_projects(AkImage *image)
{
	if (!view_array(image->stored_project_roles, 0, &image->project_roles) ||
		!view_array(image->stored_projects, sizeof(pg_uuid_t),
					&image->projects) ||
		image->project_roles.count != image->projects.count)
		raise_damaged();
}

/*
 * Reads the limits, the last column, once and after the rest.  Raises XX001 if it
 * is not there, or too short; ak_limit_next() reads what is in it.
 */
void
ak_image_read_limits(AkImage *image)
{
	struct varlena *stored = take_varlena(image, TYPALIGN_INT);

	if (stored)
		stored = pg_detoast_datum_packed(stored);
	if (stored == NULL || VARSIZE_ANY_EXHDR(stored) < UUID_LEN)
		raise_damaged();
	memcpy(&image->limits_id, VARDATA_ANY(stored), UUID_LEN);
	image->limits.data = VARDATA_ANY(stored) + UUID_LEN;
	image->limits.size = VARSIZE_ANY_EXHDR(stored) - UUID_LEN;
}

/*
 * A member of the details, in *value; false where it is null.  Raises XX001 if it
 * is of another type.
 */
static bool
find_detail(Jsonb *details, const char *name, enum jbvType type,
			JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(&details->root, name, strlen(name),
									 value) == NULL ||
		value->type == jbvNull)
		return false;
	if (value->type != type)
		raise_damaged();
	return true;
}

/* The same as a text, palloc'd; NULL where it is null. */
static text *
get_text(Jsonb *details, const char *name)
{
	JsonbValue	value;

	return find_detail(details, name, jbvString, &value) ?
		cstring_to_text_with_len(value.val.string.val, value.val.string.len) :
		NULL;
}

/*
 * Reads what the application has noted of the key; each palloc'd.  To be
 * called while the image is in use.  Raises XX001 if it is damaged.
 */
void
ak_image_read_details(const AkImage *image, AkDetails *details)
{
	Jsonb	   *stored = DatumGetJsonbPCopy(PointerGetDatum(image->details));
	JsonbValue	value;

	memset(details, 0, sizeof(*details));
	if (!JB_ROOT_IS_OBJECT(stored))
		raise_damaged();
	if (JB_ROOT_COUNT(stored) == 0)
	{
		details->metadata = stored;
		return;
	}
	details->owner = get_text(stored, "owner");
	details->environment = get_text(stored, "environment");
	if (!find_detail(stored, "metadata", jbvBinary, &value))
		raise_damaged();
	details->metadata = JsonbValueToJsonb(&value);
}

/* Whether the secret of that version is a live one of the key. */
bool
ak_image_secret_lives(const AkImage *image, int32 version, TimestampTz now)
{
	for (int i = 0; i < image->secrets.count; i++)
	{
		TimestampTz expires_at;

		memcpy(&expires_at,
			   ak_packed_array_at(&image->secret_expirations, i,
								  sizeof(expires_at)),
			   sizeof(expires_at));
		if (ak_image_secret_version(image, i) == version)
			return expires_at > now;
	}
	return false;
}
