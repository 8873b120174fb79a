/* What a sampler holds; see sample.h. */
#ifndef TRAIN_SAMPLER_H
#define TRAIN_SAMPLER_H

#include "train/guidance.h"
#include "train/sample.h"

struct fcl_sampler {
    const fcl_model *model;
    fcl_guidance guidance;
    fcl_known *known; /* what is kept of the samples; NULL: nothing */
    fcl_solver *solver;
    fcl_buffer *labels; /* (rows), with guidance as many of no class behind them; NULL without classes */
    int64_t rows, size; /* of a part; D, or D + 1 with energy */
    float *part;
    int time_count;
    double *times;
    float *part_times; /* (times, rows, size) */
    int32_t *part_labels;
    uint64_t seed;  /* of a stochastic solver's noise */
    double created; /* when its making began */
    fcl_ranks *ranks; /* which share the samples; NULL: it is alone */
    void (*progress)(void *data, int64_t done, int64_t n);
    void *progress_data;

    /* with log densities */
    fcl_likelihood *likelihood; /* has the solver; else NULL */
    double *part_density, *part_error;
    float *density; /* (n, 2), the caller's */

    /* where the velocity alone is asked for: there is no solver */
    fcl_graph *graph;
    fcl_tensor *x, *t, *v; /* (rows, size), (rows, 1), (rows, size) */
    const float *at;       /* (n), the caller's */
    float *part_at;        /* (rows) */
};

/* Rows that the network is asked at once. */
int64_t fcl_sampler_asked_rows(const fcl_sampler *sampler);

#endif
