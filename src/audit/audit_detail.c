/*
 * audit_detail.c
 *	  See audit_detail.h.
 */
#include "postgres.h"

#include "audit/audit_detail.h"
#include "core/compat.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

static Datum
get_column(TupleTableSlot *row, const char *name,
		   Form_pg_attribute *attribute, bool *isnull)
{
	TupleDesc	descriptor = row->tts_tupleDescriptor;
	int			number = SPI_fnumber(descriptor, name);

	if (number <= 0)
		elog(ERROR, "there is no column \"%s\"", name);
	*attribute = TupleDescAttr(descriptor, number - 1);
	return slot_getattr(row, number, isnull);
}

/* Whether one of the columns has another value. */
bool
ak_audit_columns_differ(TupleTableSlot *a, TupleTableSlot *b,
						AkColumns columns)
{
	for (; *columns; columns++)
	{
		Form_pg_attribute attribute;
		bool		a_isnull;
		bool		b_isnull;
		Datum		a_value = get_column(a, *columns, &attribute, &a_isnull);
		Datum		b_value = get_column(b, *columns, &attribute, &b_isnull);

		if (a_isnull != b_isnull ||
			(!a_isnull &&
			 !datum_image_eq(a_value, b_value, attribute->attbyval,
							 attribute->attlen)))
			return true;
	}
	return false;
}

static void
push_string(JsonbParseState **state, JsonbIteratorToken token,
			const char *text)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, token, &value);
}

static void
push_text_array(JsonbParseState **state, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			push_string(state, WJB_ELEM, TextDatumGetCString(elements[i]));
	pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/* What is no boolean, number, time or array of text goes as its text. */
static void
push_value(JsonbParseState **state, Oid type, Datum datum, bool isnull)
{
	JsonbValue	value;
	int			utc = 0;
	Oid			output;
	bool		is_varlena;

	value.type = jbvNull;
	if (isnull)
		pushJsonbValue(state, WJB_VALUE, &value);
	else if (type == BOOLOID)
	{
		value.type = jbvBool;
		value.val.boolean = DatumGetBool(datum);
		pushJsonbValue(state, WJB_VALUE, &value);
	}
	else if (type == INT4OID)
	{
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric(DatumGetInt32(datum));
		pushJsonbValue(state, WJB_VALUE, &value);
	}
	else if (type == TIMESTAMPTZOID)
		push_string(state, WJB_VALUE,
					JsonEncodeDateTime(palloc(MAXDATELEN + 1), datum, type,
									   &utc));
	else if (type == TEXTARRAYOID)
		push_text_array(state, DatumGetArrayTypeP(datum));
	else
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		push_string(state, WJB_VALUE, OidOutputFunctionCall(output, datum));
	}
}

static void
push_row(JsonbParseState **state, const char *name, TupleTableSlot *row,
		 AkColumns columns)
{
	push_string(state, WJB_KEY, name);
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	for (; *columns; columns++)
	{
		Form_pg_attribute attribute;
		bool		isnull;
		Datum		value = get_column(row, *columns, &attribute, &isnull);

		push_string(state, WJB_KEY, *columns);
		push_value(state, attribute->atttypid, value, isnull);
	}
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/*
 * The columns as they were and as they are: {"old": {...}, "new": {...}},
 * without the one that is NULL; palloc'd.
 */
Jsonb *
ak_audit_detail(TupleTableSlot *old, TupleTableSlot *new, AkColumns columns)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (old)
		push_row(&state, "old", old, columns);
	if (new)
		push_row(&state, "new", new, columns);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
