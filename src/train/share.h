/* Which rows of each step are a rank's: one after the other, in the order of ranks. */
#ifndef TRAIN_SHARE_H
#define TRAIN_SHARE_H

#include <flowcl/train.h>

typedef struct fcl_share {
    int first, rows;
} fcl_share;

/* By options->ranks, share, batch and accumulate. FCL_ERR_ARGUMENT: they do not fit, and the message says what does not. */
int fcl_share_of(const fcl_train_options *options, fcl_share *share);

#endif
