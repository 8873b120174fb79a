#include "train/matcher.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/worker.h"
#include "flow/coupling.h"

#include <stdio.h>
#include <stdlib.h>

struct fcl_matcher {
    fcl_batch *data, *source;
    uint64_t seed;
    int64_t pool, steps; /* rows of a pool, and the steps that take them */
    int64_t last;        /* number of the run's last pool */
    int64_t asked,
        ready; /* numbers of the pools whose pairs are being sought, and are in the orders; -1: none */

    fcl_graph *graph; /* the costs of a pool */
    fcl_tensor *cost; /* (pool, pool) */

    /* the host's: of the pool that is asked for, from its rows to its pairs */
    int32_t *rows, *source_rows; /* numbers in the tables, as they come */
    int32_t *label;              /* NULL: no classes */
    float *costs;
    int32_t *partner, *order;
    fcl_transfer *rows_sent, *source_sent, *order_sent, *costs_read;
    fcl_worker *worker;
    int status; /* of the worker's last piece, and its sentence */
    char fault[512];
};

/* --- the thread --- */

static void assign(void *argument)
{
    fcl_matcher *matcher = argument;
    matcher->status = fcl_transfer_end(&matcher->costs_read);
    if (matcher->status == FCL_OK)
        matcher->status =
            fcl_coupling_assign((int)matcher->pool, matcher->costs, matcher->label, matcher->partner);
    if (matcher->status != FCL_OK)
        snprintf(matcher->fault, sizeof matcher->fault, "%s", fcl_error());
}

/* --- making --- */

static int build_costs(fcl_matcher *matcher, fcl_device *device)
{
    fcl_graph *graph = matcher->graph = fcl_graph_create();
    fcl_tensor *x1 = fcl_batch_build_pool(matcher->data, graph);
    fcl_tensor *x0 = matcher->source ? fcl_batch_build_pool(matcher->source, graph)
                                     : fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
    matcher->cost = fcl_output(fcl_coupling_cost(x0, x1));
    return fcl_graph_compile(graph, device, NULL);
}

static int create(fcl_matcher *matcher, fcl_device *device, bool labels)
{
    size_t pool = (size_t)matcher->pool;
    FCL_TRY(build_costs(matcher, device));
    matcher->costs = malloc(pool * pool * sizeof *matcher->costs);
    if (!matcher->costs)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the costs of %zu rows with %zu rows", pool, pool);
    matcher->rows = fcl_zalloc(pool * sizeof *matcher->rows);
    matcher->source_rows = fcl_zalloc(pool * sizeof *matcher->source_rows);
    matcher->partner = fcl_zalloc(pool * sizeof *matcher->partner);
    matcher->order = fcl_zalloc(pool * sizeof *matcher->order);
    if (labels)
        matcher->label = fcl_zalloc(pool * sizeof *matcher->label);
    return fcl_worker_create(assign, matcher, &matcher->worker);
}

int fcl_matcher_create(fcl_device *device, fcl_batch *data, fcl_batch *source,
                       const fcl_train_options *options, fcl_matcher **matcher)
{
    *matcher = NULL;
    if (fcl_coupling_find(options->objective.coupling)->kind == FCL_COUPLING_NONE)
        return FCL_OK;
    fcl_matcher *created = fcl_zalloc(sizeof *created);
    created->data = data;
    created->source = source;
    created->seed = options->seed;
    created->pool = data->options.pool;
    created->steps = created->pool / data->options.total;
    created->last = (options->steps - 1) / created->steps;
    created->asked = created->ready = -1;
    *matcher = created;
    int status = create(created, device, options->labels);
    if (status != FCL_OK)
        fcl_matcher_destroy(matcher);
    return status;
}

void fcl_matcher_destroy(fcl_matcher **matcher)
{
    fcl_matcher *dying = *matcher;
    if (!dying)
        return;
    fcl_worker_destroy(&dying->worker);
    fcl_transfer_end(&dying->costs_read);
    fcl_transfer_end(&dying->order_sent);
    fcl_transfer_end(&dying->source_sent);
    fcl_transfer_end(&dying->rows_sent);
    fcl_graph_destroy(&dying->graph);
    free(dying->costs);
    free(dying->rows);
    free(dying->source_rows);
    free(dying->partner);
    free(dying->order);
    free(dying->label);
    free(dying);
    *matcher = NULL;
}

/* --- a pool --- */

static int load(fcl_batch *batch, int64_t step, int32_t *rows, fcl_transfer **sent)
{
    FCL_TRY(fcl_transfer_end(sent)); /* of the pool before: over since its costs were read */
    FCL_TRY(fcl_batch_load_pool(batch, step, rows));
    return fcl_buffer_write_begin(batch->natural, 0, (size_t)batch->options.pool * sizeof *rows, rows, sent);
}

/* The costs of a pool are computed and read, and its pairs are sought: all of it beside the caller. */
static int ask(fcl_matcher *matcher, int64_t number)
{
    int64_t step = number * matcher->steps;
    FCL_TRY(load(matcher->data, step, matcher->rows, &matcher->rows_sent));
    if (matcher->source)
        FCL_TRY(load(matcher->source, step, matcher->source_rows, &matcher->source_sent));
    for (int64_t row = 0; matcher->label && row < matcher->pool; row++)
        matcher->label[row] = matcher->data->data->label[fcl_batch_sample(matcher->data, step, row)];
    fcl_graph_random(matcher->graph, matcher->seed, (uint32_t)step, 0);
    FCL_TRY(fcl_graph_run(matcher->graph));
    size_t bytes = (size_t)(matcher->pool * matcher->pool) * sizeof *matcher->costs;
    FCL_TRY(fcl_buffer_read_begin(fcl_tensor_buffer(matcher->cost), 0, bytes, matcher->costs,
                                  &matcher->costs_read));
    fcl_worker_start(matcher->worker);
    matcher->asked = number;
    return FCL_OK;
}

/* The pairs that were asked for, into the orders: x0 stays as it comes, x1 goes where its partner is. */
static int take(fcl_matcher *matcher)
{
    size_t bytes = (size_t)matcher->pool * sizeof *matcher->order;
    fcl_worker_wait(matcher->worker);
    if (matcher->status != FCL_OK)
        return fcl_fail(matcher->status, "pairing the rows of step %lld: %s",
                        (long long)(matcher->asked * matcher->steps + 1), matcher->fault);
    FCL_TRY(fcl_transfer_end(&matcher->order_sent));
    for (int64_t row = 0; row < matcher->pool; row++)
        matcher->order[row] = matcher->rows[matcher->partner[row]];
    FCL_TRY(fcl_buffer_write_begin(matcher->data->order, 0, bytes, matcher->order, &matcher->order_sent));
    if (matcher->source)
        FCL_TRY(fcl_buffer_copy(matcher->source->order, 0, matcher->source->natural, 0, bytes));
    matcher->ready = matcher->asked;
    return FCL_OK;
}

int fcl_matcher_prepare(fcl_matcher *matcher, int64_t step)
{
    int64_t number = step / matcher->steps;
    if (matcher->ready == number)
        return FCL_OK;
    if (matcher->asked != number)
        FCL_TRY(ask(matcher, number));
    FCL_TRY(take(matcher));
    return number < matcher->last ? ask(matcher, number + 1) : FCL_OK;
}
