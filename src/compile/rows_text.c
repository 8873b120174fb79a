/* The text of row programs. */
#include "compile/rows_writer.h"

#include <assert.h>
#include <stdlib.h>

/* --- extents of launches --- */

/* Work-groups that a device wants to be busy with, a unit. */
static int64_t wanted_groups(const fcl_device *device)
{
    fcl_traits traits = fcl_device_traits(device);
    return (int64_t)(traits.wide ? 4 : 16) * traits.units;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Pieces of whole vectors, none so short that it is not worth its part. */
int64_t fcl_rows_pieces(const fcl_step *step, const fcl_device *device)
{
    int64_t shortest = fcl_device_traits(device).wide ? 4096 : 1024, wanted = wanted_groups(device);
    if (2 * step->rows > wanted || step->width < 2 * shortest)
        return 1;
    int64_t pieces = ceil_div(wanted, step->rows), most = step->width / shortest;
    int64_t length = ceil_div(ceil_div(step->width, pieces < most ? pieces : most), 16) * 16;
    return ceil_div(step->width, length);
}

static int64_t piece_length(const fcl_step *step, int64_t pieces)
{
    return pieces == 1 ? step->width : ceil_div(ceil_div(step->width, pieces), 16) * 16;
}

static bool has_parts(const fcl_step *step, const fcl_tensor *node, int64_t pieces)
{
    fcl_row_kind kind = fcl_row_kind_of(node, step->rows, step->width);
    return node->op->reduction && (kind == FCL_ROW_SUMMED || (kind == FCL_ROW_REDUCED && pieces > 1));
}

static int sums_of(const fcl_step *step)
{
    int sums = 0;
    for (int i = 0; i < fcl_step_nodes(step); i++)
        sums += fcl_row_kind_of(fcl_step_node(step, i), step->rows, step->width) == FCL_ROW_SUMMED;
    return sums;
}

int64_t fcl_rows_groups(const fcl_step *step, const fcl_device *device)
{
    int64_t lines = step->rows * fcl_rows_pieces(step, device), most = wanted_groups(device);
    bool few = sums_of(step) || fcl_device_traits(device).wide;
    return few && lines > most ? most : lines;
}

bool fcl_rows_parts(const fcl_step *step, const fcl_device *device, int index, fcl_tensor **node,
                    fcl_extents *extents)
{
    int64_t pieces = fcl_rows_pieces(step, device);
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        fcl_tensor *n = fcl_step_node(step, i);
        if (!has_parts(step, n, pieces) || index-- > 0)
            continue;
        *node = n;
        *extents = pieces > 1 ? (fcl_extents){step->rows, pieces, 1}
                              : (fcl_extents){1, fcl_rows_groups(step, device), step->width};
        return true;
    }
    return false;
}

size_t fcl_rows_scratch(const fcl_step *step, const fcl_device *device)
{
    size_t floats = 0;
    fcl_tensor *node;
    fcl_extents e;
    for (int i = 0; fcl_rows_parts(step, device, i, &node, &e); i++)
        floats += (size_t)(e.outer * e.reduced * e.inner);
    fcl_rows_writer w = fcl_rows_begin(step, device);
    for (int i = 0; i < w.count; i++)
        floats += w.entries[i].kept ? (size_t)(fcl_rows_groups(step, device) * step->width) : 0;
    free(w.entries);
    return floats * sizeof(float);
}

/* --- operands --- */

