/* Checks along the flow to one Gaussian, whose axes are turned: densities, and the marginals of stochastic
 * solvers. */
#include "verify.h"

#include <math.h>
#include <stdlib.h>

static const double mean[VERIFY_SIZE] = {1.2, -0.7},
                    variance[VERIFY_SIZE] = {0.3, 2}; /* along the turned axes */
static const double angle = 0.6, pi = 3.14159265358979323846;

/* --- the flow --- */

/* v along an axis: alpha' m + (alpha alpha' c + sigma sigma')/(alpha^2 c + sigma^2) (y - alpha m) */
static fcl_tensor *along_axis(int axis, fcl_path_at at, fcl_tensor *y)
{
    const float m = (float)mean[axis], c = (float)variance[axis];
    fcl_tensor *below = fcl_add(fcl_scale(fcl_square(at.alpha), c), fcl_square(at.sigma));
    fcl_tensor *above =
        fcl_add(fcl_scale(fcl_mul(at.alpha, at.alpha_dot), c), fcl_mul(at.sigma, at.sigma_dot));
    fcl_tensor *away = fcl_sub(y, fcl_scale(at.alpha, m));
    return fcl_add(fcl_mul(fcl_div(above, below), away), fcl_scale(at.alpha_dot, m));
}

static fcl_tensor *combine(fcl_tensor *a, double of_a, fcl_tensor *b, double of_b)
{
    return fcl_add(fcl_scale(a, (float)of_a), fcl_scale(b, (float)of_b));
}

static fcl_tensor *velocity(void *path, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const double c = cos(angle), s = sin(angle);
    fcl_path_at at = fcl_path_build(path, in->t);
    fcl_tensor *x0 = fcl_slice(in->x, 1, 0, 1), *x1 = fcl_slice(in->x, 1, 1, 2);
    fcl_tensor *v0 = along_axis(0, at, combine(x0, c, x1, s)),
               *v1 = along_axis(1, at, combine(x0, -s, x1, c));
    fcl_tensor *parts[] = {combine(v0, c, v1, -s), combine(v0, s, v1, c)};
    (void)graph;
    return fcl_concat(2, parts, 1);
}

static void turn_back(const float *x, double y[VERIFY_SIZE])
{
    y[0] = cos(angle) * x[0] + sin(angle) * x[1];
    y[1] = cos(angle) * x[1] - sin(angle) * x[0];
}

static double log_density(const float *x)
{
    double y[VERIFY_SIZE], sum = 0;
    turn_back(x, y);
    for (int i = 0; i < VERIFY_SIZE; i++)
        sum -= (pow(y[i] - mean[i], 2) / variance[i] + log(2 * pi * variance[i])) / 2;
    return sum;
}

static void fill_normal(verification *v, int count, float *x)
{
    for (int i = 0; i < count; i++)
        x[i] = (float)verify_normal(v);
}

/* --- likelihoods --- */

enum { DENSITIES = 256 };

typedef struct densities {
    float x[DENSITIES * VERIFY_SIZE];
    double found[DENSITIES], error[DENSITIES]; /* log densities of x */
} densities;

static int run_likelihood(verification *v, const fcl_likelihood_options *options, fcl_path *path,
                          densities *d)
{
    fcl_likelihood *likelihood;
    bool forward = options->solver.t_end > 0;
    fill_normal(v, DENSITIES * VERIFY_SIZE, d->x);
    TRY(fcl_likelihood_create(verify_device(v), velocity, path, options, DENSITIES, VERIFY_SIZE,
                              &likelihood));
    int status = fcl_likelihood_run(likelihood, d->x, 0, forward ? d->x : NULL, d->found, d->error, NULL);
    fcl_likelihood_destroy(&likelihood);
    return status;
}

static int estimate(verification *v, const fcl_likelihood_options *options, densities *d)
{
    fcl_path *path;
    TRY(fcl_path_create(NULL, 0, &path));
    int status = run_likelihood(v, options, path, d);
    fcl_path_destroy(&path);
    return status;
}

/* Whether the divergence is estimated by random probes. */
static bool has_probes(const char *divergence)
{
    return fcl_divergence_check(&(fcl_divergence_options){.divergence = divergence, .probes = 2}) == FCL_OK;
}

int verify_exact_likelihood(verification *v)
{
    static const char *const ways[] = {"of data", "of samples"};
    for (int forward = 0; forward < 2; forward++) {
        fcl_likelihood_options options = {
            .solver = {.solver = "rk4", .steps = 100, .t_begin = !forward, .t_end = forward}};
        densities d;
        double largest = 0;
        TRY(estimate(v, &options, &d));
        for (int i = 0; i < DENSITIES; i++) {
            double expected = log_density(d.x + i * VERIFY_SIZE);
            largest = verify_larger(largest, fabs(d.found[i] - expected) / (1 + fabs(expected)));
        }
        TRY(verify_report(v, ways[forward], largest));
    }
    return FCL_OK;
}

