/* Row blocks: steps whose rows do not influence each other, run one after the other on a few rows at a time.
 *
 * In a model for samples (B, D) nearly everything is local to a row: products with shared weights,
 * elementwise chains, concatenation, the loss of a sample. A block joins such steps into one kernel that
 * keeps a tile of rows in private memory (cl/block.h), and what sums over the rows with them (block_sum.c):
 * so a narrow network's step from the batch to its gradients is two launches. On CPUs only, and only for
 * widths at which the weights stay in the nearest caches: beyond that the product kernels are faster.
 *
 * Like fusing, joining must not make a cycle: a step joins a block when nothing it needs from outside depends
 * on the block. */
#include "compile/block.h"

#include <stdlib.h>
#include <string.h>

enum { WIDEST = 128, MOST_COLUMNS = 8192 /* of all steps of a block: bounds private memory */ };

/* --- which steps are local to rows --- */

static bool is_rows(fcl_shape shape, int64_t rows)
{
    return shape.rank == 2 && shape.dim[0] == rows;
}

static bool narrow(fcl_shape shape)
{
    return shape.rank == 2 && shape.dim[1] <= WIDEST;
}

static int64_t product_rows(const fcl_tensor *product)
{
    const fcl_tensor *a = product->input[0], *b = product->input[1];
    bool fits = !fcl_matmul_problem(product).transpose_a && a->shape.rank == 2 && b->shape.rank == 2 &&
                narrow(a->shape) && narrow(product->shape);
    return fits ? product->shape.dim[0] : 0;
}

static int64_t member_rows(const fcl_tensor *node)
{
    if (!narrow(node->shape))
        return 0;
    for (int k = 0; k < node->inputs; k++) {
        fcl_shape from = node->input[k]->shape;
        int64_t size = fcl_shape_size(from);
        bool whole =
            is_rows(from, node->shape.dim[0]) && (from.dim[1] == node->shape.dim[1] || from.dim[1] == 1);
        bool column = size == node->shape.dim[1] && from.rank >= 1 && from.dim[from.rank - 1] == size;
        if (!whole && !column && size != 1)
            return 0;
    }
    return node->shape.dim[0];
}

/* An index that others read as well comes from outside: they would stand between the block and what they
 * make. */
static bool is_read_in_blocks(const fcl_tensor *index, bool repeats)
{
    const fcl_graph *graph = index->graph;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs; k++)
            if (graph->nodes[i]->needed && graph->nodes[i]->input[k] == index &&
                !fcl_block_has_text(graph->nodes[i], repeats))
                return false;
    return true;
}

static int64_t own_rows(const fcl_tensor *node, bool repeats)
{
    if (fcl_block_is_index(node))
        return fcl_block_has_text(node, repeats) && is_read_in_blocks(node, repeats) ? node->shape.dim[0] : 0;
    if (!fcl_block_has_text(node, repeats) || node->type != FCL_F32 || !narrow(node->shape))
        return 0;
    for (int k = 0; k < node->inputs; k++)
        if (!fcl_block_reads_all(node, k) && !fcl_block_is_index(node->input[k]) &&
            (!is_rows(node->input[k]->shape, node->shape.dim[0]) || !narrow(node->input[k]->shape)))
            return 0;
    return node->shape.dim[0];
}

/* The node of a step that sums over rows, and is all there is of it; NULL: it does not. */
static const fcl_tensor *summing(const fcl_step *step)
{
    const fcl_tensor *node = step->product ? step->product : step->own;
    return node && !step->members && fcl_block_sums(node) ? node : NULL;
}

static int64_t summed_rows(const fcl_plan *plan, const fcl_tensor *node)
{
    for (int k = 0; k < node->inputs; k++)
        if (!narrow(node->input[k]->shape) || node->input[k]->type != FCL_F32)
            return 0;
    return plan->options.repeat ? 0 : node->input[0]->shape.dim[0];
}

