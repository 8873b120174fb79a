/* Runs of a solver: fixed steps along the grid, or steps under error control, from time to time. */
#include "flow/solver.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a run stops on its way, and what it leaves there. */
typedef struct stop_list {
    int count;
    const double *times;
    float *x; /* (count, B, D) */
} stop_list;

static double sign_of(const fcl_solver *solver)
{
    return solver->options.t_end > solver->options.t_begin ? 1 : -1;
}

static int read_x(const fcl_solver *solver, float *x)
{
    return fcl_buffer_read(solver->x, 0, fcl_buffer_size(solver->x), x);
}

static int keep_x(const fcl_solver *solver, const stop_list *stops, int index)
{
    return read_x(solver, stops->x + (int64_t)index * solver->batch * solver->size);
}

/* --- fixed steps --- */

/* Each step draws its own noise. */
static int run_noisy(const fcl_solver *solver, const fcl_fixed_step *step, int begin, int count,
                     const float *numbers)
{
    for (int i = 0; i < count; i++) {
        fcl_graph_random(step->graph, solver->seed, (uint32_t)(begin + i), solver->first_row);
        FCL_TRY(fcl_graph_repeat(step->graph, 1, step->scalars, step->scalar, numbers + i * step->scalars));
    }
    return FCL_OK;
}

/* Steps begin .. end - 1 of the grid, all by one graph: the host waits for nothing. */
static int run_alike(fcl_solver *solver, const fcl_fixed_step *step, const double *grid, int begin, int end)
{
    int count = end - begin;
    size_t row = (size_t)step->scalars;
    float *numbers = malloc(sizeof *numbers * row * (size_t)count);
    if (!numbers)
        return fcl_fail(FCL_ERR_MEMORY, "no host memory for the times of %d steps", count);
    for (int i = 0; i < count; i++)
        fcl_fixed_numbers(step, grid + begin + i, numbers + (size_t)i * row);
    int status = step->diffusion ? run_noisy(solver, step, begin, count, numbers)
                                 : fcl_graph_repeat(step->graph, count, step->scalars, step->scalar, numbers);
    if (step->crossing != FCL_ENTERING)
        solver->evaluated += (int64_t)step->tableau->stages * count;
    free(numbers);
    return status;
}

static int starting_steps(const fcl_solver *solver)
{
    return solver->tableau->adams ? solver->tableau->adams - 1 : 0;
}

/* What takes the step of that index, of so many in all. */
static const fcl_fixed_step *step_of(const fcl_solver *solver, int index, int steps)
{
    bool starting = index < starting_steps(solver);
    bool careful =
        (index == 0 && solver->ends.careful_first) || (index == steps - 1 && solver->ends.careful_last);
    if (careful && solver->careful.graph && (starting || !solver->tableau->adams))
        return &solver->careful;
    return starting ? &solver->first : &solver->fixed;
}

static int run_between(fcl_solver *solver, const double *grid, int begin, int end, int steps)
{
    for (int next; begin < end; begin = next) {
        const fcl_fixed_step *step = step_of(solver, begin, steps);
        for (next = begin + 1; next < end && step_of(solver, next, steps) == step;)
            next++;
        FCL_TRY(run_alike(solver, step, grid, begin, next));
    }
    return FCL_OK;
}

/* The solver's grid between its ends, with the stops; those that are on it in single precision are not
 * doubled. Returns the number of steps. */
static int merge(const fcl_solver *solver, const stop_list *stops, double *grid)
{
    const fcl_ends *ends = &solver->ends;
    double sign = sign_of(solver), low = fmin(ends->first, ends->last), high = fmax(ends->first, ends->last);
    int count = 0;
    for (int i = 0, j = 0; i <= solver->steps || j < stops->count;) {
        bool from_grid =
            i <= solver->steps && (j == stops->count || solver->grid[i] * sign <= stops->times[j] * sign ||
                                   (float)solver->grid[i] == (float)stops->times[j]);
        double t = fmin(fmax(from_grid ? solver->grid[i++] : stops->times[j++], low), high);
        if (count == 0 || (float)t != (float)grid[count - 1])
            grid[count++] = t;
    }
    return count - 1;
}

static int run_grid(fcl_solver *solver, const stop_list *stops, const double *grid, int steps)
{
    int done = 0;
    for (int i = 0; i < stops->count; i++) {
        int at = done;
        while ((float)grid[at] != (float)stops->times[i])
            at++;
        FCL_TRY(run_between(solver, grid, done, at, steps));
        FCL_TRY(keep_x(solver, stops, i));
        done = at;
    }
    return run_between(solver, grid, done, steps, steps);
}

