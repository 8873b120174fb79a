/* Checks of paths: all of them in one graph, at random times, against their formulas in double. */
#include "verify.h"

#include <math.h>
#include <stdlib.h>

enum { TIMES = 512, COEFFICIENTS = 6, FIRST_INSIDE = 2 }; /* the first two times are the ends */

int verify_path_open(int index, fcl_path **path)
{
    const char *name = fcl_path_name(index);
    return fcl_path_create(name, VERIFY_WIDTH, path) == FCL_OK ? FCL_OK : fcl_path_create(name, 0, path);
}

int verify_path_open_plain(int index, fcl_path **path)
{
    return fcl_path_create(fcl_path_name(index), 0, path);
}

/* The paths as the device has them. */
typedef struct paths {
    int count;
    fcl_path **path;
    fcl_tensor **coefficient; /* (count, COEFFICIENTS), each (TIMES, 1) or () */
    float *value;             /* (count, COEFFICIENTS, TIMES) */
    float t[TIMES];
} paths;

static void destroy(paths *all)
{
    for (int i = 0; all->path && i < all->count; i++)
        fcl_path_destroy(&all->path[i]);
    free(all->path);
    free(all->coefficient);
    free(all->value);
}

static int build(paths *all, fcl_tensor *t)
{
    for (int i = 0; i < all->count; i++) {
        TRY(verify_path_open(i, &all->path[i]));
        fcl_path_at at = fcl_path_build(all->path[i], t);
        fcl_tensor *const parts[COEFFICIENTS] = {at.alpha,     at.sigma,     at.tube,
                                                 at.alpha_dot, at.sigma_dot, at.tube_dot};
        for (int k = 0; k < COEFFICIENTS; k++)
            all->coefficient[i * COEFFICIENTS + k] = fcl_output(fcl_expand(parts[k], FCL_SHAPE(TIMES, 1)));
    }
    return FCL_OK;
}

static int evaluate_in(fcl_graph *graph, fcl_device *device, paths *all)
{
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(TIMES, 1));
    TRY(build(all, t));
    TRY(fcl_graph_compile(graph, device, NULL));
    TRY(fcl_tensor_write(t, all->t));
    TRY(fcl_graph_run(graph));
    for (int i = 0; i < all->count * COEFFICIENTS; i++)
        TRY(fcl_tensor_read(all->coefficient[i], all->value + (size_t)i * TIMES));
    return FCL_OK;
}

static int evaluate(verification *v, paths *all)
{
    *all = (paths){.t = {0, 1}};
    while (fcl_path_name(all->count))
        all->count++;
    for (int i = FIRST_INSIDE; i < TIMES; i++)
        all->t[i] = (float)(0.01 + 0.98 * verify_uniform(v));
    size_t numbers = (size_t)all->count * COEFFICIENTS;
    all->path = calloc((size_t)all->count, sizeof *all->path);
    all->coefficient = calloc(numbers, sizeof *all->coefficient);
    all->value = calloc(numbers * TIMES, sizeof *all->value);
    if (!all->path || !all->coefficient || !all->value)
        return FCL_ERR_MEMORY;
    fcl_graph *graph = fcl_graph_create();
    int status = evaluate_in(graph, verify_device(v), all);
    fcl_graph_destroy(&graph);
    return status;
}

static double found(const paths *all, int path, int coefficient, int time)
{
    return all->value[(path * COEFFICIENTS + coefficient) * TIMES + time];
}

/* A line a path: the largest of what `error` tells of times inside. */
static int report(verification *v, double (*error)(const paths *all, int path, int time))
{
    paths all;
    int status = evaluate(v, &all);
    for (int path = 0; path < all.count && status == FCL_OK; path++) {
        double largest = 0;
        for (int i = FIRST_INSIDE; i < TIMES; i++)
            largest = verify_larger(largest, error(&all, path, i));
        status = verify_report(v, fcl_path_name(path), largest);
    }
    destroy(&all);
    return status;
}

/* Of a number in units of itself, and of 1 where it is smaller. */
static double relative(double found_number, double expected)
{
    return fabs(found_number - expected) / (1 + fabs(expected));
}

static double value_error(const paths *all, int path, int time)
{
    fcl_path_point at = fcl_path_value(all->path[path], all->t[time]);
    const double expected[] = {at.alpha, at.sigma, at.tube, at.alpha_dot, at.sigma_dot, at.tube_dot};
    double largest = 0;
    for (int k = 0; k < COEFFICIENTS; k++)
        largest = verify_larger(largest, relative(found(all, path, k, time), expected[k]));
    return largest;
}

int verify_path_values(verification *v)
{
    return report(v, value_error);
}

static double slope_error(const paths *all, int path, int time)
{
    const double h = 1e-5, t = all->t[time];
    fcl_path_point after = fcl_path_value(all->path[path], t + h);
    fcl_path_point before = fcl_path_value(all->path[path], t - h);
    const double rise[] = {after.alpha - before.alpha, after.sigma - before.sigma, after.tube - before.tube};
    double largest = 0;
    for (int k = 0; k < COEFFICIENTS / 2; k++)
        largest =
            verify_larger(largest, relative(found(all, path, COEFFICIENTS / 2 + k, time), rise[k] / (2 * h)));
    return largest;
}

int verify_path_slopes(verification *v)
{
    return report(v, slope_error);
}

/* Noise at t = 0, data at t = 1. What a width leaves of the noise at the end is the user's. */
int verify_path_ends(verification *v)
{
    paths all;
    int status = evaluate(v, &all);
    for (int path = 0; path < all.count && status == FCL_OK; path++) {
        double alpha = verify_larger(fabs(found(&all, path, 0, 0)), fabs(found(&all, path, 0, 1) - 1));
        double sigma = fabs(found(&all, path, 1, 0) - 1), left = found(&all, path, 1, 1);
        double largest = verify_larger(alpha, sigma);
        status = verify_report(v, fcl_path_name(path),
                               verify_larger(largest, fabs(left - VERIFY_WIDTH) < 1e-6 ? 0 : fabs(left)));
    }
    destroy(&all);
    return status;
}
