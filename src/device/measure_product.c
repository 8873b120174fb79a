/* The matrix products that models make, measured and checked. */
#include "device/measure.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Numbers in (-1, 1) that look random and are the same everywhere. */
static float *random_matrix(size_t count, uint32_t state)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; values && i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

static int upload(fcl_measure *measure, int index, size_t count, const float *values)
{
    size_t bytes = count * sizeof *values;
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a matrix of %zu bytes", bytes);
    FCL_TRY(fcl_buffer_create(measure->device, bytes, &measure->buffer[index]));
    return fcl_buffer_write(measure->buffer[index], 0, bytes, values);
}

static void name_provider(const fcl_gemm_choice *choice, fcl_measure_info *info)
{
    if (choice->provider == FCL_GEMM_CLBLAST)
        snprintf(info->how, sizeof info->how, "clblast");
    else
        snprintf(info->how, sizeof info->how, "tile %dx%dx%dx%d", choice->rows, choice->vectors,
                 choice->block, choice->panels);
}

fcl_gemm_problem fcl_product_problem(const fcl_product *p)
{
    return (fcl_gemm_problem){.m = p->m,
                              .n = p->n,
                              .k = p->k,
                              .batch = p->batch ? p->batch : 1,
                              .transpose_a = p->transpose_a,
                              .transpose_b = p->transpose_b,
                              .share_a = p->share_a,
                              .share_b = p->share_b};
}

static int prepare(fcl_measure *measure, const fcl_gemm_choice *choice, uint32_t seed)
{
    const fcl_product *p = &measure->product;
    fcl_gemm_problem problem = fcl_product_problem(p);
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k, batch = (size_t)p->batch;
    size_t a_count = m * k * (p->share_a ? 1 : batch), b_count = k * n * (p->share_b ? 1 : batch);
    name_provider(choice, &measure->info);
    measure->info.work = 2.0 * p->m * p->n * p->k * p->batch;
    measure->a = random_matrix(a_count, seed);
    measure->b = random_matrix(b_count, seed + 1);
    FCL_TRY(upload(measure, 0, a_count, measure->a));
    FCL_TRY(upload(measure, 1, b_count, measure->b));
    FCL_TRY(fcl_buffer_create(measure->device, batch * m * n * sizeof(float), &measure->buffer[2]));
    return fcl_gemm_create(measure->device, &problem, choice, 0, measure->buffer[0], measure->buffer[1],
                           measure->buffer[2], "product", &measure->gemm);
}

static int check_product(const fcl_product *product)
{
    if (product->m >= 1 && product->n >= 1 && product->k >= 1 && product->batch >= 0)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "a product of m %d, n %d, k %d, batch %d has no elements", product->m,
                    product->n, product->k, product->batch);
}

int fcl_measure_choice(fcl_device *device, const fcl_product *product, const fcl_gemm_choice *choice,
                       uint32_t seed, fcl_measure **measure)
{
    *measure = NULL;
    FCL_TRY(check_product(product));
    fcl_measure *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->kind = FCL_MEASURE_KINDS;
    made->info.unit = "FLOP";
    made->product = *product;
    made->product.batch = product->batch ? product->batch : 1;
    int status = prepare(made, choice, seed);
    if (status == FCL_OK)
        status = fcl_device_finish(device);
    if (status != FCL_OK)
        fcl_measure_destroy(&made);
    *measure = made;
    return status;
}

int fcl_measure_product(fcl_device *device, const fcl_product *product, fcl_measure **measure)
{
    fcl_gemm_problem problem = fcl_product_problem(product);
    *measure = NULL;
    FCL_TRY(check_product(product));
    fcl_gemm_choice choice = fcl_gemm_choose(device, &problem);
    return fcl_measure_choice(device, product, &choice, 1, measure);
}

/* op(A) op(B) of one of the batch at one place, the magnitude of its terms in *scale. */
static double element(const fcl_measure *measure, size_t item, size_t row, size_t col, double *scale)
{
    const fcl_product *p = &measure->product;
    const float *a_of = measure->a + (p->share_a ? 0 : item * (size_t)p->m * (size_t)p->k);
    const float *b_of = measure->b + (p->share_b ? 0 : item * (size_t)p->k * (size_t)p->n);
    double sum = 0;
    *scale = 0;
    for (size_t i = 0; i < (size_t)p->k; i++) {
        double a = a_of[p->transpose_a ? i * (size_t)p->m + row : row * (size_t)p->k + i];
        double b = b_of[p->transpose_b ? col * (size_t)p->k + i : i * (size_t)p->n + col];
        sum += a * b;
        *scale += fabs(a * b);
    }
    return sum;
}

/* Strides that share no factor with the sizes of tiles visit every place in them. */
int fcl_measure_product_error(fcl_measure *measure, double *error)
{
    enum { ELEMENTS = 509, STRIDE = 100003 };
    size_t n = (size_t)measure->product.n, m = (size_t)measure->product.m,
           size = m * n * (size_t)measure->product.batch;
    float *c = malloc(size * sizeof *c);
    if (!c)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a matrix of %zu bytes", size * sizeof *c);
    int status = fcl_buffer_read(measure->buffer[2], 0, size * sizeof *c, c);
    for (size_t i = 0; status == FCL_OK && measure->rounds && i < ELEMENTS; i++) {
        size_t at = i * STRIDE % size;
        double scale, wanted = element(measure, at / n / m, at / n % m, at % n, &scale);
        double wrong = fabs((double)c[at] - wanted) / (scale > 0 ? scale : 1);
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    free(c);
    return status;
}
