/* Row programs with columns: what belongs into them, and their own lines. */
#include "compile/rows_writer.h"

enum { MOST_COLUMNS = 1024 /* bounds a work-item's private memory */ };

/* --- what fits --- */

bool fcl_columns_pay(const fcl_row_extent *e, const fcl_device *device)
{
    fcl_traits traits = fcl_device_traits(device);
    return traits.wide && e->rows > 1 && e->rows >= traits.units && e->columns >= traits.vector &&
           e->columns <= MOST_COLUMNS;
}

/* Numbers of a row that stand each for neighbouring columns; 0: these are not that. */
static int64_t columns_of(int64_t size, const fcl_row_extent *e)
{
    int64_t columns = size % e->rows ? 0 : size / e->rows;
    return columns > 0 && e->columns % columns == 0 ? columns : 0;
}

static fcl_row_kind kind_of_reduction(const fcl_tensor *node, const fcl_row_extent *e)
{
    const fcl_extents r = fcl_reduced_extents(node);
    if (r.inner == e->columns && r.reduced * r.inner == e->width && r.outer == e->rows)
        return FCL_ROW_REDUCED;
    if (r.inner == e->columns && r.reduced * r.inner == e->rows * e->width && node->op->reduction == FCL_SUM)
        return FCL_ROW_SUMMED;
    bool fold = r.inner == 1 && columns_of(r.outer, e) && columns_of(r.outer * r.reduced, e);
    return fold ? FCL_ROW_FOLDED : FCL_ROW_NONE;
}

fcl_row_kind fcl_columns_kind(const fcl_tensor *node, const fcl_row_extent *e)
{
    bool numbers = node->type == FCL_F32;
    for (int k = 0; k < node->inputs; k++)
        numbers &= node->input[k]->type == FCL_F32;
    if (!numbers || !(node->op->expression || node->op->reduction))
        return FCL_ROW_NONE;
    if (node->op->reduction)
        return kind_of_reduction(node, e);
    int64_t size = fcl_shape_size(node->shape);
    return size == e->rows * e->width ? FCL_ROW_FULL : columns_of(size, e) ? FCL_ROW_VALUE : FCL_ROW_NONE;
}

/* Walks over the node's dimensions from the last on: groups of columns, then a row's pixels, then the rows.
 */
bool fcl_columns_operand(const fcl_tensor *node, const fcl_tensor *input, const fcl_row_extent *e,
                         fcl_column_operand *operand)
{
    const fcl_shape from = input->shape, to = node->shape;
    const int64_t width = fcl_shape_size(to) / e->rows, columns = width == e->width ? e->columns : width;
    bool by_row = false, shared = false;
    int64_t begin = 1, own = 1;
    for (int d = 0; d < to.rank; begin *= fcl_shape_from_end(to, d++)) {
        const int64_t dim = fcl_shape_from_end(to, d), end = begin * dim;
        const bool same = fcl_shape_from_end(from, d) == dim;
        if (dim == 1)
            continue;
        if (begin >= width) {
            by_row |= same;
            shared |= !same;
        } else if (end <= columns) {
            if (own > 1 && !same)
                return false; /* columns that lie apart */
            own *= same ? dim : 1;
        } else if (same) {
            return false; /* pixels of its own */
        } else if (begin < columns && own > 1) {
            return false;
        } else {
            shared |= end > width;
        }
    }
    *operand = (fcl_column_operand){by_row || e->rows == 1, own};
    return !(by_row && shared);
}

bool fcl_columns_may_load(const fcl_tensor *node, const fcl_tensor *input, const fcl_row_extent *e)
{
    const fcl_row_kind kind = fcl_row_kind_of(node, e);
    const fcl_operand how = fcl_classify(input->shape, node->shape);
    fcl_column_operand column;
    if (kind >= FCL_ROW_REDUCED || how.form == FCL_SINGLE)
        return true;
    if (kind == FCL_ROW_FOLDED)
        return false;
    bool pixels = how.form == FCL_WHOLE || (how.form == FCL_ROW_OPERAND && how.size == e->columns) ||
                  (how.form == FCL_COLUMN && how.size == e->width);
    return (kind == FCL_ROW_FULL && pixels) || fcl_columns_operand(node, input, e, &column);
}

/* --- text --- */

/* So much has an array for a row's columns: programs that have fewer share one. */
static int64_t capacity(const fcl_rows_writer *w)
{
    int64_t most = 128;
    while (most < w->step->extent.columns)
        most *= 2;
    return most;
}

