/* The order of running: of the steps that are ready, the one whose last node was built first. */
#include "compile/plan.h"

#include <stdlib.h>

typedef struct reading {
    int step, next; /* a step that reads, and the next reading of the same step; -1: none */
} reading;

typedef struct order {
    int *last;    /* per step: its last node; -1: it has none */
    int *waiting; /* per step: readings of steps that have not run */
    int *first;   /* per step: the first reading of it */
    reading *readings;
    int *heap, ready; /* the steps that wait for nothing; none is before the one at half its place */
} order;

static int last_node(const fcl_step *step)
{
    int last = -1;
    for (int i = 0; i < step->blocks; i++) {
        int inner = last_node(&step->block[i]);
        last = inner > last ? inner : last;
    }
    for (int i = 0; !step->blocks && i < fcl_step_nodes(step); i++)
        if (fcl_step_node(step, i)->id > last)
            last = fcl_step_node(step, i)->id;
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
    o->last = fcl_zalloc(room * sizeof *o->last);
    o->waiting = fcl_zalloc(room * sizeof *o->waiting);
    o->first = fcl_zalloc(room * sizeof *o->first);
    o->heap = fcl_zalloc(room * sizeof *o->heap);
    o->readings = fcl_zalloc((size_t)count_inputs(graph) * sizeof *o->readings);
    for (int s = 0; s < count; s++) {
        o->last[s] = last_node(&steps[s]);
        o->first[s] = -1;
    }
    find_readings(o, graph);
    for (int s = 0; s < count; s++)
        if (o->last[s] >= 0 && !o->waiting[s])
            push(o, s);
}

static void close_order(order *o)
{
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
