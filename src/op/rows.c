/* Rows by index, of a table (..., N, ...) along one axis. Linear in the rows; an index has no derivative. An index of several
 * dimensions has one for each table of the last of those before the axis. */
#include "op/op.h"

#include <string.h>

static const fcl_gather_attributes *gather_of(const fcl_tensor *node)
{
    return node->attributes;
}

static const fcl_scatter_attributes *scatter_of(const fcl_tensor *node)
{
    return node->attributes;
}

static fcl_tensor *gather(fcl_tensor *table, fcl_tensor *index, fcl_gather_attributes how)
{
    fcl_tensor *node = fcl_node(table->graph, &fcl_op_gather_rows, 2, (fcl_tensor *[]){table, index}, &how);
    node->type = table->type == FCL_I32 ? FCL_I32 : FCL_F32;
    return node;
}

fcl_tensor *fcl_gather_rows(fcl_tensor *table, fcl_tensor *index, float scale, float shift)
{
    return gather(table, index, (fcl_gather_attributes){.scale = scale, .shift = shift});
}

fcl_tensor *fcl_gather(fcl_tensor *a, fcl_tensor *index)
{
    return gather(a, index, (fcl_gather_attributes){.axis = a->shape.rank - 1, .scale = 1});
}

static fcl_tensor *scatter(fcl_tensor *rows, fcl_tensor *index, fcl_scatter_attributes how)
{
    return fcl_node(rows->graph, &fcl_op_scatter_rows, 2, (fcl_tensor *[]){rows, index}, &how);
}

fcl_tensor *fcl_scatter_rows(fcl_tensor *rows, fcl_tensor *index, int64_t count)
{
    return scatter(rows, index, (fcl_scatter_attributes){.count = count});
}

fcl_tensor *fcl_scatter(fcl_tensor *a, fcl_tensor *index, int64_t count)
{
    return scatter(a, index, (fcl_scatter_attributes){.axis = a->shape.rank - 1, .count = count});
}

static int64_t rows_of(fcl_shape index)
{
    return fcl_shape_from_end(index, 0);
}

static bool index_fits(fcl_shape table, int axis, fcl_shape index)
{
    int before = index.rank - 1;
    return axis >= 0 && axis < table.rank && before >= 0 && before <= axis &&
           memcmp(index.dim, &table.dim[axis - before], (size_t)before * sizeof *index.dim) == 0;
}

/* Input 0 with `rows` of them along the axis; a misfit is a mistake. */
static fcl_shape shape_with_rows(fcl_tensor *node, int axis, int64_t rows)
{
    fcl_shape shape = node->input[0]->shape, index = node->input[1]->shape;
    fcl_require_type(node, 1, FCL_I32);
    if (!index_fits(shape, axis, index)) {
        fcl_mistake(node->graph, "%s: shape %s by an index of shape %s; it takes %s", fcl_node_text(node),
                    fcl_shape_text(node->graph, shape), fcl_shape_text(node->graph, index),
                    axis ? "(..., N) and (K) or (..., K)" : "(N, ...) and (B)");
        return shape;
    }
    shape.dim[axis] = rows;
    return shape;
}

/* What the launches ask: `outer` tables of `count` rows of `width`, and as many times `rows` of them, by `indices` numbers
 * in turn. */
typedef struct extents {
    int64_t outer, rows, indices, count, width;
} extents;

static extents extents_of(const fcl_tensor *node, int axis, int64_t count)
{
    return (extents){.outer = fcl_shape_outer(node->shape, axis),
                     .rows = rows_of(node->input[1]->shape),
                     .indices = fcl_shape_size(node->input[1]->shape),
                     .count = count,
                     .width = fcl_shape_inner(node->shape, axis)};
}

/* The arguments that all kernels of this file begin with. */
static fcl_launch *lower_rows(fcl_lowering *lowering, fcl_tensor *node, const char *kernel, const extents *e)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernel);
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->input[1]->buffer);
    fcl_launch_buffer(launch, 2, node->buffer);
    fcl_launch_int(launch, 3, (int)e->width);
    fcl_launch_int(launch, 4, (int)e->rows);
    fcl_launch_int(launch, 5, (int)e->count);
    fcl_launch_int(launch, 6, (int)e->outer);
    fcl_launch_int(launch, 7, (int)e->indices);
    return launch;
}

