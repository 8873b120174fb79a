/* The graphs of a solver under error control: a step, and what comes before the first. Each sample has its
 * own time and step, in its row of the state. */
#include "flow/solver.h"

#include "base/error.h"

#include <math.h>

static fcl_tensor *column(fcl_tensor *state, enum fcl_ode_state index)
{
    return fcl_slice(state, 1, index, index + 1); /* (B, 1) */
}

/* `t` no further than the last time: rounding of t + h must not ask the velocity for a time beyond. */
static fcl_tensor *not_beyond_end(const fcl_solver *solver, fcl_tensor *t)
{
    fcl_tensor *end = fcl_constant(fcl_tensor_graph(t), (float)solver->ends.last);
    return solver->ends.last > solver->ends.first ? fcl_min(t, end) : fcl_max(t, end);
}

/* h times the sum of b_error k: not by fcl_ode_stage, whose sum with x would round the difference away. */
static fcl_tensor *build_error(const fcl_tableau *tableau, fcl_tensor *h, fcl_tensor *const *k)
{
    fcl_tensor *sum = NULL; /* (B, D) */
    for (int i = 0; i < tableau->stages; i++) {
        if (tableau->b_error[i] == 0)
            continue;
        fcl_tensor *term = fcl_scale(k[i], (float)tableau->b_error[i]);
        sum = sum ? fcl_add(sum, term) : term;
    }
    return fcl_mul(h, sum);
}

static fcl_ode_control control_of(const fcl_solver *solver)
{
    return (fcl_ode_control){.rtol = (float)solver->options.rtol,
                             .atol = (float)solver->options.atol,
                             .order = solver->tableau->estimate_order + 1};
}

static int build_adaptive_step(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    const fcl_tableau *tableau = solver->tableau;
    fcl_tensor *times[FCL_MAX_STAGES], *k[FCL_MAX_STAGES], *slope = NULL;
    fcl_graph *graph = solver->step = fcl_graph_create();
    fcl_tensor *x = fcl_solver_leaf(solver, graph);
    fcl_tensor *state =
        fcl_leaf(graph, "state", FCL_F32, FCL_SHAPE(solver->batch, FCL_ODE_STATE), solver->state, 0);
    fcl_tensor *t = column(state, FCL_ODE_T), *h = column(state, FCL_ODE_H);
    for (int i = 0; i < tableau->stages; i++)
        times[i] = not_beyond_end(solver, fcl_add(t, fcl_scale(h, (float)tableau->c[i])));
    if (tableau->fsal)
        k[0] = slope = fcl_leaf(graph, "slope", FCL_F32, fcl_tensor_shape(x), solver->slope, 0);
    else
        k[0] = fcl_velocity_build(velocity, data, &(fcl_velocity_inputs){.x = x, .t = times[0]});
    fcl_tensor *x_new = fcl_stages_build(tableau, velocity, data, x, h, times, k);
    fcl_ode_control control = control_of(solver);
    fcl_ode_next next =
        fcl_ode_advance(&control, x, x_new, build_error(tableau, h, k), k[0], k[tableau->stages - 1], state);
    fcl_assign(x, next.x);
    fcl_assign(state, next.state);
    if (slope)
        fcl_assign(slope, next.k_first);
    return fcl_graph_compile(graph, solver->device,
                             &(fcl_graph_options){.repeat = solver->options.max_steps});
}

/* The root of the mean over D of (a / scale)^2: (B, 1). */
static fcl_tensor *scaled_norm(fcl_tensor *a, fcl_tensor *scale)
{
    int64_t size = fcl_tensor_shape(a).dim[1];
    return fcl_sqrt(fcl_scale(fcl_sum_axes(fcl_square(fcl_div(a, scale)), 1u << 1), 1.0f / (float)size));
}

/* The size of each sample's first step, (B, 1), signed: Hairer, Norsett, Wanner, II.4, "starting step size".
 * The trial step h0 is kept above a ten thousandth of the span, or single precision would round away what it
 * shall show, and below a hundredth: a path that begins and ends without a slope would be one step long for a
 * trial at its end. The shortest stands in where a number is not finite, and the error control does the rest. */
