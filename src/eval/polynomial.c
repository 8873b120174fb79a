/* The kernel distance: the squared maximum mean discrepancy by a cubic kernel, over subsets (Binkowski et al.
 * 2018). */
#include "eval/distance.h"

#include "base/array.h"
#include "base/error.h"
#include "base/random.h"
#include "eval/crew.h"
#include "eval/tiles.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBSETS = 100, SUBSET = 1000 };

typedef struct subsets {
    const fcl_array *set[2];
    uint64_t seed;
    int64_t size, points; /* numbers of a point; points of a subset */
    double value[SUBSETS];
    bool failed[SUBSETS];
    bool whole; /* both sets are a subset each: all subsets are one */
} subsets;

/* (x y / size + 1)^3, summed over all pairs, or over those of different points of one set. */
typedef struct sum {
    double size, total;
    bool different;
} sum;

static void add_tile(void *data, const fcl_tile *tile)
{
    sum *s = data;
    for (int r = 0; r < tile->rows; r++)
        for (int c = 0; c < tile->columns; c++) {
            double base = tile->value[r][c] / s->size + 1;
            if (!s->different || tile->row + r != tile->column + c)
                s->total += base * base * base;
        }
}

static double mean_kernel(const fcl_points *a, const fcl_points *b)
{
    sum s = {.size = (double)a->size, .different = a == b};
    double n = (double)a->count;
    fcl_tiles_of_products(a, b, add_tile, &s);
    return s.total / (n * (a == b ? n - 1 : n));
}

/* A draw without replacement, another one for each subset and set. */
static bool draw(const subsets *all, int64_t index, int which, fcl_points *drawn)
{
    const fcl_array *from = all->set[which];
    int64_t n = from->shape.dim[0];
    fcl_random key = {all->seed, FCL_EVAL_STREAM, FCL_EVAL_KERNEL + 2 * (uint32_t)index + (uint32_t)which};
    int64_t *order = malloc((size_t)n * sizeof *order);
    bool made = order && fcl_points_create(all->points, all->size, drawn) == FCL_OK;
    for (int64_t i = 0; made && i < n; i++)
        order[i] = i;
    if (made)
        fcl_random_order(key, n, all->points, order);
    for (int64_t p = 0; made && p < all->points; p++)
        for (int64_t i = 0; i < all->size; i++)
            fcl_points_set(drawn, p, i, (double)from->data[order[p] * all->size + i]);
    free(order);
    return made;
}

static void measure_subset(void *data, int64_t index)
{
    subsets *all = data;
    fcl_points a = {0}, b = {0};
    all->failed[index] = !draw(all, index, 0, &a) || !draw(all, index, 1, &b);
    if (!all->failed[index])
        all->value[index] = mean_kernel(&a, &a) + mean_kernel(&b, &b) - 2 * mean_kernel(&a, &b);
    fcl_points_destroy(&a);
    fcl_points_destroy(&b);
}

static int conclude(const subsets *all, fcl_distance *distance)
{
    double total = 0, squares = 0;
    for (int i = 0; i < SUBSETS; i++) {
        if (all->failed[i])
            return fcl_fail(FCL_ERR_MEMORY, "no memory for subsets of %lld points", (long long)all->points);
        total += all->value[i] / SUBSETS;
    }
    for (int i = 0; i < SUBSETS; i++)
        squares += (all->value[i] - total) * (all->value[i] - total);
    distance->value = total;
    if (all->whole) {
        strcpy(distance->how, "of all points, too few for subsets");
        return FCL_OK;
    }
    distance->error = sqrt(squares / (SUBSETS - 1) / SUBSETS);
    fcl_snprintf(distance->how, sizeof distance->how, "standard error %.2g, %d subsets of %lld",
                 distance->error, SUBSETS, (long long)all->points);
    return FCL_OK;
}

int fcl_distance_kid(const fcl_array *a, const fcl_array *b, const fcl_distance_options *options,
                     fcl_distance *distance)
{
    int64_t n = a->shape.dim[0], m = b->shape.dim[0], least = n < m ? n : m;
    subsets all = {.set = {a, b}, .seed = options->seed, .size = fcl_shape_size(a->shape) / n};
    all.points = least < SUBSET ? least : SUBSET;
    all.whole = n == m && n <= SUBSET;
    FCL_TRY(fcl_crew_run("measuring the kernel distance", SUBSETS, measure_subset, &all));
    return conclude(&all, distance);
}
