/* Which x0 goes with which x1: the rows of some steps in a row are a pool (batch.h), which is paired at once
 * by the coupling.
 *
 * The exact coupling: the device computes the costs of a pool, and a thread of the host solves the assignment
 * while the device works on the steps of the pool before. Nothing depends on who is faster: the pairs of a
 * pool follow from its rows alone, so a resumed run finds the same. */
#ifndef TRAIN_MATCHER_H
#define TRAIN_MATCHER_H

#include "train/batch.h"

typedef struct fcl_matcher fcl_matcher;

/* NULL for the independent coupling. `source`: where x0 comes from, NULL: normal noise. Both have a pool, and
 * are borrowed. */
int fcl_matcher_create(fcl_device *device, fcl_batch *data, fcl_batch *source, const fcl_train_options *options,
                       fcl_matcher **matcher);
void fcl_matcher_destroy(fcl_matcher **matcher);

/* Before a step runs: the orders of data and source hold its pairs. */
int fcl_matcher_prepare(fcl_matcher *matcher, int64_t step);

#endif
