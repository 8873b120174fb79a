/* The text of row blocks. */
#include "compile/block_writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- elementwise members --- */

typedef struct member_context {
    fcl_block_writer *w;
    const fcl_step *step;
} member_context;

static void add_operand(void *context, const fcl_tensor *node, fcl_tensor *input)
{
    member_context *c = context;
    fcl_generated *g = c->w->g;
    fcl_tensor *root = fcl_node_root(input);
    int member = fcl_step_member(c->step, root);
    if (root == c->step->product) /* of a single row also by a view, without the row or as a number */
        input = root;
    if (root->op->leaf > FCL_LEAF_MEMORY)
        fcl_generate_literal(g, root);
    else if (member >= 0)
        fcl_text_format(&g->body, "v%d", member);
    else if (fcl_block_is_rows(c->w, input) && input->shape.dim[1] == node->shape.dim[1])
        fcl_text_format(&g->body, "tile[(%d + column) * BLOCK_VECTORS + s]", fcl_block_place_of(c->w, input));
    else if (fcl_block_is_rows(c->w, input))
        fcl_text_format(&g->body, "tile[%d * BLOCK_VECTORS + s]", fcl_block_place_of(c->w, input));
    else
        fcl_text_format(&g->body, "(real)(x%d[%s])", fcl_generate_slot(g->read, &g->reads, root),
                        fcl_shape_size(input->shape) == 1 ? "0" : "column");
}

static void write_members(fcl_block_writer *w, const fcl_step *step)
{
    fcl_generated *g = w->g;
    member_context context = {w, step};
    if (!step->members)
        return;
    /* not "c": so the expressions call their third operand */
    fcl_text_format(&g->body,
                    "    for (int column = 0; column < %d; column++)\n"
                    "    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n",
                    (int)step->shape.dim[1]);
    for (int i = 0; i < step->members; i++)
        fcl_generate_member(g, step->member[i], i, add_operand, &context);
    for (int i = 0; i < step->members; i++) {
        const fcl_block_value *v = fcl_block_find(w, step->member[i], (int)step->shape.dim[1]);
        assert(v);
        if (v->place >= 0)
            fcl_text_format(&g->body, "        tile[(%d + column) * BLOCK_VECTORS + s] = v%d;\n", v->place,
                            i);
    }
    fcl_text_add(&g->body, "    }\n");
}

/* --- products --- */

static void write_product(fcl_block_writer *w, const fcl_tensor *product)
{
    fcl_gemm_problem p = fcl_matmul_problem(product);
    int factor = fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(product->input[1]));
    fcl_text_format(
        &w->g->body,
        "    block_product%s(&tile[%d * BLOCK_VECTORS], &tile[%d * BLOCK_VECTORS], x%d, %d, %d, %d, %d);\n",
        p.n < 8 ? "_narrow" : w->apart ? "_apart" : "", fcl_block_place_of(w, product), fcl_block_place_of(w, product->input[0]),
        factor, p.n, p.k, p.transpose_b ? p.k : 1, p.transpose_b ? 1 : p.n);
}

/* The inner step that makes a node; -1: it comes from outside. */
static int made_at(const fcl_block_writer *w, const fcl_tensor *node)
{
    for (int s = 0; s < w->block->blocks; s++)
        if (w->block->block[s].own == node)
            return s;
    return -1;
}

/* --- for op->rows.write --- */

struct fcl_row_writer {
    fcl_block_writer *block;
};

fcl_text *fcl_row_text_of(fcl_row_writer *w)
{
    return &w->block->g->body;
}

int fcl_row_place(const fcl_row_writer *w, const fcl_tensor *value)
{
    const fcl_block_value *found =
        fcl_block_find(w->block, fcl_node_root((fcl_tensor *)value), (int)value->shape.dim[1]);
    assert(found);
    return found->place;
}

int fcl_row_memory(fcl_row_writer *w, fcl_tensor *input)
{
    fcl_generated *g = w->block->g;
    return fcl_generate_slot(g->read, &g->reads, fcl_node_root(input));
}

void fcl_row_random(fcl_row_writer *w)
{
    w->block->g->random = true;
}

enum { INDEX_NAME = 16 };

void fcl_row_index_read(fcl_row_writer *w, fcl_tensor *input, char name[static INDEX_NAME])
{
    fcl_tensor *root = fcl_node_root(input);
    int made = made_at(w->block, root);
    if (made >= 0) {
        snprintf(name, INDEX_NAME, "index%d", made);
        return;
    }
    snprintf(name, INDEX_NAME, "index");
    fcl_text_format(&w->block->g->body,
                    "        int index[BLOCK_ROWS];\n"
                    "        block_load_index(index, (const global int *)x%d, at);\n",
                    fcl_row_memory(w, root));
}

