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
        snprintf(info->how, sizeof info->how, "tile %dx%dx%d", choice->rows, choice->vectors, choice->block);
}

static int prepare(fcl_measure *measure)
{
    const fcl_product *p = &measure->product;
    size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
    fcl_gemm_problem problem = {.m = p->m,
                                .n = p->n,
                                .k = p->k,
                                .batch = 1,
                                .transpose_a = p->transpose_a,
                                .transpose_b = p->transpose_b};
    fcl_gemm_choice choice = fcl_gemm_choose(measure->device, &problem);
    name_provider(&choice, &measure->info);
    measure->info.work = 2.0 * p->m * p->n * p->k;
    measure->a = random_matrix(m * k, 1);
    measure->b = random_matrix(k * n, 2);
    FCL_TRY(upload(measure, 0, m * k, measure->a));
    FCL_TRY(upload(measure, 1, k * n, measure->b));
    FCL_TRY(fcl_buffer_create(measure->device, m * n * sizeof(float), &measure->buffer[2]));
    return fcl_gemm_create(measure->device, &problem, &choice, 0, measure->buffer[0], measure->buffer[1],
                           measure->buffer[2], "product", &measure->gemm);
}

int fcl_measure_product(fcl_device *device, const fcl_product *product, fcl_measure **measure)
{
    *measure = NULL;
    if (product->m < 1 || product->n < 1 || product->k < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "a product of m %d, n %d, k %d has no elements", product->m,
                        product->n, product->k);
    fcl_measure *made = fcl_zalloc(sizeof *made);
    made->device = device;
    made->kind = FCL_MEASURE_KINDS;
    made->info.unit = "FLOP";
    made->product = *product;
    int status = prepare(made);
    if (status == FCL_OK)
        status = fcl_device_finish(device);
    if (status != FCL_OK)
        fcl_measure_destroy(&made);
    *measure = made;
    return status;
}

/* op(A) op(B) at one place, the magnitude of its terms in *scale. */
static double element(const fcl_measure *measure, size_t row, size_t col, double *scale)
{
    const fcl_product *p = &measure->product;
    double sum = 0;
    *scale = 0;
    for (size_t i = 0; i < (size_t)p->k; i++) {
        double a = measure->a[p->transpose_a ? i * (size_t)p->m + row : row * (size_t)p->k + i];
        double b = measure->b[p->transpose_b ? col * (size_t)p->k + i : i * (size_t)p->n + col];
        sum += a * b;
        *scale += fabs(a * b);
    }
    return sum;
}

/* Strides that share no factor with the sizes of tiles visit every place in them. */
int fcl_measure_product_error(fcl_measure *measure, double *error)
{
    enum { ELEMENTS = 509, STRIDE = 100003 };
    size_t n = (size_t)measure->product.n, size = (size_t)measure->product.m * n;
    float *c = malloc(size * sizeof *c);
    if (!c)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a matrix of %zu bytes", size * sizeof *c);
    int status = fcl_buffer_read(measure->buffer[2], 0, size * sizeof *c, c);
    for (size_t i = 0; status == FCL_OK && measure->rounds && i < ELEMENTS; i++) {
        size_t at = i * STRIDE % size;
        double scale, wanted = element(measure, at / n, at % n, &scale);
        double wrong = fabs((double)c[at] - wanted) / (scale > 0 ? scale : 1);
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    free(c);
    return status;
}