static int run_fixed(fcl_solver *solver, const stop_list *stops)
{
    double *grid = malloc(sizeof *grid * ((size_t)solver->steps + 1 + (size_t)stops->count));
    if (!grid)
        return fcl_fail(FCL_ERR_MEMORY, "no host memory for the times of %d steps", solver->steps);
    int steps = merge(solver, stops, grid);
    solver->steps_run = steps;
    int status = run_grid(solver, stops, grid, steps);
    free(grid);
    return status;
}

/* --- under error control --- */

/* How many steps the slowest sample still takes if its step size stays; 0 where all are done or stuck. */
static float steps_left(const fcl_solver *solver)
{
    float most = 0;
    for (int64_t row = 0; row < solver->batch; row++) {
        const float *state = fcl_solver_state(solver, row);
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
        const float *state = fcl_solver_state(solver, row);
        most = fmaxf(most, state[FCL_ODE_ACCEPTED] + state[FCL_ODE_REJECTED]);
    }
    return (int)most;
}

static int read_state(fcl_solver *solver)
{
    return fcl_buffer_read(solver->state, 0, fcl_buffer_size(solver->state), solver->state_read);
}

/* Sends the samples on their way to `time`, each with the size that its next step would have anyway; those
 * that are stuck stay. */
static int aim(fcl_solver *solver, float time)
{
    for (int64_t row = 0; row < solver->batch; row++) {
        float *state = solver->state_read + row * FCL_ODE_STATE, left = time - state[FCL_ODE_T];
        if (state[FCL_ODE_ACTIVE] < 0)
            continue;
        if (state[FCL_ODE_PROPOSED] == 0) /* before the first step */
            state[FCL_ODE_PROPOSED] = state[FCL_ODE_H];
        bool reaches = fabsf(state[FCL_ODE_PROPOSED]) * 1.01f >= fabsf(left);
        state[FCL_ODE_H] = reaches ? left : state[FCL_ODE_PROPOSED];
        state[FCL_ODE_T_END] = time;
        state[FCL_ODE_ACTIVE] = left != 0;
    }
    return fcl_buffer_write(solver->state, 0, fcl_buffer_size(solver->state), solver->state_read);
}

/* Until each sample is at its t_end. Where a kernel repeats the step itself, all of them are one launch. Else
 * steps are enqueued in bursts, for each look at the state waits for the device. A burst is as long as the
 * slowest sample seems to need, and no longer than the bound: step sizes grow, and steps that nobody needs
 * cost as much. */
static int run_to_end(fcl_solver *solver, int64_t *steps)
{
    enum { FIRST_BURST = 4, LONGEST_BURST = 8 };
    bool at_once = fcl_graph_describe(solver->step).repeats;
    int done = (int)*steps, most = solver->options.max_steps, burst = at_once ? most : FIRST_BURST;
    while (burst > 0 && done < most) {
        burst = burst < most - done ? burst : most - done;
        FCL_TRY(fcl_graph_repeat(solver->step, burst, 0, NULL, NULL));
        done += burst;
        FCL_TRY(read_state(solver));
        burst = (int)fminf(steps_left(solver), LONGEST_BURST);
    }
    *steps = at_once ? longest(solver) : done;
    return FCL_OK;
}

static int run_adaptive(fcl_solver *solver, const stop_list *stops, int64_t *steps)
{
    FCL_TRY(fcl_graph_run(solver->start));
    if (stops->count)
        FCL_TRY(read_state(solver));
    for (int i = 0; i < stops->count; i++) {
        FCL_TRY(aim(solver, (float)stops->times[i]));
        if (steps_left(solver) > 0)
            FCL_TRY(run_to_end(solver, steps));
        FCL_TRY(keep_x(solver, stops, i));
    }
    if (stops->count)
        FCL_TRY(aim(solver, (float)solver->ends.last));
    return stops->count && steps_left(solver) == 0 ? FCL_OK : run_to_end(solver, steps);
}

/* --- the ends --- */

/* Whether the solve passes time a before time b. */
static bool before(const fcl_solver *solver, double a, double b)
{
    float sign = (float)sign_of(solver);
    return (float)a * sign < (float)b * sign;
}

static int cross(fcl_solver *solver, const fcl_fixed_step *step, double from, double to)
{
    return (float)from == (float)to ? FCL_OK : run_alike(solver, step, (const double[]){from, to}, 0, 1);
}

/* To the first time, past the stops before it; *done becomes their number. */
static int enter(fcl_solver *solver, const stop_list *stops, int *done)
{
    double now = solver->options.t_begin, first = solver->ends.first;
    for (*done = 0; *done < stops->count && before(solver, stops->times[*done], first); ++*done) {
        FCL_TRY(cross(solver, &solver->entering, now, stops->times[*done]));
        FCL_TRY(keep_x(solver, stops, *done));
        now = stops->times[*done];
    }
    return cross(solver, &solver->entering, now, first);
}

static int arrive_at(fcl_solver *solver, double time)
{
    FCL_TRY(fcl_buffer_copy(solver->x, 0, solver->held, 0, fcl_buffer_size(solver->x)));
    return cross(solver, &solver->arriving, solver->ends.last, time);
}

