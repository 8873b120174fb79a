/* Going on from a checkpoint: whether this is the same run, and what is different about it; and beginning with another's
 * weights. */
#include "train/trainer.h"

#include "base/error.h"
#include "graph/graph.h"
#include "train/normalised.h"
#include "train/options.h"

#include <math.h>
#include <string.h>

/* A set that the checkpoint was trained with, and the one that takes its place. */
typedef struct set_pair {
    const char *key;                /* its option */
    const char *before_name, *name; /* what the option says */
    const char *before, *now;       /* their contents; NULL: there is none */
} set_pair;

static int fail_content(const set_pair *pair, const char *where)
{
    bool elsewhere = strcmp(pair->before_name, pair->name) != 0;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "cannot resume from %s: it was trained with %s %s%s%s: %s before, %s now; give those of "
                    "before, or go on with these by --data-changed (the option data-changed)",
                    where, pair->key, pair->before_name, elsewhere ? ", not " : "", elsewhere ? pair->name : "",
                    pair->before, pair->now);
}

static int check_content(fcl_trainer *trainer, const fcl_checkpoint_info *info, const set_pair *pair)
{
    if (!pair->before || !pair->now) /* noise in place of a set is another model, whatever changed */
        return !pair->before == !pair->now
                   ? FCL_OK
                   : fcl_train_options_compare_one(info->options, &trainer->options, pair->key, info->path);
    if (strcmp(pair->before, pair->now) == 0)
        return FCL_OK;
    if (!trainer->options.data_changed)
        return fail_content(pair, info->path);
    char *sentence = fcl_format("the %s changed: %s before, %s now", pair->key, pair->before, pair->now);
    fcl_trainer_note(trainer, sentence);
    fcl_free(sentence);
    return FCL_OK;
}

/* A checkpoint that does not tell what its data were: their names must do. */
static int check_names(const fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    static const char *const keys[] = {"data", "data-count", "source", "condition"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !trainer->options.data_changed; i++)
        FCL_TRY(fcl_train_options_compare_one(info->options, &trainer->options, keys[i], info->path));
    return FCL_OK;
}

static int check_sets(fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    const fcl_train_options *options = &trainer->options;
    const fcl_train_options *before = info->options;
    const set_pair pairs[] = {
        {"data", before->data, options->data, info->data_content, trainer->data_content},
        {"source", before->source, options->source, info->source_content, trainer->source_content},
        {"condition", before->condition, options->condition, info->condition_content,
         trainer->condition_content},
    };
    if (!info->data_content)
        return check_names(trainer, info);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        FCL_TRY(check_content(trainer, info, &pairs[i]));
    return FCL_OK;
}

/* The numbers of classes that have names follow from these. */
static int check_class_names(const fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    const fcl_dataset *data = trainer->data;
    for (int k = 0; k < info->classes; k++) {
        const char *before = info->class_names ? info->class_names[k] : NULL;
        const char *now = data->class_name ? data->class_name[k] : NULL;
        if (!before != !now || (now && strcmp(before, now) != 0))
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "cannot resume from %s: its class %d is called '%s', that of %s '%s'", info->path, k,
                            before ? before : "", data->name, now ? now : "");
    }
    return FCL_OK;
}

static bool same_samples(const fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    return fcl_shape_equal(fcl_model_sample(trainer->model), info->sample) &&
           fcl_model_classes(trainer->model) == info->classes;
}

/* The order of the checkpoint's samples; checkpoints of before there was a choice know none. */
static const char *order_of(const fcl_checkpoint_info *info)
{
    return strcmp(info->options->shuffle, FCL_SHUFFLE_AUTO) == 0 ? FCL_SHUFFLE_WHOLE : info->options->shuffle;
}

static int check_order(const fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    const char *before = order_of(info), *now = trainer->options.shuffle;
    return trainer->order_chosen || strcmp(before, now) == 0
               ? FCL_OK
               : fcl_fail(FCL_ERR_ARGUMENT,
                          "cannot resume from %s: its samples came in the order %s, not %s (the option shuffle)",
                          info->path, before, now);
}

static int check(fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    FCL_TRY(check_order(trainer, info));
    FCL_TRY(fcl_train_options_compare(info->options, &trainer->options, info->path));
    if (!same_samples(trainer, info))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "cannot resume from %s: %s now has samples of another shape or other classes",
                        info->path, trainer->data->name);
    FCL_TRY(check_class_names(trainer, info));
    return check_sets(trainer, info);
}

/* Schedules are drawn over all steps: a run that is made longer is elsewhere on its curve. */
static void note_rate(fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    const fcl_train_options *now = &trainer->options, *before = info->options;
    int64_t step = info->step, planned = step < before->steps ? step : before->steps - 1;
    double expected = fcl_schedule_rate(before, planned), rate = fcl_schedule_rate(now, step);
    if (step >= now->steps || fabs(rate - expected) <= 1e-6 * fmax(rate, expected))
        return;
    char *sentence = fcl_format(
        "the learning rate goes on with %.3g, and was %.3g at step %lld: the schedule %s runs over "
        "%lld steps, and did over %lld",
        rate, fcl_schedule_rate(before, step > 0 ? step - 1 : 0), (long long)step, now->schedule,
        (long long)now->steps, (long long)before->steps);
    fcl_trainer_note(trainer, sentence);
    fcl_free(sentence);
}

