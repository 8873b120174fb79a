/* Attention's rows: what their inputs are, and what its two files share. */
#ifndef OP_ATTENTION_H
#define OP_ATTENTION_H

#include "op/op.h"

enum { Q = FCL_ATTENTION_Q, K = FCL_ATTENTION_K, V = FCL_ATTENTION_V, BIAS = FCL_ATTENTION_BIAS, FACTORS = FCL_ATTENTION_FACTORS };
enum { LSE_PART };        /* of attention */
enum { DK_PART, DV_PART }; /* of attention_grad */

static inline const fcl_attention_attributes *fcl_attention_how(const fcl_tensor *node)
{
    return node->attributes;
}

/* The dimensions that a tangent of factor number i, or what belongs to the result (Q), has before its own. */
fcl_shape fcl_attention_leading(const fcl_tensor *dx, int i);

/* --- builders of the rows of derivatives; a->o and a->lse are of the attention --- */

/* The gradients of u in all factors; NULL for a bias that is not there. */
void fcl_attention_gradients(const fcl_attention_operands *a, int heads, fcl_tensor *u, fcl_tensor **gradient);
/* Of tangents, of which some are NULL; NULL where all are. */
fcl_tensor *fcl_attention_moved(const fcl_attention_operands *a, int heads, fcl_tensor *const *dx);

/* --- the rules (attention_derivative.c) --- */

void fcl_attention_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_attention_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx);
void fcl_attention_grad_adjoint(fcl_tensor *node, fcl_tensor *w, fcl_tensor **du);
fcl_tensor *fcl_attention_grad_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx);
void fcl_attention_tangent_adjoint(fcl_tensor *node, fcl_tensor *u, fcl_tensor **du);
fcl_tensor *fcl_attention_tangent_tangent(fcl_tensor *node, fcl_shape lead, fcl_tensor *const *dx);

#endif
