/* Prune and fuse: from nodes to steps.
 *
 * Every needed elementwise node joins, if it can, the step that computes one of its inputs: a chain of the
 * same shape, or a matrix product whose provider takes an epilogue. It can when nothing outside the step
 * stands between: no other input may depend on the step. Two chains that meet in a node become one under the
 * same condition. What remains is a graph of steps without cycles, which is then put in order.
 *
 * In the form of GPUs, where launches cost most, chains also begin with what is computed by elements (op->element), and
 * small chains that need nothing computed are one. */
#include "compile/plan.h"

#include <stdlib.h>

typedef struct fuser {
    fcl_plan *plan;
    fcl_step *steps; /* dead ones have no product, own or members */
    int count;
    int *mark; /* per step: the search that visited it last */
    int search;
    bool elements; /* join chains */
} fuser;

/* --- prune --- */

static void need(fcl_tensor *node)
{
    if (node->needed)
        return;
    node->needed = true;
    for (int i = 0; i < node->inputs; i++)
        need(node->input[i]);
}

static void prune(fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        graph->nodes[i]->step = graph->nodes[i]->last_step = -1;
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->kept)
            need(graph->nodes[i]);
    for (int i = 0; i < graph->assignment_count; i++)
        need(graph->assignments[i].value);
}

/* Constants and scalars are literals and arguments in generated kernels; anything else reads memory, and what
 * a run leaves behind is there. */
static void mark_in_memory(fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        if (node->needed && node->kept)
            fcl_node_root(node)->in_memory = true;
        for (int k = 0; k < node->inputs && node->needed && !node->op->expression && !node->op->view; k++)
            if (fcl_node_root(node->input[k])->op->leaf > FCL_LEAF_MEMORY)
                fcl_node_root(node->input[k])->in_memory = true;
    }
    for (int i = 0; i < graph->assignment_count; i++)
        fcl_node_root(graph->assignments[i].value)->in_memory = true;
}

static bool is_literal(const fcl_tensor *node)
{
    return node->op->leaf == FCL_LEAF_CONSTANT || node->op->leaf == FCL_LEAF_SCALAR;
}

/* --- dependence between steps --- */

int fcl_step_nodes(const fcl_step *step)
{
    int nodes = step->members + (step->product != NULL) + (step->own != NULL) + (step->row_sum != NULL) + step->besides;
    for (int i = 0; i < step->blocks; i++)
        nodes += fcl_step_nodes(&step->block[i]);
    return nodes;
}

fcl_tensor *fcl_step_node(const fcl_step *step, int index)
{
    for (int i = 0; i < step->blocks; i++) {
        int nodes = fcl_step_nodes(&step->block[i]);
        if (index < nodes)
            return fcl_step_node(&step->block[i], index);
        index -= nodes;
    }
    if (step->own)
        return index == 0 ? step->own : step->beside[index - 1];
    if (step->product && index-- == 0)
        return step->product;
    return index < step->members ? step->member[index] : step->row_sum;
}

/* Does step `from` need a result of step `on`, directly or through others? `except` is not walked through. */
static bool depends(fuser *f, int from, int on, int except)
{
    if (from == on)
        return true;
    if (from < 0 || from == except || f->mark[from] == f->search)
        return false;
    f->mark[from] = f->search;
    const fcl_step *step = &f->steps[from];
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        const fcl_tensor *node = fcl_step_node(step, i);
        for (int k = 0; k < node->inputs; k++) {
            int s = fcl_node_root(node->input[k])->step;
            if (s != from && depends(f, s, on, except))
                return true;
        }
    }
    return false;
}

/* Does anything that `node` reads outside the step depend on the step? */
static bool leads_back(fuser *f, const fcl_tensor *node, int step)
{
    f->search++;
    for (int k = 0; k < node->inputs; k++) {
        int s = fcl_node_root(node->input[k])->step;
        if (s != step && depends(f, s, step, -1))
            return true;
    }
    return false;
}

