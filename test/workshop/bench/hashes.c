/*
 * hashes.c
 *	  Prints rows of apikeys.key_secret, in COPY's text format, for the keys
 *	  1 to N: the public key, version 1, the hash and the hint.
 *
 * The names and secrets are numbers with the same count of digits, because
 * pgbench can compute nothing else; see the scripts in wire/
 * Hashes are what apikeys.issue_secret would store for such a secret.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#define PUBLIC_KEY_BASE		INT64_C(1000000000000000000)
#define SECRET_BASE			INT64_C(2000000000000000000)
#define DIGEST_SIZE			32

static void
print_row(int64_t id)
{
	char		text[64];
	char		hex[2 * DIGEST_SIZE + 1];
	unsigned char digest[DIGEST_SIZE];
	int64_t		public_key = PUBLIC_KEY_BASE + id;
	int64_t		secret = SECRET_BASE + id;

	/* The zero byte is a part of what is hashed. */
	int			length = snprintf(text, sizeof(text), "%" PRId64 "%c%" PRId64,
								  public_key, '\0', secret);

	crypto_generichash(digest, sizeof(digest),
					   (const unsigned char *) text, length, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	printf("%" PRId64 "\t1\tblake2b$0$%s\t%04" PRId64 "\n",
		   public_key, hex, secret % 10000);
}

int
main(int argc, char **argv)
{
	int64_t		count = argc == 2 ? strtoll(argv[1], NULL, 10) : 0;

	if (count < 1 || sodium_init() < 0)
	{
		fprintf(stderr, "usage: hashes N\n");
		return 1;
	}
	for (int64_t id = 1; id <= count; id++)
		print_row(id);
	return 0;
}
