/* The values of a row block and their places in its tile. */
#include "compile/block_writer.h"
#include "compile/places.h"

#include <assert.h>
#include <stdlib.h>

static int last_value(const fcl_block_writer *w, const fcl_tensor *root)
{
    return root->value < w->count && w->values[root->value].root == root ? root->value : -1;
}

fcl_block_value *fcl_block_find(const fcl_block_writer *w, const fcl_tensor *root, int columns)
{
    for (int i = last_value(w, root); i >= 0; i = w->values[i].other)
        if (w->values[i].columns == columns)
            return &w->values[i];
    return NULL;
}

static fcl_block_value *add_value(fcl_block_writer *w, fcl_tensor *root, int columns, int step, bool loaded)
{
    w->values = fcl_grow(w->values, (size_t)(w->count + 1) * sizeof *w->values);
    w->values[w->count] = (fcl_block_value){root, columns, step, step, -1, loaded, last_value(w, root)};
    root->value = w->count;
    return &w->values[w->count++];
}

bool fcl_block_is_rows(const fcl_block_writer *w, const fcl_tensor *input)
{
    return input->shape.rank == 2 && input->shape.dim[0] == w->block->rows;
}

/* What the inner step reads: rows from outside are loaded, values of earlier steps stay alive. Elementwise
 * nodes have literals in their text; the others read them from memory, as any value. */
static void use_inputs(fcl_block_writer *w, const fcl_tensor *node, int step)
{
    for (int k = 0; k < node->inputs; k++) {
        fcl_tensor *input = node->input[k], *root = fcl_node_root(input);
        bool literal = node->op->expression && root->op->leaf > FCL_LEAF_MEMORY;
        if (literal || fcl_block_reads_all(node, k) || !fcl_block_is_rows(w, input))
            continue;
        int columns = (int)input->shape.dim[1];
        fcl_block_value *v = fcl_block_find(w, root, columns);
        if (!v)
            v = add_value(w, root, columns, -1, true);
        if (v->last < step)
            v->last = step;
    }
}

static void collect(fcl_block_writer *w)
{
    for (int s = 0; s < w->block->blocks; s++) {
        const fcl_step *step = &w->block->block[s];
        for (int i = 0; i < fcl_step_nodes(step); i++) {
            fcl_tensor *node = fcl_step_node(step, i);
            int columns = fcl_block_sums(node) ? fcl_block_sum_columns(node) : (int)node->shape.dim[1];
            if (columns && !fcl_block_is_index(node))
                add_value(w, node, columns, s, false);
            for (int k = 0; k < FCL_MAX_PARTS && node->part[k]; k++)
                add_value(w, node->part[k], (int)node->part[k]->shape.dim[1], s, false);
        }
        for (int i = 0; i < fcl_step_nodes(step); i++)
            use_inputs(w, fcl_step_node(step, i), s);
    }
}

static int by_columns(const void *a, const void *b)
{
    const fcl_block_value *x = *(fcl_block_value *const *)a, *y = *(fcl_block_value *const *)b;
    return x->columns != y->columns ? y->columns - x->columns : x->first - y->first;
}

/* Members that only their own step reads live in registers: no place. */
static bool wants_place(const fcl_block_writer *w, const fcl_block_value *v)
{
    const fcl_step *step = v->loaded ? NULL : &w->block->block[v->first];
    bool member = step && v->root != step->product && v->root != step->own;
    return !member || v->last > v->first || v->root->storage;
}

int fcl_block_place(fcl_block_writer *w)
{
    collect(w);
    fcl_block_value **order = fcl_zalloc(((size_t)w->count + 1) * sizeof *order);
    int wanted = 0, columns = 0;
    for (int i = 0; i < w->count; i++)
        if (wants_place(w, &w->values[i]))
            order[wanted++] = &w->values[i];
    qsort(order, (size_t)wanted, sizeof *order, by_columns);
    fcl_places *places = fcl_places_create(w->block->blocks + 1); /* the loads, and the inner steps */
    for (int i = 0; i < wanted; i++) {
        fcl_block_value *v = order[i];
        v->place = (int)fcl_places_take(places, v->first + 1, v->last + 1, (size_t)v->columns);
        if (v->place + v->columns > columns)
            columns = v->place + v->columns;
    }
    fcl_places_destroy(&places);
    free(order);
    return columns;
}

int fcl_block_place_of(const fcl_block_writer *w, const fcl_tensor *input)
{
    const fcl_block_value *value =
        fcl_block_find(w, fcl_node_root((fcl_tensor *)input), (int)input->shape.dim[1]);
    assert(value && value->place >= 0);
    return value->place;
}