/* Does a path lead from step `a` out and back into step `b`? */
static bool detour(fuser *f, int a, int b)
{
    f->search++;
    for (int i = 0; i < fcl_step_nodes(&f->steps[b]); i++) {
        const fcl_tensor *node = fcl_step_node(&f->steps[b], i);
        for (int k = 0; k < node->inputs; k++) {
            int s = fcl_node_root(node->input[k])->step;
            if (s != a && s != b && depends(f, s, a, b))
                return true;
        }
    }
    return false;
}

/* --- joining --- */

/* Is the node computed in a fused kernel? */
static bool fuses(const fuser *f, const fcl_tensor *node)
{
    return !f->plan->options.no_fusion && (node->op->expression || (f->elements && fcl_element_joins(node)));
}

static int new_step(fuser *f, fcl_tensor *node)
{
    fcl_step *step = &f->steps[f->count];
    step->shape = node->shape;
    if (node->op->product) {
        fcl_gemm_problem problem = fcl_matmul_problem(node);
        step->product = node;
        step->choice = fcl_gemm_choose(f->plan->device, &problem);
    } else if (node->op->expression || is_literal(node) || fuses(f, node)) {
        step->member = fcl_arena_alloc(&node->graph->arena, FCL_MAX_MEMBERS * sizeof *step->member);
        step->member[step->members++] = node;
    } else {
        step->own = node;
    }
    return f->count++;
}

static bool takes_members(const fcl_step *step, fcl_shape shape, int more)
{
    if (step->own || step->members + more > FCL_MAX_MEMBERS || !fcl_shape_equal(step->shape, shape))
        return false;
    if (!step->product)
        return true;
    return step->choice.provider == FCL_GEMM_TILE;
}

static void add_member(fcl_step *step, fcl_tensor *node)
{
    if (!step->member)
        step->member = fcl_arena_alloc(&node->graph->arena, FCL_MAX_MEMBERS * sizeof *step->member);
    int at = step->members++;
    for (; at > 0 && step->member[at - 1]->id > node->id; at--)
        step->member[at] = step->member[at - 1];
    step->member[at] = node;
}

/* A product reads its operands from memory, so what makes them cannot be its epilogue. */
static bool makes_operand(const fcl_step *product, int step)
{
    return fcl_node_root(product->product->input[0])->step == step ||
           fcl_node_root(product->product->input[1])->step == step;
}

/* Does a member read what step `b` makes from memory, at other places than its own? */
static bool reads_anywhere(const fcl_step *step, int b)
{
    for (int i = 0; i < step->members; i++)
        for (int k = 0; k < step->member[i]->inputs && step->member[i]->op->element.anywhere; k++)
            if (fcl_node_root(step->member[i]->input[k])->step == b)
                return true;
    return false;
}

static void take_members(fuser *f, int a, int b)
{
    fcl_step *from = &f->steps[b];
    for (int i = 0; i < from->members; i++) {
        from->member[i]->step = a;
        add_member(&f->steps[a], from->member[i]);
    }
    *from = (fcl_step){0};
}

/* Step `b`, a plain chain, becomes part of step `a`. */
static bool merge(fuser *f, int a, int b)
{
    fcl_step *to = &f->steps[a], *from = &f->steps[b];
    if (from->product || from->own || !from->members || !takes_members(to, from->shape, from->members) ||
        (to->product && makes_operand(to, b)) || reads_anywhere(to, b) || reads_anywhere(from, a) ||
        detour(f, a, b) || detour(f, b, a))
        return false;
    for (int i = 0; i < from->members && to->product; i++)
        if (fcl_generate_scattered(from->member[i]))
            return false;
    take_members(f, a, b);
    return true;
}

static bool join(fuser *f, fcl_tensor *node)
{
    for (int k = 0; k < node->inputs && !node->op->element.anywhere; k++) {
        int s = fcl_node_root(node->input[k])->step;
        bool direct = fcl_node_root(node->input[k]) == node->input[k]; /* a view needs its memory */
        if (s < 0 || !direct || !takes_members(&f->steps[s], node->shape, 1) || leads_back(f, node, s))
            continue;
        if (f->steps[s].product && fcl_generate_scattered(node))
            continue;
        add_member(&f->steps[s], node);
        node->step = s;
        return true;
    }
    return false;
}