/* All samples together: their deviation in its standard errors. */
int verify_estimated_likelihood(verification *v)
{
    for (int i = 0; fcl_divergence_name(i); i++)
        for (int k = 0; has_probes(fcl_divergence_name(i)) && fcl_probe_name(k); k++) {
            fcl_likelihood_options options = {.solver = {.solver = "midpoint", .steps = 200},
                                              .divergence = {fcl_divergence_name(i), 8, fcl_probe_name(k)},
                                              .seed = (uint64_t)(verify_uniform(v) * 0x1p52)};
            densities d;
            double sum = 0, square = 0;
            TRY(estimate(v, &options, &d));
            for (int row = 0; row < DENSITIES; row++) {
                sum += d.found[row] - log_density(d.x + row * VERIFY_SIZE);
                square += d.error[row] * d.error[row];
            }
            TRY(verify_remark(v, fcl_divergence_name(i), fabs(sum) / sqrt(square), "%s", fcl_probe_name(k)));
        }
    return FCL_OK;
}

/* --- stochastic solvers --- */

enum { SAMPLES = 16384 };
static const double middle = 0.5;

/* The largest deviation of means, variances and the covariance along the axes, in their standard errors. */
static double moments_error(const float *x, const fcl_path_point *at)
{
    double first[VERIFY_SIZE] = {0}, second[VERIFY_SIZE + 1] = {0}, largest = 0;
    for (int row = 0; row < SAMPLES; row++) {
        double y[VERIFY_SIZE];
        turn_back(x + row * VERIFY_SIZE, y);
        for (int i = 0; i < VERIFY_SIZE; i++) {
            double p = at->alpha * at->alpha * variance[i] + at->sigma * at->sigma;
            y[i] = (y[i] - at->alpha * mean[i]) / sqrt(p);
            first[i] += y[i] / SAMPLES;
            second[i] += (y[i] * y[i] - 1) / sqrt(2) / SAMPLES;
        }
        second[VERIFY_SIZE] += y[0] * y[1] / SAMPLES;
    }
    for (int i = 0; i < VERIFY_SIZE; i++)
        largest = verify_larger(largest, fabs(first[i]));
    for (int i = 0; i <= VERIFY_SIZE; i++)
        largest = verify_larger(largest, fabs(second[i]));
    return largest * sqrt(SAMPLES);
}

static int run_diffusion(verification *v, const fcl_solver_options *options, fcl_path *path, float *x,
                         float *way)
{
    fcl_solver *solver;
    fill_normal(v, SAMPLES * VERIFY_SIZE, x);
    TRY(fcl_solver_create(verify_device(v), velocity, path, options, SAMPLES, VERIFY_SIZE, &solver));
    fcl_solver_random(solver, (uint64_t)(verify_uniform(v) * 0x1p52), 0);
    int status = fcl_solver_run_times(solver, x, 1, &middle, way, x, NULL);
    fcl_solver_destroy(&solver);
    return status;
}

static int check_diffusion(verification *v, const char *name, fcl_path *path, float *x, float *way)
{
    static const char *const weights[] = {"0", "sigma", "1"};
    double largest = 0;
    const char *worst = weights[0];
    fcl_path_point half = fcl_path_value(path, middle), end = fcl_path_value(path, 1);
    for (int i = 0; i < 3; i++) {
        fcl_solver_options options = {.solver = name, .steps = 400, .w = weights[i]};
        TRY(run_diffusion(v, &options, path, x, way));
        double error = verify_larger(moments_error(way, &half), moments_error(x, &end));
        worst = error <= largest ? worst : weights[i];
        largest = verify_larger(largest, error);
    }
    return verify_remark(v, name, largest, "with w = %s", worst);
}

static int check_diffusions(verification *v, fcl_path *path, float *x, float *way)
{
    for (int i = 0; fcl_solver_name(i); i++)
        if (fcl_solver_is_stochastic(fcl_solver_name(i)))
            TRY(check_diffusion(v, fcl_solver_name(i), path, x, way));
    return FCL_OK;
}

int verify_marginals(verification *v)
{
    fcl_path *path;
    TRY(fcl_path_create(NULL, 0, &path));
    float *x = malloc(2 * SAMPLES * VERIFY_SIZE * sizeof *x);
    int status = x ? check_diffusions(v, path, x, x + SAMPLES * VERIFY_SIZE) : FCL_ERR_MEMORY;
    free(x);
    fcl_path_destroy(&path);
    return status;
}
