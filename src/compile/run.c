/* Compiling a graph by its passes, and running it. */
#include "compile/block.h"
#include "compile/rows.h"
#include "base/watch.h"

#include <stdlib.h>

static int fill_inputs(const fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->content && graph->nodes[i]->buffer)
            FCL_TRY(fcl_tensor_write(graph->nodes[i], graph->nodes[i]->content));
    return FCL_OK;
}

fcl_plan *fcl_plan_create(fcl_graph *graph, fcl_device *device, const fcl_graph_options *options)
{
    fcl_plan *plan = graph->plan = fcl_zalloc(sizeof *plan);
    plan->graph = graph;
    plan->device = device;
    plan->options = options ? *options : (fcl_graph_options){0};
    plan->options.no_fusion |= plan->options.check;
    plan->table_index = -1;
    if (!plan->options.no_fusion)
        fcl_plan_find_same(graph);
    if (!plan->options.no_fusion && !graph->recompute)
        fcl_plan_compute_again(graph);
    fcl_plan_fuse(plan);
    if (!plan->options.no_fusion && fcl_device_traits(device).wide)
        fcl_plan_block(plan);
    if (!plan->options.no_fusion)
        fcl_plan_rows(plan);
    if (!plan->options.no_fusion)
        fcl_plan_join_sums(plan);
    fcl_plan_place(plan);
    return plan;
}

int fcl_graph_compile(fcl_graph *graph, fcl_device *device, const fcl_graph_options *options)
{
    if (graph->nested)
        fcl_mistake(graph, "a block of the graph has no end: fcl_block_end says where it is");
    if (graph->mistake)
        return fcl_fail(FCL_ERR_SHAPE, "%s", graph->mistake);
    if (graph->plan)
        return fcl_fail(FCL_ERR_ARGUMENT, "this graph is compiled already");
    fcl_plan *plan = fcl_plan_create(graph, device, options);
    FCL_TRY(fcl_plan_memory(plan));
    FCL_TRY(fcl_plan_lower(plan));
    fcl_plan_mark(plan);
    return fill_inputs(graph);
}

/* --- running --- */

static void set_bindings(const fcl_plan *plan)
{
    const fcl_graph *graph = plan->graph;
    for (int i = 0; i < plan->binding_count; i++) {
        const fcl_binding *b = &plan->bindings[i];
        if (b->scalar) {
            fcl_launch_float(b->launch, b->index, b->scalar->scalar);
        } else {
            fcl_launch_ulong(b->launch, b->index, graph->seed);
            fcl_launch_uint(b->launch, b->index + 1, graph->step);
            fcl_launch_ulong(b->launch, b->index + 2, graph->first_row);
        }
    }
}

static int enqueue(const fcl_action *action)
{
    if (action->launch)
        return fcl_launch_enqueue(action->launch);
    if (action->gemm)
        return fcl_gemm_enqueue(action->gemm);
    return fcl_buffer_copy(action->copy_to, 0, action->copy_from, 0, fcl_buffer_size(action->copy_to));
}

/* Moves *action to the last of the row where nothing is left to do. */
static int look_at(fcl_look *look, int *action)
{
    bool known = *action != look->first && look->transfer;
    FCL_TRY(fcl_transfer_end(&look->transfer)); /* at the first look one of an earlier run */
    if (known && look->value == 0)
        *action = look->end - 1;
    return known && look->value == 0 ? FCL_OK
                                     : fcl_buffer_read_begin(look->buffer, look->offset, sizeof look->value,
                                                             &look->value, &look->transfer);
}

/* Of what is written once `action` is enqueued; *next is the first mark that is not told yet. */
static int tell(const fcl_plan *plan, int action, int *next)
{
    for (; *next < plan->mark_count && plan->marks[*next].action <= action; ++*next) {
        const fcl_mark *mark = &plan->marks[*next];
        FCL_TRY(mark->listener->written(mark->listener->data, mark->piece));
    }
    return FCL_OK;
}

static int run_actions(fcl_plan *plan)
{
    int told = 0;
    set_bindings(plan);
    FCL_TRY(tell(plan, -1, &told));
    for (int i = 0; i < plan->action_count; i++) {
        FCL_TRY(plan->actions[i].look ? look_at(plan->actions[i].look, &i) : enqueue(&plan->actions[i]));
        FCL_TRY(tell(plan, i, &told));
        bool last = i + 1 == plan->action_count || plan->actions[i + 1].step != plan->actions[i].step;
        if (plan->options.check && last)
            FCL_TRY(fcl_plan_check(plan, plan->actions[i].step));
    }
    return FCL_OK;
}