/* Of a row whose numbers are so many, each for as many columns: how many numbers there are, and how many
 * columns. */
static void add_count(fcl_text *text, const fcl_rows_writer *w, int64_t numbers)
{
    if (numbers == w->step->extent.columns)
        fcl_text_add(text, "columns");
    else
        fcl_text_format(text, "%lld", (long long)numbers);
}

static void add_each(fcl_text *text, const fcl_rows_writer *w, int64_t numbers)
{
    if (numbers == w->step->extent.columns)
        fcl_text_add(text, "1");
    else
        fcl_text_format(text, "(columns / %lld)", (long long)numbers);
}

static int64_t numbers_of(const fcl_rows_writer *w, const fcl_row_entry *e)
{
    return fcl_shape_size(e->node->shape) / w->step->extent.rows;
}

/* row * 8 + column / (columns / 8) */
static void add_index(fcl_text *text, const fcl_rows_writer *w, const fcl_column_operand *how)
{
    if (how->by_row) {
        fcl_text_add(text, "row * ");
        add_count(text, w, how->columns);
        fcl_text_add(text, " + ");
    }
    fcl_text_add(text, "column");
    if (how->columns == w->step->extent.columns)
        return;
    fcl_text_add(text, " / ");
    add_each(text, w, how->columns);
}

/* An operand of full values that is read from memory, with fewer numbers than columns: an array holds it, a
 * number for each column. */
static bool is_grouped(const fcl_rows_writer *w, const fcl_tensor *node, const fcl_tensor *input,
                       fcl_column_operand *how)
{
    const fcl_row_extent *e = &w->step->extent;
    const fcl_form form = fcl_classify(input->shape, node->shape).form;
    return form != FCL_WHOLE && form != FCL_SINGLE && fcl_columns_operand(node, input, e, how) &&
           how->columns < e->columns;
}

void fcl_columns_memory(fcl_rows_writer *w, const fcl_tensor *node, fcl_tensor *input)
{
    const fcl_row_extent *e = &w->step->extent;
    const fcl_operand whole = fcl_classify(input->shape, node->shape);
    const fcl_row_kind kind = fcl_row_kind_of(node, e);
    fcl_column_operand how;
    fcl_text *text = &w->g->body;
    const bool full = kind != FCL_ROW_VALUE,
               rows = kind >= FCL_ROW_REDUCED || (full && whole.form == FCL_WHOLE);
    int x = fcl_generate_slot(w->g->read, &w->g->reads, fcl_node_root(input));
    w->by_rows[x] |= rows;
    if (rows) {
        fcl_text_format(text, "LOAD(x%d, i)", x);
    } else if (whole.form == FCL_SINGLE) {
        fcl_text_format(text, "(real)(x%d[0])", x);
    } else if (full && whole.form == FCL_COLUMN && whole.size == e->width) {
        fcl_text_format(text, "LOAD(x%d, c)", x);
    } else if (full && is_grouped(w, node, input, &how)) {
        fcl_text_format(text, "COLUMN_LOAD(%c%d, column)", how.by_row ? 'e' : 'f', x);
    } else if (fcl_columns_operand(node, input, e, &how)) {
        fcl_text_format(text, "LOAD(x%d, ", x);
        add_index(text, w, &how);
        fcl_text_add(text, ")");
    } else { /* one a pixel */
        fcl_text_format(text, "(real)(x%d[i / columns])", x);
    }
}

static void add_loop(fcl_rows_writer *w)
{
    fcl_text_add(&w->g->body, "        for (int column = 0; column < columns; column++) {\n");
}

static void begin_grouped(fcl_rows_writer *w, const fcl_row_entry *e)
{
    fcl_column_operand how;
    for (int k = 0; k < e->node->inputs && e->kind == FCL_ROW_FULL; k++) {
        fcl_tensor *input = e->node->input[k], *root = fcl_node_root(input);
        if (root->op->leaf > FCL_LEAF_MEMORY || fcl_rows_find(w, root) >= 0 ||
            !is_grouped(w, e->node, input, &how))
            continue;
        const int x = fcl_generate_slot(w->g->read, &w->g->reads, root);
        const char name = how.by_row ? 'e' : 'f';
        if (w->grouped[how.by_row][x])
            continue;
        w->grouped[how.by_row][x] = true;
        fcl_text_format(&w->g->body, "        float %c%d[%lld] __attribute__((aligned(64)));\n", name, x, (long long)capacity(w));
        add_loop(w);
        fcl_text_format(&w->g->body, "            %c%d[column] = x%d[", name, x, x);
        add_index(&w->g->body, w, &how);
        fcl_text_add(&w->g->body, "];\n        }\n");
    }
}