/* --- gather --- */

static fcl_shape gather_shape(fcl_tensor *node)
{
    const fcl_gather_attributes *how = gather_of(node);
    if (node->input[0]->type == FCL_I32 && (how->scale != 1 || how->shift != 0))
        fcl_mistake(node->graph, "%s: a table of integers with scale %g and shift %g; it needs 1 and 0",
                    fcl_node_text(node), (double)how->scale, (double)how->shift);
    return shape_with_rows(node, how->axis, rows_of(node->input[1]->shape));
}

static extents gather_extents(const fcl_tensor *node)
{
    int axis = gather_of(node)->axis;
    return extents_of(node, axis, node->input[0]->shape.dim[axis]);
}

static int gather_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    static const char *const kernels[] = {"gather_rows", "gather_rows_int", "gather_rows_byte"};
    fcl_type type = node->input[0]->type;
    extents e = gather_extents(node);
    fcl_launch *launch = lower_rows(lowering, node, kernels[type], &e);
    if (type != FCL_I32) {
        fcl_launch_float(launch, 8, gather_of(node)->scale);
        fcl_launch_float(launch, 9, gather_of(node)->shift);
    }
    fcl_lower_grid(launch, e.width, e.outer * e.rows);
    return FCL_OK;
}

static void gather_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    const fcl_gather_attributes *how = gather_of(node);
    fcl_scatter_attributes back = {.axis = how->axis, .count = node->input[0]->shape.dim[how->axis]};
    if (node->input[0]->type == FCL_F32)
        du[0] = scatter(how->scale == 1 ? u : fcl_scale(u, how->scale), node->input[1], back);
}

static fcl_tensor *gather_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    const fcl_gather_attributes *how = gather_of(node);
    fcl_gather_attributes lifted = {.axis = how->axis + lead.rank, .scale = how->scale};
    return dx[0] ? gather(dx[0], node->input[1], lifted) : NULL;
}

static void write_gather(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_text *text = fcl_element_text(w);
    extents e = gather_extents(node);
    int table = fcl_element_memory(w, node->input[0]), index = fcl_element_memory(w, node->input[1]);
    long long width = e.width, rows = e.rows, count = e.count, indices = e.indices;
    fcl_text_format(text, "x%d[(", table);
    if (e.outer > 1)
        fcl_text_format(text, "i / %lld * %lld + ", rows * width, count);
    fcl_text_format(text, "clamp(x%d[i / %lld", index, width);
    if (e.outer * rows > indices)
        fcl_text_format(text, " %% %lld", indices);
    fcl_text_format(text, "], 0, %lld)) * %lld + i %% %lld]", count - 1, width, width);
    if (node->type == FCL_F32)
        fcl_text_format(text, " * %.9ef + %.9ef", (double)gather_of(node)->scale,
                        (double)gather_of(node)->shift);
}

static bool is_float_table(const fcl_tensor *node)
{
    const fcl_tensor *table = node->input[0];
    return table->type == FCL_F32 && table->shape.rank == 2 && gather_of(node)->axis == 0;
}

static void write_gather_rows(fcl_row_writer *w, fcl_tensor *node)
{
    char index[16];
    int table = fcl_row_memory(w, node->input[0]);
    fcl_text_add(fcl_row_text_of(w), "    {\n");
    fcl_row_index_read(w, node->input[1], index);
    fcl_text_format(
        fcl_row_text_of(w),
        "        block_gather(&tile[%d * BLOCK_VECTORS], x%d, %s, %d, %d, %.9ef, %.9ef);\n    }\n",
        fcl_row_place(w, node), table, index, (int)node->shape.dim[1], (int)node->input[0]->shape.dim[0],
        (double)gather_of(node)->scale, (double)gather_of(node)->shift);
}

const fcl_op fcl_op_gather_rows = {"gather_rows",
                                   sizeof(fcl_gather_attributes),
                                   gather_shape,
                                   .lower = gather_lower,
                                   .element = {write_gather, .single = true, .anywhere = true},
                                   .rows = {write_gather_rows, is_float_table, .any_rows = 1u << 0},
                                   .adjoint = gather_adjoint,
                                   .tangent = FCL_OWN_TANGENT,
                                   .own_tangent = gather_tangent};

/* --- scatter --- */

