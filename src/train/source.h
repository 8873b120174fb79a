/* What x0 is drawn from: N(0, I), or a set of samples. */
#ifndef TRAIN_SOURCE_H
#define TRAIN_SOURCE_H

#include <flowcl/train.h>

/* The name of N(0, I) among the sources. */
#define FCL_SOURCE_NORMAL "normal"

/* The set of that name or path, for samples like `sample`; NULL for the normal source. `trained` says what a label's
 * column may be called in it. FCL_ERR_SHAPE: its
 * samples have not as many numbers; else as fcl_dataset_open. */
int fcl_source_open(const fcl_train_options *trained, const char *source, uint64_t seed, fcl_shape sample,
                    fcl_dataset **set);

/* Whether its numbers are in the data's units, and so normalised as these are: a file's. Noise and built-in sets are not. */
bool fcl_source_is_moved(const char *source);

/* x0 (n, size) for sampling, of the set or, where it is NULL, of N(0, I), which the device draws. Row i is the same
 * whatever else is drawn. */
int fcl_source_draw(fcl_device *device, const fcl_dataset *set, uint64_t seed, int64_t n, int64_t size, float *x);
/* The device's memory that it takes meanwhile, for so many numbers. */
uint64_t fcl_source_draw_bytes(const fcl_dataset *set, int64_t numbers);

#endif
