/*
 * database_commands.h
 *	  Ends the worker of a database for commands that need it without
 *	  connections.
 */
#ifndef AK_DATABASE_COMMANDS_H
#define AK_DATABASE_COMMANDS_H

extern void ak_database_commands_init(void);

#endif							/* AK_DATABASE_COMMANDS_H */
