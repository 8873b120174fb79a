#include "eval/crew.h"

#include "base/error.h"
#include "base/watch.h"
#include "base/worker.h"

#include <stdatomic.h>
#include <unistd.h>

enum { MOST_HELPERS = 31 };

typedef struct crew {
    int64_t count;
    _Atomic int64_t next;
    void (*work)(void *data, int64_t index);
    void *data;
} crew;

static bool take_piece(crew *c)
{
    int64_t index = atomic_fetch_add(&c->next, 1);
    if (index < c->count)
        c->work(c->data, index);
    return index < c->count;
}

static void help(void *data)
{
    while (take_piece(data))
        continue;
}

/* Threads that cannot be had are done without. */
static int call_helpers(crew *c, fcl_worker *helper[MOST_HELPERS])
{
    int64_t wanted = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    int count = 0;
    wanted = wanted < c->count - 1 ? wanted : c->count - 1;
    wanted = wanted < MOST_HELPERS ? wanted : MOST_HELPERS;
    while (count < wanted && fcl_worker_create(help, c, &helper[count]) == FCL_OK)
        fcl_worker_start(helper[count++]);
    return count;
}

int fcl_crew_run(const char *what, int64_t count, void (*work)(void *data, int64_t index), void *data)
{
    crew c = {.count = count, .work = work, .data = data};
    fcl_worker *helper[MOST_HELPERS];
    int helpers = call_helpers(&c, helper), status = FCL_OK;
    do
        status = fcl_watch_at(what, c.next < count ? c.next : count, count);
    while (status == FCL_OK && take_piece(&c));
    if (status != FCL_OK)
        c.next = count;
    for (int i = 0; i < helpers; i++)
        fcl_worker_destroy(&helper[i]);
    return status;
}
