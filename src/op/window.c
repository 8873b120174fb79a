/* Slice, pad, concat: windows along one axis of (outer, axis, inner). All of them move 4-byte elements, float
 * or integer; the result has the type of its input. */
#include "op/op.h"

#include <string.h>

static const fcl_window_attributes *window_of(const fcl_tensor *node)
{
    return node->attributes;
}

static void window_lift(const fcl_tensor *node, fcl_shape lead, void *lifted)
{
    fcl_window_attributes *window = lifted;
    window->axis = window_of(node)->axis + lead.rank;
}

static bool has_axis(fcl_tensor *node)
{
    int axis = window_of(node)->axis, rank = node->input[0]->shape.rank;
    if (axis >= 0 && axis < rank)
        return true;
    fcl_mistake(node->graph, "%s of %s: axis %d of shape %s", node->op->name, fcl_node_text(node->input[0]),
                axis, fcl_shape_text(node->graph, node->input[0]->shape));
    return false;
}

/* --- running --- */

static bool is_wide(const fcl_lowering *lowering)
{
    return fcl_device_traits(fcl_lower_device(lowering)).wide;
}

/* On CPUs a work-item copies some thousand elements; the kernel's arguments from `index` on say which. */
static void lower_copies(fcl_lowering *lowering, fcl_launch *launch, int index, int64_t width, int64_t rows)
{
    enum { PIECE = 4096 };
    int64_t columns = width < PIECE ? width : PIECE, some = PIECE / columns;
    const size_t global[2] = {(size_t)((width + columns - 1) / columns), (size_t)((rows + some - 1) / some)};
    if (!is_wide(lowering)) {
        fcl_lower_grid(launch, width, rows);
        return;
    }
    fcl_launch_int(launch, index, (int)columns);
    fcl_launch_int(launch, index + 1, (int)some);
    fcl_launch_int(launch, index + 2, (double)width * (double)rows * sizeof(float) >= FCL_PAST_CACHES);
    fcl_launch_range(launch, 2, global, (const size_t[2]){1, 1});
}

/* --- rows of a block: windows of columns --- */

static bool is_axis_1(const fcl_tensor *node)
{
    return window_of(node)->axis == 1;
}

static void write_copy(fcl_row_writer *w, int to, int from, int columns)
{
    fcl_text_format(fcl_row_text_of(w),
                    "    for (int i = 0; i < %d * BLOCK_VECTORS; i++)\n"
                    "        tile[%d * BLOCK_VECTORS + i] = tile[%d * BLOCK_VECTORS + i];\n",
                    columns, to, from);
}

/* --- slice --- */

fcl_tensor *fcl_slice(fcl_tensor *a, int axis, int64_t begin, int64_t end)
{
    if (axis >= 0 && axis < a->shape.rank && begin == 0 && end == a->shape.dim[axis])
        return a;
    return fcl_typed_node(&fcl_op_slice, a, &(fcl_window_attributes){axis, begin, end});
}

static fcl_shape slice_shape(fcl_tensor *node)
{
    fcl_shape shape = node->input[0]->shape;
    const fcl_window_attributes *window = node->attributes;
    if (!has_axis(node))
        return shape;
    if (window->begin < 0 || window->begin >= window->end || window->end > shape.dim[window->axis]) {
        fcl_mistake(node->graph, "slice of %s: %lld to %lld along axis %d of shape %s",
                    fcl_node_text(node->input[0]), (long long)window->begin, (long long)window->end,
                    window->axis, fcl_shape_text(node->graph, shape));
        return shape;
    }
    fcl_require_4_bytes(node);
    shape.dim[window->axis] = window->end - window->begin;
    return shape;
}

static int slice_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    const fcl_window_attributes *window = node->attributes;
    fcl_shape from = node->input[0]->shape;
    int64_t inner = fcl_shape_inner(from, window->axis), rows = fcl_shape_outer(from, window->axis);
    int64_t width = (window->end - window->begin) * inner;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, is_wide(lowering) ? "copy_window_wide" : "copy_window");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, (int)(from.dim[window->axis] * inner));
    fcl_launch_int(launch, 5, (int)(window->begin * inner));
    lower_copies(lowering, launch, 6, width, rows);
    return FCL_OK;
}

static void slice_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    const fcl_window_attributes *window = node->attributes;
    du[0] = fcl_pad(u, window->axis, window->begin, node->input[0]->shape.dim[window->axis] - window->end);
}

