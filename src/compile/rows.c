/* Forming row programs.
 *
 * Each reduction along rows begins a program, those of the largest values first, unless it is in one by then. What
 * leads to a program or reads of it joins, if it computes by rows of the same extent: chains, values of rows, further
 * reductions, sums over all rows or a sample's. As in fusing, joining must not make a cycle: nothing outside may stand
 * between the two. */
#include "compile/rows.h"

#include "compile/groups.h"

#include <stdlib.h>

enum {
    MOST_OPERANDS =
        FCL_MAX_ARGUMENTS - 16, /* of a program, with what it stores: bounds its kernel's arguments */
    MOST_REDUCTIONS = 16        /* bounds its local memory */
};

typedef struct program {
    fcl_row_extent extent;
    bool one_pass; /* nothing may follow its reductions: rows are cut into pieces */
    int operands, reductions;
    int *steps, count;    /* in it */
    int *beside, besides; /* what may join it */
    bool gathered;        /* it is a step by now, at this place */
    int place;
} program;

typedef struct former {
    fcl_plan *plan;
    fcl_groups *groups;
    int *of;    /* per step: the program it is in, -1: none */
    int *asked; /* per step: the program that has it beside, or had */
    program *programs;
    int count;
} former;

/* --- what fits --- */

static fcl_row_kind kind_of_reduction(const fcl_tensor *node, const fcl_row_extent *extent)
{
    enum { SHORTEST_PART = 32 /* shorter ones leave vectors little */ };
    const int64_t rows = extent->rows, width = extent->width;
    const fcl_extents e = fcl_reduced_extents(node);
    if (e.outer == rows && e.reduced == width && e.inner == 1)
        return FCL_ROW_REDUCED;
    if (node->op->reduction != FCL_SUM)
        return FCL_ROW_NONE;
    if (e.outer == 1 && e.reduced == rows && e.inner == width)
        return FCL_ROW_SUMMED;
    if (e.outer * e.reduced == rows && e.inner == width && (extent->sample == 0 || extent->sample == e.reduced))
        return FCL_ROW_SAMPLED;
    bool parts = e.inner == 1 && e.outer * e.reduced == rows * width && width % e.reduced == 0;
    return parts && e.reduced >= SHORTEST_PART ? FCL_ROW_PARTS : FCL_ROW_NONE;
}

fcl_row_kind fcl_row_kind_of(const fcl_tensor *node, const fcl_row_extent *e)
{
    if (e->columns > 1)
        return fcl_columns_kind(node, e);
    if (node->op->reduction && node->type == FCL_F32)
        return kind_of_reduction(node, e);
    if (!node->op->expression && !node->op->element.write)
        return FCL_ROW_NONE;
    int64_t size = fcl_shape_size(node->shape);
    return size == e->rows * e->width ? FCL_ROW_FULL : size == e->rows ? FCL_ROW_VALUE : FCL_ROW_NONE;
}

static bool may_read_columns(const fcl_row_extent *e, const fcl_tensor *node, fcl_row_kind to, const fcl_tensor *input,
                             fcl_row_kind from)
{
    fcl_column_operand how;
    bool value = from == FCL_ROW_VALUE || from == FCL_ROW_FOLDED || from == FCL_ROW_REDUCED;
    if (to == FCL_ROW_FOLDED)
        return value;
    if (value)
        return fcl_columns_operand(node, input, e, &how) && how.by_row;
    return from == FCL_ROW_FULL && to == FCL_ROW_FULL && fcl_classify(input->shape, node->shape).form == FCL_WHOLE;
}

/* May the node read this input inside of its program? */
static bool may_read(const program *p, const fcl_tensor *node, const fcl_tensor *input)
{
    const fcl_tensor *root = fcl_node_root((fcl_tensor *)input);
    fcl_row_kind to = fcl_row_kind_of(node, &p->extent), from = fcl_row_kind_of(root, &p->extent);
    if (to >= FCL_ROW_REDUCED)
        return from == FCL_ROW_FULL;
    if (p->extent.columns > 1)
        return may_read_columns(&p->extent, node, to, input, from);
    if (from >= FCL_ROW_PARTS || node->op->element.anywhere)
        return false;
    bool value = from == FCL_ROW_VALUE || from == FCL_ROW_REDUCED;
    if (value && p->one_pass)
        return false;
    fcl_operand how = fcl_classify(input->shape, node->shape);
    bool one_row = how.form == FCL_SINGLE && p->extent.rows == 1;
    return (to == FCL_ROW_FULL && value ? how.form == FCL_ROW_OPERAND && how.size == p->extent.width : how.form == FCL_WHOLE) ||
           one_row;
}

static bool may_load(const program *p, const fcl_tensor *node, const fcl_tensor *input)
{
    return p->extent.columns == 1 || fcl_columns_may_load(node, input, &p->extent);
}

