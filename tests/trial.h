/* A trial: a graph whose leaves are filled with fresh random numbers, evaluated by the reference and run on a
 * device. The numbers come from the clock, or from $FCL_TEST_SEED; trial_seed prints which. */
#ifndef TESTS_TRIAL_H
#define TESTS_TRIAL_H

#include "reference.h"

/* What a leaf is filled with. */
typedef enum domain {
    SMOOTH,   /* normal, near a grid of its own: no two leaves hold numbers within 1/4096, and none holds one near 0 */
    POSITIVE, /* at least 1/8 */
    AWAY,     /* at least 1/2 from 0 */
    TIME,     /* inside (0, 1) */
    MASK,     /* 0 or 1 */
    INDEX,    /* -2 .. limit + 1: some lie outside the table of `limit` rows */
    BYTES,    /* 0 .. 255 */
    PREPARED  /* zeros; the test fills them */
} domain;

enum { TRIAL_LEAVES = 2048 };

typedef struct trial_leaf {
    fcl_tensor *tensor;
    domain domain;
    int64_t limit;
    double *value; /* what it holds, exact in its type */
} trial_leaf;

typedef struct trial {
    fcl_graph *graph;
    reference *r;
    bool bounded; /* r has the errors of the values that it has */
    trial_leaf leaf[TRIAL_LEAVES];
    int leaves;
} trial;

/* The seed of all draws; call it once at the start. */
void trial_seed(void);
bool trial_tiny(void); /* FCL_TEST_TINY=1: shapes that a simulator can bear */
/* Draws repeat from the same point. */
uint64_t trial_mark(void);
void trial_return(uint64_t mark);
double trial_uniform(void); /* inside (0, 1) */
double trial_normal(void);
int trial_int(int low, int high); /* both inclusive */

trial *trial_create(void);
void trial_destroy(trial **t);

fcl_tensor *trial_input(trial *t, fcl_shape shape, domain domain, int64_t limit);
trial_leaf *trial_leaf_of(trial *t, const fcl_tensor *tensor);
/* Draws every leaf's content. */
void trial_fill(trial *t);

/* The reference for the leaves as they stand; `shift` times the value of leaf direction[i] is added to leaf
 * x[i]. After the graph's last node is built. */
void trial_evaluate(trial *t, double shift, int count, fcl_tensor *const *x, fcl_tensor *const *direction);

/* Where only the nodes of a part can have changed: the same of these alone, after trial_evaluate; the leaves x are filled
 * anew. A part is what a graph grew by meanwhile. */
typedef struct trial_part {
    int first, end; /* numbers of nodes */
} trial_part;

void trial_move(trial *t, trial_part part, double shift, int count, fcl_tensor *const *x, fcl_tensor *const *direction);

/* Writes the leaves, runs the compiled graph. */
int trial_run(trial *t);
/* Holds each element of an output to the bound that the reference computes for it (bound.h). A NaN equals a NaN. Prints
 * the first misfit and returns false. */
bool trial_agrees(trial *t, fcl_tensor *output, const char *what);
/* The first misfit of content that is given, floats or whole numbers, as the output's type is; -1: none. */
int64_t trial_misfit(trial *t, const fcl_tensor *output, const void *found);
/* The bounds of a node's elements. */
double *trial_error(trial *t, const fcl_tensor *node);

#endif
