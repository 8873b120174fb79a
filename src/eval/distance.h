/* What the distances between two sets are made of; distance.c has their table. */
#ifndef EVAL_DISTANCE_H
#define EVAL_DISTANCE_H

#include <flowcl/eval.h>

/* `a` and `b` are sets of one sample shape, finite, drawn down to what the row wants. Sets value, bandwidth
 * and how; `options` have their defaults. */
typedef int fcl_distance_function(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                                  fcl_distance *distance);

fcl_distance_function fcl_distance_w1, fcl_distance_w2, fcl_distance_sliced, fcl_distance_energy,
    fcl_distance_mmd, fcl_distance_frechet, fcl_distance_kid, fcl_distance_precision, fcl_distance_recall,
    fcl_distance_density, fcl_distance_coverage;

/* FCL_ERR_ARGUMENT where it is neither "median" nor bandwidths of mmd's kernel. */
int fcl_bandwidth_check(const char *bandwidth);

/* Random numbers: the stream of this layer, and its steps; those of the last two are many. */
enum {
    FCL_EVAL_STREAM = 0x6576616c,
    FCL_EVAL_DRAW_FIRST = 0,
    FCL_EVAL_DRAW_SECOND,
    FCL_EVAL_DIRECTION,
    FCL_EVAL_SUBSET,
    FCL_EVAL_KERNEL = 1 << 30
};

/* The mean of |F^-1(u) - G^-1(u)|^power over u in (0, 1) for sorted numbers: the cost of the best pairing in
 * one dimension, of any two counts. Power is 1 or 2. */
double fcl_line_cost(const double *a, int64_t a_count, const double *b, int64_t b_count, int power);

void fcl_sort(double *values, int64_t count);

#endif
