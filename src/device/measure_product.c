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

static void name_provider(const fcl_gemm_problem *problem, const fcl_gemm_choice *choice, fcl_measure_info *info)
{
    char set[FCL_GEMM_GPU_NAME], parts[16] = "";
    int length = snprintf(info->how, sizeof info->how, "%s", fcl_gemm_provider_name(choice->provider));
    char *end = info->how + length;
    size_t room = sizeof info->how - (size_t)length;
    if (choice->provider == FCL_GEMM_TILE) {
        snprintf(end, room, " %dx%dx%dx%d", choice->rows, choice->vectors, choice->block, choice->panels);
    } else if (choice->provider == FCL_GEMM_GPU) {
        fcl_gemm_gpu_name(choice->set, set);
        if (fcl_gemm_gpu_parts(problem, choice) > 1)
            snprintf(parts, sizeof parts, "/%d", fcl_gemm_gpu_parts(problem, choice));
        snprintf(end, room, " %s%s", set, parts);
    }
}

bool fcl_product_listed(const fcl_product *list, int count, const fcl_product *p)
{
    for (int i = 0; i < count; i++) {
        const fcl_product *q = &list[i];
        if (q->m == p->m && q->n == p->n && q->k == p->k && q->batch == p->batch &&
            q->transpose_a == p->transpose_a && q->transpose_b == p->transpose_b && q->share_a == p->share_a &&
            q->share_b == p->share_b && q->reads == p->reads && q->stores == p->stores && q->cold == p->cold)
            return true;
    }
    return false;
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
                              .share_b = p->share_b,
                              .reads = p->reads,
                              .stores = p->stores};
}

/* --- what follows it: C plus all that is read, and stored again --- */

static void epilogue_text(const fcl_product *p, fcl_text *params, fcl_text *body)
{
    for (int i = 0; i < p->reads; i++) {
        fcl_text_format(params, ", const global float *restrict r%d", i);
        fcl_text_format(body, "v += LOAD(r%d, at); ", i);
    }
    for (int i = 0; i < p->stores; i++) {
        fcl_text_format(params, ", global float *restrict s%d", i);
        fcl_text_format(body, "STORE(s%d, at, v); ", i);
    }
}

/* A pass behind a provider that takes no epilogue. */
static void pass_text(fcl_text *text, const char *params, const char *body)
{
    fcl_text_format(text,
                    "#define LOAD(p, i) (p)[i]\n"
                    "#define STORE(p, i, x) (p)[i] = (x)\n"
                    "kernel void follow(global float *restrict c, const int size%s)\n"
                    "{\n"
                    "    const int at = get_global_id(0);\n"
                    "    if (at >= size)\n"
                    "        return;\n"
                    "    float v = c[at];\n"
                    "    %s\n"
                    "    c[at] = v;\n"
                    "}\n",
                    params, body);
}

static int build(fcl_measure *measure, const fcl_gemm_choice *choice)
{
    const fcl_product *p = &measure->product;
    fcl_gemm_problem problem = fcl_product_problem(p);
    fcl_text text = {0}, params = {0}, body = {0};
    if (choice->provider == FCL_GEMM_CLBLAST && p->reads + p->stores == 0)
        return FCL_OK;
    epilogue_text(p, &params, &body);
    if (choice->provider == FCL_GEMM_TILE)
        fcl_gemm_tile_source(&text, "follow", &problem, choice, params.data, body.data, NULL);
    else if (choice->provider == FCL_GEMM_GPU) /* whole buffers are aligned */
        fcl_gemm_gpu_source(&text, "follow", &problem, choice, true, params.data, body.data);
    else
        pass_text(&text, params.data, body.data);
    int status = fcl_program_build(measure->device, "matrix product", text.data, NULL, &measure->program);
    fcl_text_free(&text);
    fcl_text_free(&params);
    fcl_text_free(&body);
    return status;
}

/* --- the copies --- */

static size_t batch_size(const fcl_product *p)
{
    return (size_t)p->m * (size_t)p->n * (size_t)p->batch;
}

static size_t a_size(const fcl_product *p)
{
    return (size_t)p->m * (size_t)p->k * (size_t)(p->share_a ? 1 : p->batch);
}

static size_t b_size(const fcl_product *p)
{
    return (size_t)p->k * (size_t)p->n * (size_t)(p->share_b ? 1 : p->batch);
}

static int upload(fcl_device *device, size_t count, const float *values, fcl_buffer **buffer)
{
    size_t bytes = count * sizeof *values;
    FCL_TRY(fcl_buffer_create(device, bytes, buffer));
    return values ? fcl_buffer_write(*buffer, 0, bytes, values) : FCL_OK;
}

