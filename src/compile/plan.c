/* Memory of a compiled graph: which values are stored, for how long, and where. */
#include "compile/block.h"
#include "compile/places.h"
#include "compile/kind.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static size_t aligned(size_t bytes)
{
    return (bytes + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
}

static fcl_storage *new_storage(fcl_plan *plan, size_t bytes, int first, int last)
{
    fcl_storage *storage = fcl_arena_alloc(&plan->graph->arena, sizeof *storage);
    *storage = (fcl_storage){.bytes = bytes, .first = first, .last = last};
    plan->storages = fcl_grow(plan->storages, (size_t)(plan->storage_count + 1) * sizeof *plan->storages);
    return plan->storages[plan->storage_count++] = storage;
}

/* --- which values, for how long --- */

static void reach(fcl_tensor *root, int step)
{
    if (root->last_step < step)
        root->last_step = step;
}

/* Behind what copies its assignments, see place_copies. */
static void mark_uses(fcl_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        if (node->needed && node->kept)
            reach(fcl_node_root(node), INT_MAX);
        for (int k = 0; k < node->inputs && node->needed && !node->op->view; k++) {
            fcl_tensor *root = fcl_node_root(node->input[k]);
            if (root->step != node->step && root->op->leaf <= FCL_LEAF_MEMORY)
                root->in_memory = true;
            reach(root, node->step);
        }
    }
    for (int i = 0; i < graph->assignment_count; i++)
        reach(fcl_node_root(graph->assignments[i].value), graph->assignments[i].behind);
}

static size_t scratch_bytes(const fcl_plan *plan, const fcl_step *step)
{
    const fcl_kind *kind = fcl_kind_of(step);
    return kind->scratch ? kind->scratch(plan, step) : 0;
}

static void make_storages(fcl_plan *plan)
{
    fcl_graph *graph = plan->graph;
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        bool own = node->step >= 0 && plan->steps[node->step].own == node;
        if (node->step < 0 || !(node->in_memory || own))
            continue; /* it lives in registers or in a block's tile */
        int last = node->last_step > node->step ? node->last_step : node->step;
        node->storage = new_storage(plan, fcl_tensor_bytes(node), node->step, last);
        node->storage->owner = node;
    }
    for (int s = 0; s < plan->count; s++) {
        size_t bytes = scratch_bytes(plan, &plan->steps[s]);
        if (bytes)
            plan->steps[s].scratch = new_storage(plan, bytes, s, s);
    }
}

/* --- assignments in place --- */

static bool overlap(const fcl_tensor *a, const fcl_tensor *b)
{
    if (a == b)
        return true;
    return a->bound && a->bound == b->bound && a->bound_offset < b->bound_offset + fcl_tensor_bytes(b) &&
           b->bound_offset < a->bound_offset + fcl_tensor_bytes(a);
}

/* Does the node of the writing step read the target only where it writes it: element by element, or, in a
 * block, rows that are loaded before any is stored? A row program reads a row again after that. */
static bool reads_in_place(const fcl_step *step, const fcl_tensor *node, const fcl_tensor *target)
{
    for (int k = 0; k < node->inputs; k++) {
        const fcl_tensor *input = node->input[k], *root = fcl_node_root((fcl_tensor *)input);
        if (!overlap(root, target))
            continue;
        bool rows = step->block && input->shape.rank == 2 && input->shape.dim[0] == step->rows &&
                    !fcl_block_reads_all(node, k);
        bool element = node->op->expression && fcl_shape_size(target->shape) == fcl_shape_size(node->shape);
        if (root != target || step->extent.width || !(rows || (!step->block && (element || node->op->in_place))))
            return false;
    }
    return true;
}

/* Leaves of memory by their buffers and places, so that those that overlap stand together. */
typedef struct leaves {
    const fcl_tensor **leaf;
    size_t *reach; /* the furthest end of this one and those before it in the same buffer */
    int count;
} leaves;

static size_t end_of(const fcl_tensor *leaf)
{
    return leaf->bound_offset + fcl_tensor_bytes(leaf);
}

