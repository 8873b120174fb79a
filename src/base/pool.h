/* Threads that share the pieces of a loop. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <flowcl/base.h>

typedef struct fcl_pool fcl_pool;

/* Those that this process may use. */
int fcl_processors(void);

/* `threads` of them, the caller's own among them; 0: one for each processor that this process may use, at
 * most 16. Where fewer can be started there are fewer. */
fcl_pool *fcl_pool_create(int threads);
void fcl_pool_destroy(fcl_pool **pool);

/* work(data, i) for each i below `count`, once, in any order and on any of the threads; back when all are
 * done. A loop of another thread waits until this one is over. */
void fcl_pool_run(fcl_pool *pool, int64_t count, void (*work)(void *data, int64_t i), void *data);

#endif
