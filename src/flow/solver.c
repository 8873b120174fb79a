/* Solvers: their options, and what is made of them. */
#include "flow/solver.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/options.h>

#include <math.h>
#include <stdlib.h>

/* Zeros stay zeros here: a number that the solver has no use for must not have been given. */
static const fcl_option solver_table[] = {
    {"solver", FCL_OPTION(fcl_solver_options, solver), .choice = fcl_solver_name},
    {"steps", FCL_OPTION(fcl_solver_options, steps), .minimum = 1, .maximum = 1e9},
    {"rtol", FCL_OPTION(fcl_solver_options, rtol), .minimum = 1e-7, .maximum = 1},
    {"atol", FCL_OPTION(fcl_solver_options, atol), .minimum = 1e-12, .maximum = 1e6},
    {"max-steps", FCL_OPTION(fcl_solver_options, max_steps), .minimum = 1, .maximum = 1e9},
    {"path-width", FCL_OPTION(fcl_solver_options, path_width), .minimum = 0, .maximum = 100},
    {"v-from", FCL_OPTION(fcl_solver_options, v_from), .minimum = 0, .maximum = 1},
    {"v-until", FCL_OPTION(fcl_solver_options, v_until), .minimum = 0, .maximum = 1},
    {"t-begin", FCL_OPTION(fcl_solver_options, t_begin), .minimum = -1e6, .maximum = 1e6},
    {"t-end", FCL_OPTION(fcl_solver_options, t_end), .minimum = -1e6, .maximum = 1e6},
    {0}};

static int check_use(const fcl_tableau *tableau, const fcl_solver_options *options)
{
    if (tableau->b_error && options->steps)
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "solver %s chooses its steps by its error estimate: give it rtol and atol, not steps = %d",
            tableau->name, options->steps);
    if (!tableau->b_error && (options->rtol || options->atol || options->max_steps))
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "solver %s has no error estimate: give it steps, not tolerances (dopri5 "
                        "takes those)",
                        tableau->name);
    if (tableau->b_error && options->grid)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "solver %s chooses its steps by its error estimate: it takes no grid \"%s\"",
                        tableau->name, options->grid);
    if (!tableau->noise && options->w)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "solver %s adds no noise: w = \"%.200s\" is for euler-maruyama and stochastic-heun",
                        tableau->name, options->w);
    bool given = options->t_begin != 0 || options->t_end != 0;
    if (given && (float)options->t_begin == (float)options->t_end)
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "t-begin = %g and t-end = %g are the same in single precision: there is nothing to solve",
            options->t_begin, options->t_end);
    return FCL_OK;
}

/* Checks what was given, and fills the defaults in. */
static int complete(fcl_solver_options *options)
{
    FCL_TRY(fcl_options_check(solver_table, options));
    const fcl_tableau *tableau = fcl_tableau_find(options->solver);
    FCL_TRY(check_use(tableau, options));
    options->solver = tableau->name;
    if (!options->rtol)
        options->rtol = 1e-5;
    if (!options->atol)
        options->atol = 1e-5;
    if (!options->max_steps)
        options->max_steps = 10000;
    if (options->t_begin == 0 && options->t_end == 0)
        options->t_end = 1;
    return FCL_OK;
}

int fcl_solver_check(const fcl_solver_options *given)
{
    fcl_solver_options options = given ? *given : (fcl_solver_options){0};
    double *grid = NULL;
    int steps;
    FCL_TRY(complete(&options));
    const fcl_tableau *tableau = fcl_tableau_find(options.solver);
    fcl_diffusion *diffusion = NULL;
    int status = tableau->b_error ? FCL_OK : fcl_grid_read(&options, &grid, &steps);
    if (status == FCL_OK && tableau->noise)
        status = fcl_diffusion_create(&options, grid, steps, &diffusion);
    fcl_diffusion_destroy(&diffusion);
    free(grid);
    return status;
}

static int read_options(const fcl_solver_options *given, fcl_solver *solver)
{
    if (given)
        solver->options = *given;
    FCL_TRY(complete(&solver->options));
    solver->tableau = fcl_tableau_find(solver->options.solver);
    return FCL_OK;
}

static int place_steps(fcl_solver *solver)
{
    fcl_ends_find(&solver->options, solver->tableau, solver->predictor, &solver->ends);
    if (solver->tableau->b_error)
        return FCL_OK;
    FCL_TRY(fcl_grid_read(&solver->options, &solver->grid, &solver->steps));
    if (!solver->tableau->noise)
        return FCL_OK;
    fcl_solver_options within = solver->options;
    within.v_from = fmin(solver->ends.first, solver->ends.last);
    within.v_until = fmax(solver->ends.first, solver->ends.last);
    return fcl_diffusion_create(&within, solver->grid, solver->steps, &solver->diffusion);
}

