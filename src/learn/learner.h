/* A learner's inside: for its files, and for the trainer, which makes it in two parts. */
#ifndef LEARN_LEARNER_H
#define LEARN_LEARNER_H

#include "learn/adamw.h"
#include "learn/exchange.h"
#include "learn/states.h"

#include <flowcl/learn.h>

struct fcl_learner {
    fcl_device *device;
    const fcl_params *params;
    fcl_learner_options options;   /* filled in; texts are the tables' own, and ema and buckets are NULL */
    fcl_averages averages;
    fcl_buffer *state[FCL_ALL_STATES]; /* flat; no such average: NULL */
    fcl_buffer *gradients, *loss;  /* flat, and the loss behind it */
    fcl_exchange *exchange; /* with the other ranks; NULL: there are none */
    fcl_adamw *adamw;
    int64_t step;              /* steps taken */
    int64_t read_step;         /* of them, those whose row of the ring was read */
    double loss_sum, norm_sum; /* over the rows read since the sums were taken */
    int64_t sum_count;
    int64_t skipped, skipped_in_row; /* of the rows read, those that were not finite; of them, the last in a row */
    double recent; /* running mean of the loss over about `window` steps, of recent_count so far */
    int64_t recent_count, window;
};

/* Without first values: fcl_learner_initialise draws them, or a file gives them. That waits until the device has zeroed
 * the buffers, which it may do while graphs are compiled. */
int fcl_learner_make(fcl_device *device, const fcl_params *params, const fcl_learner_options *options,
                     fcl_learner **learner);
int fcl_learner_initialise(fcl_learner *learner);

/* Reads the rows of the ring that were not read yet. FCL_ERR_NUMERIC: that of step read_step is not finite, and ends the
 * learning; it is in *fault, which may be NULL. The buffers hold what this step found; where steps are skipped, with
 * what those behind it that were finite have changed. */
int fcl_learner_drain(fcl_learner *learner, fcl_adamw_row *fault);
/* What the sums are of, and begins them anew. */
void fcl_learner_take_means(fcl_learner *learner, double *loss, double *gradient_norm);

/* So many steps lie behind what the buffers now hold, all of them sound. What runs have left for the next one is dropped. */
int fcl_learner_go_on(fcl_learner *learner, int64_t step);

#endif
