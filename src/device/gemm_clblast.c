/* Matrix products by CLBlast.
 *
 * Row-major C = op(A) op(B) is called as column-major C' = op(B)' op(A)': its temporaries are smaller so, and
 * the weight gradient needs none. CLBlast computes silently wrong with strided batches that have an offset or
 * an unpacked stride, of 0 as well, so those are called packed only; its batch with a list of offsets writes the list
 * to the device and waits there for all that is enqueued. A shared operand is therefore folded into a taller matrix
 * where it can be, and else repeated, by copies that double what is there. */
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
    struct repeated {
        fcl_buffer *from, *to; /* an operand that a batch shares, and all of its copies; NULL where it shares none */
    } repeated[2];
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

/* Memory for a copy of the operand for each product of the batch. */
static int reserve_repeated(fcl_clblast *product, struct repeated *repeated, fcl_buffer *operand, int rows, int columns,
                            cl_mem *memory)
{
    size_t bytes = (size_t)product->problem.batch * (size_t)rows * (size_t)columns * sizeof(float);
    FCL_TRY(fcl_buffer_create(product->device, bytes, &repeated->to));
    repeated->from = operand;
    *memory = repeated->to->memory;
    return FCL_OK;
}

static int reserve(fcl_clblast *product, fcl_buffer *a, fcl_buffer *b)
{
    const fcl_gemm_problem *p = &product->problem;
    if (p->batch == 1)
        return reserve_temporary(product);
    if (p->share_a)
        FCL_TRY(reserve_repeated(product, &product->repeated[0], a, p->m, p->k, &product->a));
    return p->share_b ? reserve_repeated(product, &product->repeated[1], b, p->k, p->n, &product->b) : FCL_OK;
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
    int status = reserve(made, a, b);
    if (status != FCL_OK)
        fcl_clblast_destroy(&made);
    *product = made;
    return status;
}

void fcl_clblast_destroy(fcl_clblast **product)
{
    if (!*product)
        return;
    for (int i = 0; i < 2; i++)
        fcl_buffer_destroy(&(*product)->repeated[i].to);
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
    return CLBlastSgemmStridedBatched(SHAPE(p), 1, x->b, 0, leading_b(p), k * n, x->a, 0, leading_a(p), m * k,
                                      x->beta, x->c, 0, n, m * n, count, queue, event);
}

/* In a number of copies that grows as the batch's logarithm. */
static int repeat(const fcl_clblast *product, const struct repeated *repeated)
{
    if (!repeated->to)
        return FCL_OK;
    size_t all = repeated->to->bytes, done = all / (size_t)product->problem.batch;
    FCL_TRY(fcl_buffer_copy(repeated->to, 0, repeated->from, 0, done));
    for (; done < all; done *= 2)
        FCL_TRY(fcl_buffer_copy(repeated->to, done, repeated->to, 0, done < all - done ? done : all - done));
    return FCL_OK;
}

static int run(fcl_clblast *product, cl_event *event)
{
    for (int i = 0; i < 2; i++)
        FCL_TRY(repeat(product, &product->repeated[i]));
    CLBlastStatusCode code = call(product, event);
    return code == CLBlastSuccess ? FCL_OK : fail(product, code);
}

/* CLBlast may launch several kernels and gives the last one's event: the time runs from a marker before them.
 */
static int enqueue_profiled(fcl_clblast *product)
{
    fcl_device *device = product->device;
    cl_event before, last = NULL;
    FCL_TRY(fcl_opencl_check(device, clEnqueueMarkerWithWaitList(device->queue, 0, NULL, &before),
                             "enqueueing a marker"));
    int status = run(product, &last);
    if (status != FCL_OK) {
        clReleaseEvent(before);
        return status;
    }
    return fcl_profile_add(device, product->profile_line, before, last);
}

int fcl_clblast_enqueue(fcl_clblast *product)
{
    FCL_TRY(product->device->profile ? enqueue_profiled(product) : run(product, NULL));
    return fcl_device_enqueued(product->device);
}
