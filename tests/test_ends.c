/* Where solves begin and end: paths, predictions and solvers against closed forms.
 *
 * Data x1 ~ N(m, c^2) and x0 ~ N(0, 1) give x_t ~ N(alpha m, P), P = alpha^2 c^2 + N with N = sigma^2 +
 * tube^2, and with r = (x - alpha m)/P a perfect network predicts x1: m + alpha c^2 r, eps: sigma r, score:
 * -r, v: alpha' x1 + (N'/2) r. For c = 0, a single point, these divide 0 by 0 at the data. */
#include <flowcl/flowcl.h>

#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double mean, deviation;

typedef struct oracle {
    fcl_path *path;
    const char *prediction;
    double from, until; /* asked outside, it does not answer */
} oracle;

static fcl_tensor *perfect(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    fcl_tensor *x = in->x, *t = in->t;
    const oracle *to = data;
    fcl_path_at at = fcl_path_build(to->path, t);
    fcl_tensor *m = fcl_constant(graph, (float)mean),
               *c2 = fcl_constant(graph, (float)(deviation * deviation));
    fcl_tensor *n = fcl_add(fcl_square(at.sigma), fcl_square(at.tube));
    fcl_tensor *variance = fcl_add(fcl_mul(fcl_square(at.alpha), c2), n);
    fcl_tensor *r = fcl_div(fcl_sub(x, fcl_mul(at.alpha, m)), variance);
    fcl_tensor *x1 = fcl_add(deviation == 0 ? fcl_scale(x, 0) : fcl_mul(fcl_mul(at.alpha, c2), r), m);
    fcl_tensor *half = fcl_add(fcl_mul(at.sigma, at.sigma_dot), fcl_mul(at.tube, at.tube_dot));
    fcl_tensor *outside = fcl_add(fcl_greater(fcl_constant(graph, (float)to->from - 1e-6f), t),
                                  fcl_greater(t, fcl_constant(graph, (float)to->until + 1e-6f)));
    fcl_tensor *answer = !strcmp(to->prediction, "x1")    ? x1
                         : !strcmp(to->prediction, "eps") ? fcl_mul(at.sigma, r)
                         : !strcmp(to->prediction, "score")
                             ? fcl_neg(r)
                             : fcl_add(fcl_mul(at.alpha_dot, x1), fcl_mul(half, r));
    return fcl_where(outside, fcl_constant(graph, NAN), answer);
}

/* The exact velocity, whatever time it is asked for. */
static fcl_tensor *exact(void *path, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    oracle all = {path, "v", -1, 2};
    return perfect(&all, graph, in);
}

/* Every row of the table, and formulas; those that are no prediction's are left out below. */
static const char *const paths[] = {"linear",
                                    "lipman",
                                    "polynomial(2)",
                                    "polynomial(3.5)",
                                    "cosine",
                                    "linear-vp",
                                    "vp",
                                    "bridge(1)",
                                    "alpha = sin(pi*t/2)^2, sigma = cos(pi*t/2)^2"};
enum { PATHS = sizeof paths / sizeof *paths, MOST = 16384 };

/* --- a solve with a perfect network --- */

typedef struct setting {
    const char *path, *prediction, *sampled; /* sampled NULL: along the same path */
    fcl_solver_options options;
} setting;

