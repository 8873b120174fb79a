/* Matrix products by CLBlast.
 *
 * Row-major C = op(A) op(B) is called as column-major C' = op(B)' op(A)': its temporaries are smaller so, and
 * the weight gradient needs none. CLBlast computes silently wrong with strided batches that have an offset or
 * an unpacked stride, so those are called packed only; a shared operand is folded into a taller matrix where
 * it can be, and else goes through the batch with a list of offsets. */
#include "device/opencl.h"

#include "base/error.h"

#include <clblast_c.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct fcl_clblast {
    fcl_device *device;
    fcl_gemm_problem problem;
    float beta;
    cl_mem a, b, c;
    char label[96];
    int profile_line;
    float *scales;   /* batch with offsets only: alphas, betas */
    size_t *offsets; /* of a, b, c */
};

#define STRINGIFY(x)                 #x
#define VERSION(major, minor, patch) STRINGIFY(major) "." STRINGIFY(minor) "." STRINGIFY(patch)

const char *fcl_clblast_version(void)
{
    return VERSION(CLBLAST_VERSION_MAJOR, CLBLAST_VERSION_MINOR, CLBLAST_VERSION_PATCH);
}

/* The arguments that every routine begins with; the operands are swapped. */
#define SHAPE(p)                                                                                             \
    CLBlastLayoutColMajor, (p)->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo,                      \
        (p)->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo, (size_t)(p)->n, (size_t)(p)->m,         \
        (size_t)(p)->k

static size_t leading_a(const fcl_gemm_problem *p)
{
    return (size_t)(p->transpose_a ? p->m : p->k);
}

static size_t leading_b(const fcl_gemm_problem *p)
{
    return (size_t)(p->transpose_b ? p->k : p->n);
}

static int fail(const fcl_clblast *product, CLBlastStatusCode code)
{
    const fcl_gemm_problem *p = &product->problem;
    return fcl_opencl_fail(product->device, (cl_int)code, "CLBlast's product %s (m %d, n %d, k %d, batch %d)",
                           product->label, p->m, p->n, p->k, p->batch);
}

/* The device's temporary grows to what this product needs; the queue's order lets all products share it. */
static int reserve_temporary(fcl_clblast *product)
{
    fcl_device *device = product->device;
    const fcl_gemm_problem *p = &product->problem;
    size_t bytes = 0;
    CLBlastStatusCode code = CLBlastSGemmTempBufferSize(SHAPE(p), 0, leading_b(p), 0, leading_a(p), 0,
                                                        (size_t)p->n, &device->queue, &bytes);
    if (code != CLBlastSuccess)
        return fail(product, code);
    if (bytes == 0 || (device->temporary && device->temporary->bytes >= bytes))
        return FCL_OK;
    fcl_buffer_destroy(&device->temporary);
    return fcl_buffer_create(device, bytes, &device->temporary);
}

/* Rows of a whole batch are rows of one matrix where B is shared and A is not turned. */
static void fold_batch(fcl_gemm_problem *problem)
{
    if (!problem->share_b || problem->share_a || problem->transpose_a ||
        problem->m > INT_MAX / problem->batch)
        return;
    problem->m *= problem->batch;
    problem->batch = 1;
}

static void list_offsets(fcl_clblast *product)
{
    const fcl_gemm_problem *p = &product->problem;
    size_t count = (size_t)p->batch, m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    product->scales = fcl_zalloc(2 * count * sizeof *product->scales);
    product->offsets = fcl_zalloc(3 * count * sizeof *product->offsets);
    for (size_t i = 0; i < count; i++) {
        product->scales[i] = 1;
        product->scales[count + i] = product->beta;
        product->offsets[i] = p->share_a ? 0 : i * m * k;
        product->offsets[count + i] = p->share_b ? 0 : i * k * n;
        product->offsets[2 * count + i] = i * m * n;
    }
}

int fcl_clblast_create(fcl_device *device, const fcl_gemm_problem *problem, float beta, fcl_buffer *a,
                       fcl_buffer *b, fcl_buffer *c, const char *label, fcl_clblast **product)
{
    *product = NULL;
    FCL_TRY(fcl_clblast_set_apply(device));
    fcl_clblast *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->problem = *problem;
    made->beta = beta;
    made->a = a->memory;
    made->b = b->memory;
    made->c = c->memory;
    snprintf(made->label, sizeof made->label, "%s", label ? label : "gemm");
    made->profile_line = fcl_profile_line_find(device, made->label);
    fold_batch(&made->problem);
    int status = FCL_OK;
    if (made->problem.batch == 1)
        status = reserve_temporary(made);
    else if (problem->share_a || problem->share_b)
        list_offsets(made);
    if (status != FCL_OK)
        fcl_clblast_destroy(&made);
    *product = made;
    return status;
}

void fcl_clblast_destroy(fcl_clblast **product)
{
    if (!*product)
        return;
    free((*product)->scales);
    free((*product)->offsets);
    free(*product);
    *product = NULL;
}

static CLBlastStatusCode call(fcl_clblast *product, cl_event *event)
{
    const fcl_clblast *x = product;
    const fcl_gemm_problem *p = &x->problem;
    cl_command_queue *queue = &x->device->queue;
    size_t count = (size_t)p->batch, m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    if (count == 1)
        return CLBlastSgemmWithTempBuffer(SHAPE(p), 1, x->b, 0, leading_b(p), x->a, 0, leading_a(p), x->beta,
                                          x->c, 0, n, queue, event,
                                          x->device->temporary ? x->device->temporary->memory : NULL);
    if (x->offsets)
        return CLBlastSgemmBatched(SHAPE(p), x->scales, x->b, x->offsets + count, leading_b(p), x->a,
                                   x->offsets, leading_a(p), x->scales + count, x->c, x->offsets + 2 * count,
                                   n, count, queue, event);
    return CLBlastSgemmStridedBatched(SHAPE(p), 1, x->b, 0, leading_b(p), k * n, x->a, 0, leading_a(p), m * k,
                                      x->beta, x->c, 0, n, m * n, count, queue, event);
}

/* CLBlast may launch several kernels and gives the last one's event: the time runs from a marker before them.
 */
static int enqueue_profiled(fcl_clblast *product)
{
    fcl_device *device = product->device;
    cl_event before, last = NULL;
    FCL_TRY(fcl_opencl_check(device, clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &before),
                             "enqueueing a marker"));
    CLBlastStatusCode code = call(product, &last);
    if (code != CLBlastSuccess) {
        clReleaseEvent(before);
        return fail(product, code);
    }
    return fcl_profile_add(device, product->profile_line, before, last);
}

int fcl_clblast_enqueue(fcl_clblast *product)
{
    if (product->device->profile) {
        FCL_TRY(enqueue_profiled(product));
    } else {
        CLBlastStatusCode code = call(product, NULL);
        if (code != CLBlastSuccess)
            return fail(product, code);
    }
    return fcl_device_enqueued(product->device);
}
