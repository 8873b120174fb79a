/* The kernels of row programs: what is launched, and what stands around their passes. */
#include "compile/rows_writer.h"
#include "device/tile.h"

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
int64_t fcl_rows_pieces(const fcl_row_extent *e, const fcl_device *device)
{
    int64_t shortest = fcl_device_traits(device).wide ? 4096 : 1024, wanted = wanted_groups(device);
    if (2 * e->rows > wanted || e->width < 2 * shortest || e->columns > 1)
        return 1;
    int64_t pieces = ceil_div(wanted, e->rows), most = e->width / shortest;
    int64_t length = ceil_div(ceil_div(e->width, pieces < most ? pieces : most), 16) * 16;
    return ceil_div(e->width, length);
}

static int64_t piece_length(const fcl_row_extent *e, int64_t pieces)
{
    return pieces == 1 ? e->width : ceil_div(ceil_div(e->width, pieces), 16) * 16;
}

static bool has_parts(const fcl_step *step, const fcl_tensor *node, int64_t pieces)
{
    fcl_row_kind kind = fcl_row_kind_of(node, &step->extent);
    return node->op->reduction && (kind == FCL_ROW_SUMMED || (kind == FCL_ROW_REDUCED && pieces > 1));
}

static int sums_of(const fcl_step *step)
{
    int sums = 0;
    for (int i = 0; i < fcl_step_nodes(step); i++)
        sums += fcl_row_kind_of(fcl_step_node(step, i), &step->extent) == FCL_ROW_SUMMED;
    return sums;
}

int64_t fcl_rows_groups(const fcl_step *step, const fcl_device *device)
{
    const fcl_row_extent *e = &step->extent;
    int64_t lines = e->rows * fcl_rows_pieces(e, device), most = wanted_groups(device);
    if (e->sample)
        lines /= e->sample;
    bool few = sums_of(step) || fcl_device_traits(device).wide;
    return few && lines > most ? most : lines;
}

bool fcl_rows_parts(const fcl_step *step, const fcl_device *device, int index, fcl_tensor **node,
                    fcl_extents *extents)
{
    int64_t pieces = fcl_rows_pieces(&step->extent, device);
    for (int i = 0; i < fcl_step_nodes(step); i++) {
        fcl_tensor *n = fcl_step_node(step, i);
        if (!has_parts(step, n, pieces) || index-- > 0)
            continue;
        *node = n;
        const fcl_row_extent *e = &step->extent;
        int64_t sums = e->columns > 1 ? e->columns : e->width;
        *extents = pieces > 1 ? (fcl_extents){e->rows, pieces, 1} : (fcl_extents){1, fcl_rows_groups(step, device), sums};
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
        floats += w.entries[i].kept ? (size_t)(fcl_rows_groups(step, device) * step->extent.width) : 0;
    free(w.entries);
    return floats * sizeof(float);
}

/* --- kernels --- */

static bool is_past_caches(const fcl_step *step)
{
    return (size_t)step->extent.rows * (size_t)step->extent.width >= FCL_PAST_CACHES / sizeof(float);
}

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
                        step->extent.columns > 1 ? "if (past) store16_past((p) + (i), x); else STORE16"
                        : is_past_caches(step)   ? "store16_past"
                                                 : "STORE16");
}

static void add_forms(fcl_text *text, const fcl_step *step, const fcl_generated *g)
{
    fcl_text_format(text,
                    "#undef ROW_VECTOR\n#undef ROW_RUN\n#undef ROW_TAIL\n#undef ROW_REAL\n#undef ROW_LOAD\n#undef ROW_STORE\n"
                    "#undef ROW_PAST\n#undef ROW_FETCH\n#undef ROW_COLUMN\n#undef ROW_SET_COLUMN\n#undef ROW_SUM\n#undef ROW_LARGEST\n#undef ROW_SINGLES\n#undef GROUP_SUM\n"
                    "#undef GROUP_LARGEST\n#define ROW_VECTOR %d\n#define ROW_TAIL %d\n",
                    g->vector, g->vector == 1 || g->run % g->vector);
    if (step->extent.columns > 1)
        fcl_text_add(text, "#define ROW_RUN columns\n");
    else
        fcl_text_format(text, "#define ROW_RUN %lld\n", (long long)g->run);
    if (g->vector == 1)
        fcl_text_add(text, "#define ROW_SINGLES(b, stop) (b)\n");
    else
        fcl_text_format(
            text,
            "#define ROW_REAL float%d\n#define ROW_SUM sum_of_%d\n#define ROW_LARGEST largest_of_%d\n"
            "#define ROW_COLUMN(p, c) (*(const ROW_REAL *)((p) + (c)))\n#define ROW_SET_COLUMN(p, c, x) *(ROW_REAL *)((p) + (c)) = (x)\n"
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
    const bool columns = step->extent.columns > 1;
    fcl_tensor *node;
    fcl_extents e;
    fcl_text_format(text, "kernel void %s_sums(const global float *part", name);
    for (int k = 0; fcl_rows_parts(step, device, k, &node, &e); k++)
        fcl_text_format(text, ", global float *y%d", k);
    fcl_text_format(text, "%s)\n{\n    int i = (int)get_global_id(0);\n", columns ? ", const int parts, const int columns" : "");
    for (int k = 0; fcl_rows_parts(step, device, k, &node, &e); k++) {
        if (k == 0 && columns)
            fcl_text_add(text, "    const int results = columns, first = 1, stride = columns;\n");
        else if (k == 0)
            fcl_text_format(text, "    const int parts = %lld, results = %lld, first = %lld, stride = %lld;\n",
                            (long long)e.reduced, (long long)(e.outer * e.inner), (long long)(e.inner > 1 ? 1 : e.reduced),
                            (long long)e.inner);
        fcl_text_format(text,
                        "    if (i >= 0 && i < results) {\n        float v = part[i * first];\n"
                        "        for (int k = 1; k < parts; k++)\n            v = %s(v, part[i * first + k * stride]);\n"
                        "        y%d[i] = v;\n    }\n    i -= results;\n    part += parts * results;\n",
                        node->op->reduction == FCL_MAX ? "larger" : "ROW_ADD", k);
    }
    fcl_text_add(text, "}\n\n");
}

/* In the group's memory: its sums over rows, which begin with zeros, or the parts of all rows' sums; then rows that it keeps. */
static void add_scratch_pointers(fcl_text *text, const fcl_step *step, const fcl_device *device,
                                 const fcl_generated *g)
{
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
                            "    global float *part%d = scratch + item * sums;\n    scratch += items * sums;\n"
                            "    for (int c = id; c < sums; c += size)\n        part%d[c] = 0;\n",
                            at, at);
        else
            fcl_text_format(text, "    global float *part%d = scratch;\n    scratch += lines;\n", at);
    }
    for (int i = 0; i < w.count; i++)
        if (w.entries[i].kept)
            fcl_text_format(text, "    global float *kept%d = scratch + item * width;\n    scratch += items * width;\n", i);
    if (cleared && !g->unaligned) /* another work-item may be the one that adds to a column */
        fcl_text_add(text, "    barrier(CLK_GLOBAL_MEM_FENCE);\n");
    free(w.entries);
}

