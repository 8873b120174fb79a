/* The loop around the step: hooks, intervals, checkpoints. */
#include "train/trainer.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "train/folder.h"
#include "train/options.h"
#include "train/sample.h"
#include "train/source.h"

#include <math.h>
#include <stdlib.h>

/* What goes wrong without ending a training. It is told once, not at each picture. */
typedef enum warning { WARN_SAMPLES, WARN_SAVE, WARN_PRUNE, WARN_SKIP, WARNINGS } warning;

typedef struct loop {
    fcl_trainer *trainer;
    const fcl_train_hooks *hooks;
    int64_t first_step;
    double began, reported; /* seconds on the clock */
    double row_began;       /* when the metrics' present row began, and at which step */
    int64_t row_step;
    bool broken;          /* this rank has seen that a step is not finite; all are to look together */
    bool alone;           /* it saves without the other ranks, which is its end */
    int64_t saved;        /* step of the newest checkpoint; -1: there is none */
    double held_out_loss; /* when it was last measured; NAN: not yet */
    bool told[WARNINGS];
    bool told_last; /* a failure's message says which checkpoint is the last */
} loop;

static int64_t step_of(const loop *run)
{
    return fcl_trainer_steps(run->trainer);
}

static double rate(const loop *run, int64_t steps, double seconds)
{
    return seconds > 0 ? (double)steps * run->trainer->options.batch / seconds : 0;
}

/* --- what is told --- */

/* The message of a failure that the training survives. */
static void warn(loop *run, warning kind)
{
    if (run->hooks->warning && !run->told[kind])
        run->hooks->warning(run->hooks->data, fcl_error());
    run->told[kind] = true;
}

static int drain(loop *run)
{
    FCL_TRY(fcl_trainer_drain(run->trainer));
    const fcl_learner *learner = run->trainer->learner;
    if (fcl_learner_skipped(learner)) {
        fcl_fail(FCL_ERR_NUMERIC,
                 "the loss or the gradient of %lld of the steps up to %lld is not finite; their updates are skipped",
                 (long long)fcl_learner_skipped(learner), (long long)learner->read_step);
        warn(run, WARN_SKIP);
    }
    return FCL_OK;
}

/* Whether the last step was the first one of another tenth of the way. */
static bool passed_tenth(const loop *run)
{
    int64_t way = run->trainer->options.steps - run->first_step, done = step_of(run) - run->first_step;
    return 10 * done / way > 10 * (done - 1) / way;
}

/* At a time of this rank's own, when the others do not look with it. */
static int look(loop *run)
{
    int status = fcl_learner_drain(run->trainer->learner, NULL);
    run->broken = status == FCL_ERR_NUMERIC;
    return run->broken ? FCL_OK : status;
}

/* Reading the losses waits for the device: a few times a second and at each tenth of the way, not each step. */
static int report_progress(loop *run, bool last)
{
    enum { REPORTS_A_SECOND = 4 };
    double time = fcl_clock_seconds();
    if (!run->hooks->progress || (!last && !passed_tenth(run) && time - run->reported < 1.0 / REPORTS_A_SECOND))
        return FCL_OK;
    const fcl_trainer *trainer = run->trainer;
    FCL_TRY(trainer->options.ranks ? look(run) : drain(run));
    time = run->reported = fcl_clock_seconds();
    int64_t done = step_of(run) - run->first_step, left = trainer->options.steps - step_of(run);
    fcl_train_progress progress = {
        .step = step_of(run),
        .steps = trainer->options.steps,
        .loss = trainer->learner->recent,
        .held_out_loss = run->held_out_loss,
        .seconds = time - run->began,
        .samples_per_second = rate(run, done, time - run->began),
        .skipped = fcl_learner_skipped(trainer->learner),
        .seconds_left = done ? (time - run->began) / (double)done * (double)left : 0,
    };
    run->hooks->progress(run->hooks->data, &progress);
    return FCL_OK;
}

/* --- checkpoints --- */

static int saved(loop *run, const char *path)
{
    const fcl_train_options *options = &run->trainer->options;
    run->saved = step_of(run);
    run->told[WARN_SAVE] = false;
    if (fcl_checkpoint_prune(options->out, options->keep) != FCL_OK)
        warn(run, WARN_PRUNE);
    return run->hooks->checkpoint ? run->hooks->checkpoint(run->hooks->data, run->saved, path) : FCL_OK;
}

