/*
 * database_commands.h
 *	  Makes way for the commands that need a database for themselves.
 */
#ifndef AK_DATABASE_COMMANDS_H
#define AK_DATABASE_COMMANDS_H

extern void ak_database_commands_init(void);

#endif							/* AK_DATABASE_COMMANDS_H */