/* May the node be in the program, as far as what it reads and what reads it there are concerned? */
static bool edges_fit(const former *f, const fcl_tensor *node, int number)
{
    const program *p = &f->programs[number];
    for (int k = 0; k < node->inputs; k++) {
        int s = fcl_node_root(node->input[k])->step;
        bool inside = s >= 0 && f->of[s] == number;
        if (inside ? !may_read(p, node, node->input[k]) : !may_load(p, node, node->input[k]))
            return false;
    }
    for (int r = 0; r < node->readers; r++) {
        const fcl_tensor *reader = node->reader[r];
        for (int k = 0; k < reader->inputs && reader->step >= 0 && f->of[reader->step] == number; k++)
            if (fcl_node_root(reader->input[k]) == node && !may_read(p, reader, reader->input[k]))
                return false;
    }
    return true;
}

static bool is_loose(const former *f, int s)
{
    const fcl_step *step = &f->plan->steps[s];
    bool reduces = step->own && step->own->op->reduction && !step->besides;
    return f->of[s] < 0 && !step->product && !step->block && (reduces || step->members);
}

static bool is_read_elsewhere(const fcl_tensor *node)
{
    bool read = node->in_memory;
    for (int r = 0; r < node->readers; r++)
        read |= node->reader[r]->step != node->step;
    return read;
}

/* What a step reads of others and leaves to them, at most. */
static int operands_of(const fcl_step *step)
{
    int count = 0;
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        const fcl_tensor *node = fcl_step_node(step, i);
        count += is_read_elsewhere(node);
        for (int k = 0; k < node->inputs; k++)
            count += fcl_node_root(node->input[k])->step != node->step;
    }
    return count;
}

/* Samples enough that all cores have some: a core goes over whole ones. */
static bool samples_pay(const former *f, const fcl_tensor *sum)
{
    enum { SAMPLES = 8 /* of a core */ };
    fcl_traits traits = fcl_device_traits(f->plan->device);
    return traits.wide && fcl_reduced_extents(sum).outer >= (int64_t)SAMPLES * traits.units;
}

static bool fits(former *f, int number, int s)
{
    const program *p = &f->programs[number];
    const fcl_step *step = &f->plan->steps[s];
    if (!is_loose(f, s) || p->operands + operands_of(step) > MOST_OPERANDS ||
        p->reductions + (step->own != NULL) > MOST_REDUCTIONS)
        return false;
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        const fcl_tensor *node = fcl_step_node(step, i);
        fcl_row_kind kind = fcl_row_kind_of(node, &p->extent);
        if (kind == FCL_ROW_NONE || (kind == FCL_ROW_SAMPLED && !samples_pay(f, node)) ||
            (p->one_pass && kind != FCL_ROW_FULL && kind != FCL_ROW_REDUCED) || !edges_fit(f, node, number))
            return false;
    }
    int first = p->steps[0];
    return fcl_step_age(step) == fcl_step_age(&f->plan->steps[first]) && !fcl_groups_detour(f->groups, first, s) &&
           !fcl_groups_detour(f->groups, s, first);
}

/* --- joining --- */

static void put_beside(former *f, int number, const fcl_tensor *node)
{
    program *p = &f->programs[number];
    int s = node->step;
    if (s < 0 || f->of[s] >= 0 || f->asked[s] == number)
        return;
    f->asked[s] = number;
    p->beside = fcl_grow(p->beside, (size_t)(p->besides + 1) * sizeof *p->beside);
    p->beside[p->besides++] = s;
}

/* What a step's nodes read, what reads them, and what sums over rows, or parts of them, what they read. */
static void look_around(former *f, int number, int s)
{
    const program *p = &f->programs[number];
    const fcl_step *step = &f->plan->steps[s];
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        const fcl_tensor *node = fcl_step_node(step, i);
        for (int r = 0; r < node->readers; r++)
            put_beside(f, number, node->reader[r]);
        for (int k = 0; k < node->inputs; k++) {
            const fcl_tensor *root = fcl_node_root(node->input[k]);
            put_beside(f, number, root);
            for (int r = 0; r < root->readers; r++)
                if (fcl_row_kind_of(root->reader[r], &p->extent) >= FCL_ROW_PARTS)
                    put_beside(f, number, root->reader[r]);
        }
    }
}

static void join(former *f, int number, int s)
{
    program *p = &f->programs[number];
    const fcl_tensor *own = f->plan->steps[s].own;
    p->operands += operands_of(&f->plan->steps[s]);
    p->reductions += own != NULL;
    if (own && fcl_row_kind_of(own, &p->extent) == FCL_ROW_SAMPLED)
        p->extent.sample = fcl_reduced_extents(own).reduced;
    p->steps = fcl_grow(p->steps, (size_t)(p->count + 1) * sizeof *p->steps);
    p->steps[p->count++] = s;
    f->of[s] = number;
    if (p->count > 1)
        fcl_groups_merge(f->groups, p->steps[0], s);
    look_around(f, number, s);
}

