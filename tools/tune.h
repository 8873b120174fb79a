/* The parts of flowcl tune. */
#ifndef TUNE_H
#define TUNE_H

#include "child.h"
#include "tool.h"

/* --- tune_products.c: what a model multiplies --- */

typedef struct tune_model {
    fcl_model_options options;
    fcl_shape sample;                /* the shape of one */
    int64_t batch, batch_of_samples; /* rows in a training step, and in sampling */
} tune_model;

/* Adds the products of a training step and of a velocity for sampling that the list has not yet. A status of
 * the library. */
int tune_products_add(fcl_device *device, const tune_model *model, fcl_product **list, int *count);

/* --- tune_trial.c: one candidate's rounds --- */

enum { TUNE_ROUNDS_MOST = 20 };

typedef struct tune_trial {
    int candidate;
    double limit; /* seconds that a process of its own has for a round, compiling included */
    char how[64];
    double seconds[TUNE_ROUNDS_MOST]; /* of one product, in each round: the least of some repeats */
    int rounds;
    char failure[256];     /* why it cannot be used; "" where it can */
    fcl_measure *measure;  /* where it is open: here, */
    child_process process; /* or, where it may crash, in a process of its own */
} tune_trial;

/* Told of each that was measured. */
typedef void tune_show(void *data, const tune_trial *trial);

/* Opens what is not open, measures a round for about `seconds`, and checks the result. Nothing after a
 * failure. */
void tune_trial_measure(fcl_device *device, const fcl_product *product, double seconds, tune_trial *trial);
/* The rounds stay. A process that crashes at its end is a failure, too. */
void tune_trial_close(tune_trial *trial);

/* --- tune_choose.c: the best candidate --- */

/* The median of the rounds; 0 without any, or where it has failed. */
double tune_trial_seconds(const tune_trial *trial);
/* How many times faster than `over`, which was measured in turn with it: the median of the rounds' ratios.
 * NaN where either has failed. */
double tune_trial_gain(const tune_trial *trial, const tune_trial *over);

#define TUNE_LEAST_GAIN (1 / 0.97) /* over the rule: less is none */
enum { TUNE_LEAST_ROUNDS = 3, TUNE_FAILURES_MOST = 8 };

typedef struct tuned {
    fcl_product product;
    double limit; /* of a candidate */
    tune_trial best, rule;
    double gain;    /* of the best over the rule's; NaN where the rule's cannot be used */
    int candidates; /* measured */
    tune_trial failed[TUNE_FAILURES_MOST];
    int failures;
} tuned;

/* `result` has the product and the limit, and is zero otherwise. */
void tune_choose(fcl_device *device, double seconds, tune_show *show, void *data, tuned *result);

/* --- tune_sets.c: CLBlast's sets of parameters --- */

enum { TUNE_SETS_MOST = 32 };

typedef struct tune_sets {
    fcl_product product; /* that they are measured on, */
    bool direct;         /* by the kernel for small products, or the one for large ones */
    double limit;        /* of a set */
    int count;
    tune_trial trial[TUNE_SETS_MOST];
    double gain[TUNE_SETS_MOST]; /* over "default", or, where that fails, over the best before */
} tune_sets;

/* CLBlast's kernel for large products takes those from the cube of a size on that lies between these: */
enum { TUNE_SWITCH_LEAST = 256, TUNE_SWITCH_MOST = 1024, TUNE_SWITCHES = 2 };

typedef struct tune_switch {
    int from;            /* the product's m n k lies between the cubes of this and of its double */
    fcl_product product;
    tune_trial direct, large; /* it by either kernel */
    double gain;              /* of the one for large products */
} tune_switch;

typedef struct tune_clblast_results {
    double limit;      /* of a set, given */
    tune_sets sets[2]; /* of the kernel for large products, and of the direct one */
    tune_switch switches[TUNE_SWITCHES];
    int switch_count;
} tune_clblast_results;

/* Floating-point operations. */
double tune_operations(const fcl_product *product);

/* Each kernel's sets for about `seconds`, on the largest product of the list that the kernel can have; then, by products
 * between two of them, which of 256, 512 and 1024 parts the kernels. The best hold for the device. */
void tune_clblast_choose(fcl_device *device, const fcl_product *list, int count, double seconds, tune_show *show,
                         void *data, tune_clblast_results *results);

#endif
