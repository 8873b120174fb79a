/* THE table of operations: a row each, an object that stands beside its functions in this folder; and what each knows
 * besides its inputs. Adding an operation is its object and a line here; and a builder in flowcl/graph.h. */
#ifndef OP_OPS_H
#define OP_OPS_H

#include "graph/graph.h"

/* clang-format off */
#define FCL_OPS(ROW) \
    /* leaves: their content comes from outside; a further result of a launch */ \
    ROW(input) ROW(leaf) ROW(constant) ROW(scalar) ROW(part) \
    /* elementwise */ \
    ROW(add) ROW(sub) ROW(neg) ROW(mul) ROW(div) ROW(max) ROW(min) ROW(greater) ROW(where) ROW(abs) ROW(square) \
    ROW(sqrt) ROW(reciprocal) ROW(exp) ROW(log) ROW(expm1) ROW(log1p) ROW(pow) ROW(sin) ROW(cos) ROW(tanh) ROW(erf) \
    ROW(sigmoid) ROW(relu) ROW(silu) ROW(gelu) ROW(selu) ROW(gelu_tanh) ROW(gelu_gate) ROW(softplus) ROW(detach) \
    /* reductions and products */ \
    ROW(sum) ROW(max_axes) ROW(arg_max) ROW(matmul) \
    ROW(conv2d) ROW(conv2d_input) ROW(conv2d_weight) \
    ROW(attention) ROW(attention_grad) ROW(attention_grad_kv) ROW(attention_grad_bias) ROW(attention_tangent) \
    /* shape */ \
    ROW(reshape) ROW(expand) ROW(permute) ROW(slice) ROW(pad) ROW(concat) \
    /* rows by index */ \
    ROW(gather_rows) ROW(scatter_rows) ROW(one_hot) \
    /* random numbers */ \
    ROW(normal) ROW(uniform) ROW(batch_index) ROW(row_number) ROW(drop_labels) \
    /* functions given by a table */ \
    ROW(interpolate) \
    /* flow matching */ \
    ROW(cfm_loss) ROW(cfm_loss_grad) ROW(sinkhorn) ROW(transport_draw) ROW(ode_advance)
/* clang-format on */

#define FCL_OP_OBJECT(name) extern const fcl_op fcl_op_##name;
FCL_OPS(FCL_OP_OBJECT)
#undef FCL_OP_OBJECT

extern const fcl_op *const fcl_ops[]; /* all of them, then NULL */

/* --- attributes --- */

typedef struct fcl_shape_attributes { /* input, leaf, part, reshape, expand */
    fcl_shape shape;
} fcl_shape_attributes;

typedef struct fcl_reduction_attributes { /* sum, max_axes, arg_max */
    unsigned axes;
} fcl_reduction_attributes;

typedef struct fcl_matmul_attributes {
    bool transpose_a, transpose_b;
} fcl_matmul_attributes;

typedef struct fcl_conv_attributes { /* conv2d, conv2d_input, conv2d_weight: as in device/conv.h */
    int side, stride, padding, upsample;
    int height, width; /* of x */
} fcl_conv_attributes;

/* What attention is a function of; the mask is none of these: it has no derivative. */
enum { FCL_ATTENTION_Q, FCL_ATTENTION_K, FCL_ATTENTION_V, FCL_ATTENTION_BIAS, FCL_ATTENTION_FACTORS };

typedef struct fcl_attention_attributes { /* attention and the rows of its derivatives */
    int heads;
    bool mask, bias;  /* are among the inputs */
    unsigned moving;  /* attention_tangent: the factors that have a tangent, a bit each */
    int factor;       /* attention_grad_kv: in which the gradient is */
} fcl_attention_attributes;

typedef struct fcl_permute_attributes {
    int order[FCL_MAX_RANK];
} fcl_permute_attributes;

typedef struct fcl_window_attributes { /* slice, pad, concat */
    int axis;
    int64_t begin, end; /* slice: from, to; pad: zeros before, zeros after */
} fcl_window_attributes;

typedef struct fcl_gather_attributes {
    int axis; /* of the table, whose rows they are */
    float scale, shift;
} fcl_gather_attributes;

typedef struct fcl_scatter_attributes {
    int axis;
    int64_t count;
} fcl_scatter_attributes;

typedef struct fcl_noise_attributes { /* normal, uniform, batch_index, row_number */
    fcl_shape shape;
    uint32_t stream;
    int64_t count, total; /* of the last two: rows of the data, samples of a whole step */
} fcl_noise_attributes;

typedef struct fcl_drop_attributes { /* drop_labels */
    uint32_t stream;
    int32_t instead;
    float share;
} fcl_drop_attributes;

typedef struct fcl_transport_draw_attributes {
    bool each_row;
} fcl_transport_draw_attributes;

typedef struct fcl_one_hot_attributes {
    int64_t count;
} fcl_one_hot_attributes;

/* sinkhorn has a fcl_sinkhorn_control, ode_advance a fcl_ode_control. */

#endif
