/* What a measurement holds; the way in is flowcl/measure.h. */
#ifndef DEVICE_MEASURE_H
#define DEVICE_MEASURE_H

#include "device/opencl.h"

#include <flowcl/measure.h>

enum { FCL_MEASURE_BUFFERS = 3 };

struct fcl_measure {
    fcl_device *device;
    fcl_measure_kind kind; /* FCL_MEASURE_KINDS: a product */
    fcl_measure_info info;
    fcl_program *program; /* either a kernel of cl/measure.cl, */
    fcl_launch *launch;
    fcl_gemm *gemm; /* or a product */
    fcl_buffer *buffer[FCL_MEASURE_BUFFERS];
    int64_t rounds; /* so far */
    uint64_t bytes; /* copy and triad: of each buffer */
    size_t items;   /* peak: work-items, */
    int64_t steps;  /* and the length of each chain */
    fcl_product product;
    float *a, *b; /* product: what is in the first two buffers */
};

fcl_gemm_problem fcl_product_problem(const fcl_product *product);
/* A product by a given choice, on random matrices of that seed. */
int fcl_measure_choice(fcl_device *device, const fcl_product *product, const fcl_gemm_choice *choice,
                       uint32_t seed, fcl_measure **measure);
int fcl_measure_product_error(fcl_measure *measure, double *error);

#endif
