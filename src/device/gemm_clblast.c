/* Matrix products by CLBlast.
 *
 * Row-major C = op(A) op(B) is called as column-major C' = op(B)' op(A)': its temporaries are smaller so, and
 * the weight gradient needs none. CLBlast computes silently wrong with strided batches that have an offset or
 * an unpacked stride, of 0 as well, so those are called packed only; its batch with a list of offsets writes the list
 * to the device and waits there for all that is enqueued. A shared operand is therefore folded into a taller matrix
 * where it can be, and else repeated, by copies that double what is there.
 *
 * Groups of its kernels run along rows, columns or terms, whichever the kernel, and over the batch; above the first
 * dimension a device may take no more than 65535 of them. What is longer goes in parts, a call each. */
#include "device/opencl.h"

#include "base/clock.h"
#include "base/error.h"

#include <clblast_c.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LENGTH_MOST = 1 << 17,  /* rows, columns or terms a call: the smallest groups take 4 of them */
    ITEMS_MOST = 128 * 511, /* of a batch: then the next part begins where a buffer may */
};

typedef struct part {
    size_t m, n, k, batch;
    size_t a, b, c;       /* where its operands begin in the product's, in floats */
    fcl_buffer *slice[3]; /* windows that begin there; NULL where the offsets are given to CLBlast */
    bool adds;            /* terms before its own are in C already */
} part;

struct fcl_clblast {
    fcl_device *device;
    fcl_gemm_problem problem;
    float beta;
    fcl_buffer *a, *b, *c;
    char label[96];
    int profile_line;
    struct repeated {
        fcl_buffer *from, *to; /* an operand that a batch shares, and all of its copies; NULL where it shares none */
    } repeated[2];
    part *parts;
    int part_count;
};

#define STRINGIFY(x)                 #x
#define VERSION(major, minor, patch) STRINGIFY(major) "." STRINGIFY(minor) "." STRINGIFY(patch)

const char *fcl_clblast_version(void)
{
    return VERSION(CLBLAST_VERSION_MAJOR, CLBLAST_VERSION_MINOR, CLBLAST_VERSION_PATCH);
}

/* The arguments that every routine begins with; the operands are swapped. */
#define SHAPE(p, size)                                                                                       \
    CLBlastLayoutColMajor, (p)->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo,                      \
        (p)->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo, (size)->n, (size)->m, (size)->k

static size_t leading_a(const fcl_gemm_problem *p)
{
    return (size_t)(p->transpose_a ? p->m : p->k);
}

static size_t leading_b(const fcl_gemm_problem *p)
{
    return (size_t)(p->transpose_b ? p->k : p->n);
}

/* What CLBlast and the driver say of a kernel whose groups are larger than the device, or the kernel, allows. */
static bool is_too_large(CLBlastStatusCode code)
{
    return code == CLBlastInvalidLocalThreadsTotal || code == CLBlastInvalidLocalThreadsDim ||
           code == CLBlastInvalidLocalMemUsage;
}

static int fail(const fcl_clblast *product, CLBlastStatusCode code)
{
    const fcl_gemm_problem *p = &product->problem;
    const fcl_device_info *info = &product->device->info;
    if (is_too_large(code))
        return fcl_fail(FCL_ERR_UNSUPPORTED,
                        "CLBlast's kernel for the product %s (m %d, n %d, k %d, batch %d) needs larger groups or more "
                        "local memory than %s has (%s); flowcl tune looks for parameters that fit",
                        product->label, p->m, p->n, p->k, p->batch, info->name, fcl_opencl_name((cl_int)code));
    return fcl_opencl_fail(product->device, (cl_int)code, "CLBlast's product %s (m %d, n %d, k %d, batch %d)",
                           product->label, p->m, p->n, p->k, p->batch);
}

