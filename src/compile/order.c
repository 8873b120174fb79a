/* The order of running: of the steps that are ready, the one whose last node was built first. But a value that a leaf takes,
 * and nobody else, as a gradient that is added to those before: however late it was built, it counts as built with what it is
 * of. Else the whole backward pass would come first, and all that such values are made of be kept to its end. */
#include "compile/plan.h"

#include <stdlib.h>

typedef struct reading {
    int step, next; /* a step that reads, and the next reading of the same step; -1: none */
} reading;

typedef struct order {
    int *built;   /* per node: when */
    int *last;    /* per step: when the last of its nodes was built; -1: it has none */
    int *waiting; /* per step: readings of steps that have not run */
    int *first;   /* per step: the first reading of it */
    reading *readings;
    int *heap, ready; /* the steps that wait for nothing; none is before the one at half its place */
} order;

/* Does nobody but the leaf take the value, and nobody but the value's step read the leaf? */
static bool ends_in(const fcl_tensor *leaf, const fcl_tensor *value)
{
    bool ends = value->step >= 0 && !value->kept;
    for (int i = 0; i < value->readers && ends; i++)
        ends = value->reader[i]->op->view;
    for (int i = 0; i < leaf->readers && ends; i++)
        ends = leaf->reader[i]->op->view || leaf->reader[i]->step == value->step;
    return ends;
}

static void date_nodes(const order *o, const fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        o->built[i] = i;
    for (int i = 0; i < graph->assignment_count; i++) {
        const fcl_tensor *value = fcl_node_root(graph->assignments[i].value);
        bool ends = ends_in(graph->assignments[i].target, value);
        int built = -1;
        for (int k = 0; k < value->inputs && ends; k++) {
            const fcl_tensor *of = fcl_node_root(value->input[k]);
            built = of->step >= 0 && of->id > built ? of->id : built;
        }
        o->built[value->id] = built >= 0 ? built : value->id;
    }
}

static int last_built(const order *o, const fcl_step *step)
{
    int last = -1;
    for (int i = 0; i < step->blocks; i++) {
        int inner = last_built(o, &step->block[i]);
        last = inner > last ? inner : last;
    }
    for (int i = 0; !step->blocks && i < fcl_step_nodes(step); i++) {
        int built = o->built[fcl_step_node(step, i)->id];
        last = built > last ? built : last;
    }
    return last;
}

static int count_inputs(const fcl_graph *graph)
{
    int inputs = 0;
    for (int i = 0; i < graph->count; i++)
        inputs += graph->nodes[i]->inputs;
    return inputs;
}

static void find_readings(order *o, const fcl_graph *graph)
{
    int readings = 0;
    for (int i = 0; i < graph->count; i++) {
        const fcl_tensor *node = graph->nodes[i];
        for (int k = 0; k < node->inputs && node->step >= 0; k++) {
            int from = fcl_node_root(node->input[k])->step;
            if (from < 0 || from == node->step)
                continue;
            o->readings[readings] = (reading){node->step, o->first[from]};
            o->first[from] = readings++;
            o->waiting[node->step]++;
        }
    }
}

static bool before(const order *o, int place, int other)
{
    return o->last[o->heap[place]] < o->last[o->heap[other]];
}

static void swap(order *o, int place, int other)
{
    int step = o->heap[place];
    o->heap[place] = o->heap[other];
    o->heap[other] = step;
}

static void push(order *o, int step)
{
    int place = ++o->ready;
    o->heap[place] = step;
    for (; place > 1 && before(o, place, place / 2); place /= 2)
        swap(o, place, place / 2);
}

static int pop(order *o)
{
    int step = o->heap[1];
    o->heap[1] = o->heap[o->ready--];
    for (int place = 1, child; (child = 2 * place) <= o->ready; place = child) {
        child += child < o->ready && before(o, child + 1, child);
        if (!before(o, child, place))
            break;
        swap(o, place, child);
    }
    return step;
}

static void open_order(order *o, const fcl_graph *graph, const fcl_step *steps, int count)
{
    size_t room = (size_t)count + 1;
    o->built = fcl_zalloc(((size_t)graph->count + 1) * sizeof *o->built);
    o->last = fcl_zalloc(room * sizeof *o->last);
    o->waiting = fcl_zalloc(room * sizeof *o->waiting);
    o->first = fcl_zalloc(room * sizeof *o->first);
    o->heap = fcl_zalloc(room * sizeof *o->heap);
    o->readings = fcl_zalloc((size_t)count_inputs(graph) * sizeof *o->readings);
    date_nodes(o, graph);
    for (int s = 0; s < count; s++) {
        o->last[s] = last_built(o, &steps[s]);
        o->first[s] = -1;
    }
    find_readings(o, graph);
    for (int s = 0; s < count; s++)
        if (o->last[s] >= 0 && !o->waiting[s])
            push(o, s);
}

static void close_order(order *o)
{
    free(o->built);
    free(o->last);
    free(o->waiting);
    free(o->first);
    free(o->heap);
    free(o->readings);
}

void fcl_plan_order(fcl_plan *plan, const fcl_step *steps, int count)
{
    order o = {0};
    open_order(&o, plan->graph, steps, count);
    int *place_of = fcl_zalloc(((size_t)count + 1) * sizeof *place_of);
    free(plan->steps);
    plan->steps = fcl_zalloc(((size_t)count + 1) * sizeof *plan->steps);
    plan->count = 0;
    while (o.ready) {
        int step = pop(&o);
        place_of[step] = plan->count;
        plan->steps[plan->count++] = steps[step];
        for (int i = o.first[step]; i >= 0; i = o.readings[i].next)
            if (--o.waiting[o.readings[i].step] == 0)
                push(&o, o.readings[i].step);
    }
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->graph->nodes[i]->step >= 0)
            plan->graph->nodes[i]->step = place_of[plan->graph->nodes[i]->step];
    free(place_of);
    close_order(&o);
}