void fcl_row_index_make(fcl_row_writer *w, fcl_tensor *node, char name[static INDEX_NAME])
{
    snprintf(name, INDEX_NAME, "index%d", made_at(w->block, node));
    fcl_text_format(&w->block->g->body, "    int %s[BLOCK_ROWS];\n", name);
}

void fcl_row_index_store(fcl_row_writer *w, fcl_tensor *node)
{
    fcl_generated *g = w->block->g;
    if (node->storage)
        fcl_text_format(&g->body, "    block_store_index((global int *)y%d, index%d, at);\n",
                        fcl_generate_slot(g->store, &g->stores, node), made_at(w->block, node));
}

/* --- which nodes have a text --- */

bool fcl_block_has_text(const fcl_tensor *node, bool repeats)
{
    const fcl_row_text *rows = &node->op->rows;
    return rows->write && !(repeats && rows->random) && (!rows->fits || rows->fits(node));
}

bool fcl_block_is_index(const fcl_tensor *input)
{
    return input->type == FCL_I32 && input->shape.rank == 1;
}

bool fcl_block_reads_all(const fcl_tensor *node, int input)
{
    return (node->op->rows.any_rows >> input & 1) && !fcl_block_sums(node);
}

/* --- the whole --- */

/* "_narrow(.., first, rows)", or "_rows(.., row)" where each lane has a row of its own. */
static const char *form_of(const fcl_block_writer *w, int columns)
{
    return w->g->own_pace ? "_rows" : columns < 16 ? "_narrow" : "";
}

static const char *rows_of(const fcl_block_writer *w)
{
    return w->g->own_pace ? "row" : "first, rows";
}

static void write_loads(fcl_block_writer *w)
{
    for (int i = 0; i < w->count; i++) {
        const fcl_block_value *v = &w->values[i];
        if (v->loaded)
            fcl_text_format(&w->g->body, "    block_load%s(&tile[%d * BLOCK_VECTORS], x%d, %d, %s);\n",
                            form_of(w, v->columns), v->place,
                            fcl_generate_slot(w->g->read, &w->g->reads, v->root), v->columns, rows_of(w));
    }
}

static void write_store(fcl_block_writer *w, fcl_tensor *node)
{
    int columns = (int)node->shape.dim[1];
    if (node->storage && !fcl_block_is_index(node))
        fcl_text_format(&w->g->body, "    block_store%s(y%d, &tile[%d * BLOCK_VECTORS], %d, %s);\n",
                        form_of(w, columns), fcl_generate_slot(w->g->store, &w->g->stores, node),
                        fcl_block_place_of(w, node), columns, rows_of(w));
}

static void write_stores(fcl_block_writer *w, const fcl_step *step)
{
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        fcl_tensor *node = fcl_step_node(step, i);
        write_store(w, node);
        for (int k = 0; k < FCL_MAX_PARTS && node->part[k]; k++)
            write_store(w, node->part[k]);
    }
}

bool fcl_block_own_pace(const fcl_step *steps, int count)
{
    for (int s = 0; s < count; s++)
        if (steps[s].own && steps[s].own->op->rows.own_pace)
            return true;
    return false;
}

static bool has_many_products(const fcl_step *block)
{
    enum { MANY = 16 };
    int products = 0;
    for (int s = 0; s < block->blocks; s++) {
        const fcl_step *step = &block->block[s];
        products += step->product || (step->own && step->own->op->product);
    }
    return products > MANY;
}

void fcl_block_generate(const fcl_step *block, fcl_generated *g)
{
    *g = (fcl_generated){.vector = FCL_BLOCK_ROWS,
                         .own_pace = fcl_block_own_pace(block->block, block->blocks)};
    fcl_block_writer w = {.block = block, .g = g, .apart = has_many_products(block)};
    g->run = fcl_block_place(&w);
    write_loads(&w);
    for (int s = 0; s < block->blocks; s++) {
        const fcl_step *step = &block->block[s];
        const fcl_tensor *node = step->product ? step->product : step->own;
        if (node && fcl_block_sums(node)) {
            fcl_block_write_sum(&w, node);
            continue;
        }
        if (step->product)
            write_product(&w, step->product);
        if (step->own)
            step->own->op->rows.write(&(fcl_row_writer){&w}, step->own);
        write_members(&w, step);
        write_stores(&w, step);
    }
    free(w.values);
}

