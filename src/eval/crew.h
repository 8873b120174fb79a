/* Independent pieces of work by as many threads as there are processors. */
#ifndef EVAL_CREW_H
#define EVAL_CREW_H

#include <flowcl/base.h>

/* work(data, i) once for each i below `count`, in any order and beside each other; what a piece makes is its
 * own. FCL_ERR_STOPPED where the caller's watch asks for it; `what` is what it is told. */
int fcl_crew_run(const char *what, int64_t count, void (*work)(void *data, int64_t index), void *data);

#endif
