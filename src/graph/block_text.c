/* The text of row blocks. Each value (B, C) that a later step of the block reads, or that goes to memory, has
 * its columns in the tile; the places of values that are not alive together may be the same. */
#include "graph/block.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 32 }; /* as in cl/block.h */

typedef struct value {
    fcl_tensor *root;
    int columns, first, last; /* inner steps; -1: loaded before the first */
    int place;                /* its first column in the tile; -1: it has none */
    bool loaded;
} value;

typedef struct writer {
    const fcl_step *block;
    fcl_generated *g;
    value *values;
    int count;
} writer;

/* --- values and their places --- */

static value *find_value(const writer *w, const fcl_tensor *root, int columns)
{
    for (int i = 0; i < w->count; i++)
        if (w->values[i].root == root && w->values[i].columns == columns)
            return &w->values[i];
    return NULL;
}

static value *add_value(writer *w, fcl_tensor *root, int columns, int step, bool loaded)
{
    w->values = fcl_grow(w->values, (size_t)(w->count + 1) * sizeof *w->values);
    w->values[w->count] = (value){root, columns, step, step, -1, loaded};
    return &w->values[w->count++];
}

static bool is_rows(const writer *w, const fcl_tensor *input)
{
    return input->shape.rank == 2 && input->shape.dim[0] == w->block->rows;
}

/* What the inner step reads: rows from outside are loaded, values of earlier steps stay alive. */
static void use_inputs(writer *w, const fcl_tensor *node, int step)
{
    for (int k = 0; k < node->inputs; k++) {
        fcl_tensor *input = node->input[k], *root = fcl_node_root(input);
        bool literal = root->op->leaf > FCL_LEAF_MEMORY;
        if (literal || fcl_block_reads_all(node, k) || !is_rows(w, input))
            continue;
        int columns = (int)input->shape.dim[1];
        value *v = find_value(w, root, columns);
        if (!v)
            v = add_value(w, root, columns, -1, true);
        if (v->last < step)
            v->last = step;
    }
}

static void collect(writer *w)
{
    for (int s = 0; s < w->block->blocks; s++) {
        const fcl_step *step = &w->block->block[s];
        for (int i = 0; i < fcl_step_nodes(step); i++) {
            fcl_tensor *node = fcl_step_node(step, i);
            add_value(w, node, (int)node->shape.dim[1], s, false);
            for (int k = 0; k < FCL_MAX_PARTS && node->part[k]; k++)
                add_value(w, node->part[k], (int)node->part[k]->shape.dim[1], s, false);
        }
        for (int i = 0; i < fcl_step_nodes(step); i++)
            use_inputs(w, fcl_step_node(step, i), s);
    }
}

static int by_columns(const void *a, const void *b)
{
    const value *x = *(value *const *)a, *y = *(value *const *)b;
    return x->columns != y->columns ? y->columns - x->columns : x->first - y->first;
}

static int lowest_place(value **placed, int count, const value *v)
{
    int place = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const value *other = placed[i];
            bool together = v->first <= other->last && other->first <= v->last;
            if (together && place < other->place + other->columns && other->place < place + v->columns) {
                place = other->place + other->columns;
                moved = true;
            }
        }
    }
    return place;
}

/* Members that only their own step reads live in registers: no place. */
static bool wants_place(const writer *w, const value *v)
{
    const fcl_step *step = v->loaded ? NULL : &w->block->block[v->first];
    bool member = step && v->root != step->product && v->root != step->own;
    return !member || v->last > v->first || v->root->storage;
}

static int place_values(writer *w)
{
    value **order = fcl_zalloc(((size_t)w->count + 1) * sizeof *order);
    int wanted = 0, columns = 0;
    for (int i = 0; i < w->count; i++)
        if (wants_place(w, &w->values[i]))
            order[wanted++] = &w->values[i];
    qsort(order, (size_t)wanted, sizeof *order, by_columns);
    for (int i = 0; i < wanted; i++) {
        order[i]->place = lowest_place(order, i, order[i]);
        if (order[i]->place + order[i]->columns > columns)
            columns = order[i]->place + order[i]->columns;
    }
    free(order);
    return columns;
}

static int place_of(const writer *w, const fcl_tensor *input)
{
    return find_value(w, fcl_node_root((fcl_tensor *)input), (int)input->shape.dim[1])->place;
}

/* --- elementwise members --- */

