/* The graphs of a solver with fixed steps. Times and sizes are scalars that the host knows before: a run sets
 * them without a transfer, and where a kernel repeats the step, all of them are one launch. */
#include "flow/solver.h"

#include "base/error.h"

static int compile(const fcl_solver *solver, const fcl_fixed_step *step)
{
    int most = step->crossing || solver->steps < 1 ? 1 : solver->steps < 1024 ? solver->steps : 1024;
    return fcl_graph_compile(step->graph, solver->device, &(fcl_graph_options){.repeat = most});
}

static fcl_tensor *add_scalar(fcl_fixed_step *step, fcl_tensor *scalar)
{
    return step->scalar[step->scalars++] = scalar;
}

static fcl_tensor *of_each_sample(const fcl_solver *solver, fcl_tensor *scalar)
{
    return fcl_expand(scalar, FCL_SHAPE(solver->batch, 1));
}

/* The slopes that Adams-Bashforth keeps: past[1] of the last step, past[2] of the one before ... */
static void bind_past(const fcl_solver *solver, fcl_tensor *x, fcl_tensor **past)
{
    for (int age = 1; age < solver->tableau->adams; age++)
        past[age] =
            fcl_leaf(fcl_tensor_graph(x), "past slope", FCL_F32, fcl_tensor_shape(x), solver->past[age], 0);
}

static void keep_slope(const fcl_solver *solver, fcl_tensor *slope, fcl_tensor **past)
{
    past[0] = slope;
    for (int age = 1; age < solver->tableau->adams; age++)
        fcl_assign(past[age], past[age - 1]);
}

/* --- Runge-Kutta; scalars: the step's size, then the time of each stage, one for stages of equal c, then
 * with noise the numbers of each stage's slope --- */

/* A velocity with noise, which knows from the order of its calls which stage it is asked for. */
typedef struct noisy {
    fcl_velocity velocity;
    void *data;
    fcl_tensor *noise;          /* (B, D), of the whole step */
    fcl_tensor *const *numbers; /* of the next stage */
} noisy;

static fcl_tensor *noisy_velocity(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    noisy *to = data;
    fcl_tensor *const *number = to->numbers;
    (void)graph;
    to->numbers += FCL_DIFFUSION_NUMBERS;
    fcl_tensor *v = fcl_velocity_build(to->velocity, to->data, in);
    fcl_tensor *drift = fcl_add(fcl_mul(number[0], v), fcl_mul(number[1], in->x));
    return fcl_add(drift, fcl_mul(number[2], to->noise));
}

static noisy add_noise(fcl_fixed_step *step, fcl_velocity velocity, void *data, fcl_tensor *x)
{
    noisy with = {velocity, data, fcl_normal(step->graph, fcl_tensor_shape(x), FCL_STREAM_DIFFUSION),
                  step->scalar + step->scalars};
    for (int i = 0; i < step->tableau->stages * FCL_DIFFUSION_NUMBERS; i++)
        add_scalar(step, fcl_scalar(step->graph, "of the slope"));
    return with;
}

/* Two numbers more, or one: the mean slope of a crossing. */
static void add_crossing(const fcl_solver *solver, fcl_fixed_step *step)
{
    fcl_tensor *of_x = add_scalar(step, fcl_scalar(step->graph, "of x"));
    fcl_tensor *of_v =
        step->crossing == FCL_ARRIVING ? add_scalar(step, fcl_scalar(step->graph, "of v")) : NULL;
    fcl_predictor_cross(solver->predictor, of_v, of_x);
}

static int stage_of_same_time(const fcl_tableau *tableau, int stage)
{
    int first = 0;
    while (tableau->c[first] != tableau->c[stage])
        first++;
    return first;
}

static int build_runge_kutta(const fcl_solver *solver, fcl_velocity velocity, void *data,
                             fcl_fixed_step *step)
{
    const fcl_tableau *tableau = step->tableau;
    fcl_tensor *times[FCL_MAX_STAGES], *k[FCL_MAX_STAGES], *past[FCL_MOST_ADAMS];
    step->graph = fcl_graph_create();
    fcl_tensor *x = fcl_solver_leaf(solver, step->graph);
    fcl_tensor *h = add_scalar(step, fcl_scalar(step->graph, "h"));
    for (int i = 0; i < tableau->stages; i++) {
        int first = stage_of_same_time(tableau, i);
        fcl_tensor *t = add_scalar(step, first < i ? step->scalar[1 + first] : fcl_scalar(step->graph, "t"));
        times[i] = first < i ? times[first] : of_each_sample(solver, t);
    }
    noisy with;
    if (step->diffusion) {
        with = add_noise(step, velocity, data, x);
        velocity = noisy_velocity;
        data = &with;
    }
    if (step->crossing)
        add_crossing(solver, step);
    else
        bind_past(solver, x, past);
    k[0] = fcl_velocity_build(velocity, data, &(fcl_velocity_inputs){.x = x, .t = times[0]});
    fcl_assign(x, fcl_stages_build(tableau, velocity, data, x, h, times, k));
    if (step->crossing)
        fcl_predictor_cross(solver->predictor, NULL, NULL);
    else
        keep_slope(solver, k[0], past);
    return compile(solver, step);
}