/* The checkpoint before is untouched. A disk may have room again when the next one is due; nothing comes
 * after the last one. */
static int unsaved(loop *run, bool last)
{
    char *newest = run->saved < 0 ? fcl_strdup("none was saved so far")
                                  : fcl_format("the last one saved is of step %lld", (long long)run->saved);
    fcl_fail(FCL_ERR_FILE, "%s; %s: make room%s", fcl_error(), newest,
             !last            ? ", for the training goes on and saves again when the next one is due"
             : run->saved < 0 ? " and begin again"
                              : " and go on from it with --resume (the option resume)");
    free(newest);
    run->told_last = last;
    if (last)
        return FCL_ERR_FILE;
    warn(run, WARN_SAVE);
    return FCL_OK;
}

static int save(loop *run, bool last)
{
    fcl_trainer *trainer = run->trainer;
    if (!trainer->options.out || run->saved == step_of(run))
        return FCL_OK;
    FCL_TRY(run->alone ? FCL_OK : fcl_trainer_agree(trainer));
    if (fcl_ranks_number(trainer->options.ranks) > 0)
        return fcl_ranks_broadcast(trainer->options.ranks, sizeof run->saved, &run->saved);
    char *path = fcl_checkpoint_path(trainer->options.out, step_of(run));
    int status = fcl_trainer_save(trainer, path);
    if (status == FCL_OK)
        status = saved(run, path);
    else if (status == FCL_ERR_FILE)
        status = unsaved(run, last);
    free(path);
    if (status == FCL_OK && !run->alone)
        status = fcl_ranks_broadcast(trainer->options.ranks, sizeof run->saved, &run->saved);
    return status;
}

/* A hook that ends the training leaves a state to go on from. */
static int after_hook(loop *run, int status)
{
    if (status == FCL_OK || run->saved == step_of(run))
        return status;
    char *reason = fcl_strdup(fcl_error());
    run->alone = true; /* the other ranks hear of it when they come to the next meeting */
    if (save(run, true) == FCL_OK)
        fcl_fail(status, "%s", reason);
    free(reason);
    return status;
}

/* --- metrics and samples --- */

static int report_metrics(loop *run, bool held_out)
{
    fcl_trainer *trainer = run->trainer;
    double time = fcl_clock_seconds();
    fcl_train_metrics metrics = {
        .step = step_of(run),
        .lr = fcl_schedule_rate(&trainer->options, step_of(run) - 1),
        .skipped = fcl_learner_skipped(trainer->learner),
        .seconds = time - run->began,
        .samples_per_second = rate(run, step_of(run) - run->row_step, time - run->row_began),
    };
    FCL_TRY(fcl_matcher_stats(trainer->feed.matcher, &metrics.plans));
    metrics.held_out_loss = held_out ? run->held_out_loss : NAN;
    fcl_learner_take_means(trainer->learner, &metrics.loss, &metrics.gradient_norm);
    run->row_began = time;
    run->row_step = step_of(run);
    return run->hooks->metrics ? after_hook(run, run->hooks->metrics(run->hooks->data, &metrics)) : FCL_OK;
}

int64_t fcl_trainer_samples(const fcl_trainer *trainer, const fcl_train_hooks *hooks)
{
    enum { PICTURES = 64, POINTS = 2000, MOST_NUMBERS = 1 << 20 };
    if (!hooks->sampled)
        return 0;
    if (hooks->samples != FCL_SAMPLES_OF_A_PICTURE)
        return hooks->samples;
    int64_t size = fcl_shape_size(trainer->data->shape), most = MOST_NUMBERS / size;
    int64_t wanted = fcl_shape_is_picture(trainer->data->shape) ? PICTURES : POINTS;
    return wanted <= most ? wanted : most > 1 ? most : 1;
}

/* Moves the noise `x` of n samples, of classes as often as the data has them. */
static int run_sampler(loop *run, int64_t n, float *x)
{
    const fcl_trainer *trainer = run->trainer;
    int32_t *label = NULL;
    if (trainer->class_counts) {
        label = fcl_zalloc((size_t)n * sizeof *label);
        fcl_class_draw(fcl_model_classes(trainer->model), trainer->class_counts, n, label);
    }
    int status = fcl_sampler_run(trainer->sampler, x, label, n, NULL, NULL);
    free(label);
    return status;
}

