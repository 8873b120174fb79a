/* Views, broadcasts and permutations. All of them move 4-byte elements, float or integer; the result has the
 * type of its input. */
#include "op/op.h"

void fcl_require_type(fcl_tensor *node, int input, fcl_type type)
{
    static const char *const names[] = {"float32", "int32", "uint8"};
    if (node->input[input]->type != type)
        fcl_mistake(node->graph, "%s: input %d, %s, is of type %s; it takes %s", fcl_node_text(node), input,
                    fcl_node_text(node->input[input]), names[node->input[input]->type], names[type]);
}

void fcl_require_4_bytes(fcl_tensor *node)
{
    if (node->input[0]->type == FCL_U8)
        fcl_require_type(node, 0, FCL_F32);
}

fcl_tensor *fcl_typed_node(const fcl_op *op, fcl_tensor *a, const void *attributes)
{
    fcl_tensor *node = fcl_node(a->graph, op, 1, &a, attributes);
    node->type = a->type;
    return node;
}

int64_t fcl_row_size(const fcl_tensor *node)
{
    return node->shape.rank ? fcl_shape_size(node->shape) / node->shape.dim[0] : 1;
}

int64_t fcl_shape_outer(fcl_shape shape, int axis)
{
    int64_t outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= shape.dim[i];
    return outer;
}

int64_t fcl_shape_inner(fcl_shape shape, int axis)
{
    int64_t inner = 1;
    for (int i = axis + 1; i < shape.rank; i++)
        inner *= shape.dim[i];
    return inner;
}

fcl_shape fcl_given_shape(fcl_tensor *node)
{
    const fcl_shape_attributes *given = node->attributes;
    return given->shape;
}

static void shape_lift(const fcl_tensor *node, fcl_shape lead, void *lifted)
{
    fcl_shape_attributes *given = lifted;
    (void)node;
    given->shape = fcl_shape_joined(lead, given->shape);
}

/* --- reshape --- */

fcl_tensor *fcl_reshape(fcl_tensor *a, fcl_shape shape)
{
    if (fcl_shape_equal(a->shape, shape))
        return a;
    return fcl_typed_node(&fcl_op_reshape, a, &(fcl_shape_attributes){shape});
}

static fcl_shape reshape_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = fcl_given_shape(node);
    if (fcl_shape_size(from) != fcl_shape_size(to))
        fcl_mistake(node->graph, "reshape of %s: %s to %s, of another size", fcl_node_text(node->input[0]),
                    fcl_shape_text(node->graph, from), fcl_shape_text(node->graph, to));
    return to;
}

static void reshape_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_reshape(u, node->input[0]->shape);
}

const fcl_op fcl_op_reshape = {"reshape",
                               sizeof(fcl_shape_attributes),
                               reshape_shape,
                               .adjoint = reshape_adjoint,
                               .tangent = FCL_LINEAR,
                               .lift = shape_lift,
                               .view = true};

/* --- expand: elementwise, so that it fuses --- */

fcl_tensor *fcl_expand(fcl_tensor *a, fcl_shape shape)
{
    if (fcl_shape_equal(a->shape, shape))
        return a;
    return fcl_typed_node(&fcl_op_expand, a, &(fcl_shape_attributes){shape});
}

static fcl_shape expand_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = fcl_given_shape(node);
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

static void expand_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    du[0] = fcl_sum_to(u, node->input[0]->shape);
}

const fcl_op fcl_op_expand = {"expand",
                              sizeof(fcl_shape_attributes),
                              expand_shape,
                              "a",
                              .adjoint = expand_adjoint,
                              .tangent = FCL_LINEAR,
                              .lift = shape_lift};

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

