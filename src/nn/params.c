#include "nn/params.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <flowcl/text.h>
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The parts of the buffer, in its order. */
typedef enum part { DECAYED, UNDECAYED, FROZEN, PARTS } part;

struct fcl_params {
    fcl_arena arena; /* names, and the mistake */
    fcl_param *slices;
    int count, capacity, trained;
    size_t bytes[PARTS];
    uint32_t draws;
    const char *mistake; /* the first one; NULL while there is none */
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

static part part_of(const fcl_param *slice)
{
    return slice->frozen ? FROZEN : slice->undecayed ? UNDECAYED : DECAYED;
}

/* At the end of its part; the parts behind it move on. */
static void place(fcl_params *params, fcl_param *slice)
{
    size_t bytes = (size_t)fcl_shape_size(slice->shape) * sizeof(float);
    bytes = (bytes + FCL_BUFFER_ALIGN - 1) / FCL_BUFFER_ALIGN * FCL_BUFFER_ALIGN;
    for (int i = 0; i < params->count; i++)
        if (part_of(&params->slices[i]) > part_of(slice))
            params->slices[i].offset += bytes;
    for (part before = 0; before <= part_of(slice); before++)
        slice->offset += params->bytes[before];
    params->bytes[part_of(slice)] += bytes;
}

/* The first mistake stays; what was declared wrongly is there as if it took no more than a number. */
void fcl_params_mistake(fcl_params *params, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    fcl_vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!params->mistake)
        params->mistake = fcl_arena_format(&params->arena, "%s", text);
}

static bool is_permutation(int rank, const int *order)
{
    unsigned seen = 0;
    for (int i = 0; i < rank; i++)
        seen |= order[i] >= 0 && order[i] < rank ? 1u << order[i] : 0;
    return seen == (1u << rank) - 1;
}

static void set_order(fcl_params *params, fcl_param *slice)
{
    bool none = true;
    for (int i = 0; i < FCL_MAX_RANK; i++)
        none &= slice->order[i] == 0;
    bool usable = none || is_permutation(slice->shape.rank, slice->order);
    if (!usable)
        fcl_params_mistake(params, "the order of %s is none of its %d dimensions, each once", slice->name,
                           slice->shape.rank);
    for (int i = 0; i < FCL_MAX_RANK && (none || !usable); i++)
        slice->order[i] = i;
}

static void check_slice(fcl_params *params, fcl_param *slice)
{
    char shape[FCL_SHAPE_TEXT];
    size_t bytes;
    if (slice->shape.rank < 0 || slice->shape.rank > FCL_MAX_RANK ||
        !fcl_shape_bytes(slice->shape, sizeof(float), &bytes) || bytes == 0) {
        bool many = slice->shape.rank < 0 || slice->shape.rank > FCL_MAX_RANK;
        fcl_params_mistake(params, "%s cannot have the shape %s", slice->name,
                           many ? "of so many dimensions" : fcl_shape_format(slice->shape, shape));
        slice->shape = FCL_SCALAR;
    }
    if (slice->init == FCL_INIT_XAVIER && slice->shape.rank < 2)
        fcl_params_mistake(params, "%s of shape %s has no fan in and fan out, which Xavier's first values are by",
                           slice->name, fcl_shape_format(slice->shape, shape));
    if (slice->init == FCL_INIT_POSITIONS &&
        (slice->shape.rank < 1 || slice->shape.dim[slice->shape.rank - 1] % 4 || !(slice->scale >= 1)))
        fcl_params_mistake(params,
                           "%s of shape %s cannot begin with positions: they are a multiple of 4 numbers, on a grid of a "
                           "column or more",
                           slice->name, fcl_shape_format(slice->shape, shape));
    if (!*slice->name)
        fcl_params_mistake(params, "slice %d has no name", params->count);
    if (fcl_params_find(params, slice->name) >= 0)
        fcl_params_mistake(params, "there are two slices of the name %s", slice->name);
    if (!slice->frozen && params->trained != params->count)
        fcl_params_mistake(params, "%s is trained, and follows the frozen slice %s: these stand behind all trained ones",
                           slice->name, params->slices[params->count - 1].name);
}

