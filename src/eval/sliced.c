/* The sliced W2 distance. */
#include "eval/distance.h"

#include "base/error.h"
#include "base/random.h"
#include "base/watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Uniform on the sphere: normal numbers, divided by their norm. */
static void set_direction(uint64_t seed, int which, int64_t size, double *direction)
{
    fcl_random key = {seed, FCL_EVAL_STREAM, FCL_EVAL_DIRECTION};
    double squares = 0;
    for (int64_t i = 0; i < size; i++) {
        direction[i] = fcl_random_normal(key, (uint64_t)which * (uint64_t)(size + size % 2) + (uint64_t)i);
        squares += direction[i] * direction[i];
    }
    for (int64_t i = 0; i < size; i++)
        direction[i] /= sqrt(squares);
}

static void project(const fcl_array *points, const double *direction, int64_t size, double *line)
{
    int64_t n = points->shape.dim[0];
    for (int64_t i = 0; i < n; i++) {
        const float *point = points->data + i * size;
        double sum = 0;
        for (int64_t d = 0; d < size; d++)
            sum += direction[d] * point[d];
        line[i] = sum;
    }
    fcl_sort(line, n);
}

int fcl_distance_sliced(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                        fcl_distance *distance)
{
    int64_t n = a->shape.dim[0], m = b->shape.dim[0], size = fcl_shape_size(a->shape) / n;
    double *memory = malloc((size_t)(n + m + size) * sizeof *memory), sum = 0;
    if (!memory)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to project %lld points", (long long)(n + m));
    double *direction = memory + n + m;
    int status = FCL_OK;
    for (int i = 0; i < options->projections && status == FCL_OK; i++) {
        status = fcl_watch_at("projecting", i, options->projections);
        set_direction(options->seed, i, size, direction);
        project(a, direction, size, memory);
        project(b, direction, size, memory + n);
        sum += fcl_line_cost(memory, n, memory + n, m, 2);
    }
    free(memory);
    FCL_TRY(status);
    distance->value = sqrt(sum / options->projections);
    snprintf(distance->how, sizeof distance->how, "%d directions", options->projections);
    return FCL_OK;
}
