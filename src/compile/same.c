/* What computes the same is computed once: each residual block of a network, say, takes the same activation of the time's
 * embedding. Only where all derivatives are built: until then two tensors of the same value are two variables. */
#include "base/hash.h"
#include "compile/plan.h"

#include <stdlib.h>
#include <string.h>

typedef struct finder {
    fcl_tensor **place; /* by a hash of what they compute; NULL: free */
    size_t places;
} finder;

static uint64_t hash_of(const fcl_tensor *node)
{
    uint64_t hash = fcl_hash_bytes(FCL_HASH_START, &node->op, sizeof node->op);
    hash = fcl_hash_bytes(hash, &node->scalar, sizeof node->scalar);
    hash = fcl_hash_bytes(hash, node->input, (size_t)node->inputs * sizeof *node->input);
    return fcl_hash_bytes(hash, node->attributes, node->op->attributes);
}

/* What a derivative computes again is younger, and stays apart. */
static bool computes_same(const fcl_tensor *a, const fcl_tensor *b)
{
    return a->op == b->op && a->age == b->age && a->inputs == b->inputs &&
           memcmp(&a->scalar, &b->scalar, sizeof a->scalar) == 0 &&
           (!a->inputs || memcmp(a->input, b->input, (size_t)a->inputs * sizeof *a->input) == 0) &&
           (!a->op->attributes || memcmp(a->attributes, b->attributes, a->op->attributes) == 0);
}

/* Not what comes from outside, nor launches of several results. */
static bool is_found(const fcl_tensor *node)
{
    bool alone = !node->op->part;
    for (int i = 0; i < FCL_MAX_PARTS; i++)
        alone &= !node->part[i];
    return alone && (!node->op->leaf || node->op->leaf == FCL_LEAF_CONSTANT);
}

/* The place of the node that computes the same, or a free one. */
static fcl_tensor **place_of(const finder *f, const fcl_tensor *node)
{
    size_t at = hash_of(node) % f->places;
    while (f->place[at] && !computes_same(f->place[at], node))
        at = (at + 1) % f->places;
    return &f->place[at];
}

/* What a run leaves behind has a memory of its own. */
static fcl_tensor *find(const finder *f, fcl_tensor *node, const bool *left)
{
    if (!is_found(node))
        return node;
    fcl_tensor **place = place_of(f, node);
    if (!*place)
        *place = node;
    return left[node->id] ? node : *place;
}

static bool *mark_left(const fcl_graph *graph)
{
    bool *left = fcl_zalloc((size_t)graph->count + 1);
    for (int i = 0; i < graph->count; i++)
        if (graph->nodes[i]->kept)
            left[i] = left[fcl_node_root(graph->nodes[i])->id] = true;
    for (int i = 0; i < graph->assignment_count; i++)
        left[graph->assignments[i].value->id] = left[fcl_node_root(graph->assignments[i].value)->id] = true;
    return left;
}

void fcl_plan_find_same(fcl_graph *graph)
{
    finder f = {.places = 2 * (size_t)graph->count + 1};
    f.place = fcl_zalloc(f.places * sizeof(fcl_tensor *));
    fcl_tensor **same = fcl_zalloc(((size_t)graph->count + 1) * sizeof(fcl_tensor *));
    bool *left = mark_left(graph);
    for (int i = 0; i < graph->count; i++) {
        fcl_tensor *node = graph->nodes[i];
        for (int k = 0; k < node->inputs; k++)
            node->input[k] = same[node->input[k]->id];
        node->root = node->op->view ? node->input[0]->root : node;
        same[i] = find(&f, node, left);
    }
    free(left);
    free(same);
    free(f.place);
}
