/*
 * scope.h
 *	  Scopes and names: leaves that know no PostgreSQL.
 */
#ifndef AK_SCOPE_H
#define AK_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

/* --- scope.c ------------------------------------------------------------- */

/* Longest scope and longest permission, in characters. */
#define AK_SCOPE_MAX_LENGTH		256

/* So many scopes can be asked for at once. */
#define AK_SCOPES_MAX			32

extern bool ak_scope_is_valid(const char *scope, size_t length);
extern bool ak_scopes_are_valid(const char *scopes, size_t length);
extern size_t ak_scope_next(const char *scopes, size_t length, size_t *offset,
							const char **scope);
extern bool ak_permission_is_valid(const char *permission, size_t length);
extern bool ak_permission_allows(const char *permission,
								 size_t permission_length,
								 const char *scope, size_t scope_length);
extern bool ak_permission_covers(const char *permission,
								 size_t permission_length,
								 const char *other, size_t other_length);

/* --- unicode_names.c ----------------------------------------------------- */

extern bool ak_unicode_is_name(const char *text, size_t length,
							   size_t max_characters);

#endif							/* AK_SCOPE_H */
