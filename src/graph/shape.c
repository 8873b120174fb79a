/* Views, copies and windows. All of them move 4-byte elements, float or integer; the result has the type of
 * its input. */
#include "graph/rules.h"

#include <string.h>

void fcl_lower_grid(fcl_launch *launch, int64_t width, int64_t rows)
{
    const size_t global[2] = {(size_t)width, (size_t)rows};
    const size_t local[2] = {width >= 1024 ? 256 : width >= 16 ? 64 : 1, width >= 16 ? 1 : 64};
    fcl_launch_range(launch, 2, global, local);
}

int fcl_row_vector(fcl_lowering *lowering, const fcl_tensor *node, int64_t width)
{
    bool aligned = width % 4 == 0 && fcl_row_group(fcl_lower_device(lowering)) != 1;
    for (int i = 0; i < node->inputs; i++)
        aligned = aligned && fcl_buffer_is_aligned(node->input[i]->buffer);
    return aligned ? fcl_vector() : 1;
}

void fcl_require_type(fcl_tensor *node, int input, fcl_type type)
{
    static const char *const names[] = {"float32", "int32", "uint8"};
    if (node->input[input]->type != type)
        fcl_mistake(node->graph, "%s: input %d, %s, is of type %s; it takes %s", fcl_node_text(node), input,
                    fcl_node_text(node->input[input]), names[node->input[input]->type], names[type]);
}

static void require_4_bytes(fcl_tensor *node)
{
    if (node->input[0]->type == FCL_U8)
        fcl_require_type(node, 0, FCL_F32);
}

/* A node of one input whose type it takes. */
static fcl_tensor *typed_node(const char *name, fcl_tensor *a, const fcl_attributes *attributes)
{
    fcl_tensor *node = fcl_node(a->graph, name, 1, &a, attributes);
    node->type = a->type;
    return node;
}

/* --- reshape --- */

fcl_tensor *fcl_reshape(fcl_tensor *a, fcl_shape shape)
{
    if (fcl_shape_equal(a->shape, shape))
        return a;
    return typed_node("reshape", a, &(fcl_attributes){.shape = shape});
}

fcl_shape fcl_reshape_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = node->attributes.shape;
    if (fcl_shape_size(from) != fcl_shape_size(to))
        fcl_mistake(node->graph, "reshape of %s: %s to %s, of another size", fcl_node_text(node->input[0]),
                    fcl_shape_text(node->graph, from), fcl_shape_text(node->graph, to));
    return to;
}

void fcl_reshape_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_reshape(u, node->input[0]->shape);
}

/* --- expand: elementwise, so that it fuses --- */

fcl_tensor *fcl_expand(fcl_tensor *a, fcl_shape shape)
{
    if (fcl_shape_equal(a->shape, shape))
        return a;
    return typed_node("expand", a, &(fcl_attributes){.shape = shape});
}

fcl_shape fcl_expand_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = node->attributes.shape;
    int missing = to.rank - from.rank;
    bool fits = missing >= 0;
    for (int i = 0; fits && i < from.rank; i++)
        fits = from.dim[i] == 1 || from.dim[i] == to.dim[i + missing];
    if (!fits)
        fcl_mistake(node->graph, "expand of %s: %s does not broadcast to %s", fcl_node_text(node->input[0]),
                    fcl_shape_text(node->graph, from), fcl_shape_text(node->graph, to));
    fcl_require_type(node, 0, FCL_F32);
    return to;
}

void fcl_expand_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
}

/* --- permute: a strided read --- */

/* A strided read of a tensor in the order of the result: extents, and steps in the input. */
typedef struct strided {
    int rank;
    int64_t size[FCL_MAX_RANK], stride[FCL_MAX_RANK];
} strided;

static void strides_of(fcl_shape shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i];
    }
}

/* Drops extents of 1 and joins neighbours that are one run in the input. */
static strided simplify(const strided *from)
{
    strided to = {0};
    for (int i = 0; i < from->rank; i++) {
        int last = to.rank - 1;
        if (from->size[i] == 1)
            continue;
        if (to.rank && to.stride[last] == from->stride[i] * from->size[i]) {
            to.size[last] *= from->size[i];
            to.stride[last] = from->stride[i];
        } else {
            to.size[to.rank] = from->size[i];
            to.stride[to.rank++] = from->stride[i];
        }
    }
    return to;
}

