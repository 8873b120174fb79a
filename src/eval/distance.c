/* Distances by name: what they need of their sets, and the drawing of as many points as they take. */
#include "eval/distance.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(member) FCL_OPTION(fcl_distance_options, member)

/* clang-format off */
const fcl_option fcl_distance_table[] = {
    {"points", ROW(points), .minimum = 1, .maximum = 1e6, .fallback = "5000", .group = "Distances",
     .help = "most points of each set for w1, w2, energy and mmd; of more, so many are drawn"},
    {"projections", ROW(projections), .minimum = 1, .maximum = 1e6, .fallback = "200",
     .help = "random directions of sliced"},
    {"bandwidth", ROW(bandwidth), .fallback = "median", .placeholder = "H,H,...",
     .help = "of mmd's kernel: median, or numbers whose kernels are averaged"},
    {0},
};

/* How many points of the two sets are taken at most. */
typedef enum taking {
    TAKE_ALL,
    TAKE_SOME,    /* options.points of each */
    TAKE_EQUALLY, /* the same number of both, except where a point is one number */
} taking;

static const struct row {
    const char *name, *help;
    taking taking;
    int64_t least; /* points of each set */
    fcl_distance_function *measure;
    bool of_features;
} rows[] = {
    {"w1", "1-Wasserstein distance, by exact optimal transport", TAKE_EQUALLY, 1, fcl_distance_w1},
    {"w2", "2-Wasserstein distance, by exact optimal transport", TAKE_EQUALLY, 1, fcl_distance_w2},
    {"sliced", "sliced W2: of what both sets project to, over directions", TAKE_ALL, 1, fcl_distance_sliced},
    {"energy", "energy distance 2 E|x - y| - E|x - x'| - E|y - y'|", TAKE_SOME, 1, fcl_distance_energy},
    {"mmd", "squared maximum mean discrepancy, Gaussian kernel, unbiased", TAKE_SOME, 2, fcl_distance_mmd},
    {"frechet", "Frechet distance of features: of their means and covariances", TAKE_ALL, 2, fcl_distance_frechet, true},
    {"kid", "kernel distance of features: unbiased, cubic, over subsets", TAKE_ALL, 2, fcl_distance_kid, true},
    {"precision", "share of features inside the data's, by 3 neighbours", TAKE_ALL, 4, fcl_distance_precision, true},
    {"recall", "share of the data's features inside these, by 3 neighbours", TAKE_ALL, 4, fcl_distance_recall, true},
    {"density", "how often features are inside the data's, by 5 neighbours", TAKE_ALL, 6, fcl_distance_density, true},
    {"coverage", "share of the data's features with one near, by 5 neighbours", TAKE_ALL, 6, fcl_distance_coverage, true},
};
/* clang-format on */
enum { ROWS = sizeof rows / sizeof *rows };

const char *fcl_distance_name(int index)
{
    return index >= 0 && index < ROWS ? rows[index].name : NULL;
}

const char *fcl_distance_help(int index)
{
    return index >= 0 && index < ROWS ? rows[index].help : NULL;
}

bool fcl_distance_is_of_features(int index)
{
    return index >= 0 && index < ROWS && rows[index].of_features;
}

