/* Where in a run the pieces of a buffer that somebody listens to are written for the last time. */
#include "compile/plan.h"

#include <stdlib.h>

static void mark(const fcl_plan *plan, const fcl_listener *listener, fcl_mark *marks, int64_t count)
{
    const fcl_graph *graph = plan->graph;
    for (int64_t i = 0; i < count; i++)
        marks[i] = (fcl_mark){-1, listener, i};
    for (int i = 0; i < graph->assignment_count; i++) {
        const fcl_tensor *leaf = graph->assignments[i].target;
        int action = graph->assignments[i].action;
        if (leaf->bound != listener->buffer)
            continue;
        size_t last = (leaf->bound_offset + fcl_tensor_bytes(leaf) - 1) / listener->piece;
        for (size_t piece = leaf->bound_offset / listener->piece; piece <= last; piece++)
            marks[piece].action = action > marks[piece].action ? action : marks[piece].action;
    }
}

static int by_action(const void *a, const void *b)
{
    const fcl_mark *x = a, *y = b;
    if (x->action != y->action)
        return x->action < y->action ? -1 : 1;
    if (x->listener != y->listener)
        return x->listener < y->listener ? -1 : 1;
    return x->piece < y->piece ? -1 : x->piece > y->piece;
}

void fcl_plan_mark(fcl_plan *plan)
{
    const fcl_graph *graph = plan->graph;
    if (!graph->listener_count || plan->options.check)
        return;
    for (int i = 0; i < graph->listener_count; i++) {
        const fcl_listener *listener = &graph->listeners[i];
        int64_t count = (int64_t)((fcl_buffer_size(listener->buffer) + listener->piece - 1) / listener->piece);
        plan->marks = fcl_grow(plan->marks, (size_t)(plan->mark_count + count) * sizeof *plan->marks);
        mark(plan, listener, plan->marks + plan->mark_count, count);
        plan->mark_count += (int)count;
    }
    qsort(plan->marks, (size_t)plan->mark_count, sizeof *plan->marks, by_action);
}