/* The number of rows of a step that is local to them, or sums over them; 0 where it is not. */
static int64_t step_rows(const fcl_plan *plan, const fcl_step *step)
{
    if (summing(step))
        return summed_rows(plan, summing(step));
    int64_t rows = step->own               ? own_rows(step->own, plan->options.repeat > 0)
                   : step->shape.rank == 2 ? step->shape.dim[0]
                                           : 0;
    if (step->product && product_rows(step->product) != rows)
        return 0;
    for (int i = 0; i < step->members && rows; i++)
        if (member_rows(step->member[i]) != rows)
            return 0;
    return rows;
}

/* --- joining --- */

typedef struct blocker {
    fcl_plan *plan;
    int *block; /* per step: the first step of its block, or itself */
    int *mark, search;
} blocker;

static int step_of(const blocker *b, const fcl_tensor *input)
{
    int s = fcl_node_root((fcl_tensor *)input)->step;
    return s < 0 ? -1 : b->block[s];
}

/* Does the step, or the block that begins with it, depend on block `on`? */
static bool depends(blocker *b, int from, int on)
{
    if (from < 0 || from == on)
        return from == on;
    if (b->mark[from] == b->search)
        return false;
    b->mark[from] = b->search;
    for (int s = from; s < b->plan->count; s++) {
        if (b->block[s] != from)
            continue;
        const fcl_step *step = &b->plan->steps[s];
        for (int i = 0; i < fcl_step_nodes(step); i++) {
            const fcl_tensor *node = fcl_step_node(step, i);
            for (int k = 0; k < node->inputs; k++)
                if (step_of(b, node->input[k]) != from && depends(b, step_of(b, node->input[k]), on))
                    return true;
        }
    }
    return false;
}

/* What a step reads of the block must be rows, as they are: no view, not a product's second factor, no sum.
 */
static bool reads_rows_of(const blocker *b, const fcl_tensor *node, int block, int64_t rows)
{
    for (int k = 0; k < node->inputs; k++) {
        const fcl_tensor *input = node->input[k];
        if (step_of(b, input) != block)
            continue;
        bool index = fcl_block_is_index(input) && input->shape.dim[0] == rows;
        if (fcl_block_reads_all(node, k) || input->op->view || fcl_block_sums(input) ||
            !(index || is_rows(input->shape, rows)))
            return false;
    }
    return true;
}

static bool may_join(blocker *b, int s, int block)
{
    const fcl_step *step = &b->plan->steps[s];
    b->search++;
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        const fcl_tensor *node = fcl_step_node(step, i);
        if (!reads_rows_of(b, node, block, step_rows(b->plan, step)))
            return false;
        for (int k = 0; k < node->inputs; k++) {
            int from = step_of(b, node->input[k]);
            if (from != block && from != s && depends(b, from, block))
                return false;
        }
    }
    return true;
}

/* Where rows have their own pace, no work-item knows which of them it has summed, nor do they follow each
 * other. */
static bool needs_rows_in_turn(const fcl_step *step)
{
    return summing(step) || (step->own && fcl_block_is_index(step->own));
}

/* Puts each step that can into the earliest block of as many rows: so a forward pass gathers its backward
 * pass. */
static void join_steps(blocker *b)
{
    fcl_plan *plan = b->plan;
    int64_t *rows = fcl_zalloc(((size_t)plan->count + 1) * sizeof *rows);
    int64_t *columns = fcl_zalloc(((size_t)plan->count + 1) * sizeof *columns);
    for (int s = 0; s < plan->count; s++)
        b->block[s] = s;
    bool in_turn = !fcl_block_own_pace(plan->steps, plan->count);
    for (int s = 0; s < plan->count; s++) {
        if ((!in_turn && needs_rows_in_turn(&plan->steps[s])) ||
            !(rows[s] = step_rows(plan, &plan->steps[s])))
            continue;
        columns[s] = plan->steps[s].shape.rank == 2 ? plan->steps[s].shape.dim[1] : 0;
        for (int first = 0; first < s; first++) {
            if (b->block[first] != first || rows[first] != rows[s] ||
                columns[first] + columns[s] > MOST_COLUMNS || !may_join(b, s, first))
                continue;
            b->block[s] = first;
            columns[first] += columns[s];
            break;
        }
    }
    free(columns);
    free(rows);
}

/* --- what becomes of a block --- */

