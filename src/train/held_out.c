#include "train/held_out.h"

#include "base/error.h"
#include "base/memory.h"

#include "cl/philox.h"
#include "cl/permute.h"

#include <math.h>
#include <stdlib.h>

/* --- which --- */

/* A share, or a number. */
static int64_t count_held(double held_out, int64_t count)
{
    if (held_out >= 1)
        return held_out < (double)count ? (int64_t)held_out : count;
    int64_t share = (int64_t)(held_out * (double)count + 0.5);
    return share < 1 ? 1 : share;
}

int fcl_split_check(const fcl_dataset *data, const fcl_train_options *options)
{
    if (!(options->held_out > 0) || count_held(options->held_out, data->count) < data->count)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "held-out %g of the %lld samples of %s leaves none to train on", options->held_out,
                    (long long)data->count, data->name);
}

int fcl_split_create(const fcl_dataset *data, const fcl_train_options *options, fcl_split *split)
{
    *split = (fcl_split){0};
    FCL_TRY(fcl_split_check(data, options));
    if (!(options->held_out > 0))
        return FCL_OK;
    int64_t count = data->count, held = count_held(options->held_out, count);
    *split = (fcl_split){.held_count = held, .kept_count = count - held};
    split->held = fcl_zalloc((size_t)held * sizeof *split->held);
    split->kept = fcl_zalloc((size_t)(count - held) * sizeof *split->kept);
    bool *is_held = fcl_zalloc((size_t)count * sizeof *is_held);
    for (int64_t i = 0; i < held; i++) {
        split->held[i] = (int32_t)permute_index((uint32_t)i, (uint32_t)count, options->seed, FCL_STREAM_SPLIT, 0);
        is_held[split->held[i]] = true;
    }
    for (int64_t i = 0, kept = 0; i < count; i++)
        if (!is_held[i])
            split->kept[kept++] = (int32_t)i;
    free(is_held);
    return FCL_OK;
}

void fcl_split_destroy(fcl_split *split)
{
    free(split->held);
    free(split->kept);
    *split = (fcl_split){0};
}

/* --- the loss --- */

struct fcl_held_out {
    fcl_train_options options; /* of its pairs */
    fcl_feed feed;
    fcl_graph *graph; /* of a part of a step */
    fcl_tensor *loss;
};

/* As many steps as take each sample once; of few samples more, since noise and times make the loss rough, too. */
static int64_t steps_of(const fcl_feed_sets *sets, const fcl_train_options *options)
{
    enum { LEAST_DRAWS = 1024 };
    int64_t draws = sets->only_count < LEAST_DRAWS ? LEAST_DRAWS : sets->only_count;
    return (draws + options->batch - 1) / options->batch;
}

static int build(fcl_device *device, const fcl_model *model, fcl_buffer *weights, fcl_held_out *held)
{
    fcl_graph *graph = held->graph = fcl_graph_create();
    fcl_feed_call to = {.model = model, .plain = true};
    fcl_cfm_options objective = held->options.objective;
    objective.batch_total = held->options.batch;
    objective.time_draw = "stratified";
    to.weights = fcl_params_bind(fcl_model_params(model), graph, weights, "");
    fcl_tensor *x1 = fcl_feed_data(&held->feed, graph, &to.label); /* (B, D) */
    fcl_tensor *x0 = fcl_feed_source(&held->feed, graph, x1);
    held->loss = fcl_output(fcl_cfm_objective_of(graph, &objective, x0, x1, fcl_feed_velocity, &to));
    fcl_free(to.weights);
    return fcl_graph_compile(graph, device, NULL);
}

int fcl_held_out_create(fcl_device *device, const fcl_feed_sets *sets, const fcl_train_options *options,
                        const fcl_model *model, fcl_buffer *weights, fcl_held_out **held)
{
    fcl_held_out *created = *held = fcl_zalloc(sizeof *created);
    created->options = *options;
    created->options.seed += UINT64_C(0x9e3779b97f4a7c15); /* of its own */
    created->options.steps = steps_of(sets, options);
    created->options.stream_data = true; /* the whole set on the device is the training's */
    created->options.hflip = false;
    created->options.shuffle = FCL_SHUFFLE_WHOLE; /* its samples are few and far between */
    created->options.ranks = NULL; /* one does it for all, in parts as large as theirs */
    created->options.share = NULL;
    int parts = options->accumulate * fcl_ranks_count(options->ranks);
    created->options.accumulate = options->batch % parts == 0 ? parts : options->accumulate;
    int status = fcl_feed_create(device, sets, &created->options, &created->feed);
    if (status == FCL_OK)
        status = build(device, model, weights, created);
    if (status != FCL_OK)
        fcl_held_out_destroy(held);
    return status == FCL_OK ? status : fcl_fail_within(status, "the held-out part");
}

void fcl_held_out_destroy(fcl_held_out **held)
{
    fcl_held_out *dying = *held;
    if (!dying)
        return;
    fcl_graph_destroy(&dying->graph);
    fcl_feed_destroy(&dying->feed);
    free(dying);
    *held = NULL;
}

int fcl_held_out_loss(fcl_held_out *held, double *loss)
{
    const fcl_train_options *options = &held->options;
    double sum = 0;
    for (int64_t step = 0; step < options->steps; step++) {
        FCL_TRY(fcl_feed_prepare(&held->feed, step));
        for (int part = 0; part < options->accumulate; part++) {
            float mean;
            FCL_TRY(fcl_feed_run(&held->feed, held->graph, step, part));
            FCL_TRY(fcl_tensor_read(held->loss, &mean));
            sum += (double)mean;
        }
    }
    *loss = sum / (double)(options->steps * options->accumulate);
    return FCL_OK;
}

uint64_t fcl_held_out_activations(const fcl_held_out *held)
{
    return held ? fcl_graph_describe(held->graph).arena_bytes : 0;
}