void fcl_columns_begin(fcl_rows_writer *w)
{
    for (int i = 0; i < w->count; i++) {
        const fcl_row_entry *e = &w->entries[i];
        if (fcl_rows_is_value(e) || e->kind == FCL_ROW_REDUCED)
            fcl_text_format(&w->g->body, "        float a%d[%lld] __attribute__((aligned(64)));\n", i,
                            (long long)capacity(w));
    }
    for (int i = 0; i < w->count; i++)
        begin_grouped(w, &w->entries[i]);
}

/* Over numbers that stand `step` columns apart; the result stands for `each`. */
static void add_fold(fcl_rows_writer *w, int i)
{
    const fcl_row_entry *e = &w->entries[i];
    const int from = fcl_rows_find(w, fcl_node_root(e->node->input[0]));
    fcl_text *text = &w->g->body;
    fcl_text_add(text, "        {\n        const int each = ");
    add_each(text, w, numbers_of(w, e));
    fcl_text_add(text, ", step = ");
    add_each(text, w, numbers_of(w, &w->entries[from]));
    fcl_text_format(
        text,
        ";\n        for (int first = 0; first < columns; first += each) {\n            float v = %s;\n"
        "            for (int k = 0; k < each; k += step)\n                v = %s(v, a%d[first + k]);\n"
        "            for (int k = 0; k < each; k++)\n                a%d[first + k] = v;\n        }\n        "
        "}\n",
        fcl_rows_start(e), e->node->op->reduction == FCL_MAX ? "larger" : "ROW_ADD", from, i);
}

void fcl_columns_store(fcl_rows_writer *w, int i)
{
    const fcl_row_entry *e = &w->entries[i];
    const int64_t numbers = numbers_of(w, e);
    fcl_text *text = &w->g->body;
    if (!e->node->storage)
        return;
    fcl_text_add(text, "        for (int k = 0; k < ");
    add_count(text, w, numbers);
    fcl_text_format(text, "; k++)\n            y%d[row * ",
                    fcl_generate_slot(w->g->store, &w->g->stores, e->node));
    add_count(text, w, numbers);
    fcl_text_format(text, " + k] = a%d[k * ", i);
    add_each(text, w, numbers);
    fcl_text_add(text, "];\n");
}

void fcl_columns_values(fcl_rows_writer *w, fcl_operand_writer *write)
{
    bool open = false; /* the loop over columns */
    fcl_text_add(&w->g->body, "#define real float\n#define LOAD(p, i) (p)[i]\n");
    for (int i = 0; i <= w->count; i++) {
        const fcl_row_entry *e = i < w->count ? &w->entries[i] : NULL;
        if (e && (!fcl_rows_is_value(e) || e->pass != w->pass))
            continue;
        bool value = e && e->kind == FCL_ROW_VALUE;
        if (value && !open)
            add_loop(w);
        if (!value && open)
            fcl_text_add(&w->g->body, "        }\n");
        open = value;
        if (value) {
            fcl_generate_member(w->g, e->node, i, write, w);
            fcl_text_format(&w->g->body, "        a%d[column] = v%d;\n", i, i);
        } else if (e) {
            add_fold(w, i);
        }
    }
    fcl_text_add(&w->g->body, "#undef real\n#undef LOAD\n");
    for (int i = 0; i < w->count; i++)
        if (fcl_rows_is_value(&w->entries[i]) && w->entries[i].pass == w->pass)
            fcl_columns_store(w, i);
}

void fcl_columns_clear(fcl_rows_writer *w, int i)
{
    add_loop(w);
    fcl_text_format(&w->g->body, "            a%d[column] = %s;\n        }\n", i,
                    fcl_rows_start(&w->entries[i]));
}

void fcl_columns_add(fcl_rows_writer *w, int i)
{
    const char *form = w->entries[i].node->op->reduction == FCL_MAX
                           ? "; const real m = COLUMN_LOAD(a%d, column); COLUMN_STORE(a%d, column, select(m, "
                             "a, a > m || a != a)); }\n"
                           : "; COLUMN_STORE(a%d, column, COLUMN_LOAD(a%d, column) + a); }\n";
    fcl_text_format(&w->g->body, form, i, i);
}