static void write_memory(fcl_rows_writer *w, const fcl_tensor *node, fcl_tensor *input, bool full)
{
    fcl_generated *g = w->g;
    int64_t run = g->run;
    fcl_operand how = fcl_classify(input->shape, node->shape);
    bool whole_rows = full && w->pieces == 1 && how.size == w->step->width;
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
    bool full = fcl_row_kind_of(node, w->step->rows, w->step->width) != FCL_ROW_VALUE;
    if (root->op->leaf > FCL_LEAF_MEMORY)
        fcl_generate_literal(w->g, root);
    else if (at < 0)
        write_memory(w, node, input, full);
    else if (fcl_rows_saved(w, &w->entries[at]) && w->entries[at].kept)
        fcl_text_format(&w->g->body, "LOAD(kept%d, c)", at);
    else if (fcl_rows_saved(w, &w->entries[at]))
        fcl_text_format(&w->g->body, "LOAD(y%d, i)", fcl_generate_slot(w->g->store, &w->g->stores, root));
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
            if (e->kind == FCL_ROW_SUMMED)
                add_line(w, "; STORE(part%d, c, LOAD(part%d, c) + a); }\n", i, i);
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

static const char *start_of(const fcl_row_entry *e)
{
    return e->node->op->reduction == FCL_MAX ? "-INFINITY" : "0";
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
            add_line(w, "        ROW_FETCH(x%d + i + %d);\n", x, (int)w->step->width);
}

/* Vectors as far as they go, in each run of elements of which operands can be read in vectors; then single
 * elements. */
static void write_pass(fcl_rows_writer *w)
{
    fcl_text *text = &w->g->body;
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_REDUCED) || is_now(w, i, FCL_ROW_PARTS))
            fcl_text_format(
                text, "        float v%d = %s;\n#if ROW_VECTOR > 1\n        ROW_REAL w%d = %s;\n#endif\n", i,
                start_of(&w->entries[i]), i, start_of(&w->entries[i]));
    fcl_rows_want(w);
    fcl_text_add(
        text, "        for (int b = begin; b < end; b += ROW_RUN) {\n"
              "        const int stop = min(b + ROW_RUN, end);\n"
              "#if ROW_VECTOR > 1\n#define real ROW_REAL\n#define LOAD ROW_LOAD\n#define STORE ROW_STORE\n#define STORE_PAST ROW_PAST\n"
              "        for (int c = b + ROW_VECTOR * id; c + ROW_VECTOR <= stop; c += ROW_VECTOR * size) {\n"
              "        const int i = base + c;\n");
    write_elements(w, "w");
    fetch_next_row(w);
    fcl_text_add(text, "        }\n#undef real\n#undef LOAD\n#undef STORE\n#undef STORE_PAST\n#endif\n"
                       "#define real float\n#define LOAD(p, i) (p)[i]\n#define STORE(p, i, x) (p)[i] = (x)\n"
                       "#define STORE_PAST STORE\n"
                       "        for (int c = ROW_SINGLES(b, stop) + id; c < stop; c += size) {\n"
                       "        const int i = base + c;\n");
    write_elements(w, "v");
    fcl_text_add(text, "        }\n#undef real\n#undef LOAD\n#undef STORE\n#undef STORE_PAST\n");
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_PARTS))
            write_part(w, i);
    fcl_text_add(text, "        }\n");
    for (int i = 0; i < w->count; i++)
        if (is_now(w, i, FCL_ROW_REDUCED))
            write_reduced(w, i);
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
    *g = (fcl_generated){.run = step->width, .unaligned = traits.wide};
    fcl_rows_writer w = fcl_rows_begin(step, device);
    w.g = g;
    fcl_text_add(&g->body, "");
    for (w.pass = 0; w.pass <= w.passes; w.pass++) {
        write_values(&w);
        if (w.pass < w.passes)
            write_pass(&w);
    }
    for (int i = 0; i < w.count; i++) {
        g->parts |= has_parts(step, w.entries[i].node, w.pieces);
        g->scratch |= g->parts || w.entries[i].kept;
    }
    fcl_generate_params(g, false);
    end_runs_with_parts(&w);
    bool whole_runs = step->width % 4 == 0 && g->run % 4 == 0;
    bool vectors = g->unaligned || (whole_runs && fcl_generate_is_aligned(g));
    g->vector = vectors && g->run >= traits.vector ? traits.vector : 1;
    if (g->vector == 1) { /* runs are what vectors do not cross, nor parts */
        g->run = step->width;
        end_runs_with_parts(&w);
    }
    free(w.entries);
}

/* --- kernels --- */

static void add_memory_forms(fcl_text *text, const fcl_step *step, const fcl_generated *g)
{
    if (!g->unaligned)
        fcl_text_add(text, "#define ROW_LOAD(p, i) (*(const global float4 *)((p) + (i)))\n"
                           "#define ROW_STORE(p, i, x) *(global float4 *)((p) + (i)) = (x)\n"
                           "#define ROW_PAST ROW_STORE\n#define ROW_FETCH(p)\n");
    else
        fcl_text_format(text,
                        "#define ROW_LOAD(p, i) LOAD16((p) + (i))\n#define ROW_STORE(p, i, x) STORE16((p) + (i), x)\n"
                        "#define ROW_PAST(p, i, x) %s((p) + (i), x)\n#define ROW_FETCH(p) FETCH(p)\n",
                        (size_t)step->rows * (size_t)step->width >= FCL_PAST_CACHES / sizeof(float) ? "store16_past"
                                                                                                  : "STORE16");
}

static void add_forms(fcl_text *text, const fcl_step *step, const fcl_generated *g)
{
    fcl_text_format(text,
                    "#undef ROW_VECTOR\n#undef ROW_RUN\n#undef ROW_REAL\n#undef ROW_LOAD\n#undef ROW_STORE\n"
                    "#undef ROW_PAST\n#undef ROW_FETCH\n#undef ROW_SUM\n#undef ROW_LARGEST\n#undef ROW_SINGLES\n#undef GROUP_SUM\n"
                    "#undef GROUP_LARGEST\n#define ROW_VECTOR %d\n#define ROW_RUN %lld\n",
                    g->vector, (long long)g->run);
    if (g->vector == 1)
        fcl_text_add(text, "#define ROW_SINGLES(b, stop) (b)\n");
    else
        fcl_text_format(
            text,
            "#define ROW_REAL float%d\n#define ROW_SUM sum_of_%d\n#define ROW_LARGEST largest_of_%d\n"
            "#define ROW_SINGLES(b, stop) ((b) + ((stop) - (b)) / %d * %d)\n",
            g->vector, g->vector, g->vector, g->vector, g->vector);
    if (g->vector > 1)
        add_memory_forms(text, step, g);
    fcl_text_add(text, g->unaligned
                           ? "#define GROUP_SUM(x, k) (x)\n#define GROUP_LARGEST(x, k) (x)\n"
                           : "#define GROUP_SUM(x, k) group_sum(x, partial + k * GROUP_MAX)\n"
                             "#define GROUP_LARGEST(x, k) group_largest(x, partial + k * GROUP_MAX)\n");
}