typedef struct member_context {
    writer *w;
    const fcl_step *step;
} member_context;

static void add_operand(void *context, const fcl_tensor *node, fcl_tensor *input)
{
    member_context *c = context;
    fcl_generated *g = c->w->g;
    fcl_tensor *root = fcl_node_root(input);
    int member = fcl_step_member(c->step, root);
    if (root->op->leaf > FCL_LEAF_MEMORY)
        fcl_generate_literal(g, root);
    else if (member >= 0)
        fcl_text_format(&g->body, "v%d", member);
    else if (is_rows(c->w, input) && input->shape.dim[1] == node->shape.dim[1])
        fcl_text_format(&g->body, "tile[(%d + column) * BLOCK_VECTORS + s]", place_of(c->w, input));
    else if (is_rows(c->w, input))
        fcl_text_format(&g->body, "tile[%d * BLOCK_VECTORS + s]", place_of(c->w, input));
    else
        fcl_text_format(&g->body, "(real)(x%d[%s])", fcl_generate_slot(g->read, &g->reads, root),
                        fcl_shape_size(input->shape) == 1 ? "0" : "column");
}

static void write_members(writer *w, const fcl_step *step)
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
        const value *v = find_value(w, step->member[i], (int)step->shape.dim[1]);
        if (v->place >= 0)
            fcl_text_format(&g->body, "        tile[(%d + column) * BLOCK_VECTORS + s] = v%d;\n", v->place, i);
    }
    fcl_text_add(&g->body, "    }\n");
}

/* --- products, and nodes that lower themselves elsewhere --- */

static void write_product(writer *w, const fcl_tensor *product)
{
    fcl_gemm_problem p = fcl_matmul_problem(product);
    int factor = fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(product->input[1]));
    fcl_text_format(
        &w->g->body,
        "    block_product%s(&tile[%d * BLOCK_VECTORS], &tile[%d * BLOCK_VECTORS], x%d, %d, %d, %d, %d);\n",
        p.n < 8 ? "_narrow" : "", place_of(w, product), place_of(w, product->input[0]), factor, p.n, p.k,
        p.transpose_b ? p.k : 1, p.transpose_b ? 1 : p.n);
}

static void write_copy(writer *w, int to, int from, int columns)
{
    fcl_text_format(&w->g->body,
                    "    for (int i = 0; i < %d * BLOCK_VECTORS; i++)\n"
                    "        tile[%d * BLOCK_VECTORS + i] = tile[%d * BLOCK_VECTORS + i];\n",
                    columns, to, from);
}

static void write_concat(writer *w, const fcl_tensor *node)
{
    int to = place_of(w, node);
    for (int k = 0; k < node->inputs; k++) {
        int columns = (int)node->input[k]->shape.dim[1];
        write_copy(w, to, place_of(w, node->input[k]), columns);
        to += columns;
    }
}

static void write_slice(writer *w, const fcl_tensor *node)
{
    write_copy(w, place_of(w, node), place_of(w, node->input[0]) + (int)node->attributes.begin,
               (int)node->shape.dim[1]);
}

static void write_sum(writer *w, const fcl_tensor *node)
{
    fcl_text_format(
        &w->g->body,
        "    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n        real sum = 0;\n"
        "        for (int c = 0; c < %d; c++)\n            sum += tile[(%d + c) * BLOCK_VECTORS + s];\n"
        "        tile[%d * BLOCK_VECTORS + s] = sum;\n    }\n",
        (int)node->input[0]->shape.dim[1], place_of(w, node->input[0]), place_of(w, node));
}

static void write_cfm_loss(writer *w, const fcl_tensor *node)
{
    int columns = (int)node->input[0]->shape.dim[1];
    fcl_text_format(
        &w->g->body,
        "    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n        real sum = 0;\n"
        "        for (int c = 0; c < %d; c++) {\n"
        "            const real error = tile[(%d + c) * BLOCK_VECTORS + s] - tile[(%d + c) * BLOCK_VECTORS "
        "+ s];\n            sum += error * error;\n        }\n"
        "        tile[%d * BLOCK_VECTORS + s] = sum / (real)(%d.0f);\n    }\n",
        columns, place_of(w, node->input[0]), place_of(w, node->input[1]), place_of(w, node), columns);
}

