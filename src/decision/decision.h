/*
 * decision.h
 *	  The decision: is a request made with this key allowed?
 *
 * The checks are made in a fixed order (reason.h). The first one that fails is
 * the reason.
 */
#ifndef AK_DECISION_H
#define AK_DECISION_H

#include "postgres.h"

#include "decision/request.h"

extern void ak_decision_open(const AkRequest *request, AkDecision *decision);
extern void ak_decision_close(const AkRequest *request, AkDecision *decision);
extern bool ak_decision_proves(const AkDecision *decision);
extern void ak_decision_raise(const AkDecision *decision, int denied_code);

#endif							/* AK_DECISION_H */
