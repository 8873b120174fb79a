/* What the files of this folder share. */
#ifndef OP_OP_H
#define OP_OP_H

#include "device/attention.h"
#include "device/conv.h"
#include "device/gemm.h"
#include "op/lower.h"
#include "op/ops.h"
#include "op/text.h"

/* --- shape rules --- */

fcl_shape fcl_broadcast_shape(fcl_tensor *node);
fcl_shape fcl_given_shape(fcl_tensor *node); /* of fcl_shape_attributes */
/* A mistake unless input number `input` is of this type. */
void fcl_require_type(fcl_tensor *node, int input, fcl_type type);
/* The same of input 0, for what moves 4-byte elements of any kind. */
void fcl_require_4_bytes(fcl_tensor *node);
/* A node of one input whose type it takes. */
fcl_tensor *fcl_typed_node(const fcl_op *op, fcl_tensor *a, const void *attributes);

/* What reductions over axes have in common (reduce.c): a node a run of neighbouring axes; their shape; their lift. */
fcl_tensor *fcl_reduce(const fcl_op *op, fcl_tensor *a, unsigned axes);
fcl_shape fcl_reduced_shape(fcl_tensor *node);
void fcl_reduction_lift(const fcl_tensor *node, fcl_shape lead, void *lifted);

/* Launches the sum of (outer, parts, the rest of the node) over its parts, into the node. */
void fcl_sum_parts(fcl_lowering *lowering, const fcl_tensor *node, int outer, int parts, fcl_buffer *from);

/* Elements of a tensor's row: of all dimensions behind the first. */
int64_t fcl_row_size(const fcl_tensor *node);
/* Elements of all dimensions before `axis`, and behind it. */
int64_t fcl_shape_outer(fcl_shape shape, int axis);
int64_t fcl_shape_inner(fcl_shape shape, int axis);

/* --- elementwise: a builder's body --- */

fcl_tensor *fcl_elementwise(const fcl_op *op, int inputs, fcl_tensor *const *input);

#define FCL_UNARY(name)                                                                                                \
    fcl_tensor *fcl_##name(fcl_tensor *a)                                                                              \
    {                                                                                                                  \
        return fcl_elementwise(&fcl_op_##name, 1, &a);                                                                 \
    }
#define FCL_BINARY(name)                                                                                               \
    fcl_tensor *fcl_##name(fcl_tensor *a, fcl_tensor *b)                                                               \
    {                                                                                                                  \
        return fcl_elementwise(&fcl_op_##name, 2, (fcl_tensor *[]){a, b});                                             \
    }

/* --- what passes ask of the two kinds that they know --- */

/* The problem that a matrix product's node hands to the providers (matmul.c). */
fcl_gemm_problem fcl_matmul_problem(const fcl_tensor *node);
/* The problem of a convolution's node, or of one of its gradients (conv.c). */
fcl_conv_problem fcl_conv_problem_of(const fcl_tensor *node);
/* The inputs of attention's node, or of one of its derivatives, or of a part of these (attention.c); NULL where it has none:
 * x: q, k, v, bias; o and lse of the attention, u which belongs to o, tangents of x. */
typedef struct fcl_attention_operands {
    fcl_tensor *x[FCL_ATTENTION_FACTORS], *mask, *o, *lse, *u, *dx[FCL_ATTENTION_FACTORS];
} fcl_attention_operands;
fcl_attention_operands fcl_attention_operands_of(const fcl_tensor *node);
fcl_attention_problem fcl_attention_problem_of(const fcl_tensor *node);
float fcl_attention_scale(int width);
/* The axes over which a reduction's node goes, a bit each (reduce.c). */
unsigned fcl_reduced_axes(const fcl_tensor *node);
/* Its input as (outer, reduced, inner): the axes are neighbours. */
typedef struct fcl_extents {
    int64_t outer, reduced, inner;
} fcl_extents;
fcl_extents fcl_reduced_extents(const fcl_tensor *node);
/* Can the sum be one of several in a launch? */
bool fcl_sum_is_small(const fcl_tensor *node, const fcl_device *device);

enum { FCL_MAX_SUMS = 8 }; /* of a launch: as in cl/reduce.cl */

#endif