/* Repetitions inside the kernel: `values` is (count, scalars of the table). */
static int run_table(const fcl_plan *plan, int count, const float *values)
{
    fcl_launch *launch = plan->actions[0].launch;
    if (plan->table_scalars)
        FCL_TRY(fcl_buffer_write(plan->table, 0, sizeof(float) * (size_t)count * (size_t)plan->table_scalars,
                                 values));
    fcl_launch_int(launch, plan->table_index + 2, count);
    return fcl_launch_enqueue(launch);
}

static fcl_plan *compiled(const fcl_graph *graph)
{
    if (!graph->plan)
        fcl_fail(FCL_ERR_ARGUMENT, "a graph must be compiled before it runs");
    return graph->plan;
}

int fcl_graph_run(fcl_graph *graph)
{
    fcl_plan *plan = compiled(graph);
    if (!plan)
        return FCL_ERR_ARGUMENT;
    return plan->table_index < 0 ? run_actions(plan) : fcl_graph_repeat(graph, 1, 0, NULL, NULL);
}

/* A row of the table: what `values` says of a scalar, else what it was set to. */
static void fill_row(const fcl_plan *plan, int scalars, fcl_tensor *const *scalar, const float *values,
                     float *row)
{
    for (int i = 0; i < scalars; i++)
        scalar[i]->scalar = values[i];
    for (int i = 0; i < plan->table_scalars; i++)
        row[i] = plan->table_scalar[i]->scalar;
}

int fcl_graph_repeat(fcl_graph *graph, int count, int scalars, fcl_tensor *const *scalar, const float *values)
{
    fcl_plan *plan = compiled(graph);
    if (!plan)
        return FCL_ERR_ARGUMENT;
    int most = plan->table_index >= 0 ? plan->options.repeat : 1;
    float *rows = fcl_zalloc(((size_t)most * (size_t)plan->table_scalars + 1) * sizeof *rows);
    int status = FCL_OK;
    for (int done = 0; done < count && status == FCL_OK;) {
        status = fcl_watch_at("solving the flow's equation", done, count);
        if (status != FCL_OK)
            break;
        int now = count - done < most ? count - done : most;
        for (int i = 0; i < now; i++) {
            fill_row(plan, scalars, scalar, values, rows + (size_t)i * (size_t)plan->table_scalars);
            if (scalars > 0)
                values += scalars;
        }
        status = plan->table_index >= 0 ? run_table(plan, now, rows) : run_actions(plan);
        done += now;
    }
    free(rows);
    return status;
}

/* --- what a run leaves behind --- */

static int no_memory(const fcl_tensor *tensor)
{
    return fcl_fail(FCL_ERR_ARGUMENT, "%s is neither a leaf nor an output of a compiled graph",
                    fcl_node_text(tensor));
}

int fcl_tensor_write(fcl_tensor *tensor, const void *data)
{
    if (!tensor->buffer || tensor->op->leaf != FCL_LEAF_MEMORY)
        return no_memory(tensor);
    return fcl_buffer_write(tensor->buffer, 0, fcl_tensor_bytes(tensor), data);
}

int fcl_tensor_read(fcl_tensor *tensor, void *data)
{
    if (!tensor->buffer || (tensor->op->leaf != FCL_LEAF_MEMORY && !tensor->kept))
        return no_memory(tensor);
    return fcl_buffer_read(tensor->buffer, 0, fcl_tensor_bytes(tensor), data);
}

fcl_buffer *fcl_tensor_buffer(fcl_tensor *tensor)
{
    return tensor->buffer;
}

fcl_graph_stats fcl_graph_describe(const fcl_graph *graph)
{
    fcl_graph_stats stats = {0};
    for (int i = 0; i < graph->count; i++) {
        const fcl_tensor *node = graph->nodes[i];
        stats.nodes += node->needed;
        stats.operations += node->needed && node->op->work ? node->op->work(node) : 0;
    }
    if (graph->plan) {
        for (int i = 0; i < graph->plan->action_count; i++)
            stats.launches += !graph->plan->actions[i].look;
        stats.kernels = graph->plan->kernels;
        stats.build_seconds = graph->plan->build_seconds;
        stats.repeats = graph->plan->table_index >= 0;
        stats.arena_bytes = graph->plan->arena_bytes;
        stats.sum_bytes = graph->plan->sum_bytes;
    }
    return stats;
}
