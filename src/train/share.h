/* Which rows of each step are a rank's: one after the other, in the order of ranks. */
#ifndef TRAIN_SHARE_H
#define TRAIN_SHARE_H

#include <flowcl/train.h>

typedef struct fcl_share {
    int first, rows;
} fcl_share;

/* What options->share may be beside numbers. Until it is measured, MEASURED is as EQUAL. */
#define FCL_SHARE_EQUAL "equal"
#define FCL_SHARE_MEASURED "measured"

/* By options->ranks, share, batch and accumulate. FCL_ERR_ARGUMENT: they do not fit, and the message says what does not. */
int fcl_share_of(const fcl_train_options *options, fcl_share *share);
/* Whether each rank has one of so many rows, if they are shared so. */
bool fcl_share_suits(const char *text, int ranks, int rows);

/* A share of so many rows, at least as many as ranks, by what each rank does in a second, speed (ranks): "2.13:1", or where
 * that leaves a rank without one, rows, "29:1". To be freed. */
char *fcl_share_text(const double *speed, int ranks, int rows);

/* Of a trainer that knows its data, and has nothing on its device yet: where share is FCL_SHARE_MEASURED, or not given and
 * devices are unlike, all ranks train its model for a moment, at the same time, and options.share is what they found. */
int fcl_share_measure(fcl_trainer *trainer);

#endif