static void lower_strided(fcl_lowering *lowering, fcl_tensor *node, const strided *from)
{
    strided copy = simplify(from);
    int64_t width = 1, stride = 0, rows = 1;
    int64_t size[5] = {1, 1, 1, 1, 1}, strides[5] = {0}; /* of the outer dimensions, the innermost first */
    for (int i = copy.rank - 1, outer = 0; i >= 0; i--) {
        if (i == copy.rank - 1) {
            width = copy.size[i];
            stride = copy.stride[i];
            continue;
        }
        rows *= copy.size[i];
        size[outer] = copy.size[i];
        strides[outer++] = copy.stride[i];
    }
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "copy_strided");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, (int)stride);
    for (int i = 0; i < 4; i++)
        fcl_launch_int(launch, 5 + i, (int)size[i]);
    for (int i = 0; i < 5; i++)
        fcl_launch_int(launch, 9 + i, (int)strides[i]);
    fcl_lower_grid(launch, width, rows);
}

fcl_tensor *fcl_permute(fcl_tensor *a, const int *order)
{
    fcl_attributes attributes = {0};
    bool same = true;
    for (int i = 0; i < a->shape.rank; i++) {
        attributes.order[i] = order[i];
        same = same && order[i] == i;
    }
    return same ? a : typed_node("permute", a, &attributes);
}

fcl_shape fcl_permute_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = from;
    unsigned seen = 0;
    for (int i = 0; i < from.rank; i++) {
        int axis = node->attributes.order[i];
        if (axis < 0 || axis >= from.rank || seen >> axis & 1) {
            fcl_mistake(node->graph, "permute of %s: axis %d at place %d, shape %s",
                        fcl_node_text(node->input[0]), axis, i, fcl_shape_text(node->graph, from));
            return from;
        }
        seen |= 1u << axis;
        to.dim[i] = from.dim[axis];
    }
    require_4_bytes(node);
    return to;
}

int fcl_permute_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int64_t stride[FCL_MAX_RANK];
    strides_of(node->input[0]->shape, stride);
    strided copy = {.rank = node->shape.rank};
    for (int i = 0; i < copy.rank; i++) {
        copy.size[i] = node->shape.dim[i];
        copy.stride[i] = stride[node->attributes.order[i]];
    }
    lower_strided(lowering, node, &copy);
    return FCL_OK;
}

void fcl_permute_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int inverse[FCL_MAX_RANK];
    for (int i = 0; i < node->shape.rank; i++)
        inverse[node->attributes.order[i]] = i;
    du[0] = fcl_permute(u, inverse);
}

/* --- slice, pad, concat: windows along one axis of (outer, axis, inner) --- */

static int64_t outer_of(fcl_shape shape, int axis)
{
    int64_t outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= shape.dim[i];
    return outer;
}

static int64_t inner_of(fcl_shape shape, int axis)
{
    int64_t inner = 1;
    for (int i = axis + 1; i < shape.rank; i++)
        inner *= shape.dim[i];
    return inner;
}

static bool has_axis(fcl_tensor *node)
{
    int axis = node->attributes.axis, rank = node->input[0]->shape.rank;
    if (axis >= 0 && axis < rank)
        return true;
    fcl_mistake(node->graph, "%s of %s: axis %d of shape %s", node->op->name, fcl_node_text(node->input[0]),
                axis, fcl_shape_text(node->graph, node->input[0]->shape));
    return false;
}

fcl_tensor *fcl_slice(fcl_tensor *a, int axis, int64_t begin, int64_t end)
{
    if (axis >= 0 && axis < a->shape.rank && begin == 0 && end == a->shape.dim[axis])
        return a;
    return typed_node("slice", a, &(fcl_attributes){.axis = axis, .begin = begin, .end = end});
}

fcl_shape fcl_slice_shape(fcl_tensor *node)
{
    fcl_shape shape = node->input[0]->shape;
    const fcl_attributes *window = &node->attributes;
    if (!has_axis(node))
        return shape;
    if (window->begin < 0 || window->begin >= window->end || window->end > shape.dim[window->axis]) {
        fcl_mistake(node->graph, "slice of %s: %lld to %lld along axis %d of shape %s",
                    fcl_node_text(node->input[0]), (long long)window->begin, (long long)window->end,
                    window->axis, fcl_shape_text(node->graph, shape));
        return shape;
    }
    require_4_bytes(node);
    shape.dim[window->axis] = window->end - window->begin;
    return shape;
}

int fcl_slice_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    const fcl_attributes *window = &node->attributes;
    fcl_shape from = node->input[0]->shape;
    int64_t inner = inner_of(from, window->axis), rows = outer_of(from, window->axis);
    int64_t width = (window->end - window->begin) * inner;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "copy_window");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, (int)(from.dim[window->axis] * inner));
    fcl_launch_int(launch, 5, (int)(window->begin * inner));
    fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

void fcl_slice_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    const fcl_attributes *window = &node->attributes;
    du[0] = fcl_pad(u, window->axis, window->begin, node->input[0]->shape.dim[window->axis] - window->end);
}