static fcl_tensor *initial_step(const fcl_solver *solver, fcl_velocity velocity, void *data, fcl_tensor *x,
                                fcl_tensor *t, fcl_tensor *slope)
{
    fcl_graph *graph = fcl_tensor_graph(x);
    fcl_ode_control control = control_of(solver);
    /* As the error control computes what is left, so that a single step ends on t_end. */
    float span = fabsf((float)solver->ends.last - (float)solver->ends.first);
    float sign = solver->ends.last > solver->ends.first ? 1 : -1;
    fcl_tensor *longest = fcl_constant(graph, span), *shortest = fcl_constant(graph, 1e-4f * span);
    fcl_tensor *longest_trial = fcl_constant(graph, 0.01f * span);

    fcl_tensor *scale = fcl_shift(fcl_scale(fcl_abs(x), control.rtol), control.atol);
    fcl_tensor *d0 = scaled_norm(x, scale), *d1 = scaled_norm(slope, scale);
    fcl_tensor *h0 = fcl_scale(fcl_div(d0, fcl_shift(d1, 1e-20f)), 0.01f);
    h0 = fcl_max(fcl_min(h0, longest_trial), shortest);

    fcl_tensor *trial_h = fcl_scale(h0, sign);
    fcl_velocity_inputs at = {.x = fcl_ode_stage(x, trial_h, 1, &slope, (const double[]){1}),
                              .t = not_beyond_end(solver, fcl_add(t, trial_h))};
    fcl_tensor *trial = fcl_velocity_build(velocity, data, &at);
    fcl_tensor *d2 = fcl_div(scaled_norm(fcl_sub(trial, slope), scale), h0);
    fcl_tensor *steepest = fcl_shift(fcl_max(d1, d2), 1e-15f);
    fcl_tensor *h1 = fcl_shift(fcl_neg(fcl_log(steepest)), logf(0.01f)); /* log(0.01 / steepest) */
    h1 = fcl_exp(fcl_scale(h1, 1.0f / (float)control.order));

    fcl_tensor *h = fcl_min(fcl_min(fcl_scale(h0, 100), h1), longest);
    return fcl_scale(fcl_where(fcl_greater(h, fcl_constant(graph, 0)), h, shortest), sign);
}

static int build_adaptive_start(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    const float begin = (float)solver->ends.first;
    const float row[FCL_ODE_STATE] = {[FCL_ODE_T] = begin,
                                      [FCL_ODE_T_END] = (float)solver->ends.last,
                                      [FCL_ODE_ERROR] = 1,
                                      [FCL_ODE_ACTIVE] = 1};
    fcl_graph *graph = solver->start = fcl_graph_create();
    fcl_tensor *x = fcl_solver_leaf(solver, graph);
    fcl_tensor *first = fcl_input(graph, "first state", FCL_F32, FCL_SHAPE(1, FCL_ODE_STATE));
    fcl_tensor *state =
        fcl_leaf(graph, "state", FCL_F32, FCL_SHAPE(solver->batch, FCL_ODE_STATE), solver->state, 0);
    fcl_tensor *t = fcl_expand(fcl_constant(graph, begin), FCL_SHAPE(solver->batch, 1));
    fcl_tensor *k = fcl_velocity_build(velocity, data, &(fcl_velocity_inputs){.x = x, .t = t});
    fcl_tensor *h = initial_step(solver, velocity, data, x, t, k);
    h = fcl_pad(h, 1, FCL_ODE_H, FCL_ODE_STATE - 1 - FCL_ODE_H); /* (B, FCL_ODE_STATE) */
    fcl_assign(state, fcl_add(first, h));
    if (solver->tableau->fsal)
        fcl_assign(fcl_leaf(graph, "slope", FCL_F32, fcl_tensor_shape(x), solver->slope, 0), k);
    FCL_TRY(fcl_graph_compile(graph, solver->device, NULL));
    return fcl_tensor_write(first, row);
}

int fcl_solver_build_adaptive(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    FCL_TRY(build_adaptive_start(solver, velocity, data));
    return build_adaptive_step(solver, velocity, data);
}
