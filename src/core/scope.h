/*
 * scope.h
 *	  Scopes, and the permission patterns that allow them.
 *
 * A leaf: it knows no PostgreSQL, allocates nothing and raises nothing.
 * Strings are counted bytes, never zero-terminated; comparing is
 * case-sensitive.
 */
#ifndef AK_SCOPE_H
#define AK_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

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

#endif							/* AK_SCOPE_H */