static void write_cfm_loss_grad(writer *w, const fcl_tensor *node)
{
    int columns = (int)node->shape.dim[1];
    fcl_text_format(
        &w->g->body,
        "    for (int c = 0; c < %d; c++)\n    UNROLLED for (int s = 0; s < BLOCK_VECTORS; s++) {\n"
        "        const real error = tile[(%d + c) * BLOCK_VECTORS + s] - tile[(%d + c) * BLOCK_VECTORS + "
        "s];\n        tile[(%d + c) * BLOCK_VECTORS + s] = error * (tile[%d * BLOCK_VECTORS + s] * "
        "(real)(%.9ef));\n    }\n",
        columns, place_of(w, node->input[0]), place_of(w, node->input[1]), place_of(w, node),
        place_of(w, node->input[2]), 2.0 / columns);
}

static void write_ode_advance(writer *w, const fcl_tensor *node)
{
    const fcl_ode_control *control = &node->attributes.control;
    fcl_text_add(&w->g->body, "    block_ode_advance(tile, active, ");
    for (int k = 0; k < node->inputs; k++)
        fcl_text_format(&w->g->body, "%d, ", place_of(w, node->input[k]));
    fcl_text_format(&w->g->body, "%d, %.9ef, %.9ef, %d.0f, %d, %d, %d);\n", (int)node->shape.dim[1],
                    (double)control->rtol, (double)control->atol, control->order, place_of(w, node),
                    place_of(w, node->part[0]), place_of(w, node->part[1]));
}

static void write_gather(writer *w, const fcl_tensor *node)
{
    int table = fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(node->input[0]));
    int index = fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(node->input[1]));
    fcl_text_format(
        &w->g->body,
        "    block_gather(&tile[%d * BLOCK_VECTORS], x%d, (const global int *)x%d, %d, %d, %.9ef, %.9ef, at);\n",
        place_of(w, node), table, index, (int)node->shape.dim[1], (int)node->input[0]->shape.dim[0],
        (double)node->attributes.number[0], (double)node->attributes.number[1]);
}

static void write_noise(writer *w, const fcl_tensor *node)
{
    w->g->random = true;
    fcl_text_format(&w->g->body,
                    "    block_%s(&tile[%d * BLOCK_VECTORS], %d, %uu, seed, step, first_row, at);\n",
                    node->op->name, place_of(w, node), (int)node->shape.dim[1], node->attributes.stream);
}

/* --- which nodes have a text --- */

static bool is_axis_1(const fcl_tensor *node)
{
    return node->attributes.axis == 1;
}

static bool is_row_sum(const fcl_tensor *node)
{
    return node->attributes.axes == 1u << 1;
}

static bool is_float_table(const fcl_tensor *node)
{
    const fcl_tensor *table = node->input[0];
    return table->type == FCL_F32 && table->shape.rank == 2;
}

/* Beyond that a kernel of its own is faster, which uses all four numbers of a Philox block. */
static bool has_few_columns(const fcl_tensor *node)
{
    return node->shape.rank == 2 && node->shape.dim[1] <= 8;
}

static const struct {
    const char *op;
    void (*write)(writer *w, const fcl_tensor *node);
    bool (*fits)(const fcl_tensor *node); /* NULL: any */
    bool random;
} own_texts[] = {
    {"concat", write_concat, is_axis_1, false},
    {"slice", write_slice, is_axis_1, false},
    {"sum", write_sum, is_row_sum, false},
    {"gather_rows", write_gather, is_float_table, false},
    {"normal", write_noise, has_few_columns, true},
    {"uniform", write_noise, has_few_columns, true},
    {"cfm_loss", write_cfm_loss, NULL, false},
    {"cfm_loss_grad", write_cfm_loss_grad, NULL, false},
    {"ode_advance", write_ode_advance, NULL, false},
};

static int own_text(const fcl_tensor *node)
{
    for (size_t i = 0; i < sizeof own_texts / sizeof *own_texts; i++)
        if (strcmp(own_texts[i].op, node->op->name) == 0)
            return (int)i;
    return -1;
}

bool fcl_block_has_text(const fcl_tensor *node, bool repeats)
{
    int i = own_text(node);
    return i >= 0 && !(repeats && own_texts[i].random) && (!own_texts[i].fits || own_texts[i].fits(node));
}

bool fcl_block_reads_all(const fcl_tensor *node, int input)
{
    return (node->op->product && input == 1) || strcmp(node->op->name, "gather_rows") == 0;
}

/* --- the whole --- */