/* Of `rows` numbers x; with density, also the log density of the later end. */
static void solve(fcl_device *device, const setting *with, int rows, const float *x, float *end,
                  double *density, fcl_solver_stats *stats)
{
    oracle network = {.prediction = with->prediction};
    fcl_path *along = NULL;
    fcl_predictor *predictor;
    fcl_solver_options options = with->options;
    assert_ok(fcl_path_create(with->path, 0, &network.path));
    if (with->sampled)
        assert_ok(fcl_path_create(with->sampled, 0, &along));
    assert_ok(fcl_predictor_create(with->prediction, network.path, NULL, perfect, &network, &predictor));
    fcl_predictor_range(predictor, &network.from, &network.until);
    fcl_predictor_destroy(&predictor);
    assert_ok(fcl_predictor_create(with->prediction, network.path, along, perfect, &network, &predictor));
    if (fcl_solver_is_stochastic(options.solver))
        options.path = with->sampled ? with->sampled : with->path;
    if (density) {
        fcl_likelihood *likelihood;
        fcl_likelihood_options how = {.solver = options};
        assert_ok(
            fcl_likelihood_create(device, fcl_predictor_velocity, predictor, &how, rows, 1, &likelihood));
        assert_ok(fcl_likelihood_run(likelihood, x, 0, end, density, NULL, stats));
        fcl_likelihood_destroy(&likelihood);
    } else {
        fcl_solver *solver;
        assert_ok(fcl_solver_create(device, fcl_predictor_velocity, predictor, &options, rows, 1, &solver));
        fcl_solver_random(solver, 7, 0);
        assert_ok(fcl_solver_run(solver, x, end, stats));
        fcl_solver_destroy(&solver);
    }
    fcl_predictor_destroy(&predictor);
    fcl_path_destroy(&along);
    fcl_path_destroy(&network.path);
}

static void solve_exact(fcl_device *device, const setting *with, int rows, const float *x, float *end)
{
    fcl_path *path;
    fcl_solver *solver;
    fcl_solver_options options = with->options;
    options.path = fcl_solver_is_stochastic(options.solver) ? with->path : NULL;
    assert_ok(fcl_path_create(with->path, 0, &path));
    assert_ok(fcl_solver_create(device, exact, path, &options, rows, 1, &solver));
    fcl_solver_random(solver, 7, 0);
    assert_ok(fcl_solver_run(solver, x, end, NULL));
    fcl_solver_destroy(&solver);
    fcl_path_destroy(&path);
}

static const char *name_of(const setting *with)
{
    static char text[200];
    snprintf(text, sizeof text, "%s on %s along %s, %s, %d steps, grid %s", with->prediction, with->path,
             with->sampled ? with->sampled : "the same", with->options.solver, with->options.steps,
             with->options.grid ? with->options.grid : "uniform");
    return text;
}

/* The next one, the first after the last. Those that take seconds to compile are left to dopri5. */
static int following(int solver)
{
    const char *name = fcl_solver_name(solver + 1);
    bool long_one = name && (!strcmp(name, "tsit5") || !strcmp(name, "dopri8"));
    return long_one ? following(solver + 1) : name ? solver + 1 : 0;
}

/* Calls `check` for every `stride`-th pair of a path and a prediction, each with a solver, which go round
 * from a random one on, in 20 or in 100 steps. */
static void go_round(fcl_device *device, int stride, void (*check)(fcl_device *device, setting *with))
{
    int next = 0, skip = trial_int(0, stride - 1);
    for (int turns = trial_tiny() ? 0 : trial_int(0, 15); turns > 0; turns--) /* llvmpipe compiles slowly */
        next = following(next);
    for (int i = 0; i < (trial_tiny() ? 1 : PATHS); i++)
        for (int k = 0; fcl_prediction_name(k); k++) {
            setting with = {paths[i], fcl_prediction_name(k), NULL, {.solver = fcl_solver_name(next)}};
            if ((!strncmp(paths[i], "bridge", 6) && k > 0) || skip-- % stride != 0)
                continue; /* a bridge has a tube */
            if (!fcl_solver_is_adaptive(with.options.solver))
                with.options.steps = trial_tiny() ? 3 : trial_int(0, 1) ? 20 : 100;
            check(device, &with);
            next = following(next);
        }
}

static void fill_normal(float *x, int rows, double m, double c)
{
    for (int i = 0; i < rows; i++)
        x[i] = (float)(m + c * trial_normal());
}

/* --- on a single point --- */

enum { FEW = 32 };

