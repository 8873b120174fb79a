/* Convolutions by the product for GPUs (cl/gemm_gpu.cl, cl/conv_gpu.h): which sets, their text and their
 * launches. */
#include "device/conv.h"

#include "device/gemm_gpu.h"
#include "device/tile.h"

/* Classes of pixels of x along each dimension: the taps of a stride of 2 that one reads are not its
 * neighbour's. */
static int classes_of(const fcl_conv_problem *p)
{
    return p->result == FCL_CONV_X && p->upsample < p->stride ? 2 : 1;
}

/* A's rows, B's columns and what is added up. Of classes, the largest. */
static fcl_gemm_problem product_of(const fcl_conv_problem *p)
{
    const int pixels = p->images * p->out_height * p->out_width, taps = p->side * p->side,
              step = classes_of(p);
    const int most = (p->side + p->upsample - 2) / p->stride + 1; /* of a pixel of x, along a dimension */
    fcl_gemm_problem product = {.batch = p->batch};
    switch (p->result) {
    case FCL_CONV_Y:
        product.m = pixels, product.n = p->outputs, product.k = taps * p->channels;
        product.share_a = p->share[FCL_CONV_X], product.share_b = p->share[FCL_CONV_W];
        break;
    case FCL_CONV_X:
        product.m = p->images * fcl_tile_count(p->height, step) * fcl_tile_count(p->width, step);
        product.n = p->channels, product.k = most * most * p->outputs;
        product.share_a = p->share[FCL_CONV_Y], product.share_b = p->share[FCL_CONV_W];
        break;
    case FCL_CONV_W:
        product.m = taps * p->channels, product.n = p->outputs, product.k = pixels;
        product.share_a = p->share[FCL_CONV_X], product.share_b = p->share[FCL_CONV_Y];
        break;
    }
    return product;
}

bool fcl_conv_gpu_choose(const fcl_device *device, const fcl_conv_problem *p, fcl_gemm_choice *choice)
{
    fcl_gemm_choice ranked[FCL_GEMM_GPU_SETS];
    const fcl_gemm_problem product = product_of(p);
    if (fcl_device_traits(device).wide || !fcl_gemm_gpu_rank(device, &product, ranked))
        return false;
    *choice = ranked[0];
    if (classes_of(p) > 1)
        choice->parts = 1; /* a part's sums have no place for classes */
    return true;
}

size_t fcl_conv_gpu_scratch(const fcl_conv_problem *p, const fcl_gemm_choice *choice)
{
    const fcl_gemm_problem product = product_of(p);
    return fcl_gemm_gpu_scratch(&product, choice);
}

void fcl_conv_gpu_source(fcl_text *text, const char *name, const fcl_conv_problem *p,
                         const fcl_gemm_choice *choice, bool aligned, const char *params,
                         const char *epilogue)
{
    static const fcl_gemm_gpu_form forms[] = {[FCL_CONV_Y] = {1, .a_along = true},
                                              [FCL_CONV_X] = {2, .a_along = true, .b_along = true},
                                              [FCL_CONV_W] = {3}};
    const fcl_gemm_problem product = product_of(p);
    fcl_gemm_gpu_form form = forms[p->result];
    form.a_run = p->result == FCL_CONV_X ? p->outputs : p->channels;
    form.b_run = p->outputs;
    fcl_gemm_gpu_text(text, name, &product, choice, &form, aligned, params, epilogue);
}

void fcl_conv_gpu_launch(fcl_launch *launch, const fcl_conv_problem *p, const fcl_gemm_choice *choice,
                         fcl_buffer *a, fcl_buffer *b, fcl_buffer *result)
{
    const int sizes[] = {p->images,  p->height, p->width,  p->channels, p->out_height, p->out_width,
                         p->outputs, p->side,   p->stride, p->padding,  p->upsample};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    _Static_assert(FCL_CONV_GPU_ARGUMENTS == FCL_GEMM_GPU_ARGUMENTS + SIZES, "as many as conv.h says");
    const fcl_gemm_problem product = product_of(p);
    fcl_gemm_gpu_launch_times(launch, &product, choice, classes_of(p) * classes_of(p), a, b, result);
    if (p->result == FCL_CONV_X) /* of all classes */
        fcl_launch_int(launch, FCL_GEMM_GPU_ROWS, p->images * p->height * p->width);
    for (int i = 0; i < SIZES; i++)
        fcl_launch_int(launch, FCL_GEMM_GPU_ARGUMENTS + i, sizes[i]);
}

void fcl_conv_gpu_launch_sums(fcl_launch *launch, const fcl_conv_problem *p, const fcl_gemm_choice *choice,
                              fcl_buffer *parts, fcl_buffer *result)
{
    const fcl_gemm_problem product = product_of(p);
    fcl_gemm_gpu_launch_sums(launch, &product, choice, parts, result);
    fcl_launch_int(launch, FCL_GEMM_GPU_SUMS_ARGUMENTS,
                   product.m / (p->result == FCL_CONV_W ? 1 : p->images));
}
