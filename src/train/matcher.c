#include "train/matcher.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/worker.h"
#include "device/launch.h"
#include "flow/coupling.h"
#include "train/mirror.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct fcl_matcher {
    fcl_matched of;
    const fcl_cfm_options *objective;
    float condition_weight;
    bool planned; /* draws from a plan on the device; else exact, on the host */
    uint64_t seed;
    int64_t rows_of_part;
    int64_t pool, steps; /* rows of a pool, and the steps that take them */
    int64_t last;        /* number of the run's last pool */
    int64_t asked,
        ready; /* numbers of the pools whose pairs are being sought, and are in the orders; -1: none */

    fcl_graph *graph;  /* the costs of a pool, or its pairs */
    fcl_tensor *cost;  /* (pool, pool) */
    fcl_buffer *class; /* (pool) labels as floats; NULL: pairs may cross classes */

    /* of a plan: the pool's noise, its order and that of a part, and the sums of the reports */
    fcl_buffer *noise, *noise_order, *noise_index, *report;
    int64_t plans; /* in these sums */

    /* the host's: of the pool that is asked for, from its rows to its pairs */
    int32_t *rows, *source_rows, *condition_rows; /* numbers in the tables, as they come */
    int32_t *label;                               /* NULL: no classes */
    float *label_sent, *costs;
    int32_t *partner, *order;
    float *draws; /* of what is mirrored, in that order */
    fcl_transfer *rows_sent, *source_sent, *condition_sent, *class_sent, *order_sent, *draws_sent, *costs_read;
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

/* --- the graph --- */

/* Rows of x with their condition beside them: distances of these are added. */
static fcl_tensor *beside(const fcl_matcher *matcher, fcl_tensor *x, fcl_tensor *condition)
{
    fcl_tensor *parts[] = {x, condition ? fcl_scale(condition, sqrtf(matcher->condition_weight)) : NULL};
    return condition ? fcl_concat(2, parts, 1) : x;
}

static fcl_tensor *build_condition(const fcl_matcher *matcher, fcl_graph *graph)
{
    return matcher->of.condition ? fcl_batch_build_pool(matcher->of.condition, graph) : NULL;
}

/* (pool, pool): 1 where the labels differ. */
static fcl_tensor *build_forbidden(const fcl_matcher *matcher)
{
    if (!matcher->class)
        return NULL;
    fcl_graph *graph = matcher->graph;
    fcl_tensor *label = fcl_leaf(graph, "class", FCL_F32, FCL_SHAPE(matcher->pool, 1), matcher->class, 0);
    fcl_tensor *turned = fcl_reshape(label, FCL_SHAPE(1, matcher->pool));
    return fcl_greater(fcl_abs(fcl_sub(label, turned)), fcl_constant(graph, 0.5f));
}

static fcl_tensor *order_leaf(const fcl_matcher *matcher, fcl_buffer *buffer)
{
    return fcl_leaf(matcher->graph, "order", FCL_I32, FCL_SHAPE(matcher->pool), buffer, 0);
}

/* order = natural[row] */
static void assign_order(const fcl_matcher *matcher, const fcl_batch *batch, fcl_tensor *row)
{
    fcl_tensor *natural = order_leaf(matcher, batch->natural);
    fcl_assign(order_leaf(matcher, batch->order), fcl_gather_rows(natural, row, 1, 0));
}

/* The draws by which rows are mirrored go where the rows go. */
static void assign_draws(const fcl_matcher *matcher, fcl_tensor *row)
{
    const fcl_batch *data = matcher->of.data;
    if (!data->draw_order)
        return;
    fcl_graph *graph = matcher->graph;
    fcl_tensor *taken = fcl_leaf(graph, "draws", FCL_F32, FCL_SHAPE(matcher->pool, 1), data->draw_order, 0);
    fcl_assign(taken, fcl_gather_rows(fcl_mirror_draws(data, graph), row, 1, 0));
}