/* From the last time to the stops behind it, from `done` on, and to the end. */
static int arrive(fcl_solver *solver, const stop_list *stops, int done)
{
    double now = solver->ends.last;
    if ((float)now == (float)solver->options.t_end)
        return FCL_OK;
    FCL_TRY(fcl_buffer_copy(solver->held, 0, solver->x, 0, fcl_buffer_size(solver->x)));
    for (; done < stops->count; done++) {
        now = stops->times[done];
        FCL_TRY(arrive_at(solver, now));
        FCL_TRY(keep_x(solver, stops, done));
    }
    return (float)now == (float)solver->options.t_end ? FCL_OK : arrive_at(solver, solver->options.t_end);
}

/* --- all of it --- */

/* Those from `begin` on at which the velocity is asked for. */
static stop_list stops_between(const fcl_solver *solver, const stop_list *stops, int begin)
{
    int end = begin;
    while (end < stops->count && !before(solver, solver->ends.last, stops->times[end]))
        end++;
    if (!stops->count) /* nor are there times */
        return (stop_list){0};
    return (stop_list){end - begin, stops->times + begin, stops->x + begin * solver->batch * solver->size};
}

static int run(fcl_solver *solver, const stop_list *stops, int64_t *steps)
{
    int entered;
    solver->evaluated = 0;
    FCL_TRY(enter(solver, stops, &entered));
    stop_list between = stops_between(solver, stops, entered);
    FCL_TRY(solver->tableau->b_error ? run_adaptive(solver, &between, steps) : run_fixed(solver, &between));
    return arrive(solver, stops, entered + between.count);
}

/* A step of each graph; its content does not matter. */
static int prepare_fixed(fcl_solver *solver)
{
    const int last = solver->steps - 1, of_each[] = {0, starting_steps(solver), 1, last};
    for (int i = 0; i < 4; i++) {
        bool done = of_each[i] > last;
        for (int k = 0; k < i; k++)
            done |= step_of(solver, of_each[i], last + 1) == step_of(solver, of_each[k], last + 1);
        if (!done)
            FCL_TRY(run_between(solver, solver->grid, of_each[i], of_each[i] + 1, last + 1));
    }
    return FCL_OK;
}

static int prepare_crossings(fcl_solver *solver)
{
    const fcl_solver_options *options = &solver->options;
    if (solver->entering.graph)
        FCL_TRY(cross(solver, &solver->entering, options->t_begin, solver->ends.first));
    return solver->arriving.graph ? cross(solver, &solver->arriving, solver->ends.last, options->t_end)
                                  : FCL_OK;
}

int fcl_solver_prepare(fcl_solver *solver)
{
    FCL_TRY(fcl_buffer_zero(solver->x));
    FCL_TRY(prepare_crossings(solver));
    if (solver->tableau->b_error) {
        FCL_TRY(fcl_graph_run(solver->start));
        FCL_TRY(fcl_graph_repeat(solver->step, 1, 0, NULL, NULL));
    } else {
        FCL_TRY(prepare_fixed(solver));
    }
    return fcl_device_finish(solver->device);
}

static int check_times(const fcl_solver *solver, int count, const double *times)
{
    double begin = solver->options.t_begin, end = solver->options.t_end, sign = end > begin ? 1 : -1;
    for (int i = 0; i < count; i++) {
        if (!(times[i] * sign >= begin * sign && times[i] * sign <= end * sign))
            return fcl_fail(FCL_ERR_ARGUMENT, "time %d is %g, which is not on the way from %g to %g", i,
                            times[i], begin, end);
        if (i && !((float)times[i] * sign > (float)times[i - 1] * sign))
            return fcl_fail(FCL_ERR_ARGUMENT, "times go from %g to %g, but %g follows on %g", begin, end,
                            times[i], times[i - 1]);
    }
    return FCL_OK;
}

int fcl_solver_run_times(fcl_solver *solver, const float *x_in, int count, const double *times,
                         float *x_times, float *x_out, fcl_solver_stats *stats)
{
    fcl_solver_stats here = {0};
    stop_list stops = {count, times, x_times};
    int64_t steps = 0;
    FCL_TRY(check_times(solver, count, times));
    if (x_in)
        FCL_TRY(fcl_buffer_write(solver->x, 0, fcl_buffer_size(solver->x), x_in));
    FCL_TRY(run(solver, &stops, &steps));
    if (x_out)
        FCL_TRY(read_x(solver, x_out));
    int status = fcl_solver_report(solver, x_out, steps, &here);
    if (stats)
        *stats = here;
    return status;
}

int fcl_solver_run(fcl_solver *solver, const float *x_in, float *x_out, fcl_solver_stats *stats)
{
    return fcl_solver_run_times(solver, x_in, 0, NULL, NULL, x_out, stats);
}