static fcl_shape scatter_shape(fcl_tensor *node)
{
    int axis = scatter_of(node)->axis;
    fcl_shape rows = node->input[0]->shape, index = node->input[1]->shape;
    fcl_require_type(node, 0, FCL_F32);
    if (index_fits(rows, axis, index) && rows.dim[axis] != rows_of(index))
        fcl_mistake(node->graph, "%s: rows of shape %s by an index of shape %s", fcl_node_text(node),
                    fcl_shape_text(node->graph, rows), fcl_shape_text(node->graph, index));
    return shape_with_rows(node, axis, scatter_of(node)->count);
}

/* How many owners share the table's rows: enough to fill the device, as each of them reads the whole index.
 */
static int64_t parts_of(const fcl_device *device, int64_t columns, int64_t count)
{
    fcl_traits traits = fcl_device_traits(device);
    int64_t wanted = (int64_t)(traits.wide ? 1 : 256) * traits.units;
    int64_t parts = (wanted + columns - 1) / columns;
    parts = parts > 64 ? 64 : parts;
    return parts > count ? count : parts;
}

static int scatter_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_device *device = fcl_lower_device(lowering);
    bool wide = fcl_device_traits(device).wide;
    extents e = extents_of(node, scatter_of(node)->axis, scatter_of(node)->count);
    int64_t columns = wide ? (e.width + 15) / 16 : e.width,
            parts = parts_of(device, e.outer * columns, e.count);
    fcl_launch *launch = lower_rows(lowering, node, wide ? "scatter_rows16" : "scatter_rows", &e);
    fcl_launch_int(launch, 8, (int)parts);
    if (wide)
        fcl_launch_range(launch, 2, (const size_t[2]){(size_t)columns, (size_t)(parts * e.outer)},
                         (const size_t[2]){1, 1});
    else
        fcl_lower_grid(launch, e.width, parts * e.outer);
    return FCL_OK;
}

static void scatter_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = gather(u, node->input[1], (fcl_gather_attributes){.axis = scatter_of(node)->axis, .scale = 1});
}

static fcl_tensor *scatter_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx)
{
    const fcl_scatter_attributes *how = scatter_of(node);
    fcl_scatter_attributes lifted = {.axis = how->axis + lead.rank, .count = how->count};
    return dx[0] ? scatter(dx[0], node->input[1], lifted) : NULL;
}

const fcl_op fcl_op_scatter_rows = {"scatter_rows",
                                    sizeof(fcl_scatter_attributes),
                                    scatter_shape,
                                    .lower = scatter_lower,
                                    .adjoint = scatter_adjoint,
                                    .tangent = FCL_OWN_TANGENT,
                                    .own_tangent = scatter_tangent};

/* --- one_hot --- */

static int64_t classes_of(const fcl_tensor *node)
{
    const fcl_one_hot_attributes *how = node->attributes;
    return how->count;
}

fcl_tensor *fcl_one_hot(fcl_tensor *index, int64_t count)
{
    return fcl_node(index->graph, &fcl_op_one_hot, 1, &index, &(fcl_one_hot_attributes){count});
}

static fcl_shape one_hot_shape(fcl_tensor *node)
{
    fcl_shape index = node->input[0]->shape;
    fcl_require_type(node, 0, FCL_I32);
    if (index.rank != 1)
        fcl_mistake(node->graph, "%s: an index of shape %s; it takes (B)", fcl_node_text(node),
                    fcl_shape_text(node->graph, index));
    return FCL_SHAPE(index.rank == 1 ? index.dim[0] : 1, classes_of(node));
}

static int one_hot_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int64_t rows = node->shape.dim[0], count = node->shape.dim[1];
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "one_hot");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)count);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_lower_grid(launch, count, rows);
    return FCL_OK;
}

static void write_one_hot(fcl_element_writer *w, fcl_tensor *node)
{
    long long count = classes_of(node);
    fcl_text_format(fcl_element_text(w), "clamp(x%d[i / %lld], 0, %lld) == i %% %lld ? 1.0f : 0.0f",
                    fcl_element_memory(w, node->input[0]), count, count - 1, count);
}

const fcl_op fcl_op_one_hot = {"one_hot", sizeof(fcl_one_hot_attributes), one_hot_shape, .lower = one_hot_lower,
                               .element = {write_one_hot, .single = true, .anywhere = true}};