static int upload_all(fcl_measure *measure, fcl_product_copy *copy)
{
    const fcl_product *p = &measure->product;
    FCL_TRY(upload(measure->device, a_size(p), measure->a, &copy->a));
    FCL_TRY(upload(measure->device, b_size(p), measure->b, &copy->b));
    FCL_TRY(upload(measure->device, batch_size(p), NULL, &copy->c));
    for (int i = 0; i < p->reads; i++)
        FCL_TRY(upload(measure->device, batch_size(p), measure->read, &copy->read[i]));
    for (int i = 0; i < p->stores; i++)
        FCL_TRY(upload(measure->device, batch_size(p), NULL, &copy->store[i]));
    return FCL_OK;
}

/* The launch of a kernel of the program, behind the others. */
static int add_launch(fcl_measure *measure, const char *kernel, fcl_product_copy *copy)
{
    return fcl_launch_create(measure->program, kernel, "product", &copy->launch[copy->launches++]);
}

static int launch_pass(fcl_measure *measure, fcl_product_copy *copy)
{
    enum { GROUP = 64 };
    FCL_TRY(add_launch(measure, "follow", copy));
    fcl_launch_buffer(copy->launch[0], 0, copy->c);
    fcl_launch_int(copy->launch[0], 1, (int32_t)batch_size(&measure->product));
    fcl_launch_range_1d(copy->launch[0], batch_size(&measure->product), GROUP);
    return FCL_OK;
}

static int launch_gpu(fcl_measure *measure, const fcl_gemm_problem *problem, const fcl_gemm_choice *choice,
                      fcl_product_copy *copy)
{
    size_t scratch = fcl_gemm_gpu_scratch(problem, choice);
    FCL_TRY(add_launch(measure, "follow", copy));
    if (scratch) {
        FCL_TRY(fcl_buffer_create(measure->device, scratch, &copy->parts));
        FCL_TRY(add_launch(measure, "follow_sums", copy));
        fcl_gemm_gpu_launch_sums(copy->launch[1], problem, choice, copy->parts, copy->c);
    }
    fcl_gemm_gpu_launch(copy->launch[0], problem, choice, copy->a, copy->b, scratch ? copy->parts : copy->c);
    return FCL_OK;
}

/* What follows the product is done by the last of them: its further arguments begin at *index. */
static int prepare_launches(fcl_measure *measure, const fcl_gemm_choice *choice, fcl_product_copy *copy, int *index)
{
    const fcl_gemm_problem problem = fcl_product_problem(&measure->product);
    switch (choice->provider) {
    case FCL_GEMM_TILE:
        FCL_TRY(add_launch(measure, "follow", copy));
        fcl_gemm_tile_launch(copy->launch[0], &problem, choice, copy->a, copy->b, copy->c);
        *index = FCL_GEMM_TILE_ARGUMENTS;
        return FCL_OK;
    case FCL_GEMM_GPU:
        FCL_TRY(launch_gpu(measure, &problem, choice, copy));
        *index = copy->parts ? FCL_GEMM_GPU_SUMS_ARGUMENTS : FCL_GEMM_GPU_ARGUMENTS;
        return FCL_OK;
    default:
        *index = 2;
        return launch_pass(measure, copy);
    }
}

static int prepare_program(fcl_measure *measure, const fcl_gemm_choice *choice, fcl_product_copy *copy)
{
    const fcl_product *p = &measure->product;
    int index;
    FCL_TRY(prepare_launches(measure, choice, copy, &index));
    fcl_launch *last = copy->launch[copy->launches - 1];
    for (int i = 0; i < p->reads; i++)
        fcl_launch_buffer(last, index++, copy->read[i]);
    for (int i = 0; i < p->stores; i++)
        fcl_launch_buffer(last, index++, copy->store[i]);
    return FCL_OK;
}

static int prepare_copy(fcl_measure *measure, const fcl_gemm_choice *choice, fcl_product_copy *copy)
{
    fcl_gemm_problem problem = fcl_product_problem(&measure->product);
    FCL_TRY(upload_all(measure, copy));
    if (choice->provider == FCL_GEMM_CLBLAST)
        FCL_TRY(fcl_gemm_create(measure->device, &problem, choice, 0, copy->a, copy->b, copy->c, "product", &copy->gemm));
    return measure->program ? prepare_program(measure, choice, copy) : FCL_OK;
}

/* What is cold has left the last cache until its turn comes again. Each copy of a small product has its launch. */
static int count_copies(const fcl_measure *measure)
{
    enum { MOST = 64 };
    const fcl_product *p = &measure->product;
    double matrices = 1 + p->reads + p->stores;
    double bytes = sizeof(float) * ((double)a_size(p) + (double)b_size(p) + matrices * (double)batch_size(p));
    double cache = (double)fcl_cache_most(&measure->device->info), memory = (double)measure->device->info.memory;
    double wanted = p->cold ? 1 + ceil(cache / bytes) : 1, room = floor(memory / 4 / bytes);
    return (int)fmax(1, fmin(fmin(wanted, room), MOST));
}

