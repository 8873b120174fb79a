/* What a measurement holds; the way in is flowcl/measure.h. */
#ifndef DEVICE_MEASURE_H
#define DEVICE_MEASURE_H

#include "device/opencl.h"

#include <flowcl/measure.h>

enum { FCL_MEASURE_BUFFERS = 3 };

/* A product on matrices of its own: all copies hold the same. */
typedef struct fcl_product_copy {
    fcl_buffer *a, *b, *c, *read[FCL_PRODUCT_MATRICES], *store[FCL_PRODUCT_MATRICES];
    fcl_gemm *gemm; /* a provider without an epilogue, and behind it what follows, if anything does; */
    fcl_launch *launch[2]; /* or a product of ours with all of it, maybe of parts of k, and then of their sums */
    int launches;
    fcl_buffer *parts;
} fcl_product_copy;

struct fcl_measure {
    fcl_device *device;
    fcl_measure_kind kind; /* FCL_MEASURE_KINDS: a product */
    fcl_measure_info info;
    fcl_program *program; /* of a kernel of cl/measure.cl, or of a product's own kernels */
    fcl_launch *launch;
    fcl_buffer *buffer[FCL_MEASURE_BUFFERS];
    int64_t rounds; /* so far */
    uint64_t bytes; /* copy and triad: of each buffer */
    size_t items;   /* peak: work-items, */
    int64_t steps;  /* and the length of each chain */
    fcl_product product;
    fcl_product_copy *copy; /* in turn, so that what is cold has left the caches */
    int copies;
    float *a, *b, *read; /* what they hold; each matrix that is read holds the same */
};

fcl_gemm_problem fcl_product_problem(const fcl_product *product);
/* A product by a given choice, on random matrices of that seed. */
int fcl_measure_choice(fcl_device *device, const fcl_product *product, const fcl_gemm_choice *choice,
                       uint32_t seed, fcl_measure **measure);
int fcl_measure_product_error(fcl_measure *measure, double *error);
/* Enqueues round number `round`. */
int fcl_measure_product_run(fcl_measure *measure, int64_t round);
void fcl_measure_product_free(fcl_measure *measure);

#endif
