#include "train/feed.h"

#include "base/error.h"
#include "data/rows.h"
#include "flow/coupling.h"
#include "flow/flow.h"
#include "train/share.h"
#include "train/source.h"

#include <string.h>

static void set_order(const fcl_feed *feed, const fcl_dataset *data, fcl_batch_options *rows)
{
    bool blocks = feed->options->shuffle && strcmp(feed->options->shuffle, FCL_SHUFFLE_BLOCKS) == 0;
    rows->block = blocks ? fcl_shuffle_block(fcl_dataset_row_bytes(data)) : 0;
    rows->window = blocks ? fcl_shuffle_window(fcl_dataset_row_bytes(data)) : 0;
}

/* A pool across ranks is of all rows: each rank finds the pairs of all, and takes its own. */
static int create_batches(fcl_device *device, const fcl_feed_sets *sets, int pool, fcl_feed *feed)
{
    const fcl_train_options *options = feed->options;
    bool across = pool && (options->coupling_across_ranks || !options->ranks);
    fcl_batch_options rows = {
        .seed = options->seed,
        .stream = FCL_STREAM_BATCH,
        .total = options->batch,
        .first = across ? 0 : feed->share.first,
        .count = across ? options->batch : feed->share.rows,
        .rows = feed->share.rows / options->accumulate,
        .pool = across ? pool : pool ? feed->share.rows : 0,
        .only = sets->only,
        .only_count = sets->only_count,
        .labels = options->labels,
        .stream_data = options->stream_data,
        .hflip = options->hflip,
        .normalisation = sets->normalisation,
    };
    set_order(feed, sets->data, &rows);
    FCL_TRY(fcl_batch_create(device, sets->data, &rows, &feed->data));
    rows.labels = rows.hflip = false;
    fcl_batch_options of_source = rows;
    of_source.stream = FCL_STREAM_SOURCE_BATCH;
    of_source.only = NULL;
    of_source.normalisation = fcl_source_is_moved(options->source) ? sets->normalisation : NULL;
    if (sets->source) {
        set_order(feed, sets->source, &of_source);
        FCL_TRY(fcl_batch_create(device, sets->source, &of_source, &feed->source));
    }
    rows.normalisation = NULL; /* conditions come in the order of the data, as they are */
    return sets->condition ? fcl_batch_create(device, sets->condition, &rows, &feed->condition) : FCL_OK;
}

int fcl_feed_create(fcl_device *device, const fcl_feed_sets *sets, const fcl_train_options *options, fcl_feed *feed)
{
    bool paired = fcl_coupling_find(options->objective.coupling)->kind != FCL_COUPLING_NONE;
    int pool = options->coupling_batch ? options->coupling_batch : options->batch;
    *feed = (fcl_feed){.options = options, .has_source = sets->source, .pool_steps = paired ? pool / options->batch : 1};
    FCL_TRY(fcl_share_of(options, &feed->share));
    FCL_TRY(create_batches(device, sets, paired ? pool : 0, feed));
    fcl_matched matched = {
        .data = &feed->data,
        .source = sets->source ? &feed->source : NULL,
        .condition = sets->condition ? &feed->condition : NULL,
    };
    return fcl_matcher_create(device, &matched, options, &feed->matcher);
}

void fcl_feed_destroy(fcl_feed *feed)
{
    fcl_matcher_destroy(&feed->matcher);
    fcl_batch_destroy(&feed->data);
    fcl_batch_destroy(&feed->source);
    fcl_batch_destroy(&feed->condition);
}

uint64_t fcl_feed_read_ahead(const fcl_feed *feed)
{
    return fcl_batch_read_ahead(&feed->data) + fcl_batch_read_ahead(&feed->source) + fcl_batch_read_ahead(&feed->condition);
}

fcl_tensor *fcl_feed_data(const fcl_feed *feed, fcl_graph *graph, fcl_tensor **label)
{
    return fcl_name(fcl_batch_build(&feed->data, graph, label), "x1");
}

fcl_tensor *fcl_feed_source(const fcl_feed *feed, fcl_graph *graph, fcl_tensor *x1)
{
    if (feed->has_source)
        return fcl_batch_build(&feed->source, graph, NULL);
    fcl_tensor *paired = fcl_matcher_noise(feed->matcher, graph);
    return paired ? paired : fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
}

fcl_tensor *fcl_feed_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    (void)graph;
    const fcl_feed_call *to = data;
    fcl_velocity_inputs labelled = *in;
    labelled.label = to->label;
    labelled.training = in->training && !to->plain;
    return fcl_model_velocity(to->model, to->weights, &labelled);
}

int fcl_feed_prepare(fcl_feed *feed, int64_t step)
{
    return feed->matcher ? fcl_matcher_prepare(feed->matcher, step) : FCL_OK;
}

int fcl_feed_run(fcl_feed *feed, fcl_graph *graph, int64_t step, int part)
{
    int64_t in_pool = step % feed->pool_steps, first_row = feed->share.first + part * feed->data.options.rows;
    fcl_graph_random(graph, feed->options->seed, (uint32_t)(step - in_pool),
                     (uint64_t)(in_pool * feed->options->batch + first_row));
    FCL_TRY(fcl_batch_prepare(&feed->data, step, first_row));
    if (feed->has_source)
        FCL_TRY(fcl_batch_prepare(&feed->source, step, first_row));
    if (feed->matcher)
        FCL_TRY(fcl_matcher_prepare_part(feed->matcher, step, first_row));
    return fcl_graph_run(graph);
}