/* What did not fit may do so when others have joined. */
static void grow(former *f, int number)
{
    program *p = &f->programs[number];
    for (bool joined = true; joined;) {
        joined = false;
        for (int i = 0; i < p->besides; i++)
            if (f->of[p->beside[i]] < 0 && fits(f, number, p->beside[i])) {
                join(f, number, p->beside[i]);
                joined = true;
            }
    }
}

static void begin(former *f, int s)
{
    if (!is_loose(f, s))
        return; /* it is in another's by now */
    const fcl_tensor *node = f->plan->steps[s].own;
    fcl_extents e = fcl_reduced_extents(node);
    const fcl_row_extent extent = {e.outer, e.reduced * e.inner, e.inner, 0};
    if (e.reduced == 1 || (e.inner > 1 && !fcl_columns_pay(&extent, f->plan->device)))
        return;
    f->programs = fcl_grow(f->programs, (size_t)(f->count + 1) * sizeof *f->programs);
    f->programs[f->count] =
        (program){.extent = extent, .one_pass = fcl_rows_pieces(&extent, f->plan->device) > 1};
    join(f, f->count, s);
    grow(f, f->count++);
}

/* --- programs become steps --- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static fcl_step gather(const former *f, program *p)
{
    const fcl_plan *plan = f->plan;
    qsort(p->steps, (size_t)p->count, sizeof *p->steps, by_number);
    fcl_step step = {
        .shape = plan->steps[p->steps[0]].shape, .extent = p->extent, .blocks = p->count};
    step.block = fcl_arena_alloc(&plan->graph->arena, (size_t)p->count * sizeof *step.block);
    for (int i = 0; i < p->count; i++)
        step.block[i] = plan->steps[p->steps[i]];
    return step;
}

/* A program of one step alone stays what it was. */
static void take_over(former *f)
{
    fcl_plan *plan = f->plan;
    fcl_step *steps = fcl_zalloc(((size_t)plan->count + 1) * sizeof *steps);
    int *at = fcl_zalloc(((size_t)plan->count + 1) * sizeof *at), count = 0;
    for (int s = 0; s < plan->count; s++) {
        program *p = f->of[s] < 0 ? NULL : &f->programs[f->of[s]];
        if (!p || p->count == 1) {
            steps[at[s] = count++] = plan->steps[s];
            continue;
        }
        if (!p->gathered) {
            p->gathered = true;
            p->place = count;
            steps[count++] = gather(f, p);
        }
        at[s] = p->place;
    }
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->graph->nodes[i]->step >= 0)
            plan->graph->nodes[i]->step = at[plan->graph->nodes[i]->step];
    fcl_plan_order(plan, steps, count);
    free(steps);
    free(at);
}

/* --- which reductions begin first --- */

typedef struct start {
    int64_t size; /* of what is reduced */
    bool waits;
    int step;
} start;

static int by_size(const void *a, const void *b)
{
    const start *x = a, *y = b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x->waits != y->waits ? x->waits - y->waits : x->step - y->step;
}

/* Those of the largest values; of as large ones those that may join a program along rows, as sums over samples, are the
 * last: with columns a program takes no reduction along rows in. The form of GPUs has no programs with columns. */
static start *sort_starts(const former *f, int *count)
{
    const fcl_plan *plan = f->plan;
    const bool wide = fcl_device_traits(plan->device).wide;
    start *starts = fcl_zalloc(((size_t)plan->count + 1) * sizeof *starts);
    *count = 0;
    for (int s = 0; s < plan->count; s++) {
        const fcl_tensor *node = is_loose(f, s) ? plan->steps[s].own : NULL;
        if (!node || node->type != FCL_F32)
            continue;
        const fcl_extents e = fcl_reduced_extents(node);
        const int64_t size = e.outer * e.reduced * e.inner;
        starts[(*count)++] = (start){wide ? size : 0, e.inner > 1 && samples_pay(f, node), s};
    }
    qsort(starts, (size_t)*count, sizeof *starts, by_size);
    return starts;
}

void fcl_plan_rows(fcl_plan *plan)
{
    former f = {.plan = plan, .groups = fcl_groups_of_steps(plan->graph, plan->count)};
    f.of = fcl_zalloc(((size_t)plan->count + 1) * sizeof *f.of);
    f.asked = fcl_zalloc(((size_t)plan->count + 1) * sizeof *f.asked);
    for (int s = 0; s < plan->count; s++)
        f.of[s] = f.asked[s] = -1;
    int starts;
    start *first = sort_starts(&f, &starts);
    for (int i = 0; i < starts; i++)
        begin(&f, first[i].step);
    free(first);
    if (f.count)
        take_over(&f);
    for (int i = 0; i < f.count; i++) {
        free(f.programs[i].steps);
        free(f.programs[i].beside);
    }
    free(f.programs);
    free(f.of);
    free(f.asked);
    plan->visits += fcl_groups_visits(f.groups);
    fcl_groups_destroy(&f.groups);
}
