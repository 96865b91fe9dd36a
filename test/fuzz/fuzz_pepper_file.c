/*
 * fuzz_pepper_file.c
 *	  Fuzz src/core/hash_form.c.  An input is the text of a pepper file.
 */
#include "fuzz.h"
#include "core/crypto.h"


/* Nothing of the file is in what is said of a fault. */
static void
check_fault(const AkPepperFault *fault, const uint8_t *data, size_t size)
{
	size_t		lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	REQUIRE(fault->line >= 1 && (size_t) fault->line <= lines);
	REQUIRE(fault->what != NULL && strlen(fault->what) < 64);
}

/* Written down again, the set is the same. */
static void
check_set(const AkPepperSet *set)
{
	static AkPepperSet again;
	AkPepperFault fault;
	char		text[AK_PEPPERS_MAX * (AK_PEPPER_ID_MAX + 2 * AK_PEPPER_SIZE + 2) + 1];
	size_t		length = 0;

	REQUIRE(set->count > 0 && set->count <= AK_PEPPERS_MAX);
	for (int i = 0; i < set->count; i++)
	{
		const AkPepper *pepper = &set->peppers[i];

		REQUIRE(ak_pepper_id_is_valid(pepper->id, strlen(pepper->id)));
		REQUIRE(strcmp(pepper->id, AK_NO_PEPPER) != 0);
		REQUIRE(ak_pepper_set_find(set, pepper->id, strlen(pepper->id)) == pepper);
		length += sprintf(text + length, "%s:", pepper->id);
		for (int j = 0; j < AK_PEPPER_SIZE; j++)
			length += sprintf(text + length, "%02x", pepper->bytes[j]);
		text[length++] = '\n';
	}
	REQUIRE(ak_pepper_set_parse(text, length, &again, &fault));
	REQUIRE(memcmp(set, &again, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static AkPepperSet set;
	AkPepperFault fault;

	if (!ak_crypto_init())
		return 0;
	if (ak_pepper_set_parse((const char *) data, size, &set, &fault))
		check_set(&set);
	else
		check_fault(&fault, data, size);
	return 0;
}
