/* The text of row programs: what their passes do. */
#include "compile/rows_writer.h"

#include <stdlib.h>

/* --- operands --- */

static bool has_columns(const fcl_rows_writer *w)
{
    return w->step->extent.columns > 1;
}

static void write_memory(fcl_rows_writer *w, const fcl_tensor *node, fcl_tensor *input, bool full)
{
    fcl_generated *g = w->g;
    int64_t run = g->run;
    fcl_operand how = fcl_classify(input->shape, node->shape);
    bool whole_rows = full && w->pieces == 1 && how.size == w->step->extent.width;
    int x = fcl_generate_slot(g->read, &g->reads, fcl_node_root(input));
    if (node->op->reduction || (full && how.form == FCL_WHOLE))
        w->by_rows[x] = true;
    if (node->op->reduction)
        fcl_text_format(&g->body, "LOAD(x%d, i)", x);
    else if (whole_rows && how.form == FCL_ROW_OPERAND)
        fcl_text_format(&g->body, "(real)(x%d[row])", x);
    else if (whole_rows && how.form == FCL_COLUMN)
        fcl_text_format(&g->body, "LOAD(x%d, c)", x);
    else
        fcl_generate_memory(g, node, input);
    if (!full)
        g->run = run;
}

static void write_operand(void *context, const fcl_tensor *node, fcl_tensor *input)
{
    fcl_rows_writer *w = context;
    fcl_tensor *root = fcl_node_root(input);
    int at = fcl_rows_find(w, root);
    bool full = fcl_row_kind_of(node, &w->step->extent) != FCL_ROW_VALUE;
    if (root->op->leaf == FCL_LEAF_CONSTANT && has_columns(w) && !full)
        fcl_text_format(&w->g->body, "s%d", fcl_generate_slot(w->g->scalar, &w->g->scalars, root)); /* as 1 / pixels */
    else if (root->op->leaf > FCL_LEAF_MEMORY)
        fcl_generate_literal(w->g, root);
    else if (at < 0 && has_columns(w))
        fcl_columns_memory(w, node, input);
    else if (at < 0)
        write_memory(w, node, input, full);
    else if (fcl_rows_saved(w, &w->entries[at]) && w->entries[at].kept)
        fcl_text_format(&w->g->body, "LOAD(kept%d, c)", at);
    else if (fcl_rows_saved(w, &w->entries[at]))
        fcl_text_format(&w->g->body, "LOAD(y%d, i)", fcl_generate_slot(w->g->store, &w->g->stores, root));
    else if (w->entries[at].kind != FCL_ROW_FULL && has_columns(w))
        fcl_text_format(&w->g->body, full ? "COLUMN_LOAD(a%d, column)" : "a%d[column]", at);
    else if (w->entries[at].kind == FCL_ROW_FULL || !full)
        fcl_text_format(&w->g->body, "v%d", at);
    else
        fcl_text_format(&w->g->body, "(real)(v%d)", at);
}

/* --- lines --- */

static void add_line(fcl_rows_writer *w, const char *format, int a, int b)
{
    fcl_text_format(&w->g->body, format, a, b);
}

/* Is the row left behind? Earlier passes leave what they store to later ones. */
static bool is_last(const fcl_rows_writer *w)
{
    return w->pass == w->passes - 1;
}

/* What a pass does with element i, or with a vector of them from there on; `sum` begins the names of what it
 * adds to. */
static void write_elements(fcl_rows_writer *w, const char *sum)
{
    const char *column = has_columns(w) ? "column" : "c";
    for (int i = 0; i < w->count; i++) {
        const fcl_row_entry *e = &w->entries[i];
        if (!e->wanted)
            continue;
        if (e->kind == FCL_ROW_FULL && !fcl_rows_saved(w, e)) {
            fcl_generate_member(w->g, e->node, i, write_operand, w);
            if (e->kept)
                add_line(w, "        STORE(kept%d, c, v%d);\n", i, i);
            if (e->node->storage && e->pass == w->pass)
                fcl_text_format(&w->g->body, "        %s(y%d, i, v%d);\n", is_last(w) ? "STORE_PAST" : "STORE",
                                fcl_generate_slot(w->g->store, &w->g->stores, e->node), i);
        } else if (e->kind >= FCL_ROW_REDUCED) {
            fcl_text_add(&w->g->body, "        { const real a = ");
            write_operand(w, e->node, e->node->input[0]);
            if (e->kind == FCL_ROW_SUMMED || e->kind == FCL_ROW_SAMPLED)
                fcl_text_format(&w->g->body, "; STORE(part%d, %s, LOAD(part%d, %s) + a); }\n", i, column, i, column);
            else if (has_columns(w))
                fcl_columns_add(w, i);
            else if (e->node->op->reduction == FCL_MAX)
                fcl_text_format(&w->g->body, "; %s%d = select(%s%d, a, a > %s%d || a != a); }\n", sum, i, sum,
                                i, sum, i);
            else
                fcl_text_format(&w->g->body, "; %s%d += a; }\n", sum, i);
        }
    }
}

