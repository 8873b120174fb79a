/* The Frechet distance of the normal distributions that have the means and covariances of two sets (Dowson,
 * Landau 1982; of features, Heusel et al. 2017):
 *
 *     |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^1/2 S2 S1^1/2)^1/2
 *
 * With S1 = A'A and S2 = B'B the last trace is the sum of the singular values of A B': no root of a matrix is
 * taken, and covariances without full rank are as good as others. */
#include "eval/distance.h"

#include "base/error.h"
#include "base/watch.h"
#include "eval/tiles.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A normal distribution, and a factor of its covariance, factor' factor. */
typedef struct moments {
    int64_t size, rank;
    double *mean;   /* (size) */
    double *matrix; /* (size, size) the covariance, then (rank, size) its factor */
    double trace;
} moments;

static void release(moments *of)
{
    free(of->mean);
    free(of->matrix);
}

static int allocate(int64_t size, moments *of)
{
    *of = (moments){.size = size,
                    .mean = calloc((size_t)size, sizeof(double)),
                    .matrix = calloc((size_t)(size * size), sizeof(double))};
    if (of->mean && of->matrix)
        return FCL_OK;
    release(of);
    *of = (moments){0};
    return fcl_fail(FCL_ERR_MEMORY, "no memory for a covariance of %lld by %lld numbers", (long long)size,
                    (long long)size);
}

/* --- mean and covariance --- */

static void find_mean(const fcl_array *set, moments *of)
{
    int64_t n = set->shape.dim[0];
    for (int64_t p = 0; p < n; p++)
        for (int64_t i = 0; i < of->size; i++)
            of->mean[i] += (double)set->data[p * of->size + i];
    for (int64_t i = 0; i < of->size; i++)
        of->mean[i] /= (double)n;
}

static void store_tile(void *data, const fcl_tile *tile)
{
    moments *of = data;
    for (int r = 0; r < tile->rows; r++)
        for (int c = 0; c < tile->columns; c++)
            of->matrix[(tile->row + r) * of->size + tile->column + c] = tile->value[r][c];
}

/* Inner products of what each number of a sample is over the set: rows of (size, n), less their means. */
static int find_covariance(const fcl_array *set, moments *of)
{
    int64_t n = set->shape.dim[0];
    fcl_points numbers;
    FCL_TRY(fcl_points_create(of->size, n, &numbers));
    for (int64_t p = 0; p < n; p++)
        for (int64_t i = 0; i < of->size; i++)
            fcl_points_set(&numbers, i, p,
                           ((double)set->data[p * of->size + i] - of->mean[i]) / sqrt((double)(n - 1)));
    int status = fcl_tiles_scan_products("measuring covariances", &numbers, &numbers, store_tile, of);
    fcl_points_destroy(&numbers);
    for (int64_t i = 0; i < of->size; i++)
        of->trace += of->matrix[i * of->size + i];
    return status;
}

/* --- the factor: Cholesky's, with pivots, until what is left is rounding --- */

static int64_t largest(const double *left, int64_t size)
{
    int64_t at = 0;
    for (int64_t i = 1; i < size; i++)
        at = left[i] > left[at] ? i : at;
    return at;
}

/* row = (S[pivot] - sum of the rows before, each times its number at the pivot) / sqrt(what is left there) */
static void make_row(const moments *of, const double *factor, int64_t pivot, double root, double *row)
{
    memcpy(row, of->matrix + pivot * of->size, (size_t)of->size * sizeof *row);
    for (const double *before = factor; before < row; before += of->size) {
        double times = before[pivot];
        for (int64_t i = 0; i < of->size; i++)
            row[i] -= times * before[i];
    }
    for (int64_t i = 0; i < of->size; i++)
        row[i] /= root;
}

static int factorise(moments *of)
{
    int64_t size = of->size;
    double *factor = calloc((size_t)(size * size), sizeof *factor),
           *left = malloc((size_t)size * sizeof *left);
    int status = factor && left ? FCL_OK
                                : fcl_fail(FCL_ERR_MEMORY, "no memory for a factor of %lld by %lld numbers",
                                           (long long)size, (long long)size);
    for (int64_t i = 0; i < size && status == FCL_OK; i++)
        left[i] = of->matrix[i * size + i];
    double negligible = (double)size * DBL_EPSILON * (status == FCL_OK ? left[largest(left, size)] : 0);
    for (of->rank = 0; of->rank < size && status == FCL_OK; of->rank++) {
        int64_t pivot = largest(left, size);
        double *row = factor + of->rank * size;
        if (!(left[pivot] > negligible))
            break;
        status = fcl_watch_at("factorising covariances", of->rank, size);
        make_row(of, factor, pivot, sqrt(left[pivot]), row);
        for (int64_t i = 0; i < size; i++)
            left[i] -= row[i] * row[i];
        left[pivot] = 0;
    }
    free(left);
    free(of->matrix);
    of->matrix = factor;
    return status;
}

