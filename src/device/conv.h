/* Convolutions of images, channels last, single precision; `batch` of them at packed strides, each with weights of its own:
 *
 *     y[n, i, j, o] = sum of x[n, (i stride - padding + u) / upsample, (j stride - padding + v) / upsample, c] w[u, v, c, o]
 *
 * over u, v, c, with zeros outside of x: x (images, height, width, channels), w (side, side, channels, outputs),
 * y (images, out_height, out_width, outputs). The other two forms are its gradients: of x, from y's and w, and of w,
 * from x and y's. */
#ifndef DEVICE_CONV_H
#define DEVICE_CONV_H

#include "base/memory.h"
#include "device/gemm.h"
#include "device/launch.h"

typedef enum fcl_conv_factor { FCL_CONV_X, FCL_CONV_W, FCL_CONV_Y } fcl_conv_factor;

typedef struct fcl_conv_problem {
    fcl_conv_factor result; /* Y: the convolution; X, W: its gradients */
    int batch;
    bool share[3]; /* one x, w or y for the whole batch */
    int images, height, width, channels;
    int out_height, out_width, outputs;
    int side, stride, padding, upsample; /* upsample 2: x is read as if each pixel stood for 2 x 2 */
} fcl_conv_problem;

/* --- tile kernels of cl/conv_tile.cl: of the convolution and of its gradient in x, on CPUs --- */

typedef struct fcl_conv_tile {
    int rows, vectors; /* of a register tile, as of products */
    int lines, panels; /* that a work-item computes: lines of pixels, panels of channels */
    int images;        /* of which it does so, where these are all lines of one */
    int part;          /* rows of the kernel whose panel stands at once */
    int room;          /* float16 vectors of private memory that its kernel has */
} fcl_conv_tile;

/* Float16 vectors of private memory for so many floats and vectors: of few sizes, since each is another kernel. 0: too many. */
int fcl_conv_room(int64_t floats, int64_t vectors);
/* The tiles for a problem. False: the device has none, or their private memory would be too much. */
bool fcl_conv_tile_choose(const fcl_device *device, const fcl_conv_problem *problem, fcl_conv_tile *tile);
/* As fcl_gemm_tile_source, but that all problems whose texts are equal may share the kernel, `name`(in, w, result, sizes...,
 * extra...). Rows of its epilogue are pixels; that also sees size_t sample, the number of the image in the whole batch. */
void fcl_conv_tile_source(fcl_text *text, const char *name, const fcl_conv_problem *problem, const fcl_conv_tile *tile,
                          const char *params, const char *epilogue);
#define FCL_CONV_TILE_ARGUMENTS 25
void fcl_conv_tile_launch(fcl_launch *launch, const fcl_conv_problem *problem, const fcl_conv_tile *tile, fcl_buffer *in,
                          fcl_buffer *w, fcl_buffer *result);

/* --- tile kernels of cl/conv_weight_tile.cl: of the gradient in the weights, on CPUs --- */

typedef struct fcl_conv_weight_tile {
    bool turned;          /* x stands for y, and y for x: what follows is of the other one */
    int rows, vectors;    /* of a register tile, as of products */
    int channels, panels; /* that a work-item takes: channels of x, panels of y's */
    int lines;            /* of pixels that it reads at once */
    int parts;            /* of the images; the results of several are to be added */
    int room;             /* as above */
} fcl_conv_weight_tile;

bool fcl_conv_weight_choose(const fcl_device *device, const fcl_conv_problem *problem, fcl_conv_weight_tile *tile);
/* A kernel `name`(x, y, result (batch, parts, side, side, channels, outputs), sizes...). */
void fcl_conv_weight_source(fcl_text *text, const char *name, const fcl_conv_weight_tile *tile);
void fcl_conv_weight_launch(fcl_launch *launch, const fcl_conv_problem *problem, const fcl_conv_weight_tile *tile,
                            fcl_buffer *x, fcl_buffer *y, fcl_buffer *result);

/* --- kernels of cl/gemm_gpu.cl: of all three, on GPUs --- */

/* The set of parameters for a problem. False: the device has none. */
bool fcl_conv_gpu_choose(const fcl_device *device, const fcl_conv_problem *problem, fcl_gemm_choice *choice);
/* As their namesakes of device/gemm.h, of the convolution's two inputs in their order. The epilogue, of Y and X only, sees what
 * that of fcl_conv_tile_source sees. */
size_t fcl_conv_gpu_scratch(const fcl_conv_problem *problem, const fcl_gemm_choice *choice);
void fcl_conv_gpu_source(fcl_text *text, const char *name, const fcl_conv_problem *problem, const fcl_gemm_choice *choice,
                         bool aligned, const char *params, const char *epilogue);
#define FCL_CONV_GPU_ARGUMENTS 18
void fcl_conv_gpu_launch(fcl_launch *launch, const fcl_conv_problem *problem, const fcl_gemm_choice *choice, fcl_buffer *a,
                         fcl_buffer *b, fcl_buffer *result);
#define FCL_CONV_GPU_SUMS_ARGUMENTS 7
void fcl_conv_gpu_launch_sums(fcl_launch *launch, const fcl_conv_problem *problem, const fcl_gemm_choice *choice,
                              fcl_buffer *parts, fcl_buffer *result);

#endif