/* The device's temporary grows to what this part needs; the queue's order lets all products share it. */
static int reserve_temporary(fcl_clblast *product, const part *some)
{
    fcl_device *device = product->device;
    const fcl_gemm_problem *p = &product->problem;
    size_t bytes = 0;
    CLBlastStatusCode code =
        CLBlastSGemmTempBufferSize(SHAPE(p, some), some->b, leading_b(p), some->a, leading_a(p), some->c,
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

/* Memory for a copy of the operand for each product of the batch, in its place. */
static int reserve_repeated(fcl_clblast *product, struct repeated *repeated, fcl_buffer **operand, int rows, int columns)
{
    size_t bytes = (size_t)product->problem.batch * (size_t)rows * (size_t)columns * sizeof(float);
    FCL_TRY(fcl_buffer_create(product->device, bytes, &repeated->to));
    repeated->from = *operand;
    *operand = repeated->to;
    return FCL_OK;
}

/* --- parts --- */

static size_t ceil_divide(size_t size, size_t most)
{
    return (size + most - 1) / most;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Part `index` of a product whose matrices are a call each, or several: terms are counted first, the batch last. */
static part matrix_part(const fcl_gemm_problem *p, size_t index)
{
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    const size_t deep = ceil_divide(k, LENGTH_MOST), wide = ceil_divide(n, LENGTH_MOST),
                 high = ceil_divide(m, LENGTH_MOST);
    const size_t term = index % deep * LENGTH_MOST, col = index / deep % wide * LENGTH_MOST,
                 row = index / deep / wide % high * LENGTH_MOST, item = index / deep / wide / high;
    return (part){.m = least(LENGTH_MOST, m - row),
                  .n = least(LENGTH_MOST, n - col),
                  .k = least(LENGTH_MOST, k - term),
                  .batch = 1,
                  .a = (p->share_a ? 0 : item * m * k) + (p->transpose_a ? term * m + row : row * k + term),
                  .b = (p->share_b ? 0 : item * k * n) + (p->transpose_b ? col * k + term : term * n + col),
                  .c = item * m * n + row * n + col,
                  .adds = term > 0};
}

/* A window of the operand's memory from the first matrix of a part of the batch on. */
static int slice(fcl_buffer *operand, size_t first, size_t count, size_t floats, fcl_buffer **window)
{
    return fcl_buffer_slice(operand, first * floats * sizeof(float), count * floats * sizeof(float), window);
}

static int batch_part(fcl_clblast *product, size_t index, part *made)
{
    const fcl_gemm_problem *p = &product->problem;
    const size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k, batch = (size_t)p->batch,
                 first = index * ITEMS_MOST, count = least(ITEMS_MOST, batch - first);
    *made = (part){.m = m, .n = n, .k = k, .batch = count};
    FCL_TRY(slice(product->a, first, count, m * k, &made->slice[0]));
    FCL_TRY(slice(product->b, first, count, k * n, &made->slice[1]));
    return slice(product->c, first, count, m * n, &made->slice[2]);
}

static part *make_parts(fcl_clblast *product, size_t count)
{
    product->part_count = (int)count;
    return product->parts = fcl_zalloc(count * sizeof *product->parts);
}

static int reserve_matrices(fcl_clblast *product)
{
    const fcl_gemm_problem *p = &product->problem;
    size_t count = ceil_divide((size_t)p->k, LENGTH_MOST) * ceil_divide((size_t)p->n, LENGTH_MOST) *
                   ceil_divide((size_t)p->m, LENGTH_MOST) * (size_t)p->batch;
    part *parts = make_parts(product, count);
    for (size_t i = 0; i < count; i++) {
        parts[i] = matrix_part(p, i);
        FCL_TRY(reserve_temporary(product, &parts[i]));
    }
    return FCL_OK;
}

static int reserve_batches(fcl_clblast *product)
{
    const fcl_gemm_problem *p = &product->problem;
    size_t count = ceil_divide((size_t)p->batch, ITEMS_MOST);
    FCL_TRY(fcl_selftest_batch(product->device));
    if (p->share_a)
        FCL_TRY(reserve_repeated(product, &product->repeated[0], &product->a, p->m, p->k));
    if (p->share_b)
        FCL_TRY(reserve_repeated(product, &product->repeated[1], &product->b, p->k, p->n));
    part *parts = make_parts(product, count);
    for (size_t i = 0; i < count; i++)
        FCL_TRY(batch_part(product, i, &parts[i]));
    return FCL_OK;
}

static int reserve(fcl_clblast *product)
{
    const fcl_gemm_problem *p = &product->problem;
    bool is_long = p->m > LENGTH_MOST || p->n > LENGTH_MOST || p->k > LENGTH_MOST;
    return p->batch == 1 || is_long ? reserve_matrices(product) : reserve_batches(product);
}

/* --- the handle --- */

int fcl_clblast_create(fcl_device *device, const fcl_gemm_problem *problem, float beta, fcl_buffer *a,
                       fcl_buffer *b, fcl_buffer *c, const char *label, fcl_clblast **product)
{
    *product = NULL;
    FCL_TRY(fcl_clblast_set_apply(device));
    fcl_clblast *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->problem = *problem;
    made->beta = beta;
    made->a = a;
    made->b = b;
    made->c = c;
    snprintf(made->label, sizeof made->label, "%s", label ? label : "gemm");
    made->profile_line = fcl_profile_line_find(device, made->label);
    fold_batch(&made->problem);
    int status = reserve(made);
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
    for (int i = 0; i < 3 * (*product)->part_count; i++)
        fcl_buffer_destroy(&(*product)->parts[i / 3].slice[i % 3]);
    free((*product)->parts);
    free(*product);
    *product = NULL;
}

static CLBlastStatusCode call(const fcl_clblast *x, const part *some, cl_event *event)
{
    const fcl_gemm_problem *p = &x->problem;
    cl_command_queue *queue = &x->device->queue;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    if (!some->slice[0])
        return CLBlastSgemmWithTempBuffer(SHAPE(p, some), 1, x->b->memory, some->b, leading_b(p), x->a->memory, some->a,
                                          leading_a(p), some->adds ? 1 : x->beta, x->c->memory, some->c, n, queue, event,
                                          x->device->temporary ? x->device->temporary->memory : NULL);
    return CLBlastSgemmStridedBatched(SHAPE(p, some), 1, some->slice[1]->memory, 0, leading_b(p), k * n,
                                      some->slice[0]->memory, 0, leading_a(p), m * k, x->beta, some->slice[2]->memory, 0,
                                      n, m * n, some->batch, queue, event);
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

/* CLBlast may launch several kernels and gives the last one's event: the time runs from a mark before them. */
static int run(fcl_clblast *product, const part *some)
{
    fcl_device *device = product->device;
    fcl_profile_event event = {.line = product->profile_line, .began = fcl_clock_seconds()};
    if (device->profile)
        FCL_TRY(fcl_profile_mark(device, &event.first));
    CLBlastStatusCode code = call(product, some, device->profile ? &event.last : NULL);
    if (code != CLBlastSuccess) {
        if (event.first)
            clReleaseEvent(event.first);
        return fail(product, code);
    }
    if (device->profile)
        FCL_TRY(fcl_profile_add(device, event));
    device->counts.clblast++;
    return fcl_device_enqueued(device);
}

int fcl_clblast_enqueue(fcl_clblast *product)
{
    for (int i = 0; i < 2; i++)
        FCL_TRY(repeat(product, &product->repeated[i]));
    for (int i = 0; i < product->part_count; i++)
        FCL_TRY(run(product, &product->parts[i]));
    return FCL_OK;
}
