/* The plane of the two directions along which data is most spread out. */
#include "eval/plot.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 60, MOST_POINTS = 2000 };

static int64_t stride_of(const fcl_array *data)
{
    int64_t n = data->shape.dim[0];
    return n > MOST_POINTS ? n / MOST_POINTS : 1;
}

static void set_mean(const fcl_array *data, fcl_plane *plane)
{
    int64_t n = data->shape.dim[0];
    for (int64_t i = 0; i < n; i++)
        for (int64_t d = 0; d < plane->size; d++)
            plane->mean[d] += data->data[i * plane->size + d] / (double)n;
}

static double coordinate(const fcl_plane *plane, const float *point, const double *axis)
{
    double sum = 0;
    for (int64_t d = 0; d < plane->size; d++)
        sum += (point[d] - plane->mean[d]) * axis[d];
    return sum;
}

static double dot(const double *a, const double *b, int64_t size)
{
    double sum = 0;
    for (int64_t d = 0; d < size; d++)
        sum += a[d] * b[d];
    return sum;
}

/* To length 1, at right angles to the axes before; false where nothing is left. */
static bool straighten(const fcl_plane *plane, int which, double *axis)
{
    double before = sqrt(dot(axis, axis, plane->size));
    for (int k = 0; k < which; k++) {
        double along = dot(axis, plane->axis[k], plane->size);
        for (int64_t d = 0; d < plane->size; d++)
            axis[d] -= along * plane->axis[k][d];
    }
    double length = sqrt(dot(axis, axis, plane->size));
    for (int64_t d = 0; length > 0 && d < plane->size; d++)
        axis[d] /= length;
    return length > 1e-9 * before && length > 0;
}

/* The power method on the covariance: each round multiplies by it. */
static void find_axis(const fcl_array *data, fcl_plane *plane, int which, double *next)
{
    double *axis = plane->axis[which];
    for (int64_t d = 0; d < plane->size; d++)
        axis[d] = sin(1.0 + (double)d * (1 + which)); /* any direction that is not special */
    straighten(plane, which, axis);
    for (int round = 0; round < ROUNDS; round++) {
        memset(next, 0, (size_t)plane->size * sizeof *next);
        for (int64_t i = 0; i < data->shape.dim[0]; i += stride_of(data)) {
            const float *point = data->data + i * plane->size;
            double along = coordinate(plane, point, axis);
            for (int64_t d = 0; d < plane->size; d++)
                next[d] += along * (point[d] - plane->mean[d]);
        }
        if (!straighten(plane, which, next)) /* no spread in any further direction */
            return;
        memcpy(axis, next, (size_t)plane->size * sizeof *next);
    }
}

int fcl_plane_create(const fcl_array *data, fcl_plane *plane)
{
    *plane = (fcl_plane){.size = fcl_shape_size(data->shape) / data->shape.dim[0]};
    plane->mean = calloc((size_t)plane->size * 4, sizeof *plane->mean);
    if (!plane->mean)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for axes of %lld numbers", (long long)plane->size);
    plane->axis[0] = plane->mean + plane->size;
    plane->axis[1] = plane->mean + 2 * plane->size;
    set_mean(data, plane);
    for (int which = 0; which < 2; which++)
        find_axis(data, plane, which, plane->mean + 3 * plane->size);
    return FCL_OK;
}

void fcl_plane_destroy(fcl_plane *plane)
{
    free(plane->mean);
    *plane = (fcl_plane){0};
}

void fcl_plane_project(const fcl_plane *plane, const float *points, int64_t count, float *projected)
{
    for (int64_t i = 0; i < count; i++)
        for (int which = 0; which < 2; which++)
            projected[2 * i + which] = (float)coordinate(plane, points + i * plane->size, plane->axis[which]);
}
