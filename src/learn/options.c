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

int fcl_learner_check(const fcl_learner_options *options)
{
    fcl_learner_options filled = *options;
    fcl_options_defaults(fcl_learner_table, &filled);
    FCL_TRY(fcl_options_check(fcl_learner_table, &filled));
    return fcl_learner_check_together(&filled);
}