/* A work-item takes the rows of one tile. */
static void one_tile(fcl_text *text, const fcl_generated *g, bool repeats)
{
    fcl_text_add(text, "    const int first = (int)get_global_id(0) * BLOCK_ROWS;\n"
                       "    int at[BLOCK_ROWS];\n    block_rows_at(at, first, rows);\n");
    if (repeats)
        fcl_text_add(text, "    for (int repeat = 0; repeat < repeats; repeat++) {\n");
    for (int i = 0; i < g->scalars && repeats; i++)
        fcl_text_format(text, "    const float s%d = table[repeat * %d + %d];\n", i, g->scalars, i);
    fcl_text_format(text, "%s%s", g->body.data, repeats ? "    }\n" : "");
}

/* A work-item takes tile after tile, and keeps what its rows add up to in a part of its own. */
static void tiles_with_sums(fcl_text *text, const fcl_generated *g)
{
    fcl_text_format(
        text,
        "    const long item = get_global_id(0), items = get_global_size(0), tiles = (rows - 1) / BLOCK_ROWS "
        "+ 1;\n"
        "    const int end = (int)((item + 1) * tiles / items) * BLOCK_ROWS;\n"
        "    global float *part = parts + item * %d;\n"
        "    for (int i = 0; i < %d; i++)\n        vstore16((float16)(0), i, part);\n"
        "    for (int first = (int)(item * tiles / items) * BLOCK_ROWS; first < end; first += BLOCK_ROWS) {\n"
        "    int at[BLOCK_ROWS];\n    block_rows_at(at, first, rows);\n"
        "    int16 live[BLOCK_VECTORS];\n    block_live(live, rows - first);\n%s    }\n",
        (int)g->partial, (int)g->partial / 16, g->body.data);
}

static void own_pace_loop(fcl_text *text, const fcl_generated *g, bool repeats)
{
    fcl_text_format(text,
                    "    const long item = get_global_id(0), items = get_global_size(0);\n"
                    "    const int end = (int)((item + 1) * rows / items);\n"
                    "    int row[BLOCK_ROWS], at[BLOCK_ROWS], repetitions[BLOCK_ROWS], active[BLOCK_ROWS];\n"
                    "    int next = (int)(item * rows / items);\n"
                    "    block_take_rows(row, repetitions, &next, end);\n"
                    "    do {\n        for (int j = 0; j < BLOCK_ROWS; j++)\n"
                    "            at[j] = max(row[j], ~row[j]);\n%s    } while (block_next_rows(row, "
                    "repetitions, active, &next, end, %s));\n",
                    g->body.data, repeats ? "repeats" : "1");
}

void fcl_block_kernel(fcl_text *text, const char *name, const fcl_generated *g, bool repeats)
{
    fcl_text_format(text, "#define real float16\nkernel void %s(", name);
    for (int i = 0; i < g->reads; i++)
        fcl_text_format(text, "const global float *x%d, ", i);
    for (int i = 0; i < g->stores; i++)
        fcl_text_format(text, "global float *y%d, ", i);
    for (int i = 0; i < g->scalars && !repeats; i++)
        fcl_text_format(text, "const float s%d, ", i);
    fcl_text_add(text,
                 repeats ? "const global float *table, const int rows, const int repeats" : "const int rows");
    fcl_text_add(text, g->random ? ", const ulong seed, const uint step, const ulong first_row" : "");
    fcl_text_format(text, "%s)\n{\n    float16 tile[%d * BLOCK_VECTORS];\n",
                    g->sums ? ", global float *parts" : "", (int)g->run);
    if (g->own_pace)
        own_pace_loop(text, g, repeats);
    else if (g->sums)
        tiles_with_sums(text, g);
    else
        one_tile(text, g, repeats);
    fcl_text_add(text, "}\n#undef real\n\n");
    if (g->sums)
        fcl_block_sums_kernel(text, name, g);
}

size_t fcl_block_items(const fcl_step *block, const fcl_device *device)
{
    enum { LONG_QUEUES = 8, FEW_PARTS = 4 }; /* work-items a unit: enough for cores that are not alike */
    int64_t items = (block->rows + FCL_BLOCK_ROWS - 1) / FCL_BLOCK_ROWS;
    int64_t units = fcl_device_traits(device).units;
    int64_t most = fcl_block_own_pace(block->block, block->blocks) ? LONG_QUEUES * units
                   : fcl_block_sums_size(block)                    ? FEW_PARTS * units
                                                                   : items;
    return (size_t)(items > most && most > 0 ? most : items);
}