static bool is_now(const fcl_rows_writer *w, int i, fcl_row_kind kind)
{
    return w->entries[i].kind == kind && w->entries[i].pass == w->pass;
}

/* The values that are known before a pass: a number each. */
static void write_values(fcl_rows_writer *w)
{
    bool any = false;
    if (has_columns(w)) {
        fcl_columns_values(w, write_operand);
        return;
    }
    for (int i = 0; i < w->count; i++)
        any |= w->entries[i].kind == FCL_ROW_VALUE && w->entries[i].pass == w->pass;
    if (!any)
        return;
    fcl_text_add(&w->g->body, "#define real float\n#define LOAD(p, i) (p)[i]\n");
    for (int i = 0; i < w->count; i++) {
        const fcl_row_entry *e = &w->entries[i];
        if (e->kind != FCL_ROW_VALUE || e->pass != w->pass)
            continue;
        fcl_generate_member(w->g, e->node, i, write_operand, w);
        if (e->node->storage)
            add_line(w, "        if (leads) y%d[row] = v%d;\n",
                     fcl_generate_slot(w->g->store, &w->g->stores, e->node), i);
    }
    fcl_text_add(&w->g->body, "#undef real\n#undef LOAD\n");
}

const char *fcl_rows_start(const fcl_row_entry *e)
{
    return e->node->op->reduction == FCL_MAX ? "-INFINITY" : "0";
}

static void write_start(fcl_rows_writer *w, int i)
{
    const char *start = fcl_rows_start(&w->entries[i]);
    if (has_columns(w))
        fcl_columns_clear(w, i);
    else
        fcl_text_format(&w->g->body,
                        "        float v%d = %s;\n#if ROW_VECTOR > 1\n        ROW_REAL w%d = %s;\n#endif\n", i, start, i,
                        start);
}

/* The sums of a vector's lanes, then of the group's work-items. */
static void write_lanes(fcl_rows_writer *w, int i)
{
    bool max = w->entries[i].node->op->reduction == FCL_MAX;
    fcl_text_format(&w->g->body,
                    "#if ROW_VECTOR > 1\n        v%d = %s(v%d, %s(w%d));\n#endif\n        v%d = %s(v%d, %d);\n", i,
                    max ? "larger" : "ROW_ADD", i, max ? "ROW_LARGEST" : "ROW_SUM", i, i,
                    max ? "GROUP_LARGEST" : "GROUP_SUM", i, w->g->reductions++);
}

/* Behind a run that ends a part: its sum leaves, the next one begins. */
static void write_part(fcl_rows_writer *w, int i)
{
    fcl_tensor *node = w->entries[i].node;
    int part = (int)fcl_reduced_extents(node).reduced;
    add_line(w, "        if (stop %% %d == 0) {\n", part, 0);
    write_lanes(w, i);
    fcl_text_format(&w->g->body,
                    "        if (leads) y%d[(base + b) / %d] = v%d;\n        v%d = 0;\n#if ROW_VECTOR > 1\n        w%d = "
                    "0;\n#endif\n        }\n",
                    fcl_generate_slot(w->g->store, &w->g->stores, node), part, i, i, i);
}

/* Behind the loops. */
static void write_reduced(fcl_rows_writer *w, int i)
{
    fcl_generated *g = w->g;
    fcl_tensor *node = w->entries[i].node;
    if (has_columns(w)) {
        fcl_columns_store(w, i);
        return;
    }
    write_lanes(w, i);
    if (w->pieces > 1)
        add_line(w, "        if (leads) part%d[line] = v%d;\n", i, i);
    else if (node->storage)
        add_line(w, "        if (leads) y%d[row] = v%d;\n", fcl_generate_slot(g->store, &g->stores, node), i);
}

/* The last pass asks for the next row, which would be waited for: a row is too short for caches to see it coming. */
static void fetch_next_row(fcl_rows_writer *w)
{
    for (int x = 0; x < w->g->reads && w->passes > 1 && is_last(w); x++)
        if (w->by_rows[x])
            fcl_text_format(&w->g->body, "        ROW_FETCH(x%d + i + width);\n", x);
}