/* The second kernel: an element of a result a work-item, which takes the parts in their order. */
static void add_sums_kernel(fcl_text *text, const char *name, const fcl_step *step, const fcl_device *device)
{
    fcl_tensor *node;
    fcl_extents e;
    fcl_text_format(text, "kernel void %s_sums(const global float *part", name);
    for (int k = 0; fcl_rows_parts(step, device, k, &node, &e); k++)
        fcl_text_format(text, ", global float *y%d", k);
    fcl_text_add(text, ")\n{\n    int i = (int)get_global_id(0);\n");
    long long begin = 0;
    for (int k = 0; fcl_rows_parts(step, device, k, &node, &e); k++) {
        long long results = e.outer * e.inner, stride = e.inner, first = e.inner > 1 ? 1 : e.reduced;
        bool max = node->op->reduction == FCL_MAX;
        fcl_text_format(text,
                        "    if (i >= 0 && i < %lld) {\n        float v = part[%lld + i * %lld];\n"
                        "        for (int k = 1; k < %lld; k++)\n            v = %s(v, part[%lld + i * %lld "
                        "+ k * %lld]);\n"
                        "        y%d[i] = v;\n    }\n    i -= %lld;\n",
                        results, begin, first, (long long)e.reduced, max ? "larger" : "ROW_ADD", begin, first,
                        stride, k, results);
        begin += e.outer * e.reduced * e.inner;
    }
    fcl_text_add(text, "}\n\n");
}

static void add_scratch_pointers(fcl_text *text, const fcl_step *step, const fcl_device *device,
                              const fcl_generated *g)
{
    long long begin = 0;
    fcl_tensor *node;
    fcl_extents e;
    bool cleared = false;
    fcl_rows_writer w = fcl_rows_begin(step, device);
    for (int k = 0; fcl_rows_parts(step, device, k, &node, &e); k++) {
        int at = fcl_rows_find(&w, node);
        bool summed = w.entries[at].kind == FCL_ROW_SUMMED;
        cleared |= summed;
        if (summed)
            fcl_text_format(text,
                            "    global float *part%d = scratch + %lld + item * %lld;\n"
                            "    for (int c = id; c < %lld; c += size)\n        part%d[c] = 0;\n",
                            at, begin, (long long)e.inner, (long long)e.inner, at);
        else
            fcl_text_format(text, "    global float *part%d = scratch + %lld;\n", at, begin);
        begin += e.outer * e.reduced * e.inner;
    }
    for (int i = 0; i < w.count; i++) {
        if (!w.entries[i].kept)
            continue;
        fcl_text_format(text, "    global float *kept%d = scratch + %lld + item * %lld;\n", i, begin,
                        (long long)step->width);
        begin += fcl_rows_groups(step, device) * step->width;
    }
    if (cleared && !g->unaligned) /* another work-item may be the one that adds to a column */
        fcl_text_add(text, "    barrier(CLK_GLOBAL_MEM_FENCE);\n");
    free(w.entries);
}

void fcl_rows_kernel(fcl_text *text, const char *name, const fcl_step *step, const fcl_device *device,
                     const fcl_generated *g)
{
    int64_t pieces = fcl_rows_pieces(step, device), length = piece_length(step, pieces);
    add_forms(text, step, g);
    fcl_text_format(text, "kernel void %s(%s%sconst int lines%s%s)\n{\n", name, g->params.data,
                    g->params.length ? ", " : "",
                    g->random ? ", const ulong seed, const uint step, const ulong first_row" : "",
                    g->scratch ? ", global float *scratch" : "");
    if (g->unaligned)
        fcl_text_add(text, "    const int id = 0, size = 1;\n");
    else /* PoCL 3.1 reads a group's sum again where it is needed: each has memory of its own */
        fcl_text_format(text,
                        "    local float partial[%d * GROUP_MAX];\n"
                        "    const int id = (int)get_local_id(0), size = (int)get_local_size(0);\n",
                        g->reductions ? g->reductions : 1);
    fcl_text_add(text, "    const int item = (int)get_group_id(0), items = (int)get_num_groups(0);\n    "
                       "const bool leads = id == 0;\n");
    add_scratch_pointers(text, step, device, g);
    fcl_text_format(
        text,
        "    const int last = (int)((item + 1) * (long)lines / items);\n"
        "    for (int line = (int)(item * (long)lines / items); line < last; line++) {\n"
        "        const int row = line / %lld, begin = line %% %lld * %lld;\n"
        "        const int end = min(begin + %lld, %lld), base = row * %lld, i = row;\n%s    }\n}\n\n",
        (long long)pieces, (long long)pieces, (long long)length, (long long)length, (long long)step->width,
        (long long)step->width, g->body.data);
    if (g->parts)
        add_sums_kernel(text, name, step, device);
}
