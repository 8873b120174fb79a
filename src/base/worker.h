/* A thread beside its owner, which does one piece of work whenever it is asked to. */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <flowcl/base.h>

typedef struct fcl_worker fcl_worker;

/* The piece of work is work(data), in the thread. What it touches is the thread's from start to wait. */
int fcl_worker_create(void (*work)(void *data), void *data, fcl_worker **worker);
/* Waits for the piece that is at work. */
void fcl_worker_destroy(fcl_worker **worker);
/* Begins the work, once an earlier piece is done. */
void fcl_worker_start(fcl_worker *worker);
/* Until nothing is at work. */
void fcl_worker_wait(fcl_worker *worker);

#endif
