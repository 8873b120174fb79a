/* Prune and fuse: from nodes to steps.
 *
 * Every needed elementwise node joins, if it can, the step that computes one of its inputs: a chain of the
 * same shape, or a matrix product, as its epilogue. It can when nothing outside the step stands between: no other
 * input may depend on the step. Two chains that meet in a node become one under the same condition. What remains is
 * a graph of steps without cycles, which is then put in order.
 *
 * Then each product's provider is chosen, by what follows it. Where one takes no epilogue the product stays bare, and
 * all is fused once more: what followed it may have another place.
 *
 * In the form of GPUs, where launches cost most, chains also begin with what is computed by elements (op->element), and
 * small chains that need nothing computed are one. */
#include "compile/groups.h"
#include "compile/kind.h"

#include <stdlib.h>
#include <string.h>

/* A provider's choice, and the problem that it was chosen by. */
typedef struct chosen {
    fcl_gemm_problem problem;
    fcl_gemm_choice choice;
} chosen;

typedef struct fuser {
    fcl_plan *plan;
    fcl_step *steps; /* dead ones have no product, own or members */
    int count;
    fcl_groups *groups; /* of the steps' nodes, by the same numbers */
    bool elements; /* join chains */
    chosen *chosen; /* by the number of the product's node */
} fuser;

/* --- prune --- */

/* Inputs stand before their users: one way back finds all that is needed. */
static void prune(fcl_graph *graph)
{
    for (int i = 0; i < graph->assignment_count; i++)
        graph->assignments[i].value->needed = true;
    for (int i = graph->count; i-- > 0;) {
        fcl_tensor *node = graph->nodes[i];
        node->last_step = -1;
        node->bare = false;
        node->needed |= node->kept;
        for (int k = 0; k < node->inputs && node->needed; k++)
            node->input[k]->needed = true;
    }
}

static void find_readers(fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs && graph->nodes[i]->needed; k++)
            fcl_node_root(graph->nodes[i]->input[k])->readers++;
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        node->reader = fcl_arena_alloc(&graph->arena, (size_t)node->readers * sizeof(fcl_tensor *));
        node->readers = 0;
    }
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs && graph->nodes[i]->needed; k++) {
            fcl_tensor *root = fcl_node_root(graph->nodes[i]->input[k]);
            root->reader[root->readers++] = graph->nodes[i];
        }
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

/* --- the nodes of a step --- */

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

int fcl_step_age(const fcl_step *step)
{
    return fcl_step_node(step, 0)->age;
}

/* --- joining --- */

/* Is the node computed in a fused kernel? */
static bool fuses(const fuser *f, const fcl_tensor *node)
{
    return !f->plan->options.no_fusion && (node->op->expression || (f->elements && fcl_element_joins(node)));
}

/* What a kernel may need for a member of the step: what it stores, and reads of others. */
static int arguments_of(const fcl_tensor *node, int step)
{
    int arguments = 1;
    for (int k = 0; k < node->inputs; k++) {
        const fcl_tensor *root = fcl_node_root(node->input[k]);
        arguments += root->step != step && root->op->leaf != FCL_LEAF_CONSTANT;
    }
    return arguments;
}

static int new_step(fuser *f, fcl_tensor *node)
{
    fcl_step *step = &f->steps[f->count];
    fcl_groups_add(f->groups, node);
    step->shape = node->shape;
    if (node->op->product || fcl_choose_conv(f->plan, node, &step->choice)) {
        step->product = node;
    } else if (node->op->expression || is_literal(node) || fuses(f, node)) {
        step->member = fcl_arena_alloc(&node->graph->arena, FCL_MAX_MEMBERS * sizeof *step->member);
        step->member[step->members++] = node;
        step->arguments = arguments_of(node, f->count);
    } else {
        step->own = node;
    }
    return f->count++;
}

static bool has_room(const fcl_step *step, int members, int arguments)
{
    enum { OTHERS = 8 /* the number of elements, random counters, what a product has of its own */ };
    return step->members + members <= FCL_MAX_MEMBERS && step->arguments + arguments + OTHERS <= FCL_MAX_ARGUMENTS;
}

static bool is_product(const fcl_step *step)
{
    return step->product && step->product->op->product;
}