static void build_plan(const fcl_matcher *matcher, fcl_tensor *x0, fcl_tensor *x0_with, fcl_tensor *x1_with)
{
    fcl_graph *graph = matcher->graph;
    fcl_coupling_pairs pairs =
        fcl_coupling_draw(matcher->objective, x0_with, x1_with, build_forbidden(matcher));
    fcl_tensor *sums =
        fcl_leaf(graph, "report", FCL_F32, FCL_SHAPE(FCL_TRANSPORT_REPORT), matcher->report, 0);
    fcl_assign(sums, fcl_add(sums, pairs.report));
    assign_order(matcher, matcher->of.data, pairs.x1_row);
    assign_draws(matcher, pairs.x1_row);
    if (matcher->of.source) {
        assign_order(matcher, matcher->of.source, pairs.x0_row);
    } else {
        fcl_assign(fcl_leaf(graph, "noise", FCL_F32, fcl_tensor_shape(x0), matcher->noise, 0), x0);
        fcl_assign(order_leaf(matcher, matcher->noise_order), pairs.x0_row);
    }
}

static int build(fcl_matcher *matcher, fcl_device *device)
{
    fcl_graph *graph = matcher->graph = fcl_graph_create();
    fcl_tensor *x1 = fcl_batch_build_pool(matcher->of.data, graph);
    fcl_tensor *x0 = matcher->of.source ? fcl_batch_build_pool(matcher->of.source, graph)
                                        : fcl_normal(graph, fcl_tensor_shape(x1), FCL_STREAM_SOURCE);
    fcl_tensor *condition = build_condition(matcher, graph);
    fcl_tensor *x0_with = beside(matcher, x0, condition), *x1_with = beside(matcher, x1, condition);
    if (matcher->planned)
        build_plan(matcher, x0, x0_with, x1_with);
    else
        matcher->cost = fcl_output(fcl_coupling_cost(x0_with, x1_with)); /* (pool, pool) */
    return fcl_graph_compile(graph, device, NULL);
}

fcl_tensor *fcl_matcher_noise(const fcl_matcher *matcher, fcl_graph *graph)
{
    if (!matcher || !matcher->noise)
        return NULL;
    int64_t size = fcl_shape_size(matcher->of.data->data->shape);
    fcl_tensor *noise = fcl_leaf(graph, "noise", FCL_F32, FCL_SHAPE(matcher->pool, size), matcher->noise, 0);
    fcl_tensor *index =
        fcl_leaf(graph, "noise rows", FCL_I32, FCL_SHAPE(matcher->rows_of_part), matcher->noise_index, 0);
    return fcl_gather_rows(noise, index, 1, 0);
}

/* --- making --- */

static int create_plan(fcl_matcher *matcher, fcl_device *device)
{
    size_t pool = (size_t)matcher->pool, size = (size_t)fcl_shape_size(matcher->of.data->data->shape);
    FCL_TRY(fcl_buffer_create(device, FCL_TRANSPORT_REPORT * sizeof(float), &matcher->report));
    if (matcher->label)
        FCL_TRY(fcl_buffer_create(device, pool * sizeof(float), &matcher->class));
    if (matcher->of.source)
        return FCL_OK;
    FCL_TRY(fcl_buffer_create(device, pool * size * sizeof(float), &matcher->noise));
    FCL_TRY(fcl_buffer_create(device, pool * sizeof(int32_t), &matcher->noise_order));
    return fcl_buffer_create(device, (size_t)matcher->rows_of_part * sizeof(int32_t), &matcher->noise_index);
}

static int create_exact(fcl_matcher *matcher)
{
    size_t pool = (size_t)matcher->pool;
    matcher->costs = malloc(pool * pool * sizeof *matcher->costs);
    if (!matcher->costs)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the costs of %zu rows with %zu rows", pool, pool);
    matcher->partner = fcl_zalloc(pool * sizeof *matcher->partner);
    matcher->order = fcl_zalloc(pool * sizeof *matcher->order);
    matcher->draws = fcl_zalloc(pool * sizeof *matcher->draws);
    return fcl_worker_create(assign, matcher, &matcher->worker);
}