static int add(fcl_params *params, fcl_param slice, const char *format, va_list args)
{
    char name[256];
    fcl_vsnprintf(name, sizeof name, format, args);
    slice.name = fcl_arena_format(&params->arena, "%s", name);
    slice.offset = 0;
    check_slice(params, &slice);
    set_order(params, &slice);
    place(params, &slice);
    *append(params) = slice;
    if (!slice.frozen)
        params->trained = params->count;
    return params->count - 1;
}

int fcl_params_add(fcl_params *params, const fcl_param *slice, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    int index = add(params, *slice, name, args);
    va_end(args);
    return index;
}

int fcl_params_declare(fcl_params *params, fcl_shape shape, fcl_init init, float scale, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    int index = add(params, (fcl_param){.shape = shape, .init = init, .scale = scale}, name, args);
    va_end(args);
    return index;
}

int fcl_params_freeze(fcl_params *params, fcl_shape shape, fcl_init init, float scale, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    int index = add(params, (fcl_param){.shape = shape, .init = init, .scale = scale, .frozen = true}, name, args);
    va_end(args);
    return index;
}

uint32_t fcl_params_next_draw(fcl_params *params)
{
    return params->draws++;
}

int fcl_params_check(const fcl_params *params)
{
    if (params->mistake)
        return fcl_fail(FCL_ERR_ARGUMENT, "parameters: %s", params->mistake);
    if (params->trained == 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "parameters: none is trained");
    return FCL_OK;
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
    return fcl_params_trained_bytes(params) + params->bytes[FROZEN];
}

size_t fcl_params_trained_bytes(const fcl_params *params)
{
    return params->bytes[DECAYED] + params->bytes[UNDECAYED];
}

size_t fcl_params_decayed_bytes(const fcl_params *params)
{
    return params->bytes[DECAYED];
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

static void init_xavier(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    fcl_shape file = fcl_param_file_shape(slice);
    double each = (double)fcl_shape_size(file) / ((double)file.dim[0] * (double)file.dim[1]);
    double bound = sqrt(6 / (each * (double)(file.dim[0] + file.dim[1])));
    init_uniform(slice, key, first, four);
    for (int i = 0; i < 4; i++)
        four[i] *= bound;
}

static void init_positions(const fcl_param *slice, fcl_random key, int64_t first, double four[4])
{
    int64_t width = slice->shape.dim[slice->shape.rank - 1], half = width / 2, quarter = half / 2;
    int64_t columns = (int64_t)slice->scale;
    (void)key;
    for (int i = 0; i < 4; i++) {
        int64_t place = (first + i) / width, k = (first + i) % width;
        int64_t along = k < half ? place % columns : place / columns;
        double angle = (double)along * pow(10000, -(double)(k % quarter) / (double)quarter);
        four[i] = k % half < quarter ? sin(angle) : cos(angle);
    }
}

static void (*const inits[])(const fcl_param *slice, fcl_random key, int64_t first, double four[4]) = {
    [FCL_INIT_ZEROS] = init_zeros,   [FCL_INIT_ONES] = init_ones,       [FCL_INIT_UNIFORM] = init_uniform,
    [FCL_INIT_NORMAL] = init_normal, [FCL_INIT_OCTAVES] = init_octaves, [FCL_INIT_XAVIER] = init_xavier,
    [FCL_INIT_POSITIONS] = init_positions,
};

static int initialise(const fcl_param *slice, fcl_random key, fcl_buffer *buffer)
{
    int64_t size = fcl_shape_size(slice->shape);
    size_t bytes = (size_t)size * sizeof(float);
    float *values = malloc(bytes), *placed = malloc(bytes);
    int status = values && placed ? FCL_OK
                                  : fcl_fail(FCL_ERR_MEMORY, "the first values of %s need %zu bytes of memory",
                                             slice->name, 2 * bytes);
    for (int64_t first = 0; status == FCL_OK && first < size; first += 4) {
        double four[4];
        inits[slice->init](slice, key, first, four);
        for (int i = 0; i < 4 && first + i < size; i++)
            values[first + i] = (float)four[i];
    }
    if (status == FCL_OK) {
        fcl_param_from_file(slice, values, placed);
        status = fcl_buffer_write(buffer, slice->offset, bytes, placed);
    }
    free(placed);
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