/* At both ends exactly the grid's times. */
static void runge_kutta_numbers(const fcl_fixed_step *step, const double *now, float *numbers)
{
    const fcl_tableau *tableau = step->tableau;
    double h = now[1] - now[0];
    float *slope = numbers + 1 + tableau->stages;
    numbers[0] = (float)h;
    for (int i = 0; i < tableau->stages; i++, slope += FCL_DIFFUSION_NUMBERS) {
        double t = (1 - tableau->c[i]) * now[0] + tableau->c[i] * now[1];
        if (step->diffusion) {
            t = fcl_diffusion_time(step->diffusion, now, t);
            fcl_diffusion_numbers(step->diffusion, t, h, slope);
        }
        numbers[1 + i] = (float)t;
    }
    if (step->crossing) {
        double of_v, of_x;
        fcl_ends_slope(step->ends, step->crossing, now, &of_v, &of_x);
        numbers[1 + tableau->stages] = (float)of_x;
        if (step->crossing == FCL_ARRIVING)
            numbers[2 + tableau->stages] = (float)of_v;
    }
}

/* --- Adams-Bashforth; scalars: the step's time, then the weight of each slope, the step's size in it --- */

static int build_adams(const fcl_solver *solver, fcl_velocity velocity, void *data, fcl_fixed_step *step)
{
    fcl_tensor *past[FCL_MOST_ADAMS];
    step->graph = fcl_graph_create();
    fcl_tensor *x = fcl_solver_leaf(solver, step->graph);
    fcl_tensor *t = add_scalar(step, fcl_scalar(step->graph, "t"));
    bind_past(solver, x, past);
    past[0] = fcl_velocity_build(velocity, data, &(fcl_velocity_inputs){.x = x, .t = of_each_sample(solver, t)});
    fcl_tensor *sum = x;
    for (int age = 0; age < step->tableau->adams; age++) {
        fcl_tensor *weight = add_scalar(step, fcl_scalar(step->graph, "weight"));
        sum = fcl_add(sum, fcl_mul(weight, past[age]));
    }
    fcl_assign(x, sum);
    keep_slope(solver, past[0], past);
    return compile(solver, step);
}

static void adams_numbers(const fcl_tableau *tableau, const double *now, float *numbers)
{
    double weights[FCL_MOST_ADAMS];
    fcl_adams_weights(now, tableau->adams, weights);
    numbers[0] = (float)now[0];
    for (int age = 0; age < tableau->adams; age++)
        numbers[1 + age] = (float)weights[age];
}

/* --- either --- */

void fcl_fixed_numbers(const fcl_fixed_step *step, const double *now, float *numbers)
{
    if (step->tableau->adams)
        adams_numbers(step->tableau, now, numbers);
    else
        runge_kutta_numbers(step, now, numbers);
}

static int build_crossing(fcl_solver *solver, fcl_velocity velocity, void *data, const char *tableau,
                          fcl_crossing crossing, fcl_fixed_step *step)
{
    *step =
        (fcl_fixed_step){.tableau = fcl_tableau_find(tableau), .ends = &solver->ends, .crossing = crossing};
    return build_runge_kutta(solver, velocity, data, step);
}

/* Who enters is solved for: what is collected beside x follows, too. Who arrives has one evaluation. */
int fcl_solver_build_crossings(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    const fcl_solver_options *options = &solver->options;
    if (solver->ends.first != options->t_begin)
        FCL_TRY(build_crossing(solver, velocity, data, "rk4", FCL_ENTERING, &solver->entering));
    if (solver->ends.last == options->t_end)
        return FCL_OK;
    FCL_TRY(fcl_buffer_create(solver->device, fcl_buffer_size(solver->x), &solver->held));
    return build_crossing(solver, velocity, data, "euler", FCL_ARRIVING, &solver->arriving);
}

static int build_careful(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    const fcl_ends *ends = &solver->ends;
    if (!solver->tableau->careful || !(ends->careful_first || ends->careful_last))
        return FCL_OK;
    solver->careful.tableau = fcl_tableau_find(solver->tableau->careful);
    return build_runge_kutta(solver, velocity, data, &solver->careful);
}

int fcl_solver_build_fixed(fcl_solver *solver, fcl_velocity velocity, void *data)
{
    solver->fixed.tableau = solver->tableau;
    solver->fixed.diffusion = solver->diffusion;
    size_t bytes = fcl_buffer_size(solver->x);
    for (int age = 1; age < solver->tableau->adams; age++)
        FCL_TRY(fcl_buffer_create(solver->device, bytes, &solver->past[age]));
    FCL_TRY(build_careful(solver, velocity, data));
    if (!solver->tableau->adams)
        return build_runge_kutta(solver, velocity, data, &solver->fixed);
    solver->first.tableau = fcl_tableau_find(solver->tableau->starter);
    FCL_TRY(build_runge_kutta(solver, velocity, data, &solver->first));
    return build_adams(solver, velocity, data, &solver->fixed);
}