static void add_sizes(fcl_text *text, const fcl_row_extent *e, int64_t pieces)
{
    if (e->columns > 1)
        fcl_text_format(text, "    const int width = pixels * columns, length = width, sums = columns;\n"
                              "    const bool past = (long)lines * width >= %d;\n", (int)(FCL_PAST_CACHES / sizeof(float)));
    else
        fcl_text_format(text, "    const int width = %lld, length = %lld, sums = width;\n", (long long)e->width,
                        (long long)piece_length(e, pieces));
}

/* The function of a group, `item` of `items`, and the kernel: on CPUs the one calls the other. */
static void add_heads(fcl_text *text, const char *name, const fcl_generated *g, const char *params)
{
    if (g->unaligned) {
        fcl_tile_kernel(text, "ROW", name, params);
        fcl_text_add(text, "APART void ROW_APART(const int item, const int items, ROW_PARAMS)\n{\n    const int id = 0, size = 1;\n");
    } else { /* PoCL 3.1 reads a group's sum again where it is needed: each has memory of its own */
        fcl_text_format(text,
                        "kernel void %s(%s)\n{\n    local float partial[%d * GROUP_MAX];\n"
                        "    const int id = (int)get_local_id(0), size = (int)get_local_size(0);\n"
                        "    const int item = (int)get_group_id(0), items = (int)get_num_groups(0);\n",
                        name, params, g->reductions ? g->reductions : 1);
    }
}

void fcl_rows_kernel(fcl_text *text, const char *name, const fcl_step *step, const fcl_device *device,
                     const fcl_generated *g)
{
    const fcl_row_extent *e = &step->extent;
    int64_t pieces = fcl_rows_pieces(e, device);
    char *params = fcl_format("%s%sconst int lines%s%s%s", g->params.data, g->params.length ? ", " : "",
                              e->columns > 1 ? ", const int pixels, const int columns" : "",
                              g->random ? ", const ulong seed, const uint step, const ulong first_row" : "",
                              g->scratch ? ", global float *scratch" : "");
    add_forms(text, step, g);
    add_heads(text, name, g, params);
    free(params);
    add_sizes(text, e, pieces);
    fcl_text_add(text, "    const bool leads = id == 0;\n");
    add_scratch_pointers(text, step, device, g);
    fcl_text_format(text,
                    "    const int whole = %lld, last = (int)((item + 1) * (long)(lines / whole) / items) * whole;\n"
                    "    for (int line = (int)(item * (long)(lines / whole) / items) * whole; line < last; line++) {\n"
                    "        const int row = line / %lld, begin = line %% %lld * length;\n"
                    "        const int end = min(begin + length, width), base = row * width, i = row;\n%s    }\n}\n\n",
                    (long long)(e->sample ? e->sample : 1), (long long)pieces, (long long)pieces, g->body.data);
    if (g->unaligned)
        fcl_text_add(text, "kernel void ROW_NAME(ROW_PARAMS)\n{\n"
                           "    ROW_APART((int)get_group_id(0), (int)get_num_groups(0), ROW_ARGUMENTS);\n}\n\n"
                           "#undef ROW_NAME\n#undef ROW_APART\n#undef ROW_PARAMS\n#undef ROW_ARGUMENTS\n");
    if (g->parts)
        add_sums_kernel(text, name, step, device);
}
