/* What a coupling is made of, for those that pair the rows of a batch (couple.c, train/matcher.c). */
#ifndef FLOW_COUPLING_H
#define FLOW_COUPLING_H

#include "flow/flow.h"

/* What the exact coupling compares, of x0, x1 (M, D) -> (M, M): |x0_i - x1_j|^2 over a number, without what is
 * the same for a whole row or a whole column. */
fcl_tensor *fcl_coupling_cost(fcl_tensor *x0, fcl_tensor *x1);

/* Pairs of rows of x0 and of x1 (M) of FCL_I32, drawn from the plan of options->coupling, of the kind
 * FCL_COUPLING_PLAN, between x0 and x1 (M, D); and the report of the plan (FCL_TRANSPORT_REPORT), whose mass is
 * that of the whole cost, where the plan's own leaves out what all pairs have in common. forbidden (M, M): not 0
 * where a pair may not be; NULL: all may. */
typedef struct fcl_coupling_pairs {
    fcl_tensor *x0_row, *x1_row, *report;
    fcl_sinkhorn_plan plan;
} fcl_coupling_pairs;
fcl_coupling_pairs fcl_coupling_draw(const fcl_cfm_options *options, fcl_tensor *x0, fcl_tensor *x1,
                                     fcl_tensor *forbidden);
enum { FCL_COUPLING_ITERATIONS = 100 }; /* where options->coupling_iterations is 0 */

/* The rate s of the options' Brownian bridge, whose tube is s/2 at its middle; 0: the path is none. */
double fcl_coupling_bridge_width(const fcl_cfm_options *options);

/* What single options cannot say; the coupling's name is good. */
int fcl_coupling_check(const fcl_cfm_options *options);

/* The exact coupling of `count` rows on the host: x0 of row i goes with x1 of row partner[i], a permutation.
 * cost (count, count); with `label` (count), or NULL, rows are paired inside each class only: the label is
 * that of x1, and of the x0 that was drawn with it. FCL_ERR_MEMORY; FCL_ERR_NUMERIC: a cost is not finite. */
int fcl_coupling_assign(int count, const float *cost, const int32_t *label, int32_t *partner);

#endif
