#include "learn/options.h"

#include "learn/averages.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* `done` is the share of the steps after warm-up that lie behind, 0 <= done < 1. */
static double rate_constant(double done)
{
    (void)done;
    return 1;
}

static double rate_cosine(double done)
{
    return (1 + cos(M_PI * done)) / 2;
}

static const struct schedule {
    const char *name;
    double (*factor)(double done);
    int warmup_share; /* without a warm-up of its own it takes one part in so many of all steps; 0: none */
} schedules[] = {
    {"constant", rate_constant, 0},
    {"warmup", rate_constant, 10},
    {"cosine", rate_cosine, 0},
};

enum { SCHEDULES = sizeof schedules / sizeof *schedules };

const char *fcl_schedule_name(int index)
{
    return index >= 0 && index < SCHEDULES ? schedules[index].name : NULL;
}

static const struct schedule *find(const char *name)
{
    for (int i = 0; i < SCHEDULES; i++)
        if (strcmp(schedules[i].name, name) == 0)
            return &schedules[i];
    return &schedules[0];
}

const char *fcl_schedule_own_name(const char *name)
{
    return find(name)->name;
}

/* Steps of warm-up as the schedule takes them. */
static int64_t warmup_of(const fcl_learner_options *options)
{
    int share = find(options->schedule)->warmup_share;
    return options->warmup || !share ? options->warmup : options->steps / share;
}

int fcl_learner_check_together(const fcl_learner_options *options)
{
    fcl_averages averages;
    FCL_TRY(fcl_averages_read(options->ema, &averages));
    if (warmup_of(options) > options->steps)
        return fcl_fail(FCL_ERR_ARGUMENT, "a warm-up of %lld steps is longer than the run of %lld",
                        (long long)options->warmup, (long long)options->steps);
    return FCL_OK;
}

double fcl_learner_rate(const fcl_learner_options *given, int64_t step)
{
    fcl_learner_options options = *given;
    fcl_options_defaults(fcl_learner_table, &options);
    int64_t warmup = warmup_of(&options);
    if (step < warmup)
        return (double)options.lr * (double)(step + 1) / (double)warmup;
    int64_t rest = options.steps - warmup;
    double done = rest > 0 ? (double)(step - warmup) / (double)rest : 0;
    return (double)options.lr * find(options.schedule)->factor(done < 1 ? done : 1);
}
