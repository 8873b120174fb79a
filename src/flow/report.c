/* What a run of a solver was like: its counts, and what is wrong with its result. */
#include "flow/solver.h"

#include "base/error.h"

#include <math.h>

const float *fcl_solver_state(const fcl_solver *solver, int64_t row)
{
    return solver->state_read + row * FCL_ODE_STATE;
}

/* --- counts --- */

/* Of an adaptive solver two evaluations before the first step choose its size. */
int64_t fcl_tableau_evaluations(const fcl_tableau *tableau, int64_t steps)
{
    if (tableau->b_error)
        return 2 + (tableau->stages - tableau->fsal) * steps;
    if (!tableau->adams)
        return tableau->stages * steps;
    int64_t starting = steps < tableau->adams - 1 ? steps : tableau->adams - 1;
    return fcl_tableau_find(tableau->starter)->stages * starting + steps - starting;
}

/* Of a run whose steps under error control are so many. */
static int64_t evaluations(const fcl_solver *solver, int64_t steps)
{
    return solver->evaluated +
           (solver->tableau->b_error ? fcl_tableau_evaluations(solver->tableau, steps) : 0);
}

void fcl_solver_steps(const fcl_solver *solver, int64_t row, int64_t *accepted, int64_t *rejected)
{
    bool adaptive = solver->tableau->b_error;
    *accepted = adaptive ? (int64_t)fcl_solver_state(solver, row)[FCL_ODE_ACCEPTED] : solver->steps_run;
    *rejected = adaptive ? (int64_t)fcl_solver_state(solver, row)[FCL_ODE_REJECTED] : 0;
}

int64_t fcl_solver_nfe(const fcl_solver *solver, int64_t row)
{
    int64_t accepted, rejected;
    fcl_solver_steps(solver, row, &accepted, &rejected);
    return evaluations(solver, accepted + rejected);
}

static void count(const fcl_solver *solver, int64_t steps, fcl_solver_stats *stats)
{
    stats->steps = steps;
    stats->evaluations = evaluations(solver, steps);
    stats->nfe_minimum = INT64_MAX;
    for (int64_t row = 0; row < solver->batch; row++) {
        int64_t accepted, rejected, nfe = fcl_solver_nfe(solver, row);
        fcl_solver_steps(solver, row, &accepted, &rejected);
        stats->accepted += accepted;
        stats->rejected += rejected;
        stats->nfe_minimum = nfe < stats->nfe_minimum ? nfe : stats->nfe_minimum;
        stats->nfe_maximum = nfe > stats->nfe_maximum ? nfe : stats->nfe_maximum;
        stats->nfe_mean += (double)nfe / (double)solver->batch;
    }
}

/* --- samples that did not arrive --- */

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

bool fcl_solver_arrived(const fcl_solver *solver, const float *x, int64_t row)
{
    bool standing = solver->tableau->b_error && fcl_solver_state(solver, row)[FCL_ODE_ACTIVE] != 0;
    return !standing && is_finite(solver, x, row);
}

/* x: the result on the host, or NULL. */
static int judge(const fcl_solver *solver, const float *x, fcl_solver_stats *stats)
{
    const char *name = solver->tableau->name;
    const fcl_solver_options *options = &solver->options;
    failures running = {0}, stuck = {0}, infinite = {0};
    for (int64_t row = 0; row < solver->batch; row++) {
        float active = solver->tableau->b_error ? fcl_solver_state(solver, row)[FCL_ODE_ACTIVE] : 0;
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
            (double)fcl_solver_state(solver, stuck.first)[FCL_ODE_T], options->rtol, options->atol);
    if (running.count)
        return fcl_fail(
            FCL_ERR_NUMERIC,
            "%s: %lld of %lld samples did not reach t = %g in %d steps, the first is row %lld at t = "
            "%g: larger tolerances than rtol = %g, atol = %g need fewer steps",
            name, (long long)running.count, (long long)solver->batch, options->t_end, options->max_steps,
            (long long)running.first, (double)fcl_solver_state(solver, running.first)[FCL_ODE_T],
            options->rtol, options->atol);
    return FCL_OK;
}

int fcl_solver_report(const fcl_solver *solver, const float *x, int64_t steps, fcl_solver_stats *stats)
{
    count(solver, solver->tableau->b_error ? steps : solver->steps_run, stats);
    return judge(solver, x, stats);
}