static void check_point(fcl_device *device, setting *with)
{
    float x[FEW], end[FEW];
    deviation = 0;
    fill_normal(x, FEW, 0, 1);
    solve(device, with, FEW, x, end, NULL, NULL);
    for (int i = 0; i < FEW && !trial_tiny(); i++)
        if (!(fabs(end[i] - mean) < 1e-3))
            fail_msg("%s: from %g it ends on %g, the point is %g", name_of(with), x[i], end[i], mean);
}

static void every_solve_ends_on_the_point(void **state)
{
    mean = 3 * trial_uniform() - 1.5;
    go_round(*state, 5, check_point);
}

/* Whatever its steps, and along other paths than that of the training. */
static void on_other_grids_and_paths_too(void **state)
{
    static const char *const grids[] = {"edm", "shifted", "0,0.5,0.999,0.9999,1"};
    static const char *const pairs[][2] = {{"linear", "cosine"},
                                           {"cosine", "linear"},
                                           {"linear", "linear-vp"},
                                           {"vp", "linear"},
                                           {"polynomial(2)", "cosine"}};
    static const char *const fixed[] = {"euler", "heun2", "rk4", "ab3"};
    mean = 3 * trial_uniform() - 1.5;
    for (int i = 0; i < (trial_tiny() ? 1 : 5); i++) {
        int k = trial_int(0, 3), g = trial_tiny() ? 2 : trial_int(0, 2);
        setting with = {pairs[i][0],
                        fcl_prediction_name(k),
                        pairs[i][1],
                        {.solver = fixed[trial_tiny() ? 0 : trial_int(0, 3)]}};
        with.options.grid = grids[g];
        with.options.steps = g == 2 ? 0 : 30;
        check_point(*state, &with);
    }
}

/* --- on a Gaussian --- */

static void moments(const float *x, double *first, double *second)
{
    *first = *second = 0;
    for (int i = 0; i < MOST; i++)
        *first += x[i] / (double)MOST;
    for (int i = 0; i < MOST; i++)
        *second += pow(x[i] - *first, 2) / MOST;
}

/* In standard errors of the samples. */
static void check_gaussian(fcl_device *device, setting *with)
{
    static float x[MOST], end[MOST], expected[MOST];
    double m[2], v[2];
    bool back = with->options.t_begin > 0;
    deviation = 0.4 + trial_uniform();
    fill_normal(x, MOST, back ? mean : 0, back ? deviation : 1);
    solve(device, with, trial_tiny() ? 3 : MOST, x, end, NULL, NULL);
    if (trial_tiny())
        return;
    solve_exact(device, with, MOST, x, expected);
    moments(end, &m[0], &v[0]);
    moments(expected, &m[1], &v[1]);
    double of_mean = (m[0] - m[1]) / sqrt(v[1] / MOST), of_variance = (v[0] / v[1] - 1) / sqrt(2. / MOST);
    if (!(fabs(of_mean) < 3 && fabs(of_variance) < 3))
        fail_msg("%s, to N(%g, %g^2)%s: mean %g, variance %g; along the exact velocity %g, %g", name_of(with),
                 mean, deviation, back ? ", back" : "", m[0], v[0], m[1], v[1]);
}

static void a_gaussian_is_that_of_the_exact_velocity(void **state)
{
    mean = 3 * trial_uniform() - 1.5;
    go_round(*state, 10, check_gaussian);
}

static void back_to_the_noise_as_well(void **state)
{
    static const char *const some[] = {"euler", "heun2", "rk4", "ab2", "stochastic-heun", "bosh3"};
    mean = 3 * trial_uniform() - 1.5;
    for (int i = trial_tiny() ? 0 : trial_int(0, 2); i < (trial_tiny() ? 1 : PATHS); i += 3) {
        const char *solver = some[trial_tiny() ? 0 : trial_int(0, 5)];
        setting with = {paths[i], "v", NULL, {.solver = solver, .t_begin = 1}};
        if (strncmp(paths[i], "bridge", 6)) /* it has a tube */
            with.prediction = fcl_prediction_name(trial_int(0, 3));
        with.options.steps = fcl_solver_is_adaptive(solver) ? 0 : trial_tiny() ? 3 : 50;
        check_gaussian(*state, &with);
    }
}

