#include "train/trainer.h"

#include "base/error.h"
#include "flow/flow.h"
#include "train/fingerprint.h"
#include "train/mirror.h"
#include "train/options.h"
#include "train/source.h"

/* What the objective's callback needs to build the velocity. */
typedef struct call {
    const fcl_model *model;
    fcl_tensor **weights;
    fcl_tensor *label;
} call;

static fcl_tensor *velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)graph;
    const call *to = data;
    fcl_velocity_inputs labelled = *in;
    labelled.label = to->label;
    return fcl_model_velocity(to->model, to->weights, &labelled);
}

static int check_data(fcl_trainer *trainer)
{
    const fcl_dataset *data = trainer->data;
    if (data->count < 1 || !data->values == !fcl_dataset_has_bytes(data))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is no data set: make one of what is in memory by fcl_dataset_from",
                        data->name);
    if (data->count > INT32_MAX)
        return fcl_fail(FCL_ERR_UNSUPPORTED, "%s has %lld samples; at most %d can be drawn from", data->name,
                        (long long)data->count, INT32_MAX);
    if (trainer->options.hflip)
        FCL_TRY(fcl_mirror_check(data));
    if (trainer->options.labels && !data->label)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s has no labels; train without them", data->name);
    if (trainer->options.labels)
        FCL_TRY(fcl_class_counts(data, &trainer->class_counts));
    return fcl_normalisation_create(data, trainer->options.normalise, trainer->options.range,
                                    &trainer->normalisation);
}

/* x0 (B, D) */
static fcl_tensor *build_source(const fcl_trainer *trainer, fcl_shape shape)
{
    if (trainer->source_data)
        return fcl_batch_build(&trainer->source, trainer->graph, NULL);
    fcl_tensor *paired = fcl_matcher_noise(trainer->matcher, trainer->graph);
    return paired ? paired : fcl_normal(trainer->graph, shape, FCL_STREAM_SOURCE);
}

static void build_step(fcl_trainer *trainer)
{
    fcl_graph *graph = trainer->graph;
    call to = {.model = trainer->model};
    fcl_tensor *x1 = fcl_name(fcl_batch_build(&trainer->batch, graph, &to.label), "x1"); /* (B, D) */
    if (trainer->options.label_drop > 0)
        to.label = fcl_drop_labels(to.label, fcl_model_classes(trainer->model), trainer->options.label_drop,
                                   FCL_STREAM_LABEL_DROP);
    fcl_tensor *x0 = build_source(trainer, fcl_tensor_shape(x1));
    to.weights = fcl_learner_bind(trainer->learner, graph);
    fcl_cfm_options objective = trainer->options.objective;
    objective.batch_total = trainer->options.batch;
    fcl_tensor *loss = fcl_cfm_objective_of(graph, &objective, x0, x1, velocity, &to);
    fcl_learner_minimise(trainer->learner, to.weights, loss);
    fcl_free(to.weights);
}

static int create_learner(fcl_trainer *trainer)
{
    fcl_learner_options options = fcl_train_learner_options(&trainer->options);
    FCL_TRY(fcl_learner_make(trainer->device, fcl_model_params(trainer->model), &options, &trainer->learner));
    trainer->learner->window = trainer->options.metrics_every;
    return FCL_OK;
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

/* Where the rows come from, and who pairs them. */
static int create_batches(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    bool paired = fcl_coupling_find(options->objective.coupling)->kind != FCL_COUPLING_NONE;
    int pool = options->coupling_batch ? options->coupling_batch : options->batch;
    trainer->pool_steps = paired ? pool / options->batch : 1;
    fcl_batch_options rows = {
        .seed = options->seed,
        .stream = FCL_STREAM_BATCH,
        .total = options->batch,
        .rows = options->batch / options->accumulate,
        .pool = paired ? pool : 0,
        .labels = options->labels,
        .stream_data = options->stream_data,
        .hflip = options->hflip,
        .normalisation = trainer->normalisation,
    };
    FCL_TRY(fcl_batch_create(trainer->device, trainer->data, &rows, &trainer->batch));
    FCL_TRY(fcl_source_open(options, options->source, options->seed, trainer->data->shape, &trainer->source_data));
    rows.stream = FCL_STREAM_SOURCE_BATCH;
    rows.labels = rows.hflip = false;
    if (!fcl_source_is_moved(options->source))
        rows.normalisation = NULL;
    if (trainer->source_data)
        FCL_TRY(fcl_batch_create(trainer->device, trainer->source_data, &rows, &trainer->source));
    rows.normalisation = NULL;
    rows.stream = FCL_STREAM_BATCH; /* conditions come in the order of the data */
    FCL_TRY(open_condition(trainer));
    if (trainer->condition_data)
        FCL_TRY(fcl_batch_create(trainer->device, trainer->condition_data, &rows, &trainer->condition));
    fcl_matched matched = {
        .data = &trainer->batch,
        .source = trainer->source_data ? &trainer->source : NULL,
        .condition = trainer->condition_data ? &trainer->condition : NULL,
    };
    return fcl_matcher_create(trainer->device, &matched, options, &trainer->matcher);
}

int fcl_trainer_build(fcl_trainer *trainer)
{
    FCL_TRY(create_batches(trainer));
    trainer->graph = fcl_graph_create();
    fcl_graph_recompute(trainer->graph, trainer->options.recompute);
    build_step(trainer);
    return fcl_graph_compile(trainer->graph, trainer->device,
                             &(fcl_graph_options){.check = trainer->options.check});
}

void fcl_trainer_dismantle(fcl_trainer *trainer)
{
    fcl_graph_destroy(&trainer->graph);
    fcl_matcher_destroy(&trainer->matcher);
    fcl_batch_destroy(&trainer->batch);
    fcl_batch_destroy(&trainer->source);
    fcl_dataset_destroy(&trainer->source_data);
    fcl_batch_destroy(&trainer->condition);
    fcl_dataset_destroy(&trainer->condition_data);
}

int fcl_trainer_setup(fcl_trainer *trainer)
{
    const fcl_train_options *options = &trainer->options;
    FCL_TRY(check_data(trainer));
    int classes = options->labels ? trainer->data->classes : 0;
    FCL_TRY(fcl_model_create(&options->model, trainer->data->shape, classes, &trainer->model));
    FCL_TRY(create_learner(trainer));
    FCL_TRY(fcl_trainer_build(trainer));
    fcl_arena *strings = &trainer->strings;
    FCL_TRY(fcl_fingerprint(trainer->data, options->labels, strings, &trainer->data_content));
    FCL_TRY(fcl_fingerprint(trainer->source_data, false, strings, &trainer->source_content));
    FCL_TRY(fcl_fingerprint(trainer->condition_data, false, strings, &trainer->condition_content));
    return fcl_learner_initialise(trainer->learner); /* last, for it waits until the device has zeroed the buffers */
}