/* "_narrow(.., first, rows)", or "_rows(.., row)" where each lane has a row of its own. */
static const char *form_of(const writer *w, int columns)
{
    return w->g->own_pace ? "_rows" : columns < 16 ? "_narrow" : "";
}

static const char *rows_of(const writer *w)
{
    return w->g->own_pace ? "row" : "first, rows";
}

static void write_loads(writer *w)
{
    for (int i = 0; i < w->count; i++) {
        const value *v = &w->values[i];
        if (v->loaded)
            fcl_text_format(&w->g->body, "    block_load%s(&tile[%d * BLOCK_VECTORS], x%d, %d, %s);\n",
                            form_of(w, v->columns), v->place,
                            fcl_generate_slot(w->g->read, &w->g->reads, v->root), v->columns, rows_of(w));
    }
}

static void write_store(writer *w, fcl_tensor *node)
{
    int columns = (int)node->shape.dim[1];
    if (node->storage)
        fcl_text_format(&w->g->body, "    block_store%s(y%d, &tile[%d * BLOCK_VECTORS], %d, %s);\n",
                        form_of(w, columns), fcl_generate_slot(w->g->store, &w->g->stores, node),
                        place_of(w, node), columns, rows_of(w));
}

static void write_stores(writer *w, const fcl_step *step)
{
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        fcl_tensor *node = fcl_step_node(step, i);
        write_store(w, node);
        for (int k = 0; k < FCL_MAX_PARTS && node->part[k]; k++)
            write_store(w, node->part[k]);
    }
}

/* Samples under error control reach their end after more or fewer steps. */
static bool has_own_pace(const fcl_step *block)
{
    for (int s = 0; s < block->blocks; s++)
        if (block->block[s].own && strcmp(block->block[s].own->op->name, "ode_advance") == 0)
            return true;
    return false;
}

void fcl_block_generate(const fcl_step *block, fcl_generated *g)
{
    *g = (fcl_generated){.vector = BLOCK_ROWS, .own_pace = has_own_pace(block)};
    writer w = {.block = block, .g = g};
    collect(&w);
    g->run = place_values(&w);
    write_loads(&w);
    for (int s = 0; s < block->blocks; s++) {
        const fcl_step *step = &block->block[s];
        if (step->product)
            write_product(&w, step->product);
        if (step->own)
            own_texts[own_text(step->own)].write(&w, step->own);
        write_members(&w, step);
        write_stores(&w, step);
    }
    free(w.values);
}

static void common_loop(fcl_text *text, const fcl_generated *g, bool repeats)
{
    fcl_text_add(text, "    const int first = (int)get_global_id(0) * BLOCK_ROWS;\n"
                       "    int at[BLOCK_ROWS];\n"
                       "    for (int j = 0; j < BLOCK_ROWS; j++)\n        at[j] = min(first + j, rows - 1);\n");
    if (repeats)
        fcl_text_add(text, "    for (int repeat = 0; repeat < repeats; repeat++) {\n");
    for (int i = 0; i < g->scalars && repeats; i++)
        fcl_text_format(text, "    const float s%d = table[repeat * %d + %d];\n", i, g->scalars, i);
    fcl_text_format(text, "%s%s", g->body.data, repeats ? "    }\n" : "");
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
                    "            at[j] = max(row[j], ~row[j]);\n%s    } while (block_next_rows(row, repetitions, active, &next, end, %s));\n",
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
    fcl_text_add(text, repeats     ? "const global float *table, const int rows, const int repeats)\n"
                       : g->random ? "const int rows, const ulong seed, const uint step, const ulong first_row)\n"
                                   : "const int rows)\n");
    fcl_text_format(text, "{\n    float16 tile[%d * BLOCK_VECTORS];\n", (int)g->run);
    if (g->own_pace)
        own_pace_loop(text, g, repeats);
    else
        common_loop(text, g, repeats);
    fcl_text_add(text, "}\n#undef real\n\n");
}

size_t fcl_block_items(const fcl_generated *g, const fcl_device *device, int64_t rows)
{
    enum { ITEMS_A_UNIT = 8 }; /* few enough for long queues of rows, enough for cores that are not alike */
    int64_t items = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    int64_t most = (int64_t)ITEMS_A_UNIT * fcl_device_describe(device)->compute_units;
    return (size_t)(g->own_pace && items > most && most > 0 ? most : items);
}
