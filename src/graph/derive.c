/* Derivatives, graph to graph: each appends nodes made of the table's own operations. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

static fcl_tensor *zeros(fcl_graph *graph, fcl_shape shape)
{
    fcl_tensor *zero = fcl_constant(graph, 0);
    return shape.rank ? fcl_expand(zero, shape) : zero;
}

/* live[id]: the node depends on one of x (or is one), so a derivative may pass through it. */
static bool *mark_dependents(fcl_graph *graph, int until, int count, fcl_tensor *const *x)
{
    bool *live = fcl_zalloc((size_t)until + 1);
    for (int i = 0; i < count; i++)
        if (x[i]->id <= until)
            live[x[i]->id] = true;
    for (int id = 0; id <= until; id++) {
        const fcl_tensor *node = graph->nodes[id];
        bool passes = node->op->adjoint || node->op->own_tangent || node->op->tangent != FCL_NO_TANGENT;
        for (int i = 0; i < node->inputs && passes; i++)
            live[id] = live[id] || live[node->input[i]->id];
    }
    return live;
}

/* A node through which a derivative was asked but none is known: not a rule that says zero. Of a node that has one, what it
 * keeps in a part is accounted for by the rules of what reads it. */
static bool derivative_missing(const fcl_tensor *node)
{
    return !node->op->expression && !node->op->adjoint && !node->op->part && node->inputs > 0;
}

static void refuse_missing(fcl_graph *graph, int until, const bool *live)
{
    for (int id = 0; id <= until; id++) {
        const fcl_tensor *node = graph->nodes[id];
        for (int i = 0; i < node->inputs && derivative_missing(node); i++)
            if (live[node->input[i]->id])
                fcl_mistake(graph, "a derivative through %s, which has none", fcl_node_text(node));
    }
}

/* In a graph with a mistake shapes do not fit, so the rules cannot be applied: any derivative is zero. */
static void no_derivatives(int count, fcl_tensor *const *of, fcl_tensor **derivative)
{
    for (int i = 0; i < count; i++)
        derivative[i] = zeros(of[i]->graph, of[i]->shape);
}

static fcl_tensor *sum_of(fcl_tensor *a, fcl_tensor *b)
{
    fcl_tensor *joined = a->op == b->op && a->op->joined ? a->op->joined(a, b) : NULL;
    return joined ? joined : fcl_add(a, b);
}

void fcl_vjp(fcl_tensor *y, fcl_tensor *seed, int count, fcl_tensor *const *x, fcl_tensor **dx)
{
    fcl_graph *graph = y->graph;
    if (graph->mistake) {
        no_derivatives(count, x, dx);
        return;
    }
    graph->deriving++;
    bool *live = mark_dependents(graph, y->id, count, x);
    fcl_tensor **bar = fcl_zalloc(((size_t)y->id + 1) * sizeof *bar);
    fcl_tensor **again = fcl_zalloc(((size_t)y->id + 1) * sizeof *again);
    if (seed && !fcl_shape_equal(seed->shape, y->shape))
        fcl_mistake(graph, "vjp of %s: its shape is %s, the seed's %s", fcl_node_text(y),
                    fcl_shape_text(graph, y->shape), fcl_shape_text(graph, seed->shape));
    fcl_tensor *one = fcl_constant(graph, 1);
    bar[y->id] = seed ? seed : y->shape.rank ? fcl_expand(one, y->shape) : one;
    for (int id = y->id; id >= 0; id--) {
        fcl_tensor *node = graph->nodes[id];
        if (!bar[id] || !live[id] || !node->op->adjoint)
            continue;
        fcl_tensor **du = fcl_zalloc((size_t)node->inputs * sizeof *du);
        if (graph->recompute && node->block && !again[id])
            fcl_block_again(node, y->id, again);
        node->op->adjoint(again[id] ? again[id] : node, bar[id], du);
        for (int i = 0; i < node->inputs; i++) {
            int from = node->input[i]->id;
            if (du[i] && live[from])
                bar[from] = bar[from] ? sum_of(bar[from], du[i]) : du[i];
        }
        free(du);
    }
    refuse_missing(graph, y->id, live);
    for (int i = 0; i < count; i++) {
        bool reached = x[i]->id <= y->id && bar[x[i]->id];
        dx[i] = reached ? bar[x[i]->id] : zeros(graph, x[i]->shape);
    }
    graph->deriving--;
    free(again);
    free(bar);
    free(live);
}

/* --- forward: one tangent, or many at once ---
 *
 * Tangents may have leading dimensions that their tensors lack, `lead`: then each node's tangent has them,
 * and is computed once for each index into them while the node itself is computed once. */

fcl_tensor *fcl_lead_aligned(fcl_tensor *dx, fcl_shape lead, int rank)
{
    fcl_shape shape = dx->shape;
    int own = shape.rank - lead.rank;
    if (!lead.rank || own == rank)
        return dx;
    shape.rank = lead.rank + rank;
    for (int i = 0; i < rank; i++)
        shape.dim[lead.rank + i] = i < rank - own ? 1 : dx->shape.dim[lead.rank + i - (rank - own)];
    return fcl_reshape(dx, shape);
}