static int create(fcl_matcher *matcher, fcl_device *device, bool classes)
{
    size_t pool = (size_t)matcher->pool;
    matcher->rows = fcl_zalloc(pool * sizeof *matcher->rows);
    matcher->source_rows = fcl_zalloc(pool * sizeof *matcher->source_rows);
    matcher->condition_rows = fcl_zalloc(pool * sizeof *matcher->condition_rows);
    if (classes) {
        matcher->label = fcl_zalloc(pool * sizeof *matcher->label);
        matcher->label_sent = fcl_zalloc(pool * sizeof *matcher->label_sent);
    }
    FCL_TRY(matcher->planned ? create_plan(matcher, device) : create_exact(matcher));
    return build(matcher, device);
}

int fcl_matcher_create(fcl_device *device, const fcl_matched *matched, const fcl_train_options *options,
                       fcl_matcher **matcher)
{
    fcl_coupling_kind kind = fcl_coupling_find(options->objective.coupling)->kind;
    *matcher = NULL;
    if (kind == FCL_COUPLING_NONE)
        return FCL_OK;
    fcl_matcher *created = fcl_zalloc(sizeof *created);
    created->of = *matched;
    created->objective = &options->objective;
    created->condition_weight = options->condition_weight;
    created->planned = kind == FCL_COUPLING_PLAN;
    created->seed = options->seed;
    created->pool = matched->data->options.pool;
    created->rows_of_part = matched->data->options.rows;
    created->steps = created->pool / matched->data->options.count;
    created->last = (options->steps - 1) / created->steps;
    created->asked = created->ready = -1;
    *matcher = created;
    int status = create(created, device, options->labels && options->condition_weight >= 0);
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
    fcl_transfer **transfers[] = {&dying->costs_read,  &dying->order_sent,     &dying->draws_sent, &dying->class_sent,
                                  &dying->source_sent, &dying->condition_sent, &dying->rows_sent};
    for (size_t i = 0; i < sizeof transfers / sizeof *transfers; i++)
        fcl_transfer_drop(transfers[i]);
    fcl_graph_destroy(&dying->graph);
    fcl_buffer **buffers[] = {&dying->class, &dying->noise, &dying->noise_order, &dying->noise_index,
                              &dying->report};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        fcl_buffer_destroy(buffers[i]);
    void *memory[] = {dying->costs,      dying->rows,    dying->source_rows, dying->condition_rows,
                      dying->label_sent, dying->partner, dying->order,       dying->label, dying->draws};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        free(memory[i]);
    free(dying);
    *matcher = NULL;
}

/* --- a pool --- */

static int load(fcl_batch *batch, int64_t step, int32_t *rows, fcl_transfer **sent)
{
    if (!batch)
        return FCL_OK;
    FCL_TRY(fcl_transfer_end(sent)); /* of the pool before: over since its graph has run */
    FCL_TRY(fcl_batch_load_pool(batch, step, rows));
    return fcl_buffer_write_begin(batch->natural, 0, (size_t)batch->options.pool * sizeof *rows, rows, sent);
}

static int load_labels(fcl_matcher *matcher, int64_t step)
{
    const fcl_batch *data = matcher->of.data;
    if (!matcher->label)
        return FCL_OK;
    FCL_TRY(fcl_transfer_end(&matcher->class_sent));
    for (int64_t row = 0; row < matcher->pool; row++) {
        matcher->label[row] = data->data->label[fcl_batch_sample(data, step, data->options.first + row)];
        matcher->label_sent[row] = (float)matcher->label[row];
    }
    return matcher->class ? fcl_buffer_write_begin(matcher->class, 0, (size_t)matcher->pool * sizeof(float),
                                                   matcher->label_sent, &matcher->class_sent)
                          : FCL_OK;
}

/* A pool's rows come to the device, and its costs are read and its pairs sought beside the caller; or its
 * pairs are drawn. */
