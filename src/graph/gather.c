/* Rows by index. Linear in the rows; an index has no derivative. */
#include "graph/rules.h"

fcl_tensor *fcl_gather_rows(fcl_tensor *table, fcl_tensor *index, float scale, float shift)
{
    fcl_tensor *inputs[] = {table, index};
    fcl_tensor *node =
        fcl_node(table->graph, "gather_rows", 2, inputs, &(fcl_attributes){.number = {scale, shift}});
    node->type = table->type == FCL_I32 ? FCL_I32 : FCL_F32;
    return node;
}

/* (N, ...) with its first dimension replaced by `rows`; a misfit is a mistake. */
static fcl_shape shape_with_rows(fcl_tensor *node, int64_t rows)
{
    fcl_shape shape = node->input[0]->shape, index = node->input[1]->shape;
    fcl_require_type(node, 1, FCL_I32);
    if (shape.rank < 1 || index.rank != 1) {
        fcl_mistake(node->graph, "%s: shape %s by an index of shape %s; it takes (N, ...) and (B)",
                    fcl_node_text(node), fcl_shape_text(node->graph, shape),
                    fcl_shape_text(node->graph, index));
        return shape;
    }
    shape.dim[0] = rows;
    return shape;
}

fcl_shape fcl_gather_shape(fcl_tensor *node)
{
    const float *number = node->attributes.number;
    if (node->input[0]->type == FCL_I32 && (number[0] != 1 || number[1] != 0))
        fcl_mistake(node->graph, "%s: a table of integers with scale %g and shift %g; it needs 1 and 0",
                    fcl_node_text(node), (double)number[0], (double)number[1]);
    fcl_shape index = node->input[1]->shape;
    return shape_with_rows(node, index.rank == 1 ? index.dim[0] : 1);
}

/* The arguments that all kernels of this file begin with. */
static fcl_launch *lower_rows(fcl_lowering *lowering, fcl_tensor *node, const char *kernel, int width,
                              int count)
{
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kernel);
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->input[1]->buffer);
    fcl_launch_buffer(launch, 2, node->buffer);
    fcl_launch_int(launch, 3, width);
    fcl_launch_int(launch, 4, (int)node->input[1]->shape.dim[0]);
    fcl_launch_int(launch, 5, count);
    return launch;
}

int fcl_gather_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    static const char *const kernels[] = {"gather_rows", "gather_rows_int", "gather_rows_byte"};
    fcl_type type = node->input[0]->type;
    int64_t rows = node->shape.dim[0], width = fcl_shape_size(node->shape) / rows;
    fcl_launch *launch =
        lower_rows(lowering, node, kernels[type], (int)width, (int)node->input[0]->shape.dim[0]);
    if (type != FCL_I32) {
        fcl_launch_float(launch, 6, node->attributes.number[0]);
        fcl_launch_float(launch, 7, node->attributes.number[1]);
    }
    fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

void fcl_gather_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    float scale = node->attributes.number[0];
    if (node->input[0]->type == FCL_F32)
        du[0] = fcl_scatter_rows(scale == 1 ? u : fcl_scale(u, scale), node->input[1],
                                 node->input[0]->shape.dim[0]);
}

fcl_tensor *fcl_gather_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    return dx[0] ? fcl_gather_rows(dx[0], node->input[1], node->attributes.number[0], 0) : NULL;
}

fcl_tensor *fcl_scatter_rows(fcl_tensor *rows, fcl_tensor *index, int64_t count)
{
    fcl_tensor *inputs[] = {rows, index};
    return fcl_node(rows->graph, "scatter_rows", 2, inputs, &(fcl_attributes){.count = count});
}

fcl_shape fcl_scatter_shape(fcl_tensor *node)
{
    fcl_shape rows = node->input[0]->shape, index = node->input[1]->shape;
    fcl_require_type(node, 0, FCL_F32);
    if (rows.rank > 0 && index.rank == 1 && rows.dim[0] != index.dim[0])
        fcl_mistake(node->graph, "%s: rows of shape %s by an index of shape %s", fcl_node_text(node),
                    fcl_shape_text(node->graph, rows), fcl_shape_text(node->graph, index));
    return shape_with_rows(node, node->attributes.count);
}

/* How many owners share the table's rows: enough to fill the device, as each of them reads the whole index.
 */
static int64_t parts_of(const fcl_device *device, int64_t columns, int64_t count)
{
    int units = fcl_device_describe(device)->compute_units;
    int64_t wanted = (int64_t)(fcl_row_group(device) == 1 ? 1 : 256) * (units < 1 ? 1 : units);
    int64_t parts = (wanted + columns - 1) / columns;
    parts = parts > 64 ? 64 : parts;
    return parts > count ? count : parts;
}

int fcl_scatter_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    fcl_device *device = fcl_lower_device(lowering);
    bool wide = fcl_row_group(device) == 1;
    int64_t count = node->shape.dim[0], width = fcl_shape_size(node->shape) / count;
    int64_t columns = wide ? (width + 15) / 16 : width;
    int64_t parts = parts_of(device, columns, count);
    fcl_launch *launch =
        lower_rows(lowering, node, wide ? "scatter_rows16" : "scatter_rows", (int)width, (int)count);
    fcl_launch_int(launch, 6, (int)parts);
    if (wide)
        fcl_launch_range(launch, 2, (const size_t[2]){(size_t)columns, (size_t)parts},
                         (const size_t[2]){1, 1});
    else
        fcl_lower_grid(launch, width, parts);
    return FCL_OK;
}

void fcl_scatter_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_gather_rows(u, node->input[1], 1, 0);
}

fcl_tensor *fcl_scatter_tangent(fcl_tensor *node, fcl_tensor *const *dx)
{
    return dx[0] ? fcl_scatter_rows(dx[0], node->input[1], node->attributes.count) : NULL;
}
