/* The functions that the rows of the operation table name, by the file they stand in. */
#ifndef GRAPH_RULES_H
#define GRAPH_RULES_H

#include "graph/graph.h"

fcl_shape fcl_shape_of_attributes(fcl_tensor *node); /* attributes.shape */

/* A mistake unless input number `input` is of this type. */
void fcl_require_type(fcl_tensor *node, int input, fcl_type type);
/* The range of a kernel whose dimension 0 runs along rows of `width`, dimension 1 over the rows; few local
 * sizes, as each is compiled once more on CPUs. */
void fcl_lower_grid(fcl_launch *launch, int64_t width, int64_t rows);
/* What a work-item takes at a time of rows of `width` of the node's inputs, where a group owns a row: 4 where all of them
 * are of aligned float4, as $FLOWCL_VECTOR asks for, else 1. */
int fcl_row_vector(fcl_lowering *lowering, const fcl_tensor *node, int64_t width);

/* reduce.c, shape.c, gather.c, noise.c, cfm.c, ode.c: the functions that the table names */
fcl_shape fcl_sum_shape(fcl_tensor *node);
size_t fcl_sum_scratch(const fcl_tensor *node, const fcl_device *device);
int fcl_sum_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_sum_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);

fcl_shape fcl_reshape_shape(fcl_tensor *node);
void fcl_reshape_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_shape fcl_expand_shape(fcl_tensor *node);
void fcl_expand_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_shape fcl_permute_shape(fcl_tensor *node);
int fcl_permute_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_permute_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_shape fcl_slice_shape(fcl_tensor *node);
int fcl_slice_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_slice_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_shape fcl_pad_shape(fcl_tensor *node);
int fcl_pad_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_pad_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_shape fcl_concat_shape(fcl_tensor *node);
int fcl_concat_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_concat_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);

fcl_shape fcl_gather_shape(fcl_tensor *node);
int fcl_gather_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_gather_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_gather_tangent(fcl_tensor *node, fcl_tensor *const *dx); /* linear in the table, not the index */
fcl_shape fcl_scatter_shape(fcl_tensor *node);
int fcl_scatter_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_scatter_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_scatter_tangent(fcl_tensor *node, fcl_tensor *const *dx);

int fcl_normal_lower(fcl_lowering *lowering, fcl_tensor *node);
int fcl_uniform_lower(fcl_lowering *lowering, fcl_tensor *node);
int fcl_batch_index_lower(fcl_lowering *lowering, fcl_tensor *node);
int fcl_row_number_lower(fcl_lowering *lowering, fcl_tensor *node);

fcl_shape fcl_interpolate_shape(fcl_tensor *node);
int fcl_interpolate_lower(fcl_lowering *lowering, fcl_tensor *node);

fcl_shape fcl_cfm_loss_shape(fcl_tensor *node);
int fcl_cfm_loss_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_cfm_loss_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_cfm_loss_tangent(fcl_tensor *node, fcl_tensor *const *dx);
fcl_shape fcl_cfm_loss_grad_shape(fcl_tensor *node);
int fcl_cfm_loss_grad_lower(fcl_lowering *lowering, fcl_tensor *node);
void fcl_cfm_loss_grad_adjoint(fcl_tensor *node, fcl_tensor *w, fcl_tensor **du);
fcl_tensor *fcl_cfm_loss_grad_tangent(fcl_tensor *node, fcl_tensor *const *dx);

fcl_shape fcl_ode_advance_shape(fcl_tensor *node);
int fcl_ode_advance_lower(fcl_lowering *lowering, fcl_tensor *node);

fcl_shape fcl_sinkhorn_shape(fcl_tensor *node); /* transport.c */
size_t fcl_sinkhorn_scratch(const fcl_tensor *node, const fcl_device *device);
int fcl_sinkhorn_lower(fcl_lowering *lowering, fcl_tensor *node);
fcl_shape fcl_transport_draw_shape(fcl_tensor *node);
size_t fcl_transport_draw_scratch(const fcl_tensor *node, const fcl_device *device);
int fcl_transport_draw_lower(fcl_lowering *lowering, fcl_tensor *node);

/* matmul.c */
fcl_shape fcl_matmul_shape(fcl_tensor *node);
void fcl_matmul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);

/* elementwise.c */
fcl_shape fcl_broadcast_shape(fcl_tensor *node);
void fcl_add_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_sub_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_neg_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_mul_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_div_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_max_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_min_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_where_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_abs_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_square_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_sqrt_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_reciprocal_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_exp_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_log_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_expm1_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_log1p_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_pow_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_sin_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_cos_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_tanh_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_erf_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_sigmoid_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_relu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_silu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_gelu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
void fcl_selu_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_div_tangent(fcl_tensor *node, fcl_tensor *const *dx);
fcl_tensor *fcl_pow_tangent(fcl_tensor *node, fcl_tensor *const *dx);
fcl_tensor *fcl_max_tangent(fcl_tensor *node, fcl_tensor *const *dx);
fcl_tensor *fcl_min_tangent(fcl_tensor *node, fcl_tensor *const *dx);
fcl_tensor *fcl_where_tangent(fcl_tensor *node, fcl_tensor *const *dx);

#endif