static int by_place(const void *a, const void *b)
{
    const fcl_tensor *x = *(const fcl_tensor *const *)a, *y = *(const fcl_tensor *const *)b;
    uintptr_t own = (uintptr_t)x->bound, other = (uintptr_t)y->bound;
    if (own != other)
        return own < other ? -1 : 1;
    return (x->bound_offset > y->bound_offset) - (x->bound_offset < y->bound_offset);
}

static void find_leaves(leaves *l, const fcl_graph *graph)
{
    *l = (leaves){.leaf = fcl_zalloc((size_t)graph->count * sizeof *l->leaf),
                  .reach = fcl_zalloc((size_t)graph->count * sizeof *l->reach)};
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->bound)
            l->leaf[l->count++] = graph->nodes[i];
    qsort(l->leaf, (size_t)l->count, sizeof *l->leaf, by_place);
    for (int i = 0; i < l->count; i++) {
        bool same = i > 0 && l->leaf[i - 1]->bound == l->leaf[i]->bound;
        l->reach[i] = same && l->reach[i - 1] > end_of(l->leaf[i]) ? l->reach[i - 1] : end_of(l->leaf[i]);
    }
}

static void free_leaves(leaves *l)
{
    free(l->leaf);
    free(l->reach);
}

/* How a value comes into a leaf: it is computed there, or copied behind the step that computes it. */
typedef enum way { IN_PLACE, COPIED } way;

/* Does a step behind that of `value`, or this one otherwise than in place, read the leaf? */
static bool is_read_late(const fcl_plan *plan, const fcl_tensor *leaf, const fcl_tensor *target,
                         const fcl_tensor *value, way how)
{
    const fcl_step *step = &plan->steps[value->step];
    bool product = step->product; /* its tiles may read what another one has written */
    for (int i = 0; i < leaf->readers; i++) {
        const fcl_tensor *node = leaf->reader[i];
        if (node->op->view || node->step < value->step || (how == COPIED && node->step == value->step))
            continue;
        if (node->step > value->step || product || !reads_in_place(step, node, target))
            return true;
    }
    return false;
}

/* A value may be left in the assigned leaf as soon as it is there when nothing reads the leaf's old content after, and
 * no other value is assigned to a part of it. */
static bool may_write_into(const fcl_plan *plan, const leaves *l, const fcl_tensor *target,
                           const fcl_tensor *value, way how)
{
    if (is_read_late(plan, target, target, value, how))
        return false;
    int behind = 0; /* the first leaf that begins behind it */
    for (int high = l->count; behind < high && target->bound;) {
        int middle = (behind + high) / 2;
        bool before = by_place(&l->leaf[middle], &target) <= 0 || overlap(l->leaf[middle], target);
        *(before ? &behind : &high) = before ? middle + 1 : middle;
    }
    for (int i = behind; i-- > 0 && l->leaf[i]->bound == target->bound && l->reach[i] > target->bound_offset;)
        if (l->leaf[i] != target && overlap(l->leaf[i], target) &&
            (l->leaf[i]->assigned || is_read_late(plan, l->leaf[i], target, value, how)))
            return false;
    return true;
}

/* What is not written in place is copied at once, or, where the old content is still read, behind all steps. */
static void place_copies(const fcl_plan *plan, const leaves *l)
{
    const fcl_graph *graph = plan->graph;
    for (int i = 0; i < graph->assignment_count; i++) {
        const fcl_tensor *value = fcl_node_root(graph->assignments[i].value);
        bool at_once = value->step >= 0 && may_write_into(plan, l, graph->assignments[i].target, value, COPIED);
        graph->assignments[i].behind = at_once ? value->step : plan->count;
    }
}

static void write_in_place(const fcl_plan *plan, const leaves *l)
{
    const fcl_graph *graph = plan->graph;
    for (int i = 0; i < graph->assignment_count; i++) {
        fcl_tensor *target = graph->assignments[i].target,
                   *value = fcl_node_root(graph->assignments[i].value);
        if (!value->storage->instead && may_write_into(plan, l, target, value, IN_PLACE))
            value->storage->instead = target;
    }
}

