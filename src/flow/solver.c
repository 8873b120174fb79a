/* Solvers: their options, their runs, and what they tell of a run. */
#include "flow/solver.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/options.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Zeros stay zeros here: a number that the solver has no use for must not have been given. */
static const fcl_option solver_table[] = {
    {"solver", FCL_OPTION(fcl_solver_options, solver), .choice = fcl_solver_name},
    {"steps", FCL_OPTION(fcl_solver_options, steps), .minimum = 1, .maximum = 1e9},
    {"rtol", FCL_OPTION(fcl_solver_options, rtol), .minimum = 1e-7, .maximum = 1},
    {"atol", FCL_OPTION(fcl_solver_options, atol), .minimum = 1e-12, .maximum = 1e6},
    {"max-steps", FCL_OPTION(fcl_solver_options, max_steps), .minimum = 1, .maximum = 1e9},
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
    bool given = options->t_begin != 0 || options->t_end != 0;
    if (given && (float)options->t_begin == (float)options->t_end)
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "t-begin = %g and t-end = %g are the same in single precision: there is nothing to solve",
            options->t_begin, options->t_end);
    return FCL_OK;
}

static int read_options(const fcl_solver_options *given, fcl_solver *solver)
{
    fcl_solver_options *options = &solver->options;
    if (given)
        *options = *given;
    FCL_TRY(fcl_options_check(solver_table, options));
    solver->tableau = fcl_tableau_find(options->solver);
    FCL_TRY(check_use(solver->tableau, options));
    options->solver = solver->tableau->name;
    if (!options->steps)
        options->steps = 100;
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

static int build(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    size_t bytes = sizeof(float) * (size_t)solver->batch * (size_t)solver->size;
    size_t state_bytes = sizeof(float) * (size_t)solver->batch * FCL_ODE_STATE;
    FCL_TRY(fcl_buffer_create(solver->device, bytes, &solver->x));
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
    int status = read_options(options, solver);
    if (status == FCL_OK) {
        status = build(solver, velocity, data);
        if (status != FCL_OK)
            fcl_fail_within(status, "solver %s", solver->tableau->name);
    }
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
    fcl_graph_destroy(&solver->step);
    fcl_graph_destroy(&solver->start);
    fcl_buffer_destroy(&solver->x);
    fcl_buffer_destroy(&solver->slope);
    fcl_buffer_destroy(&solver->state);
    free(solver->state_read);
    free(solver);
    *handle = NULL;
}

fcl_buffer *fcl_solver_buffer(fcl_solver *solver)
{
    return solver->x;
}

/* --- running --- */

/* The time `part` (0 to 1) into step `step`: the grid, in double so that the last step ends on t_end. */
static double grid_time(const fcl_solver_options *options, int step, double part)
{
    double share = (step + part) / options->steps;
    return options->t_begin + (options->t_end - options->t_begin) * share;
}

/* The first `steps` steps. All times and sizes are known before, so the whole solve may be one launch. */
static int run_fixed(fcl_solver *solver, int steps)
{
    const fcl_tableau *tableau = solver->tableau;
    int scalars = 1 + tableau->stages;
    fcl_tensor *scalar[1 + FCL_MAX_STAGES] = {solver->h};
    float *values = malloc(sizeof *values * (size_t)steps * (size_t)scalars), *row = values;
    if (!values)
        return fcl_fail(FCL_ERR_MEMORY, "no host memory for the times of %d steps", steps);
    memcpy(scalar + 1, solver->time, sizeof *scalar * (size_t)tableau->stages);
    for (int step = 0; step < steps; step++, row += scalars) {
        row[0] = (float)(grid_time(&solver->options, step, 1) - grid_time(&solver->options, step, 0));
        for (int i = 0; i < tableau->stages; i++)
            row[1 + i] = (float)grid_time(&solver->options, step, tableau->c[i]);
    }
    int status = fcl_graph_repeat(solver->step, steps, scalars, scalar, values);
    free(values);
    return status;
}

static const float *state_of(const fcl_solver *solver, int64_t row)
{
    return solver->state_read + row * FCL_ODE_STATE;
}

/* How many steps the slowest sample still takes if its step size stays; 0 where all are done or stuck. */
static float steps_left(const fcl_solver *solver)
{
    float most = 0;
    for (int64_t row = 0; row < solver->batch; row++) {
        const float *state = state_of(solver, row);
        if (state[FCL_ODE_ACTIVE] > 0)
            most = fmaxf(most, ceilf((state[FCL_ODE_T_END] - state[FCL_ODE_T]) / state[FCL_ODE_H]));
    }
    return most;
}

/* The most steps that a sample has taken. */
static int longest(const fcl_solver *solver)
{
    float most = 0;
    for (int64_t row = 0; row < solver->batch; row++) {
        const float *state = state_of(solver, row);
        most = fmaxf(most, state[FCL_ODE_ACCEPTED] + state[FCL_ODE_REJECTED]);
    }
    return (int)most;
}

/* Where a kernel repeats the step itself, all of them are one launch. Else steps are enqueued in bursts, for
 * each look at the state waits for the device. A burst is as long as the slowest sample seems to need, and no
 * longer than the bound: step sizes grow, and steps that nobody needs cost as much. */
static int run_adaptive(fcl_solver *solver, int64_t *steps)
{
    enum { FIRST_BURST = 4, LONGEST_BURST = 8 };
    bool at_once = fcl_graph_describe(solver->step).repeats;
    int done = 0, most = solver->options.max_steps, burst = at_once ? most : FIRST_BURST;
    FCL_TRY(fcl_graph_run(solver->start));
    while (burst > 0) {
        burst = burst < most - done ? burst : most - done;
        FCL_TRY(fcl_graph_repeat(solver->step, burst, 0, NULL, NULL));
        done += burst;
        FCL_TRY(fcl_buffer_read(solver->state, 0, fcl_buffer_size(solver->state), solver->state_read));
        burst = done < most ? (int)fminf(steps_left(solver), LONGEST_BURST) : 0;
    }
    *steps = at_once ? longest(solver) : done;
    return FCL_OK;
}

int fcl_solver_prepare(fcl_solver *solver)
{
    FCL_TRY(fcl_buffer_zero(solver->x));
    if (solver->tableau->b_error) {
        FCL_TRY(fcl_graph_run(solver->start));
        FCL_TRY(fcl_graph_repeat(solver->step, 1, 0, NULL, NULL));
    } else {
        FCL_TRY(run_fixed(solver, 1));
    }
    return fcl_device_finish(solver->device);
}

/* --- what a run was like --- */

/* Evaluations in `steps` steps of an adaptive solver; two before the first choose its size. */
static int64_t adaptive_evaluations(const fcl_tableau *tableau, int64_t steps)
{
    return 2 + (tableau->stages - tableau->fsal) * steps;
}

void fcl_solver_steps(const fcl_solver *solver, int64_t row, int64_t *accepted, int64_t *rejected)
{
    bool adaptive = solver->tableau->b_error;
    *accepted = adaptive ? (int64_t)state_of(solver, row)[FCL_ODE_ACCEPTED] : solver->options.steps;
    *rejected = adaptive ? (int64_t)state_of(solver, row)[FCL_ODE_REJECTED] : 0;
}

int64_t fcl_solver_nfe(const fcl_solver *solver, int64_t row)
{
    int64_t accepted, rejected;
    fcl_solver_steps(solver, row, &accepted, &rejected);
    if (!solver->tableau->b_error)
        return accepted * solver->tableau->stages;
    return adaptive_evaluations(solver->tableau, accepted + rejected);
}

static void count_steps(const fcl_solver *solver, int64_t steps, fcl_solver_stats *stats)
{
    bool adaptive = solver->tableau->b_error;
    stats->steps = steps;
    stats->evaluations =
        adaptive ? adaptive_evaluations(solver->tableau, steps) : steps * solver->tableau->stages;
    for (int64_t row = 0; row < solver->batch; row++) {
        int64_t accepted, rejected;
        fcl_solver_steps(solver, row, &accepted, &rejected);
        stats->accepted += accepted;
        stats->rejected += rejected;
    }
}

static void count_evaluations(const fcl_solver *solver, fcl_solver_stats *stats)
{
    stats->nfe_minimum = INT64_MAX;
    for (int64_t row = 0; row < solver->batch; row++) {
        int64_t nfe = fcl_solver_nfe(solver, row);
        stats->nfe_minimum = nfe < stats->nfe_minimum ? nfe : stats->nfe_minimum;
        stats->nfe_maximum = nfe > stats->nfe_maximum ? nfe : stats->nfe_maximum;
        stats->nfe_mean += (double)nfe / (double)solver->batch;
    }
}

/* How many samples ended badly in one way, and the first of them. */
typedef struct failures {
    int64_t count, first;
} failures;

static void add_failure(failures *list, int64_t row)
{
    if (list->count++ == 0)
        list->first = row;
}

static bool is_finite(const fcl_solver *solver, const float *x, int64_t row)
{
    for (int64_t i = 0; x && i < solver->size; i++)
        if (!isfinite(x[row * solver->size + i]))
            return false;
    return true;
}

/* x: the result on the host, or NULL. */
static int judge(const fcl_solver *solver, const float *x, fcl_solver_stats *stats)
{
    const char *name = solver->tableau->name;
    const fcl_solver_options *options = &solver->options;
    failures running = {0}, stuck = {0}, infinite = {0};
    for (int64_t row = 0; row < solver->batch; row++) {
        float active = solver->tableau->b_error ? state_of(solver, row)[FCL_ODE_ACTIVE] : 0;
        if (active != 0)
            add_failure(active > 0 ? &running : &stuck, row);
        else if (!is_finite(solver, x, row))
            add_failure(&infinite, row);
    }
    stats->unfinished = running.count + stuck.count + infinite.count;
    if (infinite.count)
        return fcl_fail(FCL_ERR_NUMERIC,
                        "%s: %lld of %lld samples are NaN or infinite at t = %g, the first is row %lld: the "
                        "velocity is not finite on its way, or the steps are too large",
                        name, (long long)infinite.count, (long long)solver->batch, options->t_end,
                        (long long)infinite.first);
    if (stuck.count)
        return fcl_fail(
            FCL_ERR_NUMERIC,
            "%s: the step size of %lld of %lld samples fell below single precision, the first is row "
            "%lld at t = %g: the velocity is not finite there, or rtol = %g, atol = %g are too small",
            name, (long long)stuck.count, (long long)solver->batch, (long long)stuck.first,
            (double)state_of(solver, stuck.first)[FCL_ODE_T], options->rtol, options->atol);
    if (running.count)
        return fcl_fail(
            FCL_ERR_NUMERIC,
            "%s: %lld of %lld samples did not reach t = %g in %d steps, the first is row %lld at t = "
            "%g: larger tolerances than rtol = %g, atol = %g need fewer steps",
            name, (long long)running.count, (long long)solver->batch, options->t_end, options->max_steps,
            (long long)running.first, (double)state_of(solver, running.first)[FCL_ODE_T], options->rtol,
            options->atol);
    return FCL_OK;
}

int fcl_solver_run(fcl_solver *solver, const float *x_in, float *x_out, fcl_solver_stats *stats)
{
    fcl_solver_stats here = {0};
    int64_t steps = solver->options.steps;
    if (x_in)
        FCL_TRY(fcl_buffer_write(solver->x, 0, fcl_buffer_size(solver->x), x_in));
    if (solver->tableau->b_error)
        FCL_TRY(run_adaptive(solver, &steps));
    else
        FCL_TRY(run_fixed(solver, solver->options.steps));
    if (x_out)
        FCL_TRY(fcl_buffer_read(solver->x, 0, fcl_buffer_size(solver->x), x_out));
    int status = judge(solver, x_out, &here);
    count_steps(solver, steps, &here);
    count_evaluations(solver, &here);
    if (stats)
        *stats = here;
    return status;
}