static int describe(const fcl_array *set, moments *of)
{
    FCL_TRY(allocate(fcl_shape_size(set->shape) / set->shape.dim[0], of));
    find_mean(set, of);
    int status = find_covariance(set, of);
    if (status == FCL_OK)
        status = factorise(of);
    if (status != FCL_OK)
        release(of);
    return status;
}

/* --- singular values: rows are turned in pairs until all are orthogonal (Hestenes 1958) --- */

static double product(const double *a, const double *b, int64_t size)
{
    enum { LANES = 4 };
    double sum[LANES] = {0};
    for (int64_t i = 0; i < size; i++)
        sum[i % LANES] += a[i] * b[i];
    return sum[0] + sum[1] + sum[2] + sum[3];
}

/* Whether they were not orthogonal yet. */
static bool turn(double *a, double *b, int64_t size)
{
    double aa = product(a, a, size), bb = product(b, b, size), ab = product(a, b, size);
    if (fabs(ab) <= 1e-15 * sqrt((double)size) * sqrt(aa * bb) || ab == 0)
        return false;
    double slope = (bb - aa) / (2 * ab), t = copysign(1, slope) / (fabs(slope) + sqrt(1 + slope * slope));
    double cosine = 1 / sqrt(1 + t * t), sine = cosine * t;
    for (int64_t i = 0; i < size; i++) {
        double was = a[i];
        a[i] = cosine * was - sine * b[i];
        b[i] = sine * was + cosine * b[i];
    }
    return true;
}

/* The sum of the singular values of a matrix (rows, size), which is used up. */
static int sum_singular(double *matrix, int64_t rows, int64_t size, double *total)
{
    enum { MOST_SWEEPS = 60 };
    bool turned = true;
    for (int sweep = 0; sweep < MOST_SWEEPS && turned; sweep++) {
        turned = false;
        for (int64_t i = 0; i < rows; i++) {
            FCL_TRY(fcl_watch_at("finding singular values", 0, 0));
            for (int64_t k = i + 1; k < rows; k++)
                turned |= turn(matrix + i * size, matrix + k * size, size);
        }
    }
    *total = 0;
    for (int64_t i = 0; i < rows; i++)
        *total += sqrt(product(matrix + i * size, matrix + i * size, size));
    return FCL_OK;
}

/* tr (S1^1/2 S2 S1^1/2)^1/2 */
static int cross_trace(const moments *a, const moments *b, double *trace)
{
    *trace = 0;
    if (!a->rank || !b->rank)
        return FCL_OK;
    double *matrix = malloc((size_t)(a->rank * b->rank) * sizeof *matrix);
    if (!matrix)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a product of two factors");
    for (int64_t i = 0; i < a->rank; i++)
        for (int64_t k = 0; k < b->rank; k++)
            matrix[i * b->rank + k] = product(a->matrix + i * a->size, b->matrix + k * b->size, a->size);
    int status = sum_singular(matrix, a->rank, b->rank, trace);
    free(matrix);
    return status;
}

int fcl_distance_frechet(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                         fcl_distance *distance)
{
    moments of_a, of_b;
    double trace = 0, means = 0;
    (void)options;
    FCL_TRY(describe(a, &of_a));
    int status = describe(b, &of_b);
    if (status != FCL_OK) {
        release(&of_a);
        return status;
    }
    status = cross_trace(&of_a, &of_b, &trace);
    for (int64_t i = 0; i < of_a.size; i++)
        means += (of_a.mean[i] - of_b.mean[i]) * (of_a.mean[i] - of_b.mean[i]);
    double value = means + of_a.trace + of_b.trace - 2 * trace;
    distance->value = value > 0 ? value : 0;
    strcpy(distance->how, "of means and covariances");
    release(&of_a);
    release(&of_b);
    return status;
}