static const struct row *find_row(const char *name)
{
    for (int i = 0; i < ROWS; i++) {
        if (strcmp(name, rows[i].name) == 0)
            return &rows[i];
    }
    const char *names[ROWS];
    for (int i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    const char *nearest = fcl_nearest(name, names, ROWS);
    fcl_fail(FCL_ERR_ARGUMENT, "there is no distance '%s'%s%s%s", name, nearest ? "; did you mean '" : "",
             nearest ? nearest : "", nearest ? "'?" : "");
    return NULL;
}

static bool is_set(const fcl_array *points)
{
    return points->shape.rank > 0 && fcl_shape_size(points->shape) > 0;
}

static int check_sets(const struct row *row, const fcl_array *a, const fcl_array *b)
{
    char left[FCL_SHAPE_TEXT], right[FCL_SHAPE_TEXT];
    bool fit = is_set(a) && is_set(b) && a->shape.rank == b->shape.rank;
    for (int i = 1; fit && i < a->shape.rank; i++)
        fit = a->shape.dim[i] == b->shape.dim[i];
    if (!fit)
        return fcl_fail(FCL_ERR_SHAPE, "%s is between sets of points of one shape, not between %s and %s",
                        row->name, fcl_shape_format(a->shape, left), fcl_shape_format(b->shape, right));
    if (a->shape.dim[0] < row->least || b->shape.dim[0] < row->least)
        return fcl_fail(FCL_ERR_SHAPE, "%s needs at least %lld points of each set, not %lld and %lld",
                        row->name, (long long)row->least, (long long)a->shape.dim[0],
                        (long long)b->shape.dim[0]);
    return FCL_OK;
}

static int check_finite(const struct row *row, const fcl_array *points, const char *which)
{
    int64_t size = fcl_shape_size(points->shape) / points->shape.dim[0];
    for (int64_t i = 0; i < fcl_shape_size(points->shape); i++) {
        if (!isfinite(points->data[i]))
            return fcl_fail(
                FCL_ERR_NUMERIC, "%s needs finite points: number %lld of point %lld of the %s set is %g",
                row->name, (long long)(i % size), (long long)(i / size), which, (double)points->data[i]);
    }
    return FCL_OK;
}

/* The first `count` of the points in a random order: no point twice. */
static int draw(const fcl_array *points, int64_t count, uint64_t seed, uint32_t which, fcl_array **drawn)
{
    int64_t n = points->shape.dim[0], size = fcl_shape_size(points->shape) / n;
    fcl_random key = {seed, FCL_EVAL_STREAM, FCL_EVAL_DRAW_FIRST + which};
    fcl_shape shape = points->shape;
    shape.dim[0] = count;
    FCL_TRY(fcl_array_create(shape, drawn));
    int64_t *order = malloc((size_t)n * sizeof *order);
    if (!order) {
        fcl_array_destroy(drawn);
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw from %lld points", (long long)n);
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    fcl_random_order(key, n, count, order);
    for (int64_t i = 0; i < count; i++)
        memcpy((*drawn)->data + i * size, points->data + order[i] * size, (size_t)size * sizeof(float));
    free(order);
    return FCL_OK;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void count_points(const struct row *row, const fcl_array *a, const fcl_array *b, int64_t limit,
                         int64_t count[2])
{
    count[0] = a->shape.dim[0];
    count[1] = b->shape.dim[0];
    bool line = fcl_shape_size(a->shape) == count[0];
    if (row->taking == TAKE_ALL || (row->taking == TAKE_EQUALLY && line))
        return;
    if (row->taking == TAKE_EQUALLY)
        limit = least(limit, least(count[0], count[1]));
    count[0] = least(limit, count[0]);
    count[1] = least(limit, count[1]);
}

static void add_counts(const fcl_array *a, const fcl_array *b, fcl_distance *distance)
{
    size_t used = strlen(distance->how);
    const int64_t *n = distance->points;
    bool drawn = n[0] < a->shape.dim[0] || n[1] < b->shape.dim[0];
    const char *verb = drawn ? " drawn" : "";
    char *end = distance->how + used;
    if (n[0] == n[1])
        snprintf(end, sizeof distance->how - used, ", %lld points each%s", (long long)n[0], verb);
    else
        snprintf(end, sizeof distance->how - used, ", %lld and %lld points%s", (long long)n[0],
                 (long long)n[1], verb);
}

static int measure(const struct row *row, const fcl_array *a, const fcl_array *b,
                   const fcl_distance_options *options, fcl_distance *distance)
{
    const fcl_array *set[2] = {a, b};
    fcl_array *drawn[2] = {NULL, NULL};
    int status = FCL_OK;
    count_points(row, a, b, options->points, distance->points);
    for (uint32_t i = 0; i < 2 && status == FCL_OK; i++) {
        if (distance->points[i] == set[i]->shape.dim[0])
            continue;
        status = draw(set[i], distance->points[i], options->seed, i, &drawn[i]);
        set[i] = drawn[i];
    }
    if (status == FCL_OK)
        status = row->measure(set[0], set[1], options, distance);
    if (status == FCL_OK)
        add_counts(a, b, distance);
    fcl_array_destroy(&drawn[0]);
    fcl_array_destroy(&drawn[1]);
    return status;
}

static int complete(const fcl_distance_options *options, fcl_distance_options *filled)
{
    *filled = options ? *options : (fcl_distance_options){0};
    fcl_options_defaults(fcl_distance_table, filled);
    FCL_TRY(fcl_options_check(fcl_distance_table, filled));
    return fcl_bandwidth_check(filled->bandwidth);
}

int fcl_distance_check(const fcl_distance_options *options)
{
    fcl_distance_options filled;
    return complete(options, &filled);
}

int fcl_distance_measure(const char *name, const fcl_array *a, const fcl_array *b,
                         const fcl_distance_options *options, fcl_distance *distance)
{
    fcl_distance_options filled;
    const struct row *row = find_row(name);
    *distance = (fcl_distance){.value = NAN, .error = NAN};
    if (!row)
        return FCL_ERR_ARGUMENT;
    FCL_TRY(complete(options, &filled));
    FCL_TRY(check_sets(row, a, b));
    FCL_TRY(check_finite(row, a, "first"));
    FCL_TRY(check_finite(row, b, "second"));
    return measure(row, a, b, &filled, distance);
}