/* --- densities: those at the later end differ by S^2/(2 c^2), 2e-4 for S = 0.01 --- */

/* At the earlier one the Gaussian is the noise's but for what its path has of the data (vp: alpha = 0.0066). */
static double expected_density(const char *text, double z)
{
    fcl_path *path;
    assert_ok(fcl_path_create(text, 0, &path));
    fcl_path_point at = fcl_path_value(path, 0);
    fcl_path_destroy(&path);
    double spread = hypot(at.alpha * deviation, at.sigma), noise = at.alpha * mean + spread * z;
    return -noise * noise / 2 + log(spread / deviation) - log(2 * acos(-1)) / 2;
}

static void check_density(fcl_device *device, const setting *with, bool forward)
{
    float x[FEW], end[FEW];
    double density[FEW];
    fill_normal(x, FEW, forward ? 0 : mean, forward ? 1 : deviation);
    solve(device, with, FEW, x, end, density, NULL);
    for (int row = 0; row < FEW && !trial_tiny(); row++) {
        double z = ((double)(forward ? end : x)[row] - mean) / deviation;
        double expected = expected_density(with->path, z);
        if (!(fabs(density[row] - expected) < 4e-3 * (1 + z * z)))
            fail_msg("%s, %s: log p %g at z = %g, in closed form %g", name_of(with),
                     forward ? "forward" : "backward", density[row], z, expected);
    }
}

static void log_densities_are_those_of_the_gaussian(void **state)
{
    static const char *const some[] = {"linear", "cosine", "vp"};
    mean = 3 * trial_uniform() - 1.5;
    deviation = 0.5;
    for (int k = trial_tiny() ? 0 : trial_int(0, 1); k < (trial_tiny() ? 1 : 4); k += 2) {
        bool forward = trial_int(0, 1);
        setting with = {some[trial_tiny() ? 0 : trial_int(0, 2)],
                        fcl_prediction_name(k),
                        NULL,
                        {.solver = "rk4", .steps = 240}};
        with.options.steps = trial_tiny() ? 3 : 240;
        with.options.t_begin = !forward;
        with.options.t_end = forward;
        check_density(*state, &with, forward);
    }
}

/* --- the order --- */

static double error_of(fcl_device *device, const char *path, const char *solver, int steps)
{
    float x[FEW], end[FEW];
    double sum = 0;
    setting with = {path, "v", NULL, {.solver = solver, .steps = steps}};
    for (int i = 0; i < FEW; i++)
        x[i] = (float)(4 * (i + 0.5) / FEW - 2);
    solve(device, &with, FEW, x, end, NULL, NULL);
    for (int i = 0; i < FEW; i++)
        sum += pow(end[i] - (mean + deviation * x[i]), 2) / FEW;
    return sqrt(sum);
}

/* Whatever the last step is taken by. */
static void v_keeps_the_solvers_order(void **state)
{
    static const struct {
        const char *path, *solver;
        int steps;
    } rows[] = {{"linear", "heun2", 40}, {"cosine", "euler", 40}, {"cosine", "heun2", 40},
                {"cosine", "rk4", 8},    {"cosine", "ab3", 20},   {"polynomial(2)", "rk4-38", 10}};
    mean = 0.7;
    deviation = 0.5;
    for (size_t i = 0; i < (trial_tiny() ? 0 : sizeof rows / sizeof *rows); i++) {
        double coarse = error_of(*state, rows[i].path, rows[i].solver, rows[i].steps);
        double fine = error_of(*state, rows[i].path, rows[i].solver, 2 * rows[i].steps);
        double order = log2(coarse / fine);
        if (!(order > fcl_solver_order(rows[i].solver, NULL) - 0.35))
            fail_msg("%s on %s: errors %g and %g, an order of %.2f", rows[i].solver, rows[i].path, coarse,
                     fine, order);
    }
}

