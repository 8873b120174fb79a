/* Where the pairs of a step come from: the rows of the data with their labels, those of the source or noise, and who pairs
 * them. The same step has the same pairs, whenever it is asked for. */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "train/matcher.h"
#include "train/share.h"

/* What rows are drawn from. All is borrowed. */
typedef struct fcl_feed_sets {
    const fcl_dataset *data;
    const fcl_dataset *source;    /* of x0; NULL: N(0, I) */
    const fcl_dataset *condition; /* of each sample of the data; NULL: none */
    const int32_t *only;          /* (only_count) of the data's samples those that are drawn; NULL: all */
    int64_t only_count;
    const fcl_normalisation *normalisation;
} fcl_feed_sets;

typedef struct fcl_feed {
    const fcl_train_options *options;
    fcl_share share; /* of a step's rows: this rank's */
    fcl_batch data, source, condition;
    bool has_source;
    fcl_matcher *matcher; /* NULL: x0 and x1 are paired as they come */
    int64_t pool_steps;   /* steps whose rows are paired at once, and whose random numbers are of one step */
} fcl_feed;

/* By the options' seed, batch, accumulate, coupling, shuffle ("blocks", or else whole) and what else is of the pairs; they are
 * borrowed. On failure what there is is left to destroy, which takes zeros, too. A feed stays where it was made. */
int fcl_feed_create(fcl_device *device, const fcl_feed_sets *sets, const fcl_train_options *options, fcl_feed *feed);
void fcl_feed_destroy(fcl_feed *feed);
/* The host's memory of blocks that are read ahead, in bytes. */
uint64_t fcl_feed_read_ahead(const fcl_feed *feed);

/* The nodes of a part of a step: x1 (B, D), *label (B) or NULL; and x0 (B, D) beside them. */
fcl_tensor *fcl_feed_data(const fcl_feed *feed, fcl_graph *graph, fcl_tensor **label);
fcl_tensor *fcl_feed_source(const fcl_feed *feed, fcl_graph *graph, fcl_tensor *x1);

/* The objective's callback, and what it needs to build the velocity. */
typedef struct fcl_feed_call {
    const fcl_model *model;
    fcl_tensor **weights;
    fcl_tensor *label;
    bool plain; /* without what is random in training alone */
} fcl_feed_call;
fcl_tensor *fcl_feed_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in);

/* Before the parts of a step; and runs a graph of these nodes for one of its options->accumulate parts. */
int fcl_feed_prepare(fcl_feed *feed, int64_t step);
int fcl_feed_run(fcl_feed *feed, fcl_graph *graph, int64_t step, int part);

#endif
