/* Attention, single precision: q (batch, queries, heads width), k, v (batch, keys, heads width), mask (batch, keys), bias
 * (batch or 1, heads, queries, keys). With s = q k' / sqrt(width) + bias of a head, and left out the keys whose mask is 0,
 *
 *     lse_i = log sum of exp(s_ij) over j        P_ij = exp(s_ij - lse_i)        o = P v
 *
 * A row that leaves out all keys, or whose s are all -infinity, has lse 0 and P 0. Of u, which belongs to o, and of tangents
 * dq, dk, dv, dbias:
 *
 *     S_ij = P_ij (u_i v_j - u_i o_i)      gradients: S k / sqrt(width), S' q / sqrt(width), P' u; S
 *     t = (dq k' + q dk') / sqrt(width) + dbias      tangent: (P t) v + P dv - (sum of P_ij t_ij over j) o
 *
 * with u and the tangents of `lead` times as many items, number n of which belongs to item n % batch. */
#ifndef DEVICE_ATTENTION_H
#define DEVICE_ATTENTION_H

#include <stdbool.h>

typedef struct fcl_attention_problem {
    int lead, batch, heads, queries, keys, width; /* width: of a head */
    bool mask, bias, shared_bias; /* shared: one for the whole batch */
} fcl_attention_problem;

#endif