static int ask(fcl_matcher *matcher, int64_t number)
{
    int64_t step = number * matcher->steps;
    if (matcher->worker) /* of a pool that is not taken any more, where steps go back */
        fcl_worker_wait(matcher->worker);
    FCL_TRY(load(matcher->of.data, step, matcher->rows, &matcher->rows_sent));
    FCL_TRY(load(matcher->of.source, step, matcher->source_rows, &matcher->source_sent));
    FCL_TRY(load(matcher->of.condition, step, matcher->condition_rows, &matcher->condition_sent));
    FCL_TRY(load_labels(matcher, step));
    fcl_graph_random(matcher->graph, matcher->seed, (uint32_t)step, (uint64_t)matcher->of.data->options.first);
    FCL_TRY(fcl_graph_run(matcher->graph));
    matcher->asked = number;
    if (matcher->planned)
        return FCL_OK;
    size_t bytes = (size_t)(matcher->pool * matcher->pool) * sizeof *matcher->costs;
    FCL_TRY(fcl_buffer_read_begin(fcl_tensor_buffer(matcher->cost), 0, bytes, matcher->costs,
                                  &matcher->costs_read));
    fcl_worker_start(matcher->worker);
    return FCL_OK;
}

/* The draws by which rows are mirrored, where their rows are. */
static int take_draws(fcl_matcher *matcher)
{
    const fcl_batch *data = matcher->of.data;
    if (!data->draw_order)
        return FCL_OK;
    FCL_TRY(fcl_transfer_end(&matcher->draws_sent));
    for (int64_t row = 0; row < matcher->pool; row++)
        matcher->draws[row] =
            fcl_mirror_draw(data, matcher->asked * matcher->steps, data->options.first + matcher->partner[row]);
    return fcl_buffer_write_begin(data->draw_order, 0, (size_t)matcher->pool * sizeof *matcher->draws, matcher->draws,
                                  &matcher->draws_sent);
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
    FCL_TRY(fcl_buffer_write_begin(matcher->of.data->order, 0, bytes, matcher->order, &matcher->order_sent));
    FCL_TRY(take_draws(matcher));
    if (matcher->of.source)
        FCL_TRY(fcl_buffer_copy(matcher->of.source->order, 0, matcher->of.source->natural, 0, bytes));
    matcher->ready = matcher->asked;
    return FCL_OK;
}

static int prepare_plan(fcl_matcher *matcher, int64_t number)
{
    FCL_TRY(ask(matcher, number));
    matcher->ready = number;
    matcher->plans++;
    return FCL_OK;
}

int fcl_matcher_prepare(fcl_matcher *matcher, int64_t step)
{
    int64_t number = step / matcher->steps;
    if (matcher->ready == number)
        return FCL_OK;
    if (matcher->planned)
        return prepare_plan(matcher, number);
    if (matcher->asked != number)
        FCL_TRY(ask(matcher, number));
    FCL_TRY(take(matcher));
    return number < matcher->last ? ask(matcher, number + 1) : FCL_OK;
}

int fcl_matcher_prepare_part(fcl_matcher *matcher, int64_t step, int64_t first_row)
{
    if (!matcher->noise)
        return FCL_OK;
    int64_t in_pool = step % matcher->steps * (matcher->pool / matcher->steps) + first_row - matcher->of.data->options.first;
    return fcl_buffer_copy(matcher->noise_index, 0, matcher->noise_order, (size_t)in_pool * sizeof(int32_t),
                           (size_t)matcher->rows_of_part * sizeof(int32_t));
}

int fcl_matcher_stats(fcl_matcher *matcher, fcl_train_plans *plans)
{
    float sums[FCL_TRANSPORT_REPORT];
    *plans = (fcl_train_plans){0};
    if (!matcher || !matcher->plans)
        return FCL_OK;
    FCL_TRY(fcl_buffer_read(matcher->report, 0, sizeof sums, sums));
    double count = (double)matcher->plans;
    *plans = (fcl_train_plans){
        .count = matcher->plans,
        .open = (int64_t)(sums[FCL_TRANSPORT_OPEN] + 0.5f),
        .iterations = (double)sums[FCL_TRANSPORT_ITERATIONS] / count,
        .change = (double)sums[FCL_TRANSPORT_CHANGE] / count,
        .mass = (double)sums[FCL_TRANSPORT_MASS] / count,
    };
    matcher->plans = 0;
    return fcl_buffer_zero(matcher->report);
}
