/* What products for GPUs and the convolutions that are read by them share (gemm_gpu.c, conv_gpu.c). */
#ifndef DEVICE_GEMM_GPU_H
#define DEVICE_GEMM_GPU_H

#include "device/gemm.h"

typedef struct fcl_gemm_gpu_form {
    int conv;              /* GEMM_CONV of cl/gemm_gpu.cl; 0: a product */
    bool a_along, b_along; /* the operand is stored so that k runs along its rows, */
    int a_run, b_run;      /* of which so many numbers stand side by side */
} fcl_gemm_gpu_form;

/* As fcl_gemm_gpu_source. */
void fcl_gemm_gpu_text(fcl_text *text, const char *name, const fcl_gemm_problem *problem,
                       const fcl_gemm_choice *choice, const fcl_gemm_gpu_form *form, bool aligned,
                       const char *params, const char *epilogue);
/* The argument that says how many rows C has. */
#define FCL_GEMM_GPU_ROWS 3
/* As fcl_gemm_gpu_launch, `times` as often: for classes of results. */
void fcl_gemm_gpu_launch_times(fcl_launch *launch, const fcl_gemm_problem *problem,
                               const fcl_gemm_choice *choice, int times, fcl_buffer *a, fcl_buffer *b,
                               fcl_buffer *result);

#endif
