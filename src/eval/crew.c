#include "eval/crew.h"

#include "base/pool.h"
#include "base/watch.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct crew {
    const char *what;
    int64_t count;
    void (*work)(void *data, int64_t index);
    void *data;
    pthread_t caller; /* whose watch it is */
    _Atomic int status;
} crew;

static void do_piece(void *data, int64_t index)
{
    crew *c = data;
    if (c->status == FCL_OK && pthread_equal(pthread_self(), c->caller))
        c->status = fcl_watch_at(c->what, index, c->count);
    if (c->status == FCL_OK)
        c->work(c->data, index);
}

int fcl_crew_run(const char *what, int64_t count, void (*work)(void *data, int64_t index), void *data)
{
    crew c = {.what = what, .count = count, .work = work, .data = data, .caller = pthread_self()};
    int status = fcl_watch_at(what, 0, count);
    if (status != FCL_OK)
        return status;
    fcl_pool *pool = fcl_pool_create(0);
    fcl_pool_run(pool, count, do_piece, &c);
    fcl_pool_destroy(&pool);
    return c.status;
}
