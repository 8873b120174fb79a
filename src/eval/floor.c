/* A distance between random parts of two sets, or of one: its floor. */
#include "eval/distance.h"

#include "base/array.h"
#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    const fcl_array *points;
    int64_t count;  /* of them */
    int64_t *order; /* of their rows */
    int64_t wanted; /* by one draw */
    bool disjoint;  /* one order serves all draws */
} source;

static int open_source(const fcl_array *points, int64_t wanted, int draws, source *from)
{
    int64_t n = points->shape.rank ? points->shape.dim[0] : 0;
    *from = (source){.points = points, .count = n, .wanted = wanted, .disjoint = wanted <= n / draws};
    if (wanted > n || wanted < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "%lld points cannot be drawn of %lld", (long long)wanted,
                        (long long)n);
    from->order = malloc((size_t)n * sizeof *from->order);
    if (!from->order)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw from %lld points", (long long)n);
    return FCL_OK;
}

/* The first of the rows that draw `index` takes. */
static const int64_t *shuffle(source *from, uint64_t seed, int which, int index)
{
    fcl_random key = {seed, FCL_EVAL_STREAM, FCL_EVAL_SUBSET + 2 * (uint32_t)(from->disjoint ? 0 : index)};
    key.step += (uint32_t)which;
    if (from->disjoint && index > 0)
        return from->order + index * from->wanted;
    for (int64_t i = 0; i < from->count; i++)
        from->order[i] = i;
    fcl_random_order(key, from->count, from->disjoint ? from->count : from->wanted, from->order);
    return from->order;
}

static int take(const fcl_array *points, const int64_t *rows, int64_t count, fcl_array **taken)
{
    fcl_shape shape = points->shape;
    int64_t size = fcl_shape_size(shape) / shape.dim[0];
    shape.dim[0] = count;
    FCL_TRY(fcl_array_create(shape, taken));
    for (int64_t i = 0; i < count; i++)
        memcpy((*taken)->data + i * size, points->data + rows[i] * size, (size_t)size * sizeof(float));
    return FCL_OK;
}

/* --- measuring --- */

typedef struct drawing {
    const char *name;
    const fcl_distance_options *options;
    source from[2]; /* the second is not opened where both sets are of the first */
    int64_t points[2];
} drawing;

static int measure(drawing *d, int index, double *value)
{
    bool one = !d->from[1].points;
    fcl_distance_options options = d->options ? *d->options : (fcl_distance_options){0};
    fcl_array *set[2] = {NULL, NULL};
    fcl_distance distance;
    const int64_t *rows = shuffle(&d->from[0], options.seed, 0, index);
    int status = take(d->from[0].points, rows, d->points[0], &set[0]);
    rows = one ? rows + d->points[0] : shuffle(&d->from[1], options.seed, 1, index);
    if (status == FCL_OK)
        status = take(d->from[!one].points, rows, d->points[1], &set[1]);
    options.seed += (uint64_t)index; /* other directions each time */
    if (status == FCL_OK)
        status = fcl_distance_measure(d->name, set[0], set[1], &options, &distance);
    if (status == FCL_OK)
        *value = distance.value;
    fcl_array_destroy(&set[0]);
    fcl_array_destroy(&set[1]);
    return status;
}

static int measure_all(drawing *d, int draws, fcl_distance_mean *mean)
{
    double sum = 0, squares = 0;
    double *value = malloc((size_t)draws * sizeof *value);
    if (!value)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %d draws", draws);
    int status = FCL_OK;
    for (int i = 0; i < draws && status == FCL_OK; i++) {
        value[i] = 0;
        status = measure(d, i, &value[i]);
        sum += value[i];
    }
    mean->mean = sum / draws;
    for (int i = 0; i < draws && status == FCL_OK; i++)
        squares += (value[i] - mean->mean) * (value[i] - mean->mean);
    mean->deviation = draws > 1 ? sqrt(squares / (draws - 1)) : NAN;
    free(value);
    return status;
}

/* Both sets of one: where it has too few points, in proportion. */
static void shrink(int64_t count, int64_t points[2])
{
    int64_t wanted = points[0] + points[1];
    if (wanted <= count)
        return;
    points[0] = (int64_t)((double)points[0] * (double)count / (double)wanted);
    points[0] = points[0] > 1 ? points[0] : 1;
    points[1] = (int64_t)((double)points[1] * (double)count / (double)wanted);
    points[1] = points[1] > 1 ? points[1] : 1;
}

int fcl_distance_draws(const char *name, const fcl_array *a, const fcl_array *b, const int64_t points[2],
                       int draws, const fcl_distance_options *options, fcl_distance_mean *mean)
{
    drawing d = {.name = name, .options = options, .points = {points[0], points[1]}};
    *mean = (fcl_distance_mean){.mean = NAN, .deviation = NAN};
    if (draws < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s cannot be measured of %d draws", name, draws);
    if (!b)
        shrink(a->shape.rank ? a->shape.dim[0] : 0, d.points);
    int status = open_source(a, b ? d.points[0] : d.points[0] + d.points[1], draws, &d.from[0]);
    if (status == FCL_OK && b)
        status = open_source(b, d.points[1], draws, &d.from[1]);
    if (status == FCL_OK)
        status = measure_all(&d, draws, mean);
    memcpy(mean->points, d.points, sizeof d.points);
    mean->disjoint = d.from[0].disjoint && (!b || d.from[1].disjoint);
    free(d.from[0].order);
    free(d.from[1].order);
    return status;
}