static void merge_inputs(fuser *f, fcl_tensor *node)
{
    for (int k = 0; k < node->inputs; k++) {
        int s = fcl_node_root(node->input[k])->step;
        if (s < 0 || s == node->step || node->op->element.anywhere)
            continue;
        if (f->steps[s].product && merge(f, s, node->step))
            continue;
        merge(f, node->step, s);
    }
}

static void place(fuser *f, fcl_tensor *node)
{
    if (!node->needed || node->op->view || node->op->leaf == FCL_LEAF_MEMORY ||
        (is_literal(node) && !node->in_memory))
        return;
    if (node->op->part) {
        node->step = node->input[0]->step;
        return;
    }
    if (fuses(f, node) && join(f, node))
        merge_inputs(f, node);
    else
        node->step = new_step(f, node);
}

/* --- chains of one size, in the form of GPUs --- */

enum { SMALL = 1 << 16 /* elements: what is larger would take memory long before it is read */ };

/* A small chain that reads leaves only, as the draws of times and rows. */
static bool needs_nothing(const fcl_step *step)
{
    for (int i = 0; i < step->members; i++)
        for (int k = 0; k < step->member[i]->inputs; k++)
            if (fcl_node_root(step->member[i]->input[k])->step >= 0 &&
                fcl_step_member(step, fcl_node_root(step->member[i]->input[k])) < 0)
                return false;
    return step->members && !step->product && fcl_shape_size(step->shape) <= SMALL;
}

static void merge_sources(fuser *f)
{
    for (int a = 0; a < f->count; a++)
        for (int b = a + 1; b < f->count && needs_nothing(&f->steps[a]); b++)
            if (needs_nothing(&f->steps[b]) &&
                fcl_shape_size(f->steps[a].shape) == fcl_shape_size(f->steps[b].shape) &&
                f->steps[a].members + f->steps[b].members <= FCL_MAX_MEMBERS)
                take_members(f, a, b);
}

/* What nothing has joined has a kernel of its own, which draws four numbers at a time, or reads a row in a group. */
static void part_elements(fuser *f)
{
    for (int s = 0; s < f->count; s++) {
        fcl_step *step = &f->steps[s];
        if (step->members != 1 || step->product || step->member[0]->op->expression || is_literal(step->member[0]))
            continue;
        step->own = step->member[0];
        step->members = 0;
    }
}

/* --- order --- */

static int last_node(const fcl_step *step)
{
    int last = 0;
    for (int i = 0; i < fcl_step_nodes(step); i++)
        if (fcl_step_node(step, i)->id > last)
            last = fcl_step_node(step, i)->id;
    return last;
}

static bool ready(const fcl_step *steps, int s, const bool *done)
{
    for (int i = 0; i < fcl_step_nodes(&steps[s]); i++) {
        const fcl_tensor *node = fcl_step_node(&steps[s], i);
        for (int k = 0; k < node->inputs; k++) {
            int from = fcl_node_root(node->input[k])->step;
            if (from >= 0 && from != s && !done[from])
                return false;
        }
    }
    return true;
}

/* Of the steps that are ready, the one whose last node was built first. */
static int next_step(const fcl_step *steps, int count, const bool *done, const int *last)
{
    int best = -1;
    for (int s = 0; s < count; s++)
        if (!done[s] && last[s] >= 0 && (best < 0 || last[s] < last[best]) && ready(steps, s, done))
            best = s;
    return best;
}

void fcl_plan_order(fcl_plan *plan, const fcl_step *steps, int count)
{
    bool *done = fcl_zalloc((size_t)count + 1);
    int *place_of = fcl_zalloc(((size_t)count + 1) * sizeof *place_of);
    int *last = fcl_zalloc(((size_t)count + 1) * sizeof *last);
    for (int s = 0; s < count; s++)
        last[s] = fcl_step_nodes(&steps[s]) ? last_node(&steps[s]) : -1;
    free(plan->steps);
    plan->steps = fcl_zalloc(((size_t)count + 1) * sizeof *plan->steps);
    plan->count = 0;
    for (int s; (s = next_step(steps, count, done, last)) >= 0;) {
        done[s] = true;
        place_of[s] = plan->count;
        plan->steps[plan->count++] = steps[s];
    }
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->graph->nodes[i]->step >= 0)
            plan->graph->nodes[i]->step = place_of[plan->graph->nodes[i]->step];
    free(last);
    free(place_of);
    free(done);
}

