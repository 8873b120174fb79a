#include "train/trainer.h"

#include "base/error.h"
#include "device/rehearsal.h"
#include "flow/flow.h"
#include "train/fingerprint.h"
#include "train/fit.h"
#include "train/mirror.h"
#include "train/options.h"
#include "train/source.h"

#include <string.h>

/* Of what is trained on. */
static int count_classes(fcl_trainer *trainer)
{
    FCL_TRY(fcl_class_counts(trainer->data, &trainer->class_counts));
    for (int64_t i = 0; i < trainer->split.held_count; i++)
        trainer->class_counts[trainer->data->label[trainer->split.held[i]]]--;
    return FCL_OK;
}

static int check_data(fcl_trainer *trainer)
{
    const fcl_dataset *data = trainer->data;
    bool floats = data->values || (data->stored && !fcl_dataset_has_bytes(data));
    if (data->count < 1 || floats == fcl_dataset_has_bytes(data))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is no data set: make one of what is in memory by fcl_dataset_from",
                        data->name);
    if (data->count > INT32_MAX)
        return fcl_fail(FCL_ERR_UNSUPPORTED, "%s has %lld samples; at most %d can be drawn from", data->name,
                        (long long)data->count, INT32_MAX);
    if (trainer->options.hflip)
        FCL_TRY(fcl_mirror_check(data));
    if (trainer->options.labels && !data->label)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no labels; train without them", data->name);
    FCL_TRY(fcl_split_create(data, &trainer->options, &trainer->split));
    return trainer->options.labels ? count_classes(trainer) : FCL_OK;
}

static void build_step(fcl_trainer *trainer)
{
    fcl_graph *graph = trainer->graph;
    fcl_feed_call to = {.model = trainer->model};
    fcl_tensor *x1 = fcl_feed_data(&trainer->feed, graph, &to.label); /* (B, D) */
    if (trainer->options.label_drop > 0)
        to.label = fcl_drop_labels(to.label, fcl_model_classes(trainer->model), trainer->options.label_drop,
                                   FCL_STREAM_LABEL_DROP);
    fcl_tensor *x0 = fcl_feed_source(&trainer->feed, graph, x1);
    to.weights = fcl_learner_bind(trainer->learner, graph);
    fcl_cfm_options objective = trainer->options.objective;
    objective.batch_total = trainer->options.batch;
    fcl_tensor *loss = fcl_cfm_objective_of(graph, &objective, x0, x1, fcl_feed_velocity, &to);
    fcl_learner_minimise(trainer->learner, to.weights, loss);
    fcl_free(to.weights);
}

static int create_learner(fcl_trainer *trainer)
{
    fcl_learner_options options = fcl_train_learner_options(&trainer->options);
    fcl_share share;
    FCL_TRY(fcl_share_of(&trainer->options, &share));
    options.share = (double)share.rows / trainer->options.batch;
    FCL_TRY(fcl_learner_make(trainer->device, fcl_model_params(trainer->model), &options, &trainer->learner));
    trainer->learner->window = trainer->options.metrics_every;
    return FCL_OK;
}

/* Random rows of files are a read each. */
static void choose_order(fcl_trainer *trainer)
{
    trainer->order_chosen = strcmp(trainer->options.shuffle, FCL_SHUFFLE_AUTO) == 0;
    if (trainer->order_chosen)
        trainer->options.shuffle = trainer->data->stored ? FCL_SHUFFLE_BLOCKS : FCL_SHUFFLE_WHOLE;
}

/* A row of conditions for each sample. */
static int open_condition(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    if (!options->condition)
        return FCL_OK;
    fcl_dataset_options which = {.count = options->data_count, .label_column = "none"};
    int status = fcl_dataset_open(options->condition, &which, &trainer->condition_data);
    if (status != FCL_OK)
        return fcl_fail_within(status, "the conditions");
    long long there = trainer->condition_data->count, wanted = trainer->data->count;
    return there == wanted ? FCL_OK
                           : fcl_fail(FCL_ERR_SHAPE, "%s has %lld conditions for the %lld samples of %s",
                                      options->condition, there, wanted, trainer->data->name);
}