/* --- times on the stretches in which nothing is asked --- */

enum { STOPS = 8 };

static void stops_lie_on_the_path(void **state)
{
    static const char *const predictions[] = {"eps", "x1", "score", "v"};
    const double times[STOPS] = {0, 0.01, 0.02, 0.5, 0.996, 0.998, 0.99995, 1};
    mean = 1.2;
    deviation = 0.5;
    for (int k = 0; k < (trial_tiny() ? 1 : 4); k++) {
        float x[FEW], way[STOPS * FEW], end[FEW];
        oracle network = {.prediction = predictions[k]};
        fcl_predictor *predictor;
        fcl_solver *solver;
        fcl_solver_options options = {.solver = "midpoint", .steps = trial_tiny() ? 3 : 100};
        assert_ok(fcl_path_create("polynomial(2)", 0, &network.path));
        assert_ok(fcl_predictor_create(predictions[k], network.path, NULL, perfect, &network, &predictor));
        fcl_predictor_range(predictor, &network.from, &network.until);
        assert_ok(fcl_solver_create(*state, fcl_predictor_velocity, predictor, &options, FEW, 1, &solver));
        fill_normal(x, FEW, 0, 1);
        assert_ok(fcl_solver_prepare(solver));
        assert_ok(fcl_solver_run_times(solver, x, STOPS, times, way, end, NULL));
        assert_memory_equal(way, x, sizeof x);
        assert_memory_equal(way + (STOPS - 1) * FEW, end, sizeof end);
        for (int i = 0; i < STOPS * FEW && !trial_tiny(); i++) {
            fcl_path_point at = fcl_path_value(network.path, times[i / FEW]);
            double spread = hypot(at.alpha * deviation, at.sigma);
            if (!(fabs(way[i] - (at.alpha * mean + spread * x[i % FEW])) < 3e-3))
                fail_msg("%s at t = %g: %g, in closed form %g", predictions[k], times[i / FEW], way[i],
                         at.alpha * mean + spread * x[i % FEW]);
        }
        fcl_solver_destroy(&solver);
        fcl_predictor_destroy(&predictor);
        fcl_path_destroy(&network.path);
    }
}

/* A prediction of v on straight paths costs as much as its steps; another end costs one evaluation. */
static void evaluations_are_counted(void **state)
{
    static const struct {
        const char *path, *prediction, *solver;
        int evaluations; /* in 10 steps */
    } rows[] = {{"linear", "v", "euler", 10},   {"linear", "v", "rk4", 40},    {"linear", "v", "heun2", 20},
                {"linear", "eps", "euler", 10}, {"linear", "x1", "euler", 11}, {"cosine", "x1", "rk4", 40}};
    mean = 1;
    deviation = 1;
    for (size_t i = 0; i < (trial_tiny() ? 1 : sizeof rows / sizeof *rows); i++) {
        float x[FEW] = {0}, end[FEW];
        fcl_solver_stats stats;
        setting with = {rows[i].path, rows[i].prediction, NULL, {.solver = rows[i].solver, .steps = 10}};
        solve(*state, &with, FEW, x, end, NULL, &stats);
        assert_int_equal(stats.nfe_minimum, rows[i].evaluations);
        assert_int_equal(stats.nfe_maximum, rows[i].evaluations);
        assert_int_equal(stats.evaluations, rows[i].evaluations);
    }
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_solve_ends_on_the_point),
        cmocka_unit_test(on_other_grids_and_paths_too),
        cmocka_unit_test(a_gaussian_is_that_of_the_exact_velocity),
        cmocka_unit_test(back_to_the_noise_as_well),
        cmocka_unit_test(log_densities_are_those_of_the_gaussian),
        cmocka_unit_test(v_keeps_the_solvers_order),
        cmocka_unit_test(stops_lie_on_the_path),
        cmocka_unit_test(evaluations_are_counted),
    };
    return cmocka_run_group_tests_name("ends", tests, open_device, close_device);
}