static void write_slice_rows(fcl_row_writer *w, fcl_tensor *node)
{
    write_copy(w, fcl_row_place(w, node), fcl_row_place(w, node->input[0]) + (int)window_of(node)->begin,
               (int)node->shape.dim[1]);
}

const fcl_op fcl_op_slice = {"slice",
                             sizeof(fcl_window_attributes),
                             slice_shape,
                             .lower = slice_lower,
                             .rows = {write_slice_rows, is_axis_1},
                             .adjoint = slice_adjoint,
                             .tangent = FCL_LINEAR,
                             .lift = window_lift};

/* --- pad --- */

fcl_tensor *fcl_pad(fcl_tensor *a, int axis, int64_t before, int64_t after)
{
    if (axis >= 0 && axis < a->shape.rank && before == 0 && after == 0)
        return a;
    return fcl_typed_node(&fcl_op_pad, a, &(fcl_window_attributes){axis, before, after});
}

static fcl_shape pad_shape(fcl_tensor *node)
{
    fcl_shape shape = node->input[0]->shape;
    const fcl_window_attributes *zeros = node->attributes;
    if (!has_axis(node))
        return shape;
    if (zeros->begin < 0 || zeros->end < 0 || zeros->begin > INT32_MAX || zeros->end > INT32_MAX) {
        fcl_mistake(node->graph, "pad of %s: %lld before and %lld after", fcl_node_text(node->input[0]),
                    (long long)zeros->begin, (long long)zeros->end);
        return shape;
    }
    fcl_require_4_bytes(node);
    shape.dim[zeros->axis] += zeros->begin + zeros->end;
    return shape;
}

static int pad_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int axis = window_of(node)->axis;
    fcl_shape from = node->input[0]->shape;
    int64_t inner = fcl_shape_inner(from, axis), rows = fcl_shape_outer(from, axis);
    int64_t width = node->shape.dim[axis] * inner;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "pad_window");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, (int)(from.dim[axis] * inner));
    fcl_launch_int(launch, 5, (int)(window_of(node)->begin * inner));
    fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

static void pad_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int axis = window_of(node)->axis;
    int64_t begin = window_of(node)->begin;
    du[0] = fcl_slice(u, axis, begin, begin + node->input[0]->shape.dim[axis]);
}

/* --- concat --- */

enum { MOST_PARTS = 16 }; /* of a launch: as in cl/shape.cl */

/* Of more parts some are joined before, so many that the launches are as few as can be. */
fcl_tensor *fcl_concat(int count, fcl_tensor *const *parts, int axis)
{
    fcl_graph *graph = parts[0]->graph;
    if (count == 1)
        return parts[0];
    if (count > MOST_PARTS) {
        int wanted = (count - 2) / (MOST_PARTS - 1), most = count / MOST_PARTS;
        int groups = wanted < most ? wanted : most, rest = count - groups * MOST_PARTS;
        fcl_tensor **fewer = fcl_arena_alloc(&graph->arena, (size_t)(groups + rest) * sizeof *fewer);
        for (int i = 0; i < groups; i++)
            fewer[i] = fcl_concat(MOST_PARTS, parts + i * MOST_PARTS, axis);
        memcpy(fewer + groups, parts + groups * MOST_PARTS, (size_t)rest * sizeof *fewer);
        return fcl_concat(groups + rest, fewer, axis);
    }
    fcl_tensor *node = fcl_node(graph, &fcl_op_concat, count, parts, &(fcl_window_attributes){.axis = axis});
    node->type = parts[0]->type;
    return node;
}

/* What is joined along the axis, as the parts of one. */
static int parts_of(fcl_tensor *a, int axis, fcl_tensor **part)
{
    if (a->op != &fcl_op_concat || window_of(a)->axis != axis) {
        part[0] = a;
        return 1;
    }
    memcpy(part, a->input, (size_t)a->inputs * sizeof *part);
    return a->inputs;
}

/* Two that touch, as the adjoints of slices do: one of both. */
static fcl_tensor *pad_joined(fcl_tensor *a, fcl_tensor *b)
{
    fcl_tensor *part[2 * MOST_PARTS];
    const int axis = window_of(a)->axis;
    fcl_tensor *first = window_of(a)->begin < window_of(b)->begin ? a : b, *second = first == a ? b : a;
    if (window_of(b)->axis != axis || !fcl_shape_equal(a->shape, b->shape) ||
        a->shape.dim[axis] - window_of(first)->end != window_of(second)->begin)
        return NULL;
    int count = parts_of(first->input[0], axis, part);
    count += parts_of(second->input[0], axis, part + count);
    return fcl_pad(fcl_concat(count, part, axis), axis, window_of(first)->begin, window_of(second)->end);
}