/* What is found by looking at all data, and the sets beside them. Nothing is on the device yet. */
static int look_at_data(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    const fcl_trainer *lender = trainer->lender;
    if (lender) {
        trainer->normalisation = lender->normalisation;
        trainer->source_data = lender->source_data;
        trainer->condition_data = lender->condition_data;
        return FCL_OK;
    }
    FCL_TRY(fcl_normalisation_create(trainer->data, options->normalise, options->range, &trainer->normalisation));
    FCL_TRY(fcl_source_open(options, options->source, options->seed, trainer->data->shape, &trainer->source_data));
    FCL_TRY(open_condition(trainer));
    trainer->looked = true;
    return FCL_OK;
}

/* Where the rows come from, and who pairs them. */
static int create_feed(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    fcl_feed_sets sets = {
        .data = trainer->data,
        .source = trainer->source_data,
        .condition = trainer->condition_data,
        .only = trainer->split.kept,
        .only_count = trainer->split.kept_count,
        .normalisation = trainer->normalisation,
    };
    FCL_TRY(fcl_feed_create(trainer->device, &sets, options, &trainer->feed));
    if (!trainer->split.held || fcl_ranks_number(options->ranks) > 0)
        return FCL_OK;
    fcl_buffer *average = fcl_learner_ema(trainer->learner);
    sets.only = trainer->split.held;
    sets.only_count = trainer->split.held_count;
    return fcl_held_out_create(trainer->device, &sets, options, trainer->model,
                               average ? average : fcl_learner_weights(trainer->learner), &trainer->held_out);
}

int fcl_trainer_build_graph(fcl_trainer *trainer, bool check)
{
    trainer->graph = fcl_graph_create();
    fcl_graph_recompute(trainer->graph, trainer->options.recompute);
    build_step(trainer);
    return fcl_graph_compile(trainer->graph, trainer->device, &(fcl_graph_options){.check = check});
}

int fcl_trainer_build(fcl_trainer *trainer)
{
    FCL_TRY(create_feed(trainer));
    return fcl_trainer_build_graph(trainer, trainer->options.check);
}

void fcl_trainer_dismantle(fcl_trainer *trainer)
{
    fcl_graph_destroy(&trainer->graph);
    fcl_feed_destroy(&trainer->feed);
    fcl_held_out_destroy(&trainer->held_out);
}

static int take_fingerprints(fcl_trainer *trainer)
{
    fcl_arena *strings = &trainer->strings;
    FCL_TRY(fcl_fingerprint(trainer->data, trainer->options.labels, strings, &trainer->data_content));
    FCL_TRY(fcl_fingerprint(trainer->source_data, false, strings, &trainer->source_content));
    return fcl_fingerprint(trainer->condition_data, false, strings, &trainer->condition_content);
}

static int find_neighbours(fcl_trainer *trainer)
{
    fcl_ranks *ranks = trainer->options.ranks;
    if (!ranks)
        return FCL_OK;
    trainer->neighbours = fcl_zalloc((size_t)fcl_ranks_count(ranks) * sizeof *trainer->neighbours);
    return fcl_neighbours_find(ranks, trainer->device, trainer->neighbours);
}

/* Who they are, and what of a batch is whose. */
static int arrange_ranks(fcl_trainer *trainer)
{
    FCL_TRY(fcl_trainer_compare_devices(trainer));
    FCL_TRY(find_neighbours(trainer));
    FCL_TRY(fcl_fit_together(trainer));
    FCL_TRY(fcl_share_measure(trainer));
    return trainer->measured ? fcl_fit_together(trainer) : FCL_OK;
}

int fcl_trainer_setup(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    FCL_TRY(check_data(trainer));
    FCL_TRY(look_at_data(trainer));
    choose_order(trainer);
    FCL_TRY(trainer->lender || fcl_device_is_rehearsal(trainer->device) ? FCL_OK : arrange_ranks(trainer));
    int classes = options->labels ? trainer->data->classes : 0;
    FCL_TRY(fcl_model_create(&options->model, trainer->data->shape, classes, &trainer->model));
    FCL_TRY(create_learner(trainer));
    FCL_TRY(fcl_trainer_build(trainer));
    if (fcl_device_is_rehearsal(trainer->device))
        return FCL_OK;
    FCL_TRY(trainer->lender ? FCL_OK : take_fingerprints(trainer));
    return fcl_learner_initialise(trainer->learner); /* last, for it waits until the device has zeroed the buffers */
}
