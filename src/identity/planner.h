/*
 * planner.h
 *	  What the planner needs to know about the principal that reads.
 */
#ifndef AK_PLANNER_H
#define AK_PLANNER_H

#include "postgres.h"

extern void ak_planner_init(void);

#endif							/* AK_PLANNER_H */