int fcl_trainer_prepare_samples(fcl_trainer *trainer, int64_t n)
{
    fcl_buffer *ema = fcl_learner_ema(trainer->learner);
    const fcl_sample_options options = {0};
    const fcl_sampled of = {.model = trainer->model,
                            .weights = ema ? ema : fcl_learner_weights(trainer->learner),
                            .objective = &trainer->options.objective};
    if (trainer->sampler)
        return FCL_OK;
    return fcl_sampler_create(trainer->device, &of, &options, 0, n, &trainer->sampler);
}

static int draw(loop *run, fcl_array *samples)
{
    fcl_trainer *trainer = run->trainer;
    const fcl_normalisation *by = trainer->normalisation;
    int64_t n = samples->shape.dim[0], size = fcl_shape_size(trainer->data->shape);
    FCL_TRY(fcl_trainer_prepare_samples(trainer, n));
    FCL_TRY(fcl_source_draw(trainer->device, trainer->source_data, trainer->options.seed, n, size, samples->data));
    if (fcl_source_is_moved(trainer->options.source))
        fcl_normalisation_apply(by, n, size, samples->data);
    int status = run_sampler(run, n, samples->data);
    fcl_normalisation_undo(by, n, size, samples->data);
    return status;
}

/* Samples that cannot be had, or are not finite, are told; the training needs none. */
static int report_samples(loop *run)
{
    fcl_trainer *trainer = run->trainer;
    int64_t n = fcl_trainer_samples(trainer, run->hooks);
    if (!n)
        return FCL_OK;
    fcl_array *samples = NULL;
    int status = fcl_samples_create(trainer->data->shape, n, &samples);
    if (status == FCL_OK)
        status = draw(run, samples);
    if (status != FCL_OK) {
        fcl_fail_within(status, "samples at step %lld", (long long)step_of(run));
        warn(run, WARN_SAMPLES);
    }
    bool there = status == FCL_OK || status == FCL_ERR_NUMERIC;
    status = there ? after_hook(run, run->hooks->sampled(run->hooks->data, step_of(run), samples)) : FCL_OK;
    fcl_array_destroy(&samples);
    return status;
}

/* --- the loop --- */

static bool due(int64_t step, int64_t every, bool last)
{
    return last || (every > 0 && step % every == 0);
}

/* Whom a signal reaches is not said: one rank that is to stop stops all. Nor do all see at once that a step is not finite. */
static int ask_stop(loop *run, bool *stop)
{
    fcl_ranks *ranks = run->trainer->options.ranks;
    *stop = run->hooks->stop && run->hooks->stop(run->hooks->data);
    bool any = *stop || run->broken;
    FCL_TRY(fcl_ranks_any(ranks, &any));
    if (!any || !ranks)
        return FCL_OK;
    FCL_TRY(fcl_ranks_any(ranks, stop));
    return *stop ? FCL_OK : drain(run);
}

/* Before anything is told, kept or drawn of a step, by all ranks, whoever of them does it: of one that is not finite nothing is.
 * Looking waits for the device: a process alone, which has all of the hooks, does so where there is what for. */
static int look_together(loop *run, bool finished, bool last)
{
    const fcl_train_options *options = &run->trainer->options;
    int64_t step = step_of(run);
    bool saves = options->ranks || options->out, draws = options->ranks || fcl_trainer_samples(run->trainer, run->hooks) > 0;
    bool looks = due(step, options->metrics_every, last) || (saves && due(step, options->checkpoint_every, last)) ||
                 (draws && due(step, options->samples_every, last)) ||
                 (options->held_out > 0 && due(step, options->held_out_every, finished));
    return looks ? drain(run) : FCL_OK;
}

/* Saves before it draws. Who stops a run wants to go: a picture is not drawn. */
static int after_step(loop *run, bool finished, bool stop)
{
    const fcl_train_options *options = &run->trainer->options;
    int64_t step = step_of(run);
    bool last = finished || stop;
    bool held_out = run->trainer->held_out && due(step, options->held_out_every, finished);
    FCL_TRY(look_together(run, finished, last));
    if (held_out)
        FCL_TRY(fcl_trainer_held_out_loss(run->trainer, &run->held_out_loss));
    if (held_out || due(step, options->metrics_every, last))
        FCL_TRY(report_metrics(run, held_out));
    FCL_TRY(report_progress(run, last));
    if (due(step, options->checkpoint_every, last))
        FCL_TRY(save(run, last));
    return !stop && due(step, options->samples_every, finished) ? report_samples(run) : FCL_OK;
}