fcl_tensor *fcl_pad(fcl_tensor *a, int axis, int64_t before, int64_t after)
{
    if (axis >= 0 && axis < a->shape.rank && before == 0 && after == 0)
        return a;
    return typed_node("pad", a, &(fcl_attributes){.axis = axis, .begin = before, .end = after});
}

fcl_shape fcl_pad_shape(fcl_tensor *node)
{
    fcl_shape shape = node->input[0]->shape;
    const fcl_attributes *zeros = &node->attributes;
    if (!has_axis(node))
        return shape;
    if (zeros->begin < 0 || zeros->end < 0 || zeros->begin > INT32_MAX || zeros->end > INT32_MAX) {
        fcl_mistake(node->graph, "pad of %s: %lld before and %lld after", fcl_node_text(node->input[0]),
                    (long long)zeros->begin, (long long)zeros->end);
        return shape;
    }
    require_4_bytes(node);
    shape.dim[zeros->axis] += zeros->begin + zeros->end;
    return shape;
}

int fcl_pad_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int axis = node->attributes.axis;
    fcl_shape from = node->input[0]->shape;
    int64_t inner = inner_of(from, axis), rows = outer_of(from, axis);
    int64_t width = node->shape.dim[axis] * inner;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, "pad_window");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, (int)(from.dim[axis] * inner));
    fcl_launch_int(launch, 5, (int)(node->attributes.begin * inner));
    fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

void fcl_pad_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int axis = node->attributes.axis;
    int64_t begin = node->attributes.begin;
    du[0] = fcl_slice(u, axis, begin, begin + node->input[0]->shape.dim[axis]);
}

enum { MOST_PARTS = 16 }; /* of a launch: as in cl/shape.cl */

/* Of more parts the first ones are joined before. */
fcl_tensor *fcl_concat(int count, fcl_tensor *const *parts, int axis)
{
    if (count == 1)
        return parts[0];
    if (count > MOST_PARTS) {
        int rest = count - MOST_PARTS;
        fcl_tensor **fewer = fcl_arena_alloc(&parts[0]->graph->arena, (size_t)(rest + 1) * sizeof *fewer);
        fewer[0] = fcl_concat(MOST_PARTS, parts, axis);
        memcpy(fewer + 1, parts + MOST_PARTS, (size_t)rest * sizeof *fewer);
        return fcl_concat(rest + 1, fewer, axis);
    }
    fcl_tensor *node = fcl_node(parts[0]->graph, "concat", count, parts, &(fcl_attributes){.axis = axis});
    node->type = parts[0]->type;
    return node;
}

fcl_shape fcl_concat_shape(fcl_tensor *node)
{
    int axis = node->attributes.axis;
    fcl_shape shape = node->input[0]->shape;
    if (!has_axis(node))
        return shape;
    require_4_bytes(node);
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
        begin += there ? node->input[i]->shape.dim[node->attributes.axis] * inner : 0;
    }
}

/* On CPUs a work-item copies some thousand elements. */
static void lower_pieces(fcl_launch *launch, int index, int64_t width, int64_t rows)
{
    enum { PIECE = 4096 };
    int64_t columns = width < PIECE ? width : PIECE, some = PIECE / columns;
    const size_t global[2] = {(size_t)((width + columns - 1) / columns), (size_t)((rows + some - 1) / some)};
    fcl_launch_int(launch, index, (int)columns);
    fcl_launch_int(launch, index + 1, (int)some);
    fcl_launch_range(launch, 2, global, (const size_t[2]){1, 1});
}

int fcl_concat_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int axis = node->attributes.axis;
    int64_t inner = inner_of(node->shape, axis), rows = outer_of(node->shape, axis);
    int64_t width = node->shape.dim[axis] * inner;
    bool wide = fcl_row_group(fcl_lower_device(lowering)) == 1;
    fcl_launch *launch = fcl_lower_kernel(lowering, node, wide ? "copy_parts_wide" : "copy_parts");
    fcl_launch_buffer(launch, 0, node->buffer);
    fcl_launch_int(launch, 1, (int)width);
    fcl_launch_int(launch, 2, (int)rows);
    set_parts(launch, 3, node, inner);
    if (wide)
        lower_pieces(launch, 3 + 2 * MOST_PARTS, width, rows);
    else
        fcl_lower_grid(launch, width, rows);
    return FCL_OK;
}

void fcl_concat_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int axis = node->attributes.axis;
    int64_t begin = 0;
    for (int i = 0; i < node->inputs; i++) {
        int64_t end = begin + node->input[i]->shape.dim[axis];
        du[i] = fcl_slice(u, axis, begin, end);
        begin = end;
    }
}
