/* Graphs, nodes and their texts. */
#include "graph/graph.h"

#include <flowcl/text.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fcl_graph *fcl_graph_create(void)
{
    return fcl_zalloc(sizeof(fcl_graph));
}

void fcl_graph_destroy(fcl_graph **graph)
{
    if (!*graph)
        return;
    fcl_plan_destroy(&(*graph)->plan);
    fcl_arena_free(&(*graph)->arena);
    free((*graph)->nodes);
    free((*graph)->assignments);
    free((*graph)->listeners);
    free(*graph);
    *graph = NULL;
}

void fcl_mistake(fcl_graph *graph, const char *format, ...)
{
    if (graph->mistake)
        return;
    va_list args;
    va_start(args, format);
    char text[1024];
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    graph->mistake = fcl_arena_format(&graph->arena, "%s", text);
}

const char *fcl_shape_text(fcl_graph *graph, fcl_shape shape)
{
    fcl_text text = {0};
    fcl_text_add(&text, "(");
    for (int i = 0; i < shape.rank; i++)
        fcl_text_format(&text, i ? ", %lld" : "%lld", (long long)shape.dim[i]);
    fcl_text_add(&text, ")");
    const char *kept = fcl_arena_format(&graph->arena, "%s", text.data);
    fcl_text_free(&text);
    return kept;
}

const char *fcl_node_text(const fcl_tensor *node)
{
    if (!node->name[0])
        return node->op->name;
    return fcl_arena_format(&node->graph->arena, "%s '%s'", node->op->name, node->name);
}

bool fcl_shape_equal(fcl_shape a, fcl_shape b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof *a.dim) == 0;
}

int64_t fcl_shape_from_end(fcl_shape shape, int from_end)
{
    return from_end < shape.rank ? shape.dim[shape.rank - 1 - from_end] : 1;
}

size_t fcl_tensor_bytes(const fcl_tensor *tensor)
{
    return (size_t)fcl_shape_size(tensor->shape) * (tensor->type == FCL_U8 ? 1 : 4);
}

fcl_shape fcl_shape_joined(fcl_shape lead, fcl_shape shape)
{
    for (int i = 0; i < shape.rank && lead.rank < FCL_MAX_RANK; i++)
        lead.dim[lead.rank++] = shape.dim[i];
    return lead;
}

static void check_shape(fcl_tensor *node)
{
    fcl_shape shape = node->shape;
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 1 || shape.dim[i] > INT32_MAX / size) {
            fcl_mistake(node->graph, "%s: a tensor of shape %s; each has 1 to 2^31 - 1 elements", fcl_node_text(node),
                        fcl_shape_text(node->graph, shape));
            node->shape = FCL_SCALAR;
            return;
        }
        size *= shape.dim[i];
    }
}

fcl_tensor *fcl_node(fcl_graph *graph, const fcl_op *op, int inputs, fcl_tensor *const *input, const void *attributes)
{
    fcl_tensor *node = fcl_arena_alloc(&graph->arena, sizeof *node);
    node->graph = graph;
    node->op = op;
    node->name = "";
    node->inputs = inputs;
    node->input = fcl_arena_alloc(&graph->arena, (size_t)inputs * sizeof *input);
    if (inputs)
        memcpy(node->input, input, (size_t)inputs * sizeof *input);
    node->root = op->view ? input[0]->root : node;
    if (op->attributes)
        node->attributes = memcpy(fcl_arena_alloc(&graph->arena, op->attributes), attributes, op->attributes);
    if (graph->plan)
        fcl_mistake(graph, "%s was added to a compiled graph", op->name);
    node->shape = op->shape(node);
    check_shape(node);
    if (graph->count == graph->capacity) {
        graph->capacity = 2 * graph->capacity + 64;
        graph->nodes = fcl_grow(graph->nodes, (size_t)graph->capacity * sizeof *graph->nodes);
    }
    node->block = graph->nested ? graph->blocks : 0;
    node->age = graph->age;
    node->derived = graph->deriving > 0;
    node->id = graph->count;
    graph->nodes[graph->count++] = node;
    return node;
}

void fcl_scalar_set(fcl_tensor *scalar, float value)
{
    scalar->scalar = value;
}

void fcl_graph_random(fcl_graph *graph, uint64_t seed, uint32_t step, uint64_t first_row)
{
    graph->seed = seed;
    graph->step = step;
    graph->first_row = first_row;
}

fcl_shape fcl_tensor_shape(const fcl_tensor *tensor)
{
    return tensor->shape;
}

fcl_graph *fcl_tensor_graph(const fcl_tensor *tensor)
{
    return tensor->graph;
}

fcl_tensor *fcl_name(fcl_tensor *tensor, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tensor->name = fcl_arena_format(&tensor->graph->arena, "%s", text);
    return tensor;
}

fcl_tensor *fcl_output(fcl_tensor *tensor)
{
    tensor->kept = true;
    return tensor;
}

fcl_tensor *fcl_node_root(fcl_tensor *node)
{
    return node->root;
}

void fcl_assign(fcl_tensor *target, fcl_tensor *value)
{
    fcl_graph *graph = target->graph;
    if (fcl_node_root(value)->op->leaf == FCL_LEAF_MEMORY)
        value = fcl_detach(value); /* another assignment may change that leaf before the copy */
    if (target->op->leaf != FCL_LEAF_MEMORY)
        fcl_mistake(graph, "assign to %s, which is neither an input nor a leaf", fcl_node_text(target));
    if (fcl_shape_size(target->shape) != fcl_shape_size(value->shape) || target->type != value->type)
        fcl_mistake(graph, "assign to %s: shape %s, the value has %s", fcl_node_text(target),
                    fcl_shape_text(graph, target->shape), fcl_shape_text(graph, value->shape));
    if (target->assigned)
        fcl_mistake(graph, "two values assigned to %s", fcl_node_text(target));
    target->assigned = true;
    graph->assignments = fcl_grow(graph->assignments, (size_t)(graph->assignment_count + 1) * sizeof *graph->assignments);
    graph->assignments[graph->assignment_count].target = target;
    graph->assignments[graph->assignment_count++].value = value;
}

void fcl_graph_listen(fcl_graph *graph, const fcl_listener *listener)
{
    graph->listeners = fcl_grow(graph->listeners, (size_t)(graph->listener_count + 1) * sizeof *graph->listeners);
    graph->listeners[graph->listener_count++] = *listener;
}