const fcl_op fcl_op_pad = {"pad",
                           sizeof(fcl_window_attributes),
                           pad_shape,
                           .lower = pad_lower,
                           .adjoint = pad_adjoint,
                           .joined = pad_joined,
                           .tangent = FCL_LINEAR,
                           .lift = window_lift};

static fcl_shape concat_shape(fcl_tensor *node)
{
    int axis = window_of(node)->axis;
    fcl_shape shape = node->input[0]->shape;
    if (!has_axis(node))
        return shape;
    fcl_require_4_bytes(node);
    for (int i = 1; i < node->inputs; i++) {
        fcl_shape part = node->input[i]->shape, expected = node->input[0]->shape;
        if (part.rank == expected.rank)
            expected.dim[axis] = part.dim[axis];
        if (!fcl_shape_equal(part, expected)) {
            fcl_mistake(node->graph, "concat along axis %d: %s of shape %s beside %s of shape %s", axis,
                        fcl_node_text(node->input[i]), fcl_shape_text(node->graph, part),
                        fcl_node_text(node->input[0]), fcl_shape_text(node->graph, node->input[0]->shape));
            return node->input[0]->shape;
        }
        fcl_require_type(node, i, node->input[0]->type);
        shape.dim[axis] += part.dim[axis];
    }
    return shape;
}

/* The parts and where each begins, two arguments each. */
static void set_parts(fcl_launch *launch, int index, const fcl_tensor *node, int64_t inner)
{
    int64_t begin = 0;
    for (int i = 0; i < MOST_PARTS; i++) {
        bool there = i < node->inputs;
        fcl_launch_buffer(launch, index++, there ? node->input[i]->buffer : NULL);
        fcl_launch_int(launch, index++, there ? (int)begin : INT32_MAX);
        begin += there ? node->input[i]->shape.dim[window_of(node)->axis] * inner : 0;
    }
}

static int concat_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int axis = window_of(node)->axis;
    int64_t inner = fcl_shape_inner(node->shape, axis), rows = fcl_shape_outer(node->shape, axis);
    int64_t width = node->shape.dim[axis] * inner;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, is_wide(lowering) ? "copy_parts_wide" : "copy_parts");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)width);
    fcl_launch_int(launch, 2, (int)rows);
    set_parts(launch, 3, node, inner);
    lower_copies(lowering, launch, 3 + 2 * MOST_PARTS, width, rows);
    return FCL_OK;
}

static void concat_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int axis = window_of(node)->axis;
    int64_t begin = 0;
    for (int i = 0; i < node->inputs; i++) {
        int64_t end = begin + node->input[i]->shape.dim[axis];
        du[i] = fcl_slice(u, axis, begin, end);
        begin = end;
    }
}

/* More would be more arguments than a kernel may have beside those of what joins it. */
static bool has_few_parts(const fcl_tensor *node)
{
    return node->inputs <= 8;
}

/* The part that holds column i % row. */
static void write_concat(fcl_element_writer *w, fcl_tensor *node)
{
    fcl_text *text = fcl_element_text(w);
    const int axis = window_of(node)->axis;
    const long long inner = fcl_shape_inner(node->shape, axis), row = node->shape.dim[axis] * inner;
    long long begin = 0;
    for (int k = 0; k < node->inputs; k++) {
        const long long width = node->input[k]->shape.dim[axis] * inner, end = begin + width;
        if (k + 1 < node->inputs)
            fcl_text_format(text, "i %% %lld < %lld ? ", row, end);
        fcl_text_format(text, "x%d[i / %lld * %lld + i %% %lld - %lld]%s",
                        fcl_element_memory(w, node->input[k]), row, width, row, begin,
                        k + 1 < node->inputs ? " : " : "");
        begin = end;
    }
}

static void write_concat_rows(fcl_row_writer *w, fcl_tensor *node)
{
    int to = fcl_row_place(w, node);
    for (int k = 0; k < node->inputs; k++) {
        int columns = (int)node->input[k]->shape.dim[1];
        write_copy(w, to, fcl_row_place(w, node->input[k]), columns);
        to += columns;
    }
}

const fcl_op fcl_op_concat = {"concat",
                              sizeof(fcl_window_attributes),
                              concat_shape,
                              .lower = concat_lower,
                              .element = {write_concat, has_few_parts, .single = true, .anywhere = true},
                              .rows = {write_concat_rows, is_axis_1},
                              .adjoint = concat_adjoint,
                              .tangent = FCL_LINEAR,
                              .lift = window_lift};