/* --- places in the arena --- */

static int by_size(const void *a, const void *b)
{
    const fcl_storage *x = *(fcl_storage *const *)a, *y = *(fcl_storage *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* The largest first, each at the lowest place that is free as long as it lives. */
static void place_all(fcl_plan *plan)
{
    fcl_places *places = fcl_places_create(plan->count);
    qsort(plan->storages, (size_t)plan->storage_count, sizeof *plan->storages, by_size);
    for (int i = 0; i < plan->storage_count; i++) {
        fcl_storage *storage = plan->storages[i];
        if (storage->instead)
            continue;
        int last = storage->last < plan->count ? storage->last : plan->count - 1;
        storage->offset = fcl_places_take(places, storage->first, last, aligned(storage->bytes));
        plan->sum_bytes += aligned(storage->bytes);
        if (storage->offset + aligned(storage->bytes) > plan->arena_bytes)
            plan->arena_bytes = storage->offset + aligned(storage->bytes);
    }
    plan->visits += fcl_places_visits(places);
    fcl_places_destroy(&places);
}

/* --- buffers --- */

static int bind_leaf(fcl_plan *plan, fcl_tensor *leaf)
{
    if (leaf->bound)
        return fcl_buffer_slice(leaf->bound, leaf->bound_offset, fcl_tensor_bytes(leaf), &leaf->buffer);
    return fcl_buffer_create(plan->device, fcl_tensor_bytes(leaf), &leaf->buffer);
}

static int bind_storage(fcl_plan *plan, fcl_storage *storage)
{
    if (storage->instead)
        return fcl_buffer_slice(storage->instead->buffer, 0, storage->bytes, &storage->buffer);
    return fcl_buffer_slice(plan->arena, storage->offset, storage->bytes, &storage->buffer);
}

void fcl_plan_place(fcl_plan *plan)
{
    leaves l;
    find_leaves(&l, plan->graph);
    place_copies(plan, &l);
    mark_uses(plan->graph);
    make_storages(plan);
    write_in_place(plan, &l);
    free_leaves(&l);
    place_all(plan);
}

int fcl_plan_memory(fcl_plan *plan)
{
    fcl_graph *graph = plan->graph;
    if (plan->arena_bytes)
        FCL_TRY(fcl_buffer_create(plan->device, plan->arena_bytes, &plan->arena));
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->op->leaf == FCL_LEAF_MEMORY)
            FCL_TRY(bind_leaf(plan, graph->nodes[i]));
    for (int i = 0; i < plan->storage_count; i++) {
        FCL_TRY(bind_storage(plan, plan->storages[i]));
        if (plan->storages[i]->owner)
            plan->storages[i]->owner->buffer = plan->storages[i]->buffer;
    }
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->op->view)
            graph->nodes[i]->buffer = fcl_node_root(graph->nodes[i])->buffer;
    return FCL_OK;
}

void fcl_plan_destroy(fcl_plan **plan)
{
    fcl_plan *p = *plan;
    if (!p)
        return;
    fcl_device_settle(p->device);
    for (int i = p->action_count; i-- > 0;) { /* a look is released behind all actions that have it */
        fcl_look *look = p->actions[i].look;
        fcl_launch_destroy(&p->actions[i].launch);
        fcl_gemm_destroy(&p->actions[i].gemm);
        if (look && look->first == i) {
            fcl_transfer_drop(&look->transfer);
            free(look);
        }
    }
    fcl_program_destroy(&p->program);
    fcl_buffer_destroy(&p->table);
    free(p->table_scalar);
    for (int i = 0; i < p->storage_count; i++)
        fcl_buffer_destroy(&p->storages[i]->buffer);
    for (int i = 0; i < p->graph->count; i++)
        if (p->graph->nodes[i]->op->leaf == FCL_LEAF_MEMORY)
            fcl_buffer_destroy(&p->graph->nodes[i]->buffer);
    fcl_buffer_destroy(&p->arena);
    free(p->actions);
    free(p->bindings);
    free(p->marks);
    free(p->storages);
    free(p->steps);
    free(p);
    *plan = NULL;
}
