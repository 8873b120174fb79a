#include <flowcl/eval.h>

#include "base/array.h"
#include "base/assign.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>

static int check_points(const fcl_array *a, const fcl_array *b)
{
    char left[FCL_SHAPE_TEXT], right[FCL_SHAPE_TEXT];
    bool same = a->shape.rank == b->shape.rank && a->shape.rank > 0;
    for (int i = 0; same && i < a->shape.rank; i++)
        same = a->shape.dim[i] == b->shape.dim[i];
    if (!same || fcl_shape_size(a->shape) == 0)
        return fcl_fail(FCL_ERR_SHAPE,
                        "W2 is between equally many points of one shape, not between %s and %s",
                        fcl_shape_format(a->shape, left), fcl_shape_format(b->shape, right));
    for (int64_t i = 0; i < fcl_shape_size(a->shape); i++) {
        if (!isfinite(a->data[i]) || !isfinite(b->data[i]))
            return fcl_fail(FCL_ERR_NUMERIC, "W2 needs finite points: number %lld of the %s set is not",
                            (long long)i, isfinite(a->data[i]) ? "second" : "first");
    }
    return FCL_OK;
}

static double squared_distance(const float *a, const float *b, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++) {
        double d = (double)a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

static double *cost_matrix(const fcl_array *a, const fcl_array *b, int n)
{
    int64_t size = fcl_shape_size(a->shape) / n;
    double *cost = malloc((size_t)n * (size_t)n * sizeof *cost);
    for (int i = 0; cost && i < n; i++) {
        for (int j = 0; j < n; j++)
            cost[(size_t)i * (size_t)n + (size_t)j] =
                squared_distance(a->data + i * size, b->data + j * size, size);
    }
    return cost;
}

int fcl_w2_squared(const fcl_array *a, const fcl_array *b, double *distance)
{
    FCL_TRY(check_points(a, b));
    if (a->shape.dim[0] > 1 << 20)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the distances between %lld points",
                        (long long)a->shape.dim[0]);
    int n = (int)a->shape.dim[0];
    double *cost = cost_matrix(a, b, n);
    int *column = malloc((size_t)n * sizeof *column);
    int status = cost && column
                     ? fcl_assignment_solve(n, cost, column)
                     : fcl_fail(FCL_ERR_MEMORY, "no memory for the distances between %d points", n);
    double total = 0;
    for (int i = 0; status == FCL_OK && i < n; i++)
        total += cost[(size_t)i * (size_t)n + (size_t)column[i]];
    *distance = total / n;
    free(cost);
    free(column);
    return status;
}
