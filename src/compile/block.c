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
#include "compile/groups.h"

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
    bool fits = product->op->product && !fcl_matmul_problem(product).transpose_a && a->shape.rank == 2 && b->shape.rank == 2 &&
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
    for (int i = 0; i < index->readers; i++)
        if (!fcl_block_has_text(index->reader[i], repeats))
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

/* A step, and if it is the first of a block, the block. */
typedef struct member {
    int64_t rows;    /* of what is local to them; 0: it stays alone */
    int64_t columns; /* of the whole block */
    int block;       /* its first step */
    int next;        /* step of the block; -1: it is the last */
    int last;        /* step of the block */
    int before; /* the block before this one in its chain, or of those that are short of room; -1: none */
} member;

/* The blocks of as many rows. Each of the chain depends on the one before it, or its first step had joined
 * that one. */
typedef struct kind {
    int64_t rows;
    int chain, filled; /* the last block of the chain; one that had no room for a step; -1: none */
} kind;

typedef struct blocker {
    fcl_plan *plan;
    fcl_groups *groups; /* the blocks' nodes */
    member *members;
    kind *kinds; /* in ascending order */
    size_t kind_count;
} blocker;

/* What a step reads of the block must be rows, as they are: no view, not a product's second factor, no sum.
 */
static bool reads_rows_of(const blocker *b, const fcl_tensor *node, int block, int64_t rows)
{
    for (int k = 0; k < node->inputs; k++) {
        const fcl_tensor *input = node->input[k];
        if (fcl_groups_find(b->groups, input) != block)
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
    for (int i = 0; i < fcl_step_nodes(step); i++)
        if (!reads_rows_of(b, fcl_step_node(step, i), block, b->members[s].rows))
            return false;
    return !fcl_groups_detour(b->groups, s, block);
}

/* Where rows have their own pace, no work-item knows which of them it has summed, nor do they follow each
 * other. */
static bool needs_rows_in_turn(const fcl_step *step)
{
    return summing(step) || (step->own && fcl_block_is_index(step->own));
}

static bool has_room(const blocker *b, int s, int block)
{
    return b->members[block].columns + b->members[s].columns <= MOST_COLUMNS;
}

static void put_on(blocker *b, int block, int *list)
{
    b->members[block].before = *list;
    *list = block;
}

/* The earliest block of the chain that the step may join; -1: there is none. It may join what it does not
 * need; of what it needs, the last at most, which stands between the step and those before. A block without
 * room for it leaves the chain: those to come may not depend on it. */
static int find_in_chain(blocker *b, int s, kind *of)
{
    int best = -1, block;
    bool needed = false;
    for (int *link = &of->chain; !needed && (block = *link) >= 0;) {
        needed = fcl_groups_depend(b->groups, s, block);
        bool fits = !needed || may_join(b, s, block);
        if (fits && !has_room(b, s, block)) {
            *link = b->members[block].before;
            put_on(b, block, &of->filled);
            continue;
        }
        best = fits ? block : best;
        link = &b->members[block].before;
    }
    return best;
}

/* The earliest of all that it may join. */
static int find_block(blocker *b, int s, kind *of)
{
    int best = find_in_chain(b, s, of);
    for (int block = of->filled; block >= 0; block = b->members[block].before)
        if ((best < 0 || block < best) && has_room(b, s, block) && may_join(b, s, block))
            best = block;
    return best;
}

static void join_block(blocker *b, int s, int block)
{
    member *first = &b->members[block];
    b->members[s].block = block;
    b->members[first->last].next = s;
    first->last = s;
    first->columns += b->members[s].columns;
    fcl_groups_merge(b->groups, block, s);
}

static int by_rows(const void *a, const void *b)
{
    const kind *x = a, *y = b;
    return (x->rows > y->rows) - (x->rows < y->rows);
}

static void find_kinds(blocker *b)
{
    const size_t steps = (size_t)b->plan->count;
    for (size_t s = 0; s < steps; s++)
        b->kinds[s] = (kind){b->members[s].rows, -1, -1};
    qsort(b->kinds, steps, sizeof *b->kinds, by_rows);
    for (size_t i = 0; i < steps; i++)
        if (i == 0 || by_rows(&b->kinds[i], &b->kinds[b->kind_count - 1]))
            b->kinds[b->kind_count++] = b->kinds[i];
}

static void open_blocker(blocker *b)
{
    const fcl_plan *plan = b->plan;
    const bool in_turn = !fcl_block_own_pace(plan->steps, plan->count);
    b->groups = fcl_groups_of_steps(plan->graph, plan->count);
    b->members = fcl_zalloc((size_t)plan->count * sizeof *b->members);
    b->kinds = fcl_zalloc((size_t)plan->count * sizeof *b->kinds);
    for (int s = 0; s < plan->count; s++) {
        const fcl_step *step = &plan->steps[s];
        b->members[s] = (member){.rows = in_turn || !needs_rows_in_turn(step) ? step_rows(plan, step) : 0,
                                 .columns = step->shape.rank == 2 ? step->shape.dim[1] : 0,
                                 .block = s,
                                 .next = -1,
                                 .last = s};
    }
    find_kinds(b);
}

static void close_blocker(blocker *b)
{
    b->plan->visits += fcl_groups_visits(b->groups);
    fcl_groups_destroy(&b->groups);
    free(b->members);
    free(b->kinds);
}

/* Puts each step that can into the earliest block of as many rows: so a forward pass gathers its backward
 * pass. */
static void join_steps(blocker *b)
{
    for (int s = 0; s < b->plan->count; s++) {
        const kind own = {.rows = b->members[s].rows};
        kind *of = bsearch(&own, b->kinds, b->kind_count, sizeof *b->kinds, by_rows);
        int block = own.rows ? find_block(b, s, of) : s;
        if (block >= 0 && block != s)
            join_block(b, s, block);
        else if (own.rows)
            put_on(b, s, &of->chain);
    }
}

/* --- what becomes of a block --- */

static bool is_read_outside(const blocker *b, const fcl_tensor *node, int first)
{
    for (int i = 0; i < node->readers; i++)
        if (fcl_groups_find(b->groups, node->reader[i]) != first)
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
    for (int s = first; s >= 0 && reads <= FCL_MAX_ARGUMENTS; s = b->members[s].next)
        for (int i = 0; i < fcl_step_nodes(&plan->steps[s]); i++) {
            const fcl_tensor *node = fcl_step_node(&plan->steps[s], i);
            for (int k = 0; k < node->inputs && reads <= FCL_MAX_ARGUMENTS; k++)
                if (fcl_groups_find(b->groups, node->input[k]) != first &&
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
    for (int s = first; s >= 0; s = b->members[s].next) {
        steps++;
        products += plan->steps[s].product && !summing(&plan->steps[s]);
    }
    bool repeats = plan->options.repeat && steps == plan->count && b->members[first].rows > 0;
    return (repeats || (steps > 1 && products > 0)) && fits_kernels(b, first);
}

static fcl_step gather_block(const blocker *b, int first)
{
    fcl_step block = {.shape = b->plan->steps[first].shape, .rows = b->members[first].rows};
    int count = 0;
    for (int s = first; s >= 0; s = b->members[s].next)
        count++;
    block.block = fcl_arena_alloc(&b->plan->graph->arena, (size_t)count * sizeof *block.block);
    for (int s = first; s >= 0; s = b->members[s].next)
        block.block[block.blocks++] = b->plan->steps[s];
    return block;
}

void fcl_plan_block(fcl_plan *plan)
{
    blocker b = {.plan = plan};
    open_blocker(&b);
    join_steps(&b);
    fcl_step *steps = fcl_zalloc(((size_t)plan->count + 1) * sizeof *steps);
    int *at = fcl_zalloc(((size_t)plan->count + 1) * sizeof *at), count = 0;
    bool *worth = fcl_zalloc((size_t)plan->count + 1);
    for (int s = 0; s < plan->count; s++) {
        int first = b.members[s].block;
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
    free(steps);
    close_blocker(&b);
}
