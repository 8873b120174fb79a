/* Distances that are sums over all pairs: of the distance itself, and of Gaussian kernels of it. */
#include "eval/distance.h"

#include "base/error.h"
#include "base/watch.h"
#include "eval/pairs.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BANDWIDTHS = 32, MEDIAN_POINTS = 1000 };

/* mean over h of exp(-s / (2 h^2)) for a squared distance s; without any bandwidth sqrt(s). */
typedef struct kernel {
    int count;
    double factor[MOST_BANDWIDTHS]; /* -1 / (2 h^2) */
} kernel;

static double kernel_of(const kernel *k, double square)
{
    double sum = 0;
    if (k->count == 0)
        return sqrt(square);
    for (int i = 0; i < k->count; i++)
        sum += exp(k->factor[i] * square);
    return sum / k->count;
}

/* The sum over x in `a`, y in `pairs`; with `above`, the sets being one, over those y that come after x. */
static int sum_pairs(const kernel *k, const fcl_array *a, const fcl_pairs *pairs, bool above, double *total)
{
    double square[FCL_PAIRS_BLOCK];
    *total = 0;
    for (int64_t i = 0; i < a->shape.dim[0]; i++) {
        double sum = 0;
        FCL_TRY(fcl_watch_at("summing over pairs", i, a->shape.dim[0]));
        for (int64_t block = above ? i / FCL_PAIRS_BLOCK : 0; block < fcl_pairs_blocks(pairs); block++) {
            fcl_pairs_block(pairs, block, a->data + i * pairs->size, square);
            for (int j = 0; j < fcl_pairs_in_block(pairs, block); j++) {
                if (!above || block * FCL_PAIRS_BLOCK + j > i)
                    sum += kernel_of(k, square[j]);
            }
        }
        *total += sum;
    }
    return FCL_OK;
}

/* Sums over all pairs: within the sets each pair of two points once, between them all. */
typedef struct sums {
    double aa, bb, ab;
} sums;

static int sum_all(const kernel *k, const fcl_array *a, const fcl_array *b, sums *s)
{
    fcl_pairs pairs;
    FCL_TRY(fcl_pairs_create(a, &pairs));
    int status = sum_pairs(k, a, &pairs, true, &s->aa);
    fcl_pairs_destroy(&pairs);
    FCL_TRY(status);
    FCL_TRY(fcl_pairs_create(b, &pairs));
    status = sum_pairs(k, b, &pairs, true, &s->bb);
    if (status == FCL_OK)
        status = sum_pairs(k, a, &pairs, false, &s->ab);
    fcl_pairs_destroy(&pairs);
    return status;
}

int fcl_distance_energy(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                        fcl_distance *distance)
{
    double n = (double)a->shape.dim[0], m = (double)b->shape.dim[0];
    sums s;
    (void)options;
    FCL_TRY(sum_all(&(kernel){0}, a, b, &s));
    distance->value = 2 * (s.ab / (n * m) - s.aa / (n * n) - s.bb / (m * m));
    strcpy(distance->how, "all pairs");
    return FCL_OK;
}

/* --- maximum mean discrepancy --- */

/* Numbers above 0 with commas between. */
static int read_bandwidths(const char *text, kernel *k)
{
    const char *at = text;
    for (;;) {
        char *end;
        double h = fcl_strtod(at, &end);
        if (end == at || !(h > 0) || !isfinite(h) || (*end && *end != ','))
            return fcl_fail(
                FCL_ERR_ARGUMENT,
                "bandwidth: \"%s\" is not usable: expected median, or numbers above 0 with commas "
                "between",
                text);
        if (k->count == MOST_BANDWIDTHS)
            return fcl_fail(FCL_ERR_ARGUMENT, "bandwidth: \"%s\" has more than %d numbers", text,
                            MOST_BANDWIDTHS);
        k->factor[k->count++] = -1 / (2 * h * h);
        if (!*end)
            return FCL_OK;
        at = end + 1;
    }
}

int fcl_bandwidth_check(const char *bandwidth)
{
    kernel k = {0};
    return strcmp(bandwidth, "median") == 0 ? FCL_OK : read_bandwidths(bandwidth, &k);
}

/* Points spread evenly over a set, as many as half of MEDIAN_POINTS. */
static const float *spread_point(const fcl_array *points, int64_t index, int64_t count)
{
    int64_t n = points->shape.dim[0], size = fcl_shape_size(points->shape) / n;
    return points->data + index * n / count * size;
}

static double distance_between(const float *a, const float *b, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    return sqrt(sum);
}

/* The median distance of two points of both sets together. Where more than half of the points are one, their
 * mean distance; where all are, 1: the kernel is 1 then, whatever its width. */
static int find_median(const fcl_array *a, const fcl_array *b, double *median)
{
    const int64_t half = MEDIAN_POINTS / 2, size = fcl_shape_size(a->shape) / a->shape.dim[0];
    int64_t n = a->shape.dim[0] < half ? a->shape.dim[0] : half;
    int64_t m = b->shape.dim[0] < half ? b->shape.dim[0] : half, count = 0;
    const float *point[MEDIAN_POINTS];
    double *distance = malloc((size_t)((n + m) * (n + m - 1) / 2) * sizeof *distance), sum = 0;
    if (!distance)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the distances between %lld points",
                        (long long)(n + m));
    for (int64_t i = 0; i < n + m; i++) {
        point[i] = i < n ? spread_point(a, i, n) : spread_point(b, i - n, m);
        for (int64_t j = 0; j < i; j++)
            sum += distance[count++] = distance_between(point[i], point[j], size);
    }
    fcl_sort(distance, count);
    *median = (distance[(count - 1) / 2] + distance[count / 2]) / 2;
    free(distance);
    if (*median == 0)
        *median = sum > 0 ? sum / (double)count : 1;
    return FCL_OK;
}

int fcl_distance_mmd(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                     fcl_distance *distance)
{
    double n = (double)a->shape.dim[0], m = (double)b->shape.dim[0];
    kernel k = {0};
    sums s;
    if (strcmp(options->bandwidth, "median") == 0) {
        FCL_TRY(find_median(a, b, &distance->bandwidth));
        k = (kernel){1, {-1 / (2 * distance->bandwidth * distance->bandwidth)}};
        fcl_snprintf(distance->how, sizeof distance->how,
                     "unbiased, Gaussian kernel of the median distance %.3g", distance->bandwidth);
    } else {
        FCL_TRY(read_bandwidths(options->bandwidth, &k));
        snprintf(distance->how, sizeof distance->how, "unbiased, Gaussian kernel%s of %.40s",
                 k.count > 1 ? "s" : "", options->bandwidth);
    }
    FCL_TRY(sum_all(&k, a, b, &s));
    distance->value = 2 * (s.aa / (n * (n - 1)) + s.bb / (m * (m - 1)) - s.ab / (n * m));
    return FCL_OK;
}
