#include "learn/options.h"

#include "base/error.h"

#include <string.h>

#define ROW(member) FCL_OPTION(fcl_learner_options, member)

/* clang-format off */
const fcl_option fcl_learner_table[] = {
    {"seed", ROW(seed), .group = "Optimiser", .help = "of the first values"},
    {"steps", ROW(steps), .minimum = 1, .maximum = 4e9, .fallback = "5000", .help = "steps over which the schedule runs"},
    {"accumulate", ROW(accumulate), .minimum = 1, .maximum = 1e6, .fallback = "1",
     .help = "runs of the graph for a step, to save memory"},
    FCL_OPTIMISER_ROWS(fcl_learner_options, NULL),
    FCL_BUCKETS_ROW(fcl_learner_options, 0),
    {0},
};
/* clang-format on */

static const char *const on_nan[] = {"stop", "skip"};

const char *fcl_on_nan_name(int index)
{
    return index >= 0 && index < 2 ? on_nan[index] : NULL;
}

bool fcl_skips_nan(const fcl_learner_options *options)
{
    return options->on_nan && strcmp(options->on_nan, on_nan[1]) == 0;
}

static const char *const buckets[][2] = {
    [FCL_BUCKETS_AUTO] = {"auto", "on GPUs, where a gradient has more than one"},
    [FCL_BUCKETS_YES] = {"yes", "each goes as soon as it is complete"},
    [FCL_BUCKETS_NO] = {"no", "the gradient is complete before its sum begins"},
};

const char *fcl_buckets_name(int index)
{
    return index >= 0 && index < FCL_BUCKETS ? buckets[index][0] : NULL;
}

const char *fcl_buckets_help(int index)
{
    return index >= 0 && index < FCL_BUCKETS ? buckets[index][1] : NULL;
}

fcl_buckets fcl_buckets_of(const fcl_learner_options *options)
{
    fcl_buckets which = FCL_BUCKETS_AUTO;
    while (which < FCL_BUCKETS - 1 && options->buckets && strcmp(options->buckets, buckets[which][0]) != 0)
        which++;
    return which;
}

int fcl_buckets_check(const fcl_learner_options *options)
{
    if (options->ranks || fcl_buckets_of(options) == FCL_BUCKETS_AUTO)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "buckets %s has no use for a process alone: name several devices, or start several by mpirun",
                    options->buckets);
}

int fcl_learner_check(const fcl_learner_options *options)
{
    fcl_learner_options filled = *options;
    fcl_options_defaults(fcl_learner_table, &filled);
    FCL_TRY(fcl_options_check(fcl_learner_table, &filled));
    FCL_TRY(fcl_buckets_check(&filled));
    return fcl_learner_check_together(&filled);
}
