/* Inside of long work: telling the caller's watch (flowcl/base.h), and asking it. */
#ifndef BASE_WATCH_H
#define BASE_WATCH_H

#include <flowcl/base.h>

/* For loops, as often as they come by: `done` of `total` of what is done ("measuring w2"; total 0: not known). Looks
 * at the clock, and ten times a second at the watch. FCL_ERR_STOPPED where the caller wants that. */
int fcl_watch_at(const char *what, int64_t done, int64_t total);

/* The watch of this thread, for another one that works for it; NULL: none. */
const fcl_watch *fcl_watch_current(void);

/* What follows is about `count` of `total` parts from `first` on; 0, 0, 0: about all again. */
void fcl_watch_part(int64_t first, int64_t count, int64_t total);

#endif