/* The node's attributes where its inputs have the leading dimensions, too. */
static const void *lifted(const fcl_tensor *node, fcl_shape lead)
{
    const fcl_op *op = node->op;
    if (!lead.rank || !op->lift)
        return node->attributes;
    void *attributes = fcl_arena_alloc(&node->graph->arena, op->attributes);
    memcpy(attributes, node->attributes, op->attributes);
    op->lift(node, lead, attributes);
    return attributes;
}

/* The sum over inputs of the operation with that input replaced by its tangent. */
static fcl_tensor *multilinear_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor *sum = NULL, **input = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *input);
    for (int i = 0; i < node->inputs; i++) {
        if (!dx[i])
            continue;
        memcpy(input, node->input, (size_t)node->inputs * sizeof *input);
        input[i] = dx[i];
        fcl_tensor *term = fcl_node(node->graph, node->op, node->inputs, input, node->attributes);
        sum = sum ? fcl_add(sum, term) : term;
    }
    return sum;
}

/* The same operation on the tangents; those that are zero are written as zeros, which elementwise operations
 * broadcast. */
static fcl_tensor *linear_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_shape before = node->op->expression ? FCL_SCALAR : lead;
    fcl_tensor **input = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *input);
    for (int i = 0; i < node->inputs; i++)
        input[i] = dx[i] ? dx[i] : zeros(node->graph, fcl_shape_joined(before, node->input[i]->shape));
    return fcl_node(node->graph, node->op, node->inputs, input, lifted(node, lead));
}

static fcl_tensor *tangent_of(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    fcl_tensor *du[1] = {0};
    switch (node->op->tangent) {
    case FCL_LINEAR:
        return linear_tangent(node, lead, dx);
    case FCL_MULTILINEAR:
        return multilinear_tangent(node, dx);
    case FCL_SYMMETRIC:
        node->op->adjoint(node, dx[0], du);
        return du[0];
    case FCL_OWN_TANGENT:
        return node->op->own_tangent(node, lead, dx);
    case FCL_NO_TANGENT:
        break;
    }
    return NULL;
}

/* The leading dimensions that the tangents have and their tensors lack; a mistake where they differ. */
static fcl_shape lead_of(int count, fcl_tensor *const *x, fcl_tensor *const *dx)
{
    fcl_shape lead = FCL_SCALAR;
    for (int i = 0; i < count; i++) {
        fcl_shape own = dx[i]->shape;
        own.rank = own.rank > x[i]->shape.rank ? own.rank - x[i]->shape.rank : 0;
        if (i == 0)
            lead = own;
        if (!fcl_shape_equal(own, lead) || !fcl_shape_equal(dx[i]->shape, fcl_shape_joined(lead, x[i]->shape)))
            fcl_mistake(x[i]->graph, "jvp: %s has shape %s, its tangent %s", fcl_node_text(x[i]),
                        fcl_shape_text(x[i]->graph, x[i]->shape), fcl_shape_text(x[i]->graph, dx[i]->shape));
    }
    return lead;
}

/* The tangents of the node's inputs, NULL where zero; NULL where all are. */
static fcl_tensor **input_tangents(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dot)
{
    fcl_tensor **dx = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *dx);
    bool any = false;
    for (int i = 0; i < node->inputs; i++) {
        dx[i] = dot[node->input[i]->id];
        any |= dx[i] != NULL;
        if (dx[i] && node->op->expression)
            dx[i] = fcl_lead_aligned(dx[i], lead, node->shape.rank);
    }
    if (any && lead.rank + node->shape.rank > FCL_MAX_RANK)
        fcl_mistake(node->graph, "many tangents at once through %s: more than %d dimensions",
                    fcl_node_text(node), FCL_MAX_RANK);
    return any ? dx : NULL;
}

void fcl_jvp(int outputs, fcl_tensor *const *y, fcl_tensor **dy, int count, fcl_tensor *const *x,
             fcl_tensor *const *dx)
{
    fcl_graph *graph = y[0]->graph;
    if (graph->mistake) {
        no_derivatives(outputs, y, dy);
        return;
    }
    fcl_shape lead = lead_of(count, x, dx);
    int until = 0;
    for (int j = 0; j < outputs; j++)
        until = y[j]->id > until ? y[j]->id : until;
    bool *live = mark_dependents(graph, until, count, x);
    fcl_tensor **dot = fcl_zalloc(((size_t)until + 1) * sizeof *dot);
    for (int i = 0; i < count; i++)
        if (x[i]->id <= until)
            dot[x[i]->id] = dx[i];
    for (int id = 0; id <= until && !graph->mistake; id++) {
        fcl_tensor *node = graph->nodes[id];
        if (dot[id] || !live[id] || !node->inputs)
            continue;
        fcl_tensor **input_dot = input_tangents(node, lead, dot);
        dot[id] = input_dot && !graph->mistake ? tangent_of(node, lead, input_dot) : NULL;
    }
    refuse_missing(graph, until, live);
    for (int j = 0; j < outputs; j++)
        dy[j] = dot[y[j]->id] ? dot[y[j]->id] : zeros(graph, fcl_shape_joined(lead, y[j]->shape));
    free(dot);
    free(live);
}
