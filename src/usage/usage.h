/*
 * usage.h
 *	  Records when and from where keys are used.
 */
#ifndef AK_USAGE_H
#define AK_USAGE_H

#include "postgres.h"

#include "core/use.h"
#include "usage/database_slot.h"

extern void ak_usage_request(void);
extern void ak_usage_attach(void);
extern AkDatabaseSlot *ak_usage_slot(void);
extern void ak_usage_record(text *public_key, const AkUse *use);
extern void ak_usage_record_grant(text *public_key, uint64 grant);
extern void ak_usage_forget_database(Oid database);
extern void ak_usage_forget(text *public_key);
extern void ak_usage_forget_secret(text *public_key);
extern void ak_usage_forget_networks(text *public_key,
									 const AkNetset *access_list);

#endif							/* AK_USAGE_H */