static int prepare(fcl_measure *measure, const fcl_gemm_choice *choice, uint32_t seed)
{
    const fcl_product *p = &measure->product;
    const fcl_gemm_problem problem = fcl_product_problem(p);
    name_provider(&problem, choice, &measure->info);
    measure->info.work = 2.0 * p->m * p->n * p->k * p->batch;
    measure->a = random_matrix(a_size(p), seed);
    measure->b = random_matrix(b_size(p), seed + 1);
    measure->read = p->reads ? random_matrix(batch_size(p), seed + 2) : NULL;
    if (!measure->a || !measure->b || (p->reads && !measure->read))
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the matrices of a product of m %d, n %d, k %d", p->m, p->n, p->k);
    measure->copies = count_copies(measure);
    measure->copy = fcl_zalloc((size_t)measure->copies * sizeof *measure->copy);
    FCL_TRY(build(measure, choice));
    for (int i = 0; i < measure->copies; i++)
        FCL_TRY(prepare_copy(measure, choice, &measure->copy[i]));
    return FCL_OK;
}

int fcl_measure_product_run(fcl_measure *measure, int64_t round)
{
    fcl_product_copy *copy = &measure->copy[round % measure->copies];
    if (copy->gemm)
        FCL_TRY(fcl_gemm_enqueue(copy->gemm));
    for (int i = 0; i < copy->launches; i++)
        FCL_TRY(fcl_launch_enqueue(copy->launch[i]));
    return FCL_OK;
}

void fcl_measure_product_free(fcl_measure *measure)
{
    for (int i = 0; i < measure->copies; i++) {
        fcl_product_copy *copy = &measure->copy[i];
        fcl_gemm_destroy(&copy->gemm);
        for (int k = 0; k < copy->launches; k++)
            fcl_launch_destroy(&copy->launch[k]);
        fcl_buffer_destroy(&copy->parts);
        fcl_buffer_destroy(&copy->a);
        fcl_buffer_destroy(&copy->b);
        fcl_buffer_destroy(&copy->c);
        for (int k = 0; k < FCL_PRODUCT_MATRICES; k++) {
            fcl_buffer_destroy(&copy->read[k]);
            fcl_buffer_destroy(&copy->store[k]);
        }
    }
    free(measure->copy);
    free(measure->a);
    free(measure->b);
    free(measure->read);
}

static int check_product(const fcl_product *product)
{
    if (product->m < 1 || product->n < 1 || product->k < 1 || product->batch < 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "a product of m %d, n %d, k %d, batch %d has no elements", product->m,
                        product->n, product->k, product->batch);
    if (product->reads < 0 || product->reads > FCL_PRODUCT_MATRICES || product->stores < 0 ||
        product->stores > FCL_PRODUCT_MATRICES)
        return fcl_fail(FCL_ERR_ARGUMENT, "what follows a product reads 0 to %d matrices and stores as many, not %d and %d",
                        FCL_PRODUCT_MATRICES, product->reads, product->stores);
    return FCL_OK;
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

/* op(A) op(B) of one of the batch at one place, and all that is added to it, the magnitude of its terms in *scale. */
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
    for (int i = 0; i < p->reads; i++) {
        double term = measure->read[(item * (size_t)p->m + row) * (size_t)p->n + col];
        sum += term;
        *scale += fabs(term);
    }
    return sum;
}

/* Strides that share no factor with the sizes of tiles visit every place in them. */
static int sample_error(const fcl_measure *measure, fcl_buffer *of, float *values, double *error)
{
    enum { ELEMENTS = 509, STRIDE = 100003 };
    size_t n = (size_t)measure->product.n, m = (size_t)measure->product.m, size = batch_size(&measure->product);
    FCL_TRY(fcl_buffer_read(of, 0, size * sizeof *values, values));
    for (size_t i = 0; i < ELEMENTS; i++) {
        size_t at = i * STRIDE % size;
        double scale, wanted = element(measure, at / n / m, at / n % m, at % n, &scale);
        double wrong = fabs((double)values[at] - wanted) / (scale > 0 ? scale : 1);
        *error = wrong <= *error ? *error : isnan(wrong) ? INFINITY : wrong;
    }
    return FCL_OK;
}

/* The first copy has run whenever one has. */
int fcl_measure_product_error(fcl_measure *measure, double *error)
{
    size_t bytes = batch_size(&measure->product) * sizeof(float);
    float *values = malloc(bytes);
    const fcl_product_copy *copy = &measure->copy[0];
    int status = values ? FCL_OK : fcl_fail(FCL_ERR_MEMORY, "no memory for a matrix of %zu bytes", bytes);
    if (status == FCL_OK && measure->rounds)
        status = sample_error(measure, copy->c, values, error);
    for (int i = 0; status == FCL_OK && measure->rounds && i < measure->product.stores; i++)
        status = sample_error(measure, copy->store[i], values, error);
    free(values);
    return status;
}
