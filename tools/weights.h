/* Importance weights of samples against an energy, as sample and likelihood tell them. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "tool.h"

typedef struct weights {
    double *log_density, *energy, *log_weight; /* n; NULL until computed */
    float *column;                             /* log_weight, for a file */
    fcl_importance importance;
    char fault[512]; /* what the program itself finds wrong; empty: the library says it */
} weights;

/* `energy` is a formula in x1, x2, ..., or a file with a number a sample. density (n, 2): see
 * fcl_log_density. */
int weights_compute(weights *of, const char *energy, const fcl_array *samples, const fcl_array *density);
/* Before anything is computed: FCL_ERR_ARGUMENT where `energy` is neither a file nor a formula for samples of
 * `size` numbers. */
int weights_check(const char *energy, int64_t size);
void weights_print(const weights *of, int64_t n);
void weights_add_json(const weights *of, json_t *object);
void weights_free(weights *of);

#endif