static int build(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    size_t bytes = sizeof(float) * (size_t)solver->batch * (size_t)solver->size;
    size_t state_bytes = sizeof(float) * (size_t)solver->batch * FCL_ODE_STATE;
    FCL_TRY(fcl_buffer_create(solver->device, bytes, &solver->x));
    FCL_TRY(fcl_solver_build_crossings(solver, velocity, data));
    if (!solver->tableau->b_error)
        return fcl_solver_build_fixed(solver, velocity, data);
    if (solver->tableau->fsal)
        FCL_TRY(fcl_buffer_create(solver->device, bytes, &solver->slope));
    FCL_TRY(fcl_buffer_create(solver->device, state_bytes, &solver->state));
    solver->state_read = calloc((size_t)solver->batch, sizeof(float) * FCL_ODE_STATE);
    if (!solver->state_read)
        return fcl_fail(FCL_ERR_MEMORY, "no %zu bytes for the solver's state of %lld samples", state_bytes,
                        (long long)solver->batch);
    return fcl_solver_build_adaptive(solver, velocity, data);
}

static int build_for(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    solver->predictor = fcl_predictor_within(velocity, data);
    FCL_TRY(place_steps(solver));
    int status = build(solver, velocity, data);
    solver->predictor = NULL;
    return status == FCL_OK ? FCL_OK : fcl_fail_within(status, "solver %s", solver->tableau->name);
}

/* A stochastic solver is told the path: the velocity is a prediction of v on it. */
static int build_along(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    const fcl_solver_options *options = &solver->options;
    fcl_path *path;
    fcl_predictor *predictor;
    FCL_TRY(fcl_path_create(options->path, options->path_width, &path));
    int status = fcl_predictor_create(NULL, path, NULL, velocity, data, &predictor);
    if (status == FCL_OK) {
        fcl_predictor_narrow(predictor, options->v_from, options->v_until > 0 ? options->v_until : 1);
        status = build_for(solver, fcl_predictor_velocity, predictor);
    }
    fcl_predictor_destroy(&predictor);
    fcl_path_destroy(&path);
    return status;
}

static int create(fcl_solver *solver, const fcl_solver_options *options, fcl_velocity velocity, void *data)
{
    FCL_TRY(read_options(options, solver));
    bool noisy = solver->tableau->noise && !fcl_diffusion_is_off(solver->options.w);
    return noisy && !fcl_predictor_within(velocity, data) ? build_along(solver, velocity, data)
                                                          : build_for(solver, velocity, data);
}

int fcl_solver_create(fcl_device *device, fcl_velocity velocity, void *data,
                      const fcl_solver_options *options, int64_t batch, int64_t size, fcl_solver **result)
{
    *result = NULL;
    if (batch < 1 || size < 1 || batch > INT32_MAX || size > INT32_MAX)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "a solver for batches (%lld, %lld): both must be from 1 to 2^31 - 1",
                        (long long)batch, (long long)size);
    fcl_solver *solver = fcl_zalloc(sizeof *solver);
    *solver = (fcl_solver){.device = device, .batch = batch, .size = size};
    int status = create(solver, options, velocity, data);
    if (status != FCL_OK)
        fcl_solver_destroy(&solver);
    *result = solver;
    return status;
}

void fcl_solver_destroy(fcl_solver **handle)
{
    fcl_solver *solver = *handle;
    if (!solver)
        return;
    fcl_graph_destroy(&solver->fixed.graph);
    fcl_graph_destroy(&solver->first.graph);
    fcl_graph_destroy(&solver->careful.graph);
    fcl_graph_destroy(&solver->entering.graph);
    fcl_graph_destroy(&solver->arriving.graph);
    fcl_graph_destroy(&solver->step);
    fcl_graph_destroy(&solver->start);
    fcl_buffer_destroy(&solver->x);
    fcl_buffer_destroy(&solver->held);
    fcl_buffer_destroy(&solver->slope);
    fcl_buffer_destroy(&solver->state);
    for (int age = 1; age < FCL_MOST_ADAMS; age++)
        fcl_buffer_destroy(&solver->past[age]);
    fcl_diffusion_destroy(&solver->diffusion);
    fcl_path_destroy(&solver->ends.path);
    free(solver->grid);
    free(solver->state_read);
    free(solver);
    *handle = NULL;
}

fcl_buffer *fcl_solver_buffer(fcl_solver *solver)
{
    return solver->x;
}

void fcl_solver_random(fcl_solver *solver, uint64_t seed, uint64_t first_row)
{
    solver->seed = seed;
    solver->first_row = first_row;
}

const double *fcl_solver_grid(const fcl_solver *solver, int *steps)
{
    *steps = solver->steps;
    return solver->grid;
}
