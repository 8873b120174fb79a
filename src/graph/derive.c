/* Derivatives, graph to graph: each appends nodes made of the table's own operations. */
#include "graph/graph.h"

#include <stdlib.h>

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

/* A node through which a derivative was asked but none is known: not a rule that says zero. */
static bool derivative_missing(const fcl_tensor *node)
{
    return !node->op->expression && !node->op->adjoint && node->inputs > 0;
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

void fcl_vjp(fcl_tensor *y, fcl_tensor *seed, int count, fcl_tensor *const *x, fcl_tensor **dx)
{
    fcl_graph *graph = y->graph;
    if (graph->mistake) {
        no_derivatives(count, x, dx);
        return;
    }
    bool *live = mark_dependents(graph, y->id, count, x);
    fcl_tensor **bar = fcl_zalloc(((size_t)y->id + 1) * sizeof *bar);
    if (seed && !fcl_shape_equal(seed->shape, y->shape))
        fcl_mistake(graph, "vjp of %s: its shape is %s, the seed's %s", fcl_node_text(y),
                    fcl_shape_text(graph, y->shape), fcl_shape_text(graph, seed->shape));
    fcl_tensor *one = fcl_constant(graph, 1);
    bar[y->id] = seed ? seed : y->shape.rank ? fcl_expand(one, y->shape) : one;
    for (int id = y->id; id >= 0; id--) {
        fcl_tensor *node = graph->nodes[id];
        if (!bar[id] || !live[id] || !node->op->adjoint)
            continue;
        fcl_tensor *du[64] = {0};
        if (node->inputs > 64) {
            fcl_mistake(graph, "vjp of %s: more than 64 inputs", fcl_node_text(node));
            break;
        }
        node->op->adjoint(node, bar[id], du);
        for (int i = 0; i < node->inputs; i++) {
            int from = node->input[i]->id;
            if (du[i] && live[from])
                bar[from] = bar[from] ? fcl_add(bar[from], du[i]) : du[i];
        }
    }
    refuse_missing(graph, y->id, live);
    for (int i = 0; i < count; i++) {
        bool reached = x[i]->id <= y->id && bar[x[i]->id];
        dx[i] = reached ? bar[x[i]->id] : zeros(graph, x[i]->shape);
    }
    free(bar);
    free(live);
}

/* The sum over inputs of the operation with that input replaced by its tangent. */
static fcl_tensor *multilinear_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor *sum = NULL;
    for (int i = 0; i < node->inputs; i++) {
        if (!dx[i])
            continue;
        fcl_tensor *input[2] = {node->input[0], node->input[1]};
        input[i] = dx[i];
        fcl_tensor *term = fcl_node(node->graph, node->op->name, node->inputs, input, &node->attributes);
        sum = sum ? fcl_add(sum, term) : term;
    }
    return sum;
}

/* The same operation on the tangents; those that are zero are written as zeros. */
static fcl_tensor *linear_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor **input = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *input);
    for (int i = 0; i < node->inputs; i++)
        input[i] = dx[i] ? dx[i] : zeros(node->graph, node->input[i]->shape);
    return fcl_node(node->graph, node->op->name, node->inputs, input, &node->attributes);
}

static fcl_tensor *tangent_of(fcl_tensor *node, fcl_tensor *const *dx)
{
    fcl_tensor *du[1] = {0};
    switch (node->op->tangent) {
    case FCL_LINEAR:
        return linear_tangent(node, dx);
    case FCL_MULTILINEAR:
        return multilinear_tangent(node, dx);
    case FCL_SYMMETRIC:
        node->op->adjoint(node, dx[0], du);
        return du[0];
    case FCL_OWN_TANGENT:
        return node->op->own_tangent(node, dx);
    case FCL_NO_TANGENT:
        break;
    }
    return NULL;
}

void fcl_jvp(int outputs, fcl_tensor *const *y, fcl_tensor **dy, int count, fcl_tensor *const *x,
             fcl_tensor *const *dx)
{
    fcl_graph *graph = y[0]->graph;
    if (graph->mistake) {
        no_derivatives(outputs, y, dy);
        return;
    }
    int until = 0;
    for (int j = 0; j < outputs; j++)
        until = y[j]->id > until ? y[j]->id : until;
    bool *live = mark_dependents(graph, until, count, x);
    fcl_tensor **dot = fcl_zalloc(((size_t)until + 1) * sizeof *dot);
    for (int i = 0; i < count; i++)
        if (x[i]->id <= until)
            dot[x[i]->id] = dx[i];
    for (int id = 0; id <= until; id++) {
        fcl_tensor *node = graph->nodes[id], **input_dot;
        if (dot[id] || !live[id] || !node->inputs)
            continue;
        input_dot = fcl_arena_alloc(&graph->arena, (size_t)node->inputs * sizeof *input_dot);
        bool any = false;
        for (int i = 0; i < node->inputs; i++)
            any |= (input_dot[i] = dot[node->input[i]->id]) != NULL;
        dot[id] = any ? tangent_of(node, input_dot) : NULL;
    }
    refuse_missing(graph, until, live);
    for (int j = 0; j < outputs; j++)
        dy[j] = dot[y[j]->id] ? dot[y[j]->id] : zeros(graph, y[j]->shape);
    free(dot);
    free(live);
}
