/* What ranks that share samples tell each other. */
#ifndef TRAIN_SAMPLER_RANKS_H
#define TRAIN_SAMPLER_RANKS_H

#include "train/sample.h"

/* Whether all ranks are about to compute the same `n` samples of the same model: FCL_ERR_ARGUMENT on each where not. */
int fcl_sampler_compare(const fcl_sample_options *options, unsigned flags, const fcl_sampled *of, int64_t n);

/* The counts of all ranks instead of this one's, whose nfe_mean holds a sum; where samples are unfinished, the library's
 * last message is that of the last rank that has some. */
int fcl_sampler_gather_stats(fcl_ranks *ranks, fcl_sample_stats *stats);

#endif
