#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <flowcl/text.h>
#include <flowcl/nn.h>
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fcl_params {
    fcl_arena arena; /* names */
    fcl_param *slices;
    int count, capacity, trained;
    size_t bytes, trained_bytes;
};

fcl_params *fcl_params_create(void)
{
    return fcl_zalloc(sizeof(fcl_params));
}

void fcl_params_destroy(fcl_params **params)
{
    if (!*params)
        return;
    fcl_arena_free(&(*params)->arena);
    free((*params)->slices);
    free(*params);
    *params = NULL;
}

static fcl_param *append(fcl_params *params)
{
    if (params->count == params->capacity) {
        params->capacity = params->capacity ? 2 * params->capacity : 16;
        params->slices = fcl_grow(params->slices, (size_t)params->capacity * sizeof *params->slices);
    }
    return &params->slices[params->count++];
}

static void declare(fcl_params *params, fcl_param slice, const char *format, va_list args)
{
    char name[256];
    fcl_vsnprintf(name, sizeof name, format, args);
    slice.name = fcl_arena_format(&params->arena, "%s", name);
    slice.offset = params->bytes;
    size_t bytes = (size_t)fcl_shape_size(slice.shape) * sizeof(float);
    params->bytes += (bytes + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
    *append(params) = slice;
}

int fcl_params_declare(fcl_params *params, fcl_shape shape, fcl_init init, float scale, const char *name, ...)
{
    assert(params->trained == params->count); /* what is trained is a prefix of the buffer */
    va_list args;
    va_start(args, name);
    declare(params, (fcl_param){.shape = shape, .init = init, .scale = scale}, name, args);
    va_end(args);
    params->trained = params->count;
    params->trained_bytes = params->bytes;
    return params->count - 1;
}

int fcl_params_freeze(fcl_params *params, fcl_shape shape, fcl_init init, float scale, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    declare(params, (fcl_param){.shape = shape, .init = init, .scale = scale, .frozen = true}, name, args);
    va_end(args);
    return params->count - 1;
}

int fcl_params_count(const fcl_params *params)
{
    return params->count;
}

int fcl_params_trained(const fcl_params *params)
{
    return params->trained;
}

const fcl_param *fcl_params_at(const fcl_params *params, int index)
{
    assert(index >= 0 && index < params->count);
    return &params->slices[index];
}

int fcl_params_find(const fcl_params *params, const char *name)
{
    for (int i = 0; i < params->count; i++)
        if (strcmp(params->slices[i].name, name) == 0)
            return i;
    return -1;
}

size_t fcl_params_bytes(const fcl_params *params)
{
    return params->bytes;
}

size_t fcl_params_trained_bytes(const fcl_params *params)
{
    return params->trained_bytes;
}

int64_t fcl_params_numbers(const fcl_params *params)
{
    int64_t numbers = 0;
    for (int i = 0; i < params->trained; i++)
        numbers += fcl_shape_size(params->slices[i].shape);
    return numbers;
}

/* --- first values: one row of `inits` each; four elements at a time, as the random numbers come --- */

static void init_zeros(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    (void)slice, (void)key, (void)first;
    for (int i = 0; i < 4; i++)
        four[i] = 0;
}

static void init_ones(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    (void)slice, (void)key, (void)first;
    for (int i = 0; i < 4; i++)
        four[i] = 1;
}

static void init_uniform(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    fcl_random_uniform4(key, (uint64_t)first, four);
    for (int i = 0; i < 4; i++)
        four[i] = slice->scale * (2 * four[i] - 1);
}

static void init_normal(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    fcl_random_normal4(key, (uint64_t)first, four);
    for (int i = 0; i < 4; i++)
        four[i] *= slice->scale;
}

static void init_octaves(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    (void)key;
    int64_t count = fcl_shape_size(slice->shape);
    for (int i = 0; i < 4; i++)
        four[i] = M_PI * pow(slice->scale, count > 1 ? (double)(first + i) / (double)(count - 1) : 0);
}

static void (*const inits[])(const fcl_param *slice, fcl_random key, int64_t first, double four[4]) = {
    [FCL_INIT_ZEROS] = init_zeros,   [FCL_INIT_ONES] = init_ones,       [FCL_INIT_UNIFORM] = init_uniform,
    [FCL_INIT_NORMAL] = init_normal, [FCL_INIT_OCTAVES] = init_octaves,
};

static int initialise(const fcl_param *slice, fcl_random key, fcl_buffer *buffer)
{
    int64_t size = fcl_shape_size(slice->shape);
    size_t bytes = (size_t)size * sizeof(float);
    float *values = malloc(bytes);
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "the first values of %s need %zu bytes of memory", slice->name,
                        bytes);
    for (int64_t first = 0; first < size; first += 4) {
        double four[4];
        inits[slice->init](slice, key, first, four);
        for (int i = 0; i < 4 && first + i < size; i++)
            values[first + i] = (float)four[i];
    }
    int status = fcl_buffer_write(buffer, slice->offset, bytes, values);
    free(values);
    return status;
}

int fcl_params_initialise(const fcl_params *params, uint64_t seed, uint32_t stream, fcl_buffer *buffer)
{
    for (int i = 0; i < params->count; i++) {
        fcl_random key = {.seed = seed, .stream = stream + (uint32_t)i};
        FCL_TRY(initialise(&params->slices[i], key, buffer));
    }
    return FCL_OK;
}

fcl_tensor **fcl_params_bind(const fcl_params *params, fcl_graph *graph, fcl_buffer *buffer,
                             const char *prefix)
{
    fcl_tensor **leaves = fcl_zalloc((size_t)params->count * sizeof *leaves);
    for (int i = 0; i < params->count; i++) {
        const fcl_param *slice = &params->slices[i];
        char *name = fcl_format("%s%s", prefix, slice->name);
        leaves[i] = fcl_leaf(graph, name, FCL_F32, slice->shape, buffer, slice->offset);
        free(name);
    }
    return leaves;
}