/* The innermost dimension is the width of rows, the others count them. */
static void lower_strided(fcl_lowering *lowering, fcl_tensor *node, const strided *from)
{
    enum { MOST = FCL_MAX_RANK - 1 };
    strided copy = simplify(from);
    int outer = copy.rank > 1 ? copy.rank - 1 : 0, kept = outer > 5 ? MOST : 5, index = 5;
    int64_t width = copy.rank ? copy.size[outer] : 1, rows = 1;
    int64_t size[MOST] = {1, 1, 1, 1, 1, 1, 1},
            stride[MOST] = {0}; /* of the outer ones, the innermost first */
    for (int i = 0; i < outer; i++) {
        rows *= size[i] = copy.size[outer - 1 - i];
        stride[i] = copy.stride[outer - 1 - i];
    }
    fcl_launch *launch = fcl_lower_kernel(lowering, node, kept == MOST ? "copy_strided_8" : "copy_strided");
    fcl_launch_buffer(launch, 0, node->input[0]->buffer);
    fcl_launch_buffer(launch, 1, node->buffer);
    fcl_launch_int(launch, 2, (int)width);
    fcl_launch_int(launch, 3, (int)rows);
    fcl_launch_int(launch, 4, copy.rank ? (int)copy.stride[outer] : 0);
    for (int i = 0; i + 1 < kept; i++) /* the outermost ends by itself */
        fcl_launch_int(launch, index++, (int)size[i]);
    for (int i = 0; i < kept; i++)
        fcl_launch_int(launch, index++, (int)stride[i]);
    fcl_lower_grid(launch, width, rows);
}

static const int *order_of(const fcl_tensor *node)
{
    const fcl_permute_attributes *how = node->attributes;
    return how->order;
}

fcl_tensor *fcl_permute(fcl_tensor *a, const int *order)
{
    fcl_permute_attributes how = {0};
    bool same = true;
    for (int i = 0; i < a->shape.rank; i++) {
        how.order[i] = order[i];
        same = same && order[i] == i;
    }
    return same ? a : fcl_typed_node(&fcl_op_permute, a, &how);
}

static fcl_shape permute_shape(fcl_tensor *node)
{
    fcl_shape from = node->input[0]->shape, to = from;
    unsigned seen = 0;
    for (int i = 0; i < from.rank; i++) {
        int axis = order_of(node)[i];
        if (axis < 0 || axis >= from.rank || seen >> axis & 1) {
            fcl_mistake(node->graph, "permute of %s: axis %d at place %d, shape %s",
                        fcl_node_text(node->input[0]), axis, i, fcl_shape_text(node->graph, from));
            return from;
        }
        seen |= 1u << axis;
        to.dim[i] = from.dim[axis];
    }
    fcl_require_4_bytes(node);
    return to;
}

static int permute_lower(fcl_lowering *lowering, fcl_tensor *node)
{
    int64_t stride[FCL_MAX_RANK];
    strides_of(node->input[0]->shape, stride);
    strided copy = {.rank = node->shape.rank};
    for (int i = 0; i < copy.rank; i++) {
        copy.size[i] = node->shape.dim[i];
        copy.stride[i] = stride[order_of(node)[i]];
    }
    lower_strided(lowering, node, &copy);
    return FCL_OK;
}

static void permute_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du)
{
    int inverse[FCL_MAX_RANK];
    for (int i = 0; i < node->shape.rank; i++)
        inverse[order_of(node)[i]] = i;
    du[0] = fcl_permute(u, inverse);
}

static void permute_lift(const fcl_tensor *node, fcl_shape lead, void *lifted)
{
    fcl_permute_attributes *how = lifted;
    for (int i = 0; i < lead.rank; i++)
        how->order[i] = i;
    for (int i = 0; i < node->shape.rank; i++)
        how->order[lead.rank + i] = order_of(node)[i] + lead.rank;
}

const fcl_op fcl_op_permute = {"permute",
                               sizeof(fcl_permute_attributes),
                               permute_shape,
                               .lower = permute_lower,
                               .adjoint = permute_adjoint,
                               .tangent = FCL_LINEAR,
                               .lift = permute_lift};
