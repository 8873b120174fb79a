/* Optimal transport between two sets: by sorting in one dimension, by an exact assignment in more. */
#include "eval/distance.h"

#include "base/array.h"
#include "base/assign.h"
#include "base/error.h"
#include "eval/pairs.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- in one dimension --- */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

void fcl_sort(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
}

/* Of N and M points, the N + M - 1 pieces of (0, 1) on which both quantile functions are constant end at i /
 * N or j / M; in units of 1 / (N M) these are whole numbers. */
double fcl_line_cost(const double *a, int64_t a_count, const double *b, int64_t b_count, int power)
{
    double sum = 0;
    int64_t i = 0, j = 0, at = 0;
    while (i < a_count && j < b_count) {
        int64_t a_end = (i + 1) * b_count, b_end = (j + 1) * a_count;
        int64_t end = a_end < b_end ? a_end : b_end;
        double d = fabs(a[i] - b[j]);
        sum += (double)(end - at) * (power == 2 ? d * d : d);
        at = end;
        i += end == a_end;
        j += end == b_end;
    }
    return sum / ((double)a_count * (double)b_count);
}

static int line_transport(const fcl_array *a, const fcl_array *b, int power, double *cost)
{
    int64_t n = a->shape.dim[0], m = b->shape.dim[0];
    double *sorted = malloc((size_t)(n + m) * sizeof *sorted);
    if (!sorted)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to sort %lld points", (long long)(n + m));
    for (int64_t i = 0; i < n + m; i++)
        sorted[i] = i < n ? a->data[i] : b->data[i - n];
    fcl_sort(sorted, n);
    fcl_sort(sorted + n, m);
    *cost = fcl_line_cost(sorted, n, sorted + n, m, power);
    free(sorted);
    return FCL_OK;
}

/* --- in more --- */

static int fill_costs(const fcl_array *a, const fcl_array *b, int n, int power, float *cost)
{
    fcl_pairs pairs;
    double square[FCL_PAIRS_BLOCK];
    FCL_TRY(fcl_pairs_create(b, &pairs));
    for (int i = 0; i < n; i++) {
        for (int64_t block = 0; block < fcl_pairs_blocks(&pairs); block++) {
            float *row = cost + (size_t)i * (size_t)n + block * FCL_PAIRS_BLOCK;
            fcl_pairs_block(&pairs, block, a->data + i * pairs.size, square);
            for (int k = 0; k < fcl_pairs_in_block(&pairs, block); k++)
                row[k] = (float)(power == 2 ? square[k] : sqrt(square[k]));
        }
    }
    fcl_pairs_destroy(&pairs);
    return FCL_OK;
}

/* The least mean of |x - y|^power over all pairings of equally many points. */
static int pair_transport(const fcl_array *a, const fcl_array *b, int power, double *mean)
{
    int n = (int)a->shape.dim[0];
    float *cost = malloc((size_t)n * (size_t)n * sizeof *cost);
    double total = 0;
    int *column = malloc((size_t)n * sizeof *column);
    int status = cost && column
                     ? fill_costs(a, b, n, power, cost)
                     : fcl_fail(FCL_ERR_MEMORY, "no memory for the distances between %d points", n);
    if (status == FCL_OK)
        status = fcl_assignment_solve(n, cost, column);
    for (int i = 0; status == FCL_OK && i < n; i++)
        total += cost[(size_t)i * (size_t)n + (size_t)column[i]];
    *mean = total / n;
    free(cost);
    free(column);
    return status;
}

static int transport(const fcl_array *a, const fcl_array *b, int power, double *cost)
{
    bool line = fcl_shape_size(a->shape) == a->shape.dim[0];
    return line ? line_transport(a, b, power, cost) : pair_transport(a, b, power, cost);
}

int fcl_distance_w1(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                    fcl_distance *distance)
{
    (void)options;
    FCL_TRY(transport(a, b, 1, &distance->value));
    strcpy(distance->how, "exact");
    return FCL_OK;
}

int fcl_distance_w2(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                    fcl_distance *distance)
{
    double square;
    (void)options;
    FCL_TRY(transport(a, b, 2, &square));
    distance->value = sqrt(square);
    fcl_snprintf(distance->how, sizeof distance->how, "exact (squared %.4g)", square);
    return FCL_OK;
}

int fcl_w2_squared(const fcl_array *a, const fcl_array *b, double *square)
{
    char left[FCL_SHAPE_TEXT], right[FCL_SHAPE_TEXT];
    fcl_distance distance;
    *square = NAN;
    if (a->shape.rank > 0 && b->shape.rank > 0 && a->shape.dim[0] != b->shape.dim[0])
        return fcl_fail(FCL_ERR_SHAPE,
                        "W2 is between equally many points of one shape, not between %s and %s",
                        fcl_shape_format(a->shape, left), fcl_shape_format(b->shape, right));
    fcl_distance_options all = {.points = a->shape.rank && a->shape.dim[0] ? a->shape.dim[0] : 1};
    FCL_TRY(fcl_distance_measure("w2", a, b, &all, &distance));
    *square = distance.value * distance.value;
    return FCL_OK;
}