/* A run goes on with the numbers that it began with, whatever the data's would be now, and in its order, wherever the data
 * are now. */
static int keep(fcl_trainer *trainer, const fcl_normalisation *by, const char *order)
{
    bool same = strcmp(trainer->options.shuffle, order) == 0;
    trainer->options.shuffle = fcl_arena_format(&trainer->strings, "%s", order);
    trainer->normalisation->low = by->low;
    trainer->normalisation->high = by->high;
    if (same && fcl_normalised_alike(by, trainer->normalisation))
        return FCL_OK;
    fcl_trainer_dismantle(trainer);
    fcl_normalisation_destroy(&trainer->normalisation);
    trainer->normalisation = fcl_normalised_copy(by);
    return fcl_trainer_build(trainer);
}

static int load_state(const fcl_learner *learner, const fcl_checkpoint *checkpoint, fcl_state state)
{
    fcl_state from = fcl_states_origin(&checkpoint->averages, &learner->averages, state);
    return fcl_checkpoint_load(checkpoint, from, learner->state[state]);
}

static void note_averages(fcl_trainer *trainer, const fcl_checkpoint *checkpoint)
{
    const fcl_averages *now = &trainer->learner->averages;
    fcl_averages begun = {0};
    for (int i = 0; i < now->count; i++)
        if (fcl_averages_origin(&checkpoint->averages, now, i) < 0)
            begun.decay[begun.count++] = now->decay[i];
    if (!begun.count)
        return;
    char *decays = fcl_averages_text(&begun), *there = fcl_averages_text(&checkpoint->averages);
    char *sentence = fcl_format("an average of decay %s begins with the weights: the checkpoint has %s", decays,
                                *there ? there : "none");
    fcl_trainer_note(trainer, sentence);
    fcl_free(sentence);
    fcl_free(there);
    fcl_free(decays);
}

static int load(fcl_trainer *trainer, const fcl_checkpoint *checkpoint)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_learner *learner = trainer->learner;
    FCL_TRY(check(trainer, info));
    FCL_TRY(fcl_trainer_recover(trainer));
    FCL_TRY(keep(trainer, info->normalisation, order_of(info)));
    for (fcl_state state = 0; state < FCL_ALL_STATES; state++)
        if (learner->state[state])
            FCL_TRY(load_state(learner, checkpoint, state));
    FCL_TRY(fcl_learner_go_on(learner, info->step));
    trainer->options.objective.least_alpha = info->options->objective.least_alpha; /* sampling asks from there on */
    trainer->came_from = fcl_arena_format(&trainer->strings, "%s", info->device);
    note_rate(trainer, info);
    note_averages(trainer, checkpoint);
    return FCL_OK;
}

int fcl_trainer_resume(fcl_trainer *trainer, const char *path)
{
    fcl_checkpoint *checkpoint;
    FCL_TRY(fcl_checkpoint_open_with(path, &(fcl_foreign_options){.own = trainer->options.model.own}, &checkpoint));
    int status = load(trainer, checkpoint);
    fcl_checkpoint_close(&checkpoint);
    return status;
}

/* --- beginning --- */

/* What our own checkpoints say of their weights; of others the configuration says all. */
static int check_model(fcl_trainer *trainer, const fcl_checkpoint_info *info)
{
    if (info->foreign)
        return FCL_OK;
    FCL_TRY(fcl_train_options_compare_model(info->options, &trainer->options, info->path));
    if (!same_samples(trainer, info))
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot begin with %s: %s has samples of another shape or other classes",
                        info->path, trainer->data->name);
    if (!fcl_normalised_alike(info->normalisation, trainer->normalisation)) {
        char *before = fcl_normalisation_text(info->normalisation);
        char *sentence = fcl_format("the weights of %s saw numbers that were moved otherwise%s%s: --normalise says how",
                                    info->path, *before ? ", by " : ", as they were", before);
        fcl_trainer_note(trainer, sentence);
        fcl_free(sentence);
        fcl_free(before);
    }
    return FCL_OK;
}

static int begin_with(fcl_trainer *trainer, const fcl_checkpoint *checkpoint)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    const fcl_learner *learner = trainer->learner;
    FCL_TRY(check_model(trainer, info));
    FCL_TRY(load_state(learner, checkpoint, FCL_STATE_WEIGHTS));
    for (int i = 0; i < learner->averages.count; i++)
        FCL_TRY(load_state(learner, checkpoint, fcl_state_average(i)));
    trainer->begun_with = fcl_arena_format(&trainer->strings, "%s%s%s", info->path, info->foreign ? ": " : "",
                                           info->foreign ? info->foreign : "");
    return FCL_OK;
}

int fcl_trainer_init(fcl_trainer *trainer, const char *path, const char *names)
{
    fcl_checkpoint *checkpoint;
    FCL_TRY(fcl_checkpoint_open_for(path, names, &trainer->options, trainer->model, &checkpoint));
    int status = begin_with(trainer, checkpoint);
    fcl_checkpoint_close(&checkpoint);
    return status;
}
