/* Blocks whose values derivatives compute again. */
#include "graph/graph.h"

void fcl_graph_recompute(fcl_graph *graph, bool recompute)
{
    graph->recompute = recompute;
}

void fcl_block_begin(fcl_graph *graph)
{
    graph->blocks += graph->nested++ == 0;
}

void fcl_block_end(fcl_graph *graph)
{
    if (graph->nested)
        graph->nested--;
    else
        fcl_mistake(graph, "a block of the graph ends that did not begin");
}

static int part_index(const fcl_tensor *part)
{
    int index = 0;
    while (part->input[0]->part[index] != part)
        index++;
    return index;
}

static fcl_tensor *copy(fcl_tensor *node, fcl_tensor *const *again)
{
    if (node->op->leaf)
        return node;
    fcl_tensor **input = fcl_arena_alloc(&node->graph->arena, (size_t)node->inputs * sizeof *input);
    for (int k = 0; k < node->inputs; k++) {
        fcl_tensor *from = node->input[k];
        input[k] = from->block == node->block ? again[from->id] : from;
    }
    fcl_tensor *made = fcl_node(node->graph, node->op, node->inputs, input, node->attributes);
    if (node->op->part)
        input[0]->part[part_index(node)] = made;
    made->type = node->type;
    made->name = node->name;
    return made;
}

/* A block's nodes follow each other. */
void fcl_block_again(const fcl_tensor *node, int until, fcl_tensor **again)
{
    fcl_graph *graph = node->graph;
    int id = node->id;
    graph->age++;
    while (id > 0 && graph->nodes[id - 1]->block == node->block)
        id--;
    for (; id <= until && graph->nodes[id]->block == node->block; id++)
        again[id] = copy(graph->nodes[id], again);
}
