/* Pictures of a batch that are mirrored, left to right, each with probability 1/2.
 *
 * The draw for a row is the uniform number of (seed, FCL_STREAM_MIRROR, step, row): above 1/2 it is mirrored.
 * So the same rows are mirrored wherever the data lie, in however many parts a step is computed, and after a
 * run was resumed. Rows that are paired are mirrored before: the row is then that of the pool, and the step
 * the pool's first. */
#ifndef TRAIN_MIRROR_H
#define TRAIN_MIRROR_H

#include "train/batch.h"

/* FCL_ERR_ARGUMENT: the samples are no pictures. */
int fcl_mirror_check(const fcl_dataset *data);

/* What the batch needs on the device, where its options ask for it; the batch owns that. */
int fcl_mirror_create(fcl_device *device, fcl_batch *batch);

/* x (rows, D), some of them mirrored: by the draws that are ready in batch->draw where `ordered`, else by
 * those of this graph. x itself where the batch's options do not ask for it. */
fcl_tensor *fcl_mirror_build(const fcl_batch *batch, fcl_tensor *x, bool ordered);

/* (pool, 1): the draws of a pool's rows as they come, in its graph. */
fcl_tensor *fcl_mirror_draws(const fcl_batch *batch, fcl_graph *graph);
/* The same of one row, on the host. */
float fcl_mirror_draw(const fcl_batch *batch, int64_t step, int64_t row);

#endif