/* A product's provider is not chosen yet: it may. */
static bool takes_members(const fcl_step *step, fcl_shape shape, int members, int arguments)
{
    return (is_product(step) ? !step->product->bare : fcl_kind_of(step)->takes_members) &&
           has_room(step, members, arguments) && fcl_shape_equal(step->shape, shape);
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

/* Does a derivative's node read of a product's step what sums wait for in memory, or beside it what is computed again? Then it is
 * better off with these, which may be a row program: the product would store or read a tensor more. */
static bool belongs_to_sums(const fcl_tensor *node, int product)
{
    for (int k = 0; k < node->inputs && node->derived; k++) {
        const fcl_tensor *read = fcl_node_root(node->input[k]);
        if (read->again)
            return true;
        for (int r = 0; r < read->readers && read->step == product; r++)
            if (read->reader[r]->op->reduction)
                return true;
    }
    return false;
}

static void take_members(fuser *f, int a, int b)
{
    fcl_step *from = &f->steps[b];
    for (int i = 0; i < from->members; i++) {
        from->member[i]->step = a;
        add_member(&f->steps[a], from->member[i]);
    }
    f->steps[a].arguments += from->arguments;
    fcl_groups_merge(f->groups, a, b);
    *from = (fcl_step){0};
}

/* Step `b`, a plain chain, becomes part of step `a`. */
static bool merge(fuser *f, int a, int b)
{
    fcl_step *to = &f->steps[a], *from = &f->steps[b];
    if (from->product || from->own || !from->members || fcl_step_age(from) != fcl_step_age(to) || !takes_members(to, from->shape, from->members, from->arguments) ||
        (to->product && makes_operand(to, b)) || reads_anywhere(to, b) || reads_anywhere(from, a) ||
        fcl_groups_detour(f->groups, a, b) || fcl_groups_detour(f->groups, b, a))
        return false;
    for (int i = 0; i < from->members && to->product; i++)
        if (fcl_generate_scattered(from->member[i]) || belongs_to_sums(from->member[i], a))
            return false;
    take_members(f, a, b);
    return true;
}

static bool join(fuser *f, fcl_tensor *node)
{
    for (int k = 0; k < node->inputs && !node->op->element.anywhere; k++) {
        int s = fcl_node_root(node->input[k])->step;
        bool direct = fcl_node_root(node->input[k]) == node->input[k]; /* a view needs its memory */
        if (s < 0 || !direct || fcl_step_age(&f->steps[s]) != node->age || !takes_members(&f->steps[s], node->shape, 1, arguments_of(node, s)) ||
            fcl_groups_lead_back(f->groups, node, s))
            continue;
        if (f->steps[s].product && (fcl_generate_scattered(node) || belongs_to_sums(node, s)))
            continue;
        add_member(&f->steps[s], node);
        f->steps[s].arguments += arguments_of(node, s);
        fcl_groups_join(f->groups, s, node);
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
        fcl_groups_join(f->groups, node->step, node);
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

typedef struct source {
    int64_t size;
    int step;
} source;

static int by_size(const void *a, const void *b)
{
    const source *x = a, *y = b;
    return x->size != y->size ? (x->size > y->size) - (x->size < y->size) : x->step - y->step;
}

static int find_sources(const fuser *f, source *sources)
{
    int count = 0;
    for (int s = 0; s < f->count; s++)
        if (needs_nothing(&f->steps[s]))
            sources[count++] = (source){fcl_shape_size(f->steps[s].shape), s};
    qsort(sources, (size_t)count, sizeof *sources, by_size);
    return count;
}

/* Each takes those of its size that are behind it, as long as it has room. */
static void merge_sources(fuser *f)
{
    source *sources = fcl_zalloc((size_t)f->count * sizeof *sources);
    int count = find_sources(f, sources);
    for (int i = 0; i < count; i++) {
        const fcl_step *to = &f->steps[sources[i].step];
        for (int k = i + 1; k < count && sources[k].size == sources[i].size && to->members; k++) {
            const fcl_step *from = &f->steps[sources[k].step];
            if (!has_room(to, 1, 1))
                break;
            if (from->members && fcl_step_age(from) == fcl_step_age(to) && has_room(to, from->members, from->arguments))
                take_members(f, sources[i].step, sources[k].step);
        }
    }
    free(sources);
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

static void fuse(fuser *f)
{
    fcl_graph *graph = f->plan->graph;
    memset(f->steps, 0, (size_t)f->count * sizeof *f->steps);
    f->count = 0;
    f->groups = fcl_groups_create(graph);
    for (int i = 0; i < graph->count; i++)
        graph->nodes[i]->step = -1;
    for (int i = 0; i < graph->count; i++)
        place(f, graph->nodes[i]);
    if (f->elements)
        merge_sources(f);
    part_elements(f);
    f->plan->visits += fcl_groups_visits(f->groups);
    fcl_groups_destroy(&f->groups);
}

/* --- what multiplies --- */

/* By another step than that. */
static bool is_read(const fcl_tensor *node, int step)
{
    for (int i = 0; i < node->readers; i++)
        if (!node->reader[i]->op->view && node->reader[i]->step != step)
            return true;
    return false;
}

static bool is_stored(const fcl_tensor *node)
{
    return node->in_memory || is_read(node, node->step);
}

static int at_most(int value, int most)
{
    return value < most ? value : most;
}

/* Of what it stores C is one. */
static fcl_gemm_problem problem_of(const fcl_step *step)
{
    fcl_gemm_problem problem = fcl_matmul_problem(step->product);
    fcl_tensor *read[FCL_MAX_ARGUMENTS];
    int self = step->product->step, stores = is_stored(step->product);
    for (int i = 0; i < step->members; i++) {
        const fcl_tensor *member = step->member[i];
        stores += is_stored(member);
        for (int k = 0; k < member->inputs; k++) {
            fcl_tensor *root = fcl_node_root(member->input[k]);
            if (root->step != self && !is_literal(root) && fcl_shape_equal(member->input[k]->shape, step->shape))
                fcl_generate_slot(read, &problem.reads, root);
        }
    }
    problem.reads = at_most(problem.reads, FCL_PRODUCT_MATRICES);
    problem.stores = at_most(stores > 1 ? stores - 1 : 0, FCL_PRODUCT_MATRICES);
    return problem;
}

/* A product whose provider takes no epilogue stays bare, and keeps it, whatever might follow it another time: so what
 * has to be fused again becomes less. False where there is such: something followed it. */
static bool choose_providers(fuser *f)
{
    bool settled = true;
    for (int s = 0; s < f->count; s++) {
        fcl_step *step = &f->steps[s];
        if (!is_product(step))
            continue;
        chosen *of = &f->chosen[step->product->id];
        if (!step->product->bare) {
            of->problem = problem_of(step);
            of->choice = fcl_gemm_choose(f->plan->device, &of->problem);
        }
        step->problem = of->problem;
        step->choice = of->choice;
        step->product->bare = !fcl_kind_of(step)->takes_members;
        settled &= !step->product->bare || !step->members;
    }
    return settled;
}

void fcl_plan_fuse(fcl_plan *plan)
{
    fcl_graph *graph = plan->graph;
    prune(graph);
    find_readers(graph);
    mark_in_memory(graph);
    fuser f = {.plan = plan,
               .steps = fcl_zalloc(((size_t)graph->count + 1) * sizeof *f.steps),
               .chosen = fcl_zalloc(((size_t)graph->count + 1) * sizeof *f.chosen)};
    f.elements = !plan->options.no_fusion && !fcl_device_traits(plan->device).wide;
    do
        fuse(&f);
    while (!choose_providers(&f));
    fcl_plan_order(plan, f.steps, f.count);
    free(f.steps);
    free(f.chosen);
}

/* --- sums of rows --- */

static bool may_take_sum(fcl_groups *groups, const fcl_step *step, const fcl_tensor *sum)
{
    const fcl_tensor *product = step->product;
    if (!is_product(step) || step->row_sum || product->shape.rank != 2 || product->input[0] != sum->input[0])
        return false;
    fcl_gemm_problem problem = fcl_matmul_problem(product);
    return fcl_gemm_tile_sums_rows(&problem, &step->choice) &&
           !fcl_groups_depend(groups, product->step, sum->step);
}

bool fcl_sums_rows(const fcl_tensor *node)
{
    return node->op->reduction == FCL_SUM && node->input[0]->shape.rank == 2 && fcl_reduced_axes(node) == 1u << 0;
}

/* The first step that may; -1: there is none. */
static int step_for_sum(const fcl_plan *plan, fcl_groups *groups, const fcl_tensor *sum)
{
    const fcl_tensor *summed = fcl_node_root(sum->input[0]);
    int best = -1;
    for (int i = 0; i < summed->readers; i++) {
        int p = summed->reader[i]->step;
        if (p >= 0 && (best < 0 || p < best) && may_take_sum(groups, &plan->steps[p], sum))
            best = p;
    }
    return best;
}

/* Each into the product that reads what it sums. */
static void sums_into_products(fcl_plan *plan)
{
    fcl_groups *groups = fcl_groups_of_steps(plan->graph, plan->count);
    for (int s = 0; s < plan->count; s++) {
        fcl_tensor *sum = plan->steps[s].own;
        int p = sum && fcl_sums_rows(sum) ? step_for_sum(plan, groups, sum) : -1;
        if (p < 0)
            continue;
        plan->steps[p].row_sum = sum;
        plan->steps[s] = (fcl_step){0};
        sum->step = p;
        fcl_groups_merge(groups, p, s);
    }
    plan->visits += fcl_groups_visits(groups);
    fcl_groups_destroy(&groups);
}

/* Those that nothing in the graph reads wait for each other. */
static void sums_together(fcl_plan *plan)
{
    int first = -1; /* the step that takes them */
    for (int s = 0; s < plan->count; s++) {
        fcl_tensor *sum = plan->steps[s].own;
        if (!sum || !fcl_sum_is_small(sum, plan->device) || is_read(sum, -1))
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
    sums_into_products(plan);
    if (!fcl_device_traits(plan->device).wide)
        sums_together(plan);
    fcl_step *steps = plan->steps;
    plan->steps = NULL;
    fcl_plan_order(plan, steps, plan->count);
    free(steps);
}
