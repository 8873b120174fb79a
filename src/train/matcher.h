/* Which x0 goes with which x1: the rows of some steps in a row are a pool (batch.h), which is paired at once
 * by the coupling.
 *
 * The exact coupling: the device computes the costs of a pool, and a thread of the host solves the assignment
 * while the device works on the steps of the pool before. Nothing depends on who is faster: the pairs of a
 * pool follow from its rows alone, so a resumed run finds the same.
 * Couplings that draw from an entropic plan stay on the device: a pool's pairs are drawn before its first
 * step. */
#ifndef TRAIN_MATCHER_H
#define TRAIN_MATCHER_H

#include "train/batch.h"

typedef struct fcl_matcher fcl_matcher;

/* What is paired. Each has a pool and is borrowed; NULL: see there. */
typedef struct fcl_matched {
    fcl_batch *data;
    fcl_batch *source;    /* of x0; NULL: normal noise */
    fcl_batch *condition; /* of each row of the data; NULL: none */
} fcl_matched;

/* NULL for the independent coupling. */
int fcl_matcher_create(fcl_device *device, const fcl_matched *matched, const fcl_train_options *options,
                       fcl_matcher **matcher);
void fcl_matcher_destroy(fcl_matcher **matcher);

/* x0 (rows, D) of a part of a step, where it is noise; NULL where it is drawn in the graph as ever. */
fcl_tensor *fcl_matcher_noise(const fcl_matcher *matcher, fcl_graph *graph);

/* Before a step runs: the orders of data and source hold its pairs; and before a part of it: its noise. */
int fcl_matcher_prepare(fcl_matcher *matcher, int64_t step);
int fcl_matcher_prepare_part(fcl_matcher *matcher, int64_t step, int64_t first_row);

/* Waits; of the plans since the last call. */
int fcl_matcher_stats(fcl_matcher *matcher, fcl_train_plans *plans);

#endif
