/* A part of the data that is never trained on, and the loss there.
 *
 * Which samples, the seed and their number in the set say: the first of a permutation of all. The loss is the training's
 * objective with the same pairs and times each time, counted by another seed than the training's, so that none of its random
 * numbers change; times are stratified, and each sample is taken as often as another, or once more. */
#ifndef TRAIN_HELD_OUT_H
#define TRAIN_HELD_OUT_H

#include "train/feed.h"

/* The two parts: numbers of samples. Without a held-out part both are NULL. */
typedef struct fcl_split {
    int32_t *held, *kept;
    int64_t held_count, kept_count;
} fcl_split;

/* FCL_ERR_ARGUMENT: nothing is left to train on. */
int fcl_split_check(const fcl_dataset *data, const fcl_train_options *options);
/* By options->held_out and seed. FCL_ERR_ARGUMENT as fcl_split_check. */
int fcl_split_create(const fcl_dataset *data, const fcl_train_options *options, fcl_split *split);
void fcl_split_destroy(fcl_split *split);

typedef struct fcl_held_out fcl_held_out;

/* Builds what computes the loss of `weights`, a flat buffer of the model's parameters whose content may change, on the
 * samples sets->only. What is named in `sets` is borrowed, and so are model and weights. */
int fcl_held_out_create(fcl_device *device, const fcl_feed_sets *sets, const fcl_train_options *options,
                        const fcl_model *model, fcl_buffer *weights, fcl_held_out **held);
void fcl_held_out_destroy(fcl_held_out **held);
/* Waits. */
int fcl_held_out_loss(fcl_held_out *held, double *loss);
/* Of the device's memory, what stands between its kernels. */
uint64_t fcl_held_out_activations(const fcl_held_out *held);

#endif
