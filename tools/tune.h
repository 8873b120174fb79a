/* The parts of flowcl tune. */
#ifndef TUNE_H
#define TUNE_H

#include "tool.h"

/* --- tune_products.c: what a model multiplies --- */

typedef struct tune_model {
    fcl_model_options options;
    int64_t size;                    /* numbers in a sample */
    int64_t batch, batch_of_samples; /* rows in a training step, and in sampling */
} tune_model;

/* Adds the products of a training step and of a velocity for sampling that the list has not yet. A status of
 * the library. */
int tune_products_add(fcl_device *device, const tune_model *model, fcl_product **list, int *count);

/* --- tune_candidate.c: one candidate's time --- */

typedef struct tune_trial {
    int candidate;
    char how[64];
    double seconds;    /* of one product: the least of the repeats */
    char failure[256]; /* why it cannot be used; "" where it can */
} tune_trial;

/* Measures for about `seconds`, and checks the result; a risky candidate in a process of its own. */
void tune_candidate_measure(fcl_device *device, const fcl_product *product, int candidate, double seconds,
                            tune_trial *trial);

#endif
