#include "learn/options.h"

#include "base/error.h"

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

int fcl_learner_check(const fcl_learner_options *options)
{
    fcl_learner_options filled = *options;
    fcl_options_defaults(fcl_learner_table, &filled);
    FCL_TRY(fcl_options_check(fcl_learner_table, &filled));
    return fcl_learner_check_together(&filled);
}
