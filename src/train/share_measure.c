/* How fast the ranks' devices are: each trains the run's own model for a moment, with as many rows as equal shares give it,
 * all at the same time, since devices of one machine share its cores, its memory or a bus. The trainer is thrown away before
 * there is another; it takes its random numbers by their counters, and leaves nothing behind. */
#include "train/share.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "device/profile.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A step by ranks waits for its gradient, and so does this. What it gives is not looked at. */
static int take_step(fcl_trainer *trial)
{
    trial->learner->read_step = trial->learner->step;
    FCL_TRY(fcl_trainer_step(trial));
    return fcl_device_finish(trial->device);
}

/* Compiles, and draws what is drawn once. *seconds of a step after that. */
static int warm_up(fcl_trainer *trial, double *seconds)
{
    FCL_TRY(take_step(trial));
    FCL_TRY(take_step(trial));
    double began = fcl_clock_seconds();
    FCL_TRY(take_step(trial));
    *seconds = fcl_clock_seconds() - began;
    return FCL_OK;
}

/* The same time for all: long enough, and three steps of the slowest at least. */
static int take_steps(fcl_trainer *trial, double seconds, double *speed)
{
    double began = fcl_clock_seconds(), now = began;
    int64_t steps = 0;
    for (; steps < 3 || now - began < seconds; steps++) {
        FCL_TRY(take_step(trial));
        now = fcl_clock_seconds();
    }
    *speed = (double)steps * trial->options.batch / (now - began);
    return FCL_OK;
}

/* The rank's part of a step, by itself. */
static fcl_train_options own_options(const fcl_trainer *trainer, int rows)
{
    fcl_train_options own = trainer->options;
    own.batch = rows;
    own.coupling_batch = 0;
    own.coupling_across_ranks = false;
    own.ranks = NULL;
    own.share = own.buckets = own.out = own.init = own.names = NULL;
    own.resume = own.data_changed = own.check = false;
    own.held_out = 0;
    return own;
}

static int begin(const fcl_trainer *trainer, fcl_trainer **trial)
{
    fcl_share share;
    fcl_train_options equal = trainer->options;
    equal.share = NULL;
    FCL_TRY(fcl_share_of(&equal, &share));
    equal = own_options(trainer, share.rows);
    return fcl_trainer_create_beside(trainer->device, trainer, trainer->data, &equal, trial);
}

static double slowest(const double *seconds, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++)
        most = fmax(most, seconds[i]);
    return most;
}

static bool is_anywhere(double value, const double *all, int count)
{
    for (int i = 0; i < count; i++)
        if (all[i] == value)
            return true;
    return false;
}

/* speed (ranks), or 0 of a rank whose memory is too small for the trainer: then nobody goes on. */
static int measure(fcl_trainer *trainer, double *speed)
{
    enum { NO_ROOM = 0 };
    const double enough = 0.5;
    fcl_ranks *ranks = trainer->options.ranks;
    fcl_trainer *trial = NULL;
    int count = fcl_ranks_count(ranks);
    double mine = NO_ROOM;
    int status = begin(trainer, &trial);
    if (status == FCL_OK)
        status = warm_up(trial, &mine);
    if (status == FCL_ERR_MEMORY)
        status = FCL_OK;
    if (status == FCL_OK)
        status = fcl_ranks_gather(ranks, sizeof mine, &mine, speed);
    bool all = status == FCL_OK && !is_anywhere(NO_ROOM, speed, count);
    if (all)
        status = take_steps(trial, fmax(enough, 3 * slowest(speed, count)), &mine);
    fcl_trainer_destroy(&trial);
    if (all && status == FCL_OK)
        status = fcl_ranks_gather(ranks, sizeof mine, &mine, speed);
    return status;
}

static void note_equal(fcl_trainer *trainer, const double *speed)
{
    int rank = 0;
    while (speed[rank] != 0)
        rank++;
    char *note = fcl_format("the shares of a batch are equal, for rank %d has too little memory to be measured: --share (the "
                            "option share) says others", rank);
    fcl_trainer_note(trainer, note);
    free(note);
}

/* As the first rank says it. */
static int settle(fcl_trainer *trainer, const double *speed)
{
    fcl_train_options *options = &trainer->options;
    int ranks = fcl_ranks_count(options->ranks), rows = options->batch / options->accumulate;
    bool measured = !is_anywhere(0, speed, ranks);
    char *text = measured ? fcl_share_text(speed, ranks, rows) : fcl_strdup(FCL_SHARE_EQUAL);
    int status = fcl_train_tell(options->ranks, &text);
    options->share = fcl_arena_format(&trainer->strings, "%s", text);
    trainer->measured = measured ? options->share : NULL;
    free(text);
    if (status == FCL_OK && !measured)
        note_equal(trainer, speed);
    return status;
}

int fcl_share_measure(fcl_trainer *trainer)
{
    const char *share = trainer->options.share;
    fcl_ranks *ranks = trainer->options.ranks;
    if (!ranks || (share ? strcmp(share, FCL_SHARE_MEASURED) != 0 : trainer->alike))
        return FCL_OK;
    double *speed = fcl_zalloc((size_t)fcl_ranks_count(ranks) * sizeof *speed);
    fcl_profile *profile = fcl_profile_lay_aside(trainer->device);
    int status = measure(trainer, speed);
    fcl_profile_take_up(trainer->device, profile);
    if (status == FCL_OK)
        status = settle(trainer, speed);
    free(speed);
    return status;
}
