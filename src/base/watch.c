#include "base/watch.h"

#include "base/clock.h"
#include "base/error.h"

static _Thread_local const fcl_watch *watch;
static _Thread_local double told; /* when, on the clock */
static _Thread_local double begin, span = 1; /* the part of the whole that loops are about */

void fcl_watch_set(const fcl_watch *chosen)
{
    watch = chosen;
}

const fcl_watch *fcl_watch_current(void)
{
    return watch;
}

void fcl_watch_part(int64_t first, int64_t count, int64_t total)
{
    begin = total > 0 ? (double)first / (double)total : 0;
    span = total > 0 ? (double)count / (double)total : 1;
}

int fcl_watch_at(const char *what, int64_t done, int64_t total)
{
    const double interval = 0.1;
    if (!watch)
        return FCL_OK;
    double time = fcl_clock_seconds();
    if (time - told < interval)
        return FCL_OK;
    told = time;
    if (watch->progress && total > 0)
        watch->progress(watch->data, what, begin + span * (double)done / (double)total);
    return watch->stop && watch->stop(watch->data) ? fcl_fail(FCL_ERR_STOPPED, "stopped while %s", what) : FCL_OK;
}