void fcl_plan_fuse(fcl_plan *plan)
{
    fcl_graph *graph = plan->graph;
    size_t room = (size_t)graph->count + 1;
    fuser f = {
        .plan = plan, .steps = fcl_zalloc(room * sizeof *f.steps), .mark = fcl_zalloc(room * sizeof *f.mark)};
    f.elements = !plan->options.no_fusion && !fcl_device_traits(plan->device).wide;
    prune(graph);
    mark_in_memory(graph);
    for (int i = 0; i < graph->count; i++)
        place(&f, graph->nodes[i]);
    if (f.elements)
        merge_sources(&f);
    part_elements(&f);
    fcl_plan_order(plan, f.steps, f.count);
    free(f.steps);
    free(f.mark);
}

/* --- sums of rows --- */

static bool may_take_sum(fuser *f, const fcl_step *step, const fcl_tensor *sum)
{
    const fcl_tensor *product = step->product;
    if (!product || step->row_sum || product->shape.rank != 2 || product->input[0] != sum->input[0])
        return false;
    fcl_gemm_problem problem = fcl_matmul_problem(product);
    if (!fcl_gemm_tile_sums_rows(&problem, &step->choice))
        return false;
    f->search++;
    return !depends(f, product->step, sum->step, -1);
}

bool fcl_sums_rows(const fcl_tensor *node)
{
    return node->op->reduction == FCL_SUM && node->input[0]->shape.rank == 2 && fcl_reduced_axes(node) == 1u << 0;
}

/* Each into the product that reads what it sums. */
static void sums_into_products(fuser *f)
{
    fcl_plan *plan = f->plan;
    for (int s = 0; s < plan->count; s++) {
        fcl_tensor *sum = plan->steps[s].own;
        for (int p = 0; p < plan->count && sum && fcl_sums_rows(sum) && sum->step == s; p++) {
            if (!may_take_sum(f, &plan->steps[p], sum))
                continue;
            plan->steps[p].row_sum = sum;
            plan->steps[s] = (fcl_step){0};
            sum->step = p;
        }
    }
}

static bool is_read(const fcl_tensor *node)
{
    const fcl_graph *graph = node->graph;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs && graph->nodes[i]->needed && !graph->nodes[i]->op->view; k++)
            if (fcl_node_root(graph->nodes[i]->input[k]) == node)
                return true;
    return false;
}

/* Those that nothing in the graph reads wait for each other. */
static void sums_together(fuser *f)
{
    fcl_plan *plan = f->plan;
    int first = -1; /* the step that takes them */
    for (int s = 0; s < plan->count; s++) {
        fcl_tensor *sum = plan->steps[s].own;
        if (!sum || !fcl_sum_is_small(sum, plan->device) || is_read(sum))
            continue;
        if (first < 0 || plan->steps[first].besides == FCL_MAX_SUMS - 1) {
            first = s;
            continue;
        }
        plan->steps[first].beside[plan->steps[first].besides++] = sum;
        plan->steps[s] = (fcl_step){0};
        sum->step = first;
    }
}

void fcl_plan_join_sums(fcl_plan *plan)
{
    fuser f = {.plan = plan, .steps = plan->steps, .count = plan->count};
    f.mark = fcl_zalloc(((size_t)plan->count + 1) * sizeof *f.mark);
    sums_into_products(&f);
    if (!fcl_device_traits(plan->device).wide)
        sums_together(&f);
    free(f.mark);
    fcl_step *steps = plan->steps;
    plan->steps = NULL;
    fcl_plan_order(plan, steps, plan->count);
    free(steps);
}