static bool is_read_outside(const blocker *b, const fcl_tensor *node, int first)
{
    const fcl_graph *graph = b->plan->graph;
    for (int i = 0; i < graph->count; i++)
        for (int k = 0; k < graph->nodes[i]->inputs && graph->nodes[i]->needed; k++)
            if (fcl_node_root(graph->nodes[i]->input[k]) == node && step_of(b, graph->nodes[i]) != first)
                return true;
    return false;
}

/* Whether the arguments of its kernels, what it reads, stores and sums, are as few as a kernel may have: a
 * hundred layers have too many. */
static bool fits_kernels(const blocker *b, int first)
{
    enum { OTHERS = 8 /* numbers of rows, random counters, parts, a node's further results */ };
    const fcl_plan *plan = b->plan;
    fcl_tensor *read[FCL_MAX_ARGUMENTS + FCL_MAX_MEMBERS];
    int reads = 0, stores = 0, sums = 0;
    for (int s = first; s < plan->count && reads <= FCL_MAX_ARGUMENTS; s++)
        for (int i = 0; b->block[s] == first && i < fcl_step_nodes(&plan->steps[s]); i++) {
            const fcl_tensor *node = fcl_step_node(&plan->steps[s], i);
            for (int k = 0; k < node->inputs && reads <= FCL_MAX_ARGUMENTS; k++)
                if (step_of(b, node->input[k]) != first &&
                    !(node->op->expression && fcl_node_root(node->input[k])->op->leaf == FCL_LEAF_CONSTANT))
                    fcl_generate_slot(read, &reads, fcl_node_root(node->input[k]));
            bool stored = node->in_memory || is_read_outside(b, node, first);
            *(fcl_block_sums(node) ? &sums : &stores) += stored;
        }
    return reads + stores + OTHERS <= FCL_MAX_ARGUMENTS && sums + OTHERS <= FCL_MAX_ARGUMENTS;
}

/* A block is worth its kernel when it joins a product with anything; or when it is all there is, and its
 * kernel may repeat it. */
static bool worth_it(const blocker *b, int first)
{
    const fcl_plan *plan = b->plan;
    int steps = 0, products = 0;
    for (int s = first; s < plan->count; s++)
        if (b->block[s] == first) {
            steps++;
            products += plan->steps[s].product && !summing(&plan->steps[s]);
        }
    bool repeats = plan->options.repeat && steps == plan->count && step_rows(plan, &plan->steps[first]) > 0;
    return (repeats || (steps > 1 && products > 0)) && fits_kernels(b, first);
}

static fcl_step gather_block(blocker *b, int first)
{
    fcl_step block = {.shape = b->plan->steps[first].shape};
    int room = b->plan->count - first;
    block.block = fcl_arena_alloc(&b->plan->graph->arena, (size_t)room * sizeof *block.block);
    for (int s = first; s < b->plan->count; s++)
        if (b->block[s] == first)
            block.block[block.blocks++] = b->plan->steps[s];
    block.rows = step_rows(b->plan, &b->plan->steps[first]);
    return block;
}

void fcl_plan_block(fcl_plan *plan)
{
    blocker b = {.plan = plan};
    b.block = fcl_zalloc(((size_t)plan->count + 1) * sizeof *b.block);
    b.mark = fcl_zalloc(((size_t)plan->count + 1) * sizeof *b.mark);
    join_steps(&b);
    fcl_step *steps = fcl_zalloc(((size_t)plan->count + 1) * sizeof *steps);
    int *at = fcl_zalloc(((size_t)plan->count + 1) * sizeof *at), count = 0;
    bool *worth = fcl_zalloc((size_t)plan->count + 1);
    for (int s = 0; s < plan->count; s++) {
        int first = b.block[s];
        if (first == s)
            worth[s] = worth_it(&b, s);
        if (!worth[first])
            steps[at[s] = count++] = plan->steps[s];
        else if (first == s)
            steps[at[s] = count++] = gather_block(&b, s);
        else
            at[s] = at[first];
    }
    for (int i = 0; i < plan->graph->count; i++)
        if (plan->graph->nodes[i]->step >= 0)
            plan->graph->nodes[i]->step = at[plan->graph->nodes[i]->step];
    fcl_plan_order(plan, steps, count);
    free(worth);
    free(at);
    free(b.mark);
    free(b.block);
    free(steps);
}