static int stopped(const loop *run)
{
    const fcl_train_options *options = &run->trainer->options;
    if (!options->out)
        return fcl_fail(FCL_ERR_STOPPED,
                        "stopped after step %lld of %lld; nothing is saved, since there is no folder",
                        (long long)step_of(run), (long long)options->steps);
    return fcl_fail(FCL_ERR_STOPPED,
                    "stopped after step %lld of %lld; the checkpoint is in %s, and resume goes on",
                    (long long)step_of(run), (long long)options->steps, options->out);
}

static int iterate(loop *run)
{
    enum { APART = 100 /* steps that unlike devices take on their own */ };
    fcl_trainer *trainer = run->trainer;
    while (step_of(run) < trainer->options.steps) {
        FCL_TRY(fcl_trainer_step(trainer));
        if (!trainer->alike && step_of(run) % APART == 0)
            FCL_TRY(fcl_trainer_agree(trainer));
        bool finished = step_of(run) == trainer->options.steps;
        bool stop = false;
        FCL_TRY(finished ? FCL_OK : ask_stop(run, &stop));
        FCL_TRY(after_step(run, finished, stop));
        if (stop)
            return stopped(run);
    }
    return FCL_OK;
}

/* The run went down between its checkpoint and the picture of it. */
static int draw_missing(loop *run)
{
    const fcl_trainer *trainer = run->trainer;
    const fcl_train_hooks *hooks = run->hooks;
    bool wanted = trainer->came_from && hooks->has_samples &&
                  due(step_of(run), trainer->options.samples_every, step_of(run) >= trainer->options.steps);
    return wanted && !hooks->has_samples(hooks->data, step_of(run)) ? report_samples(run) : FCL_OK;
}

/* A device, a file or the numbers failed: what is left of the run. A rank tells of its own, and unsaved() has told. */
static int lost(const loop *run, int status)
{
    bool told = status == FCL_OK || status == FCL_ERR_STOPPED || status == FCL_ERR_RANK || run->told_last;
    if (!run->trainer->options.out || told)
        return status;
    if (run->saved < 0)
        return fcl_fail(status, "%s; no checkpoint was saved so far", fcl_error());
    return fcl_fail(status, "%s; the checkpoint of step %lld is there, and --resume (the option resume) goes on from it",
                    fcl_error(), (long long)run->saved);
}

static void tell_notes(const loop *run)
{
    fcl_trainer *trainer = run->trainer;
    for (int i = 0; run->hooks->warning && i < trainer->note_count; i++)
        run->hooks->warning(run->hooks->data, trainer->notes[i]);
    trainer->note_count = 0;
}

fcl_train_hooks fcl_train_hooks_of(const fcl_train_hooks *hooks, const fcl_ranks *ranks)
{
    if (!hooks)
        return (fcl_train_hooks){0};
    if (fcl_ranks_number(ranks) == 0)
        return *hooks;
    return (fcl_train_hooks){.data = hooks->data, .stop = hooks->stop};
}

int fcl_trainer_run(fcl_trainer *trainer, const fcl_train_hooks *given)
{
    fcl_run_lock *lock = NULL;
    const fcl_train_hooks hooks = fcl_train_hooks_of(given, trainer->options.ranks);
    loop run = {.trainer = trainer, .hooks = &hooks, .first_step = fcl_trainer_steps(trainer)};
    if (trainer->options.out && !trainer->locked && fcl_ranks_number(trainer->options.ranks) == 0) {
        FCL_TRY(fcl_run_lock_take(trainer->options.out, &lock));
        fcl_trainer_note(trainer, fcl_run_lock_fault(lock));
    }
    run.row_step = fcl_trainer_steps(trainer);
    run.held_out_loss = NAN;
    run.saved = trainer->came_from ? fcl_trainer_steps(trainer) : -1;
    run.began = run.reported = run.row_began = fcl_clock_seconds();
    tell_notes(&run);
    int status = fcl_trainer_meet(trainer);
    if (status == FCL_OK)
        status = draw_missing(&run);
    if (status == FCL_OK)
        status = lost(&run, iterate(&run));
    fcl_sampler_destroy(&trainer->sampler);
    fcl_run_lock_release(&lock);
    return status;
}