/* Vectors as far as they go, in each run of elements of which operands can be read in vectors; then single
 * elements. */
static void write_pass(fcl_rows_writer *w)
{
    fcl_text *text = &w->g->body;
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_REDUCED) || is_now(w, i, FCL_ROW_PARTS))
            write_start(w, i);
    fcl_rows_want(w);
    fcl_text_add(
        text, "        for (int b = begin; b < end; b += ROW_RUN) {\n"
              "        const int stop = min(b + ROW_RUN, end);\n"
              "#if ROW_VECTOR > 1\n#define real ROW_REAL\n#define LOAD ROW_LOAD\n#define STORE ROW_STORE\n#define STORE_PAST ROW_PAST\n"
              "#define COLUMN_LOAD ROW_COLUMN\n#define COLUMN_STORE ROW_SET_COLUMN\n"
              "        for (int c = b + ROW_VECTOR * id; c + ROW_VECTOR <= stop; c += ROW_VECTOR * size) {\n"
              "        const int i = base + c, column = c - b;\n");
    write_elements(w, "w");
    fetch_next_row(w);
    fcl_text_add(text, "        }\n#undef real\n#undef LOAD\n#undef STORE\n#undef STORE_PAST\n#undef COLUMN_LOAD\n#undef COLUMN_STORE\n#endif\n"
                       "#if ROW_TAIL\n"
                       "#define real float\n#define LOAD(p, i) (p)[i]\n#define STORE(p, i, x) (p)[i] = (x)\n"
                       "#define STORE_PAST STORE\n#define COLUMN_LOAD LOAD\n#define COLUMN_STORE STORE\n"
                       "        for (int c = ROW_SINGLES(b, stop) + id; c < stop; c += size) {\n"
                       "        const int i = base + c, column = c - b;\n");
    write_elements(w, "v");
    fcl_text_add(text, "        }\n#undef real\n#undef LOAD\n#undef STORE\n#undef STORE_PAST\n#undef COLUMN_LOAD\n"
                       "#undef COLUMN_STORE\n#endif\n");
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_PARTS))
            write_part(w, i);
    fcl_text_add(text, "        }\n");
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_REDUCED))
            write_reduced(w, i);
}

/* Sums over a sample's rows are added up where they stand. */
static void begin_samples(fcl_rows_writer *w)
{
    const long long sample = w->step->extent.sample;
    for (int i = 0; i < w->count; i++)
        if (w->entries[i].kind == FCL_ROW_SAMPLED)
            fcl_text_format(&w->g->body,
                            "        global float *part%d = y%d + row / %lld * width;\n"
                            "        for (int c = 0; c < width && row %% %lld == 0; c++)\n            part%d[c] = 0;\n",
                            i, fcl_generate_slot(w->g->store, &w->g->stores, w->entries[i].node), sample, sample, i);
}

static void end_runs_with_parts(fcl_rows_writer *w)
{
    for (int i = 0; i < w->count; i++)
        if (w->entries[i].kind == FCL_ROW_PARTS)
            fcl_generate_run(w->g, fcl_reduced_extents(w->entries[i].node).reduced);
}

void fcl_rows_generate(const fcl_step *step, const fcl_device *device, fcl_generated *g)
{
    fcl_traits traits = fcl_device_traits(device);
    const fcl_row_extent *e = &step->extent;
    const int64_t run = e->columns > 1 ? e->columns : e->width; /* as far as rows go on in vectors */
    *g = (fcl_generated){.run = run, .unaligned = traits.wide};
    fcl_rows_writer w = fcl_rows_begin(step, device);
    w.g = g;
    fcl_text_add(&g->body, "");
    if (e->columns > 1)
        fcl_columns_begin(&w);
    begin_samples(&w);
    for (w.pass = 0; w.pass <= w.passes; w.pass++) {
        write_values(&w);
        if (w.pass < w.passes)
            write_pass(&w);
    }
    fcl_tensor *node;
    fcl_extents sums;
    g->parts = g->scratch = fcl_rows_parts(step, device, 0, &node, &sums);
    for (int i = 0; i < w.count; i++)
        g->scratch |= w.entries[i].kept;
    fcl_generate_params(g, false);
    end_runs_with_parts(&w);
    bool whole_runs = e->width % 4 == 0 && g->run % 4 == 0;
    bool vectors = g->unaligned || (whole_runs && fcl_generate_is_aligned(g));
    g->vector = vectors && g->run >= traits.vector ? traits.vector : 1;
    if (g->vector == 1) { /* runs are what vectors do not cross, nor parts */
        g->run = run;
        end_runs_with_parts(&w);
    }
    free(w.entries);
}
