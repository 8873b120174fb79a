/* Precision, recall, density, coverage: which points lie in balls around others, as far as their k-th
 * neighbours; and the nearest point of a set. */
#include "eval/distance.h"

#include "base/error.h"
#include "base/watch.h"
#include "eval/tiles.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of Kynkaanniemi et al. 2019 and of Naeem et al. 2020. */
enum { PRECISION_NEIGHBOURS = 3, DENSITY_NEIGHBOURS = 5, MOST_NEIGHBOURS = DENSITY_NEIGHBOURS };

/* --- radii --- */

/* The k smallest squared distances of each row so far, ascending. */
typedef struct neighbours {
    int k;
    double *square; /* (n, k) */
} neighbours;

static void insert(double *sorted, int k, double square)
{
    if (!(square < sorted[k - 1]))
        return;
    int at = k - 1;
    for (; at > 0 && sorted[at - 1] > square; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = square;
}

static void keep_nearest(void *data, const fcl_tile *tile)
{
    const neighbours *kept = data;
    for (int r = 0; r < tile->rows; r++)
        for (int c = 0; c < tile->columns; c++)
            if (tile->row + r != tile->column + c)
                insert(kept->square + (tile->row + r) * kept->k, kept->k, tile->value[r][c]);
}

/* *radius (count): the squared distance of each point's k-th neighbour, itself left out. Released by free. */
static int find_radii(const fcl_points *points, int k, double **radius)
{
    int64_t n = points->count;
    neighbours kept = {k, malloc((size_t)(n * k) * sizeof *kept.square)};
    if (!kept.square)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the neighbours of %lld points", (long long)n);
    for (int64_t i = 0; i < n * k; i++)
        kept.square[i] = INFINITY;
    int status = fcl_tiles_of_distances("finding neighbours", points, points, keep_nearest, &kept);
    for (int64_t i = 0; i < n; i++)
        kept.square[i] = kept.square[i * k + k - 1];
    *radius = kept.square;
    if (status != FCL_OK)
        free(kept.square);
    return status;
}

/* --- counting --- */

/* Of each row the columns whose balls it is in, or which are in its ball. */
typedef struct counting {
    const double *radius; /* of rows or of columns, squared */
    bool of_rows;
    int64_t *count; /* (rows) */
} counting;

static void count_inside(void *data, const fcl_tile *tile)
{
    const counting *counted = data;
    for (int r = 0; r < tile->rows; r++)
        for (int c = 0; c < tile->columns; c++) {
            int64_t centre = counted->of_rows ? tile->row + r : tile->column + c;
            counted->count[tile->row + r] += tile->value[r][c] <= counted->radius[centre];
        }
}

/* What is asked of the counts: the share of rows that have any, or their mean for each neighbour. */
typedef struct question {
    int k;
    bool of_rows, mean;
} question;

static int ask(const fcl_points *rows, const fcl_points *columns, const question *q, double *answer)
{
    int64_t *count = calloc((size_t)rows->count, sizeof *count);
    double *radius = NULL, sum = 0;
    int status =
        count ? find_radii(q->of_rows ? rows : columns, q->k, &radius)
              : fcl_fail(FCL_ERR_MEMORY, "no memory for the counts of %lld points", (long long)rows->count);
    if (status == FCL_OK) {
        counting counted = {radius, q->of_rows, count};
        status = fcl_tiles_of_distances("counting points in balls", rows, columns, count_inside, &counted);
        free(radius);
    }
    for (int64_t i = 0; status == FCL_OK && i < rows->count; i++)
        sum += q->mean ? (double)count[i] / q->k : count[i] > 0;
    *answer = sum / (double)rows->count;
    free(count);
    return status;
}

static int measure(const fcl_array *rows, const fcl_array *columns, const question *q, fcl_distance *distance)
{
    int64_t n = rows->shape.dim[0], m = columns->shape.dim[0], size = fcl_shape_size(rows->shape) / n;
    fcl_points a, b;
    FCL_TRY(fcl_points_pack(rows->data, n, size, &a));
    int status = fcl_points_pack(columns->data, m, size, &b);
    if (status == FCL_OK)
        status = ask(&a, &b, q, &distance->value);
    fcl_points_destroy(&a);
    fcl_points_destroy(&b);
    snprintf(distance->how, sizeof distance->how, "k = %d", q->k);
    return status;
}

int fcl_distance_precision(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                           fcl_distance *distance)
{
    (void)options;
    return measure(a, b, &(question){.k = PRECISION_NEIGHBOURS}, distance);
}

int fcl_distance_recall(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                        fcl_distance *distance)
{
    (void)options;
    return measure(b, a, &(question){.k = PRECISION_NEIGHBOURS}, distance);
}

int fcl_distance_density(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                         fcl_distance *distance)
{
    (void)options;
    return measure(a, b, &(question){.k = DENSITY_NEIGHBOURS, .mean = true}, distance);
}

int fcl_distance_coverage(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                          fcl_distance *distance)
{
    (void)options;
    return measure(b, a, &(question){.k = DENSITY_NEIGHBOURS, .of_rows = true}, distance);
}

/* --- the nearest of a set --- */

typedef struct nearest {
    int64_t first; /* of the columns that are looked at now */
    double *square;
    int64_t *index;
} nearest;

static void keep_one(void *data, const fcl_tile *tile)
{
    const nearest *found = data;
    for (int r = 0; r < tile->rows; r++)
        for (int c = 0; c < tile->columns; c++)
            if (tile->value[r][c] < found->square[tile->row + r]) {
                found->square[tile->row + r] = tile->value[r][c];
                found->index[tile->row + r] = found->first + tile->column + c;
            }
}

static int search_part(const fcl_points *points, const float *among, int64_t count, nearest *found)
{
    fcl_points part;
    FCL_TRY(fcl_points_pack(among, count, points->size, &part));
    int status = fcl_tiles_of_distances("finding the nearest", points, &part, keep_one, found);
    fcl_points_destroy(&part);
    return status;
}

/* A part of the set at a time: all of it in double precision need not fit. */
int fcl_nearest_points(const fcl_array *points, const fcl_array *among, int64_t *index, double *distance)
{
    enum { PART = 8192 };
    int64_t n = points->shape.dim[0], m = among->shape.dim[0];
    if (n < 1 || m < 1 || fcl_shape_size(points->shape) / n != fcl_shape_size(among->shape) / m)
        return fcl_fail(FCL_ERR_SHAPE,
                        "the nearest points are looked for between sets of points of one size");
    int64_t size = fcl_shape_size(points->shape) / n;
    nearest found = {.square = distance, .index = index};
    fcl_points packed;
    for (int64_t i = 0; i < n; i++) {
        distance[i] = INFINITY;
        index[i] = 0;
    }
    int status = fcl_points_pack(points->data, n, size, &packed);
    for (; found.first < m && status == FCL_OK; found.first += PART)
        status = search_part(&packed, among->data + found.first * size,
                             m - found.first < PART ? m - found.first : PART, &found);
    for (int64_t i = 0; i < n; i++)
        distance[i] = sqrt(distance[i]);
    fcl_points_destroy(&packed);
    return status;
}
