/* options.check: after each step of a run its values are looked at, and the first that is not finite is told.
 */
#include "compile/plan.h"

#include <math.h>
#include <stdlib.h>

/* How far back a name is looked for, in nodes. */
enum { FURTHEST = 8 };

/* The name of the first leaf with a name that the node reads; NULL: it reads none. */
static const char *leaf_name(const fcl_tensor *node)
{
    for (int i = 0; i < node->inputs; i++) {
        const fcl_tensor *root = fcl_node_root(node->input[i]);
        if (root->op->leaf == FCL_LEAF_MEMORY && root->name[0])
            return root->name;
    }
    return NULL;
}

/* Where in a model the node is: "matmul 'layers.3'"; one without a name by a parameter that it reads, or by a
 * node of which it comes: "matmul of 'layers.3.weight'", "silu behind 'layers.3'". */
static const char *place_of(const fcl_tensor *node)
{
    fcl_arena *arena = &node->graph->arena;
    if (node->name[0])
        return fcl_node_text(node);
    if (leaf_name(node))
        return fcl_arena_format(arena, "%s of '%s'", node->op->name, leaf_name(node));
    const fcl_tensor *before = node;
    for (int i = 0; i < FURTHEST && before->inputs; i++) {
        before = before->input[0];
        const char *name = before->name[0] ? before->name : leaf_name(before);
        if (name)
            return fcl_arena_format(arena, "%s behind '%s'", node->op->name, name);
    }
    return node->op->name;
}

/* The first number that is not finite, and in how many of the rows there are such. */
static fcl_broken find(const fcl_tensor *node, size_t count, const float *values)
{
    fcl_broken broken = {.node = node, .rows = node->shape.rank > 0 ? node->shape.dim[0] : 1};
    size_t width = count / (size_t)broken.rows, behind = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) || i < behind)
            continue;
        if (!broken.broken_rows++) {
            broken.element = (int64_t)i;
            broken.value = values[i];
        }
        behind = (i / width + 1) * width;
    }
    broken.row = broken.element / (int64_t)width;
    return broken;
}

static int tell(const fcl_broken *broken)
{
    const fcl_tensor *node = broken->node;
    return fcl_fail(FCL_ERR_NUMERIC, "%s%s of shape %s: element %lld is %g", place_of(node),
                    node->derived ? " in the backward pass" : "", fcl_shape_text(node->graph, node->shape),
                    (long long)broken->element, (double)broken->value);
}

static int check_values(fcl_plan *plan, const fcl_tensor *node)
{
    size_t count = (size_t)fcl_shape_size(node->shape);
    float *values = malloc(count * sizeof *values);
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "no host memory to check %s", fcl_node_text(node));
    int status = fcl_buffer_read(node->buffer, 0, count * sizeof *values, values);
    if (status == FCL_OK) {
        plan->broken = find(node, count, values);
        status = plan->broken.broken_rows ? tell(&plan->broken) : FCL_OK;
    }
    free(values);
    return status;
}

int fcl_plan_check(fcl_plan *plan, int step)
{
    for (int i = 0; i < plan->storage_count; i++) {
        const fcl_tensor *owner = plan->storages[i]->owner;
        if (owner && owner->step == step && owner->type == FCL_F32)
            FCL_TRY(check_values(plan, owner));
    }
    return FCL_OK;
}

const fcl_broken *fcl_graph_broken(const fcl_graph *graph)
{
    return &graph->plan->broken;
}
