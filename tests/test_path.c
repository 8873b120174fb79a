/* Paths, predictions and changed paths, against difference quotients and the flow between two Gaussians. */
#include <flowcl/flowcl.h>

#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double value, double expected, double bound, const char *what)
{
    if (!(fabs(value - expected) <= bound * fmax(1, fabs(expected))))
        fail_msg("%s: %.12g is further than %g from %.12g", what, value, bound, expected);
}

static fcl_path *path_of(const char *text)
{
    fcl_path *path;
    assert_ok(fcl_path_create(text, 0, &path));
    return path;
}

/* Every row, with parameters other than the defaults too, and the user's own. */
static const char *const all[] = {"linear",
                                  "linear(0.3)",
                                  "lipman",
                                  "lipman(0.1)",
                                  "polynomial",
                                  "polynomial(3.5)",
                                  "cosine",
                                  "linear-vp",
                                  "vp",
                                  "vp(0.2, 15)",
                                  "bridge(1)",
                                  "polynomial(2, 0.2)",
                                  "alpha = t^2, sigma = 1 - t^2",
                                  "sigma = cos(pi*t/2)^2, alpha = sin(pi*t/2)^2"};
enum { ALL = sizeof all / sizeof *all };

static void every_row_is_tested(void **state)
{
    (void)state;
    for (int row = 0; fcl_path_name(row); row++) {
        bool found = false;
        for (int i = 0; i < ALL; i++)
            found |= !strncmp(all[i], fcl_path_name(row), strlen(fcl_path_name(row)));
        assert_true(found && *fcl_path_help(row));
    }
}

/* The formulas of the papers, written again. */
static fcl_path_point expected_point(const char *text, double t)
{
    const double pi = acos(-1), T = (1 - t) * (1 - t) * 19.9 / 2 + (1 - t) * 0.1, dT = -(1 - t) * 19.9 - 0.1;
    fcl_path_point p = {t, 1 - t, 0, 1, -1, 0};
    if (!strcmp(text, "linear(0.3)"))
        p.tube = 0.3;
    if (!strcmp(text, "lipman(0.1)"))
        p.sigma = 1 - 0.9 * t, p.sigma_dot = -0.9;
    if (!strcmp(text, "polynomial(3.5)"))
        p = (fcl_path_point){pow(t, 3.5), 1 - pow(t, 3.5), 0, 3.5 * pow(t, 2.5), -3.5 * pow(t, 2.5), 0};
    if (!strcmp(text, "cosine"))
        p = (fcl_path_point){sin(pi * t / 2),          cos(pi * t / 2),           0,
                             pi / 2 * cos(pi * t / 2), -pi / 2 * sin(pi * t / 2), 0};
    if (!strcmp(text, "linear-vp"))
        p.sigma = sqrt(1 - t * t), p.sigma_dot = -t / p.sigma;
    if (!strcmp(text, "vp")) {
        p.alpha = exp(-T / 2), p.alpha_dot = -dT * p.alpha / 2;
        p.sigma = sqrt(1 - exp(-T)), p.sigma_dot = dT * exp(-T) / (2 * p.sigma);
    }
    if (!strcmp(text, "bridge(1)"))
        p.tube = sqrt(t * (1 - t)), p.tube_dot = (1 - 2 * t) / (2 * p.tube);
    return p;
}

static void coefficients_are_those_of_the_papers(void **state)
{
    static const char *const names[] = {"linear", "linear(0.3)", "lipman(0.1)", "polynomial(3.5)",
                                        "cosine", "linear-vp",   "vp",          "bridge(1)"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fcl_path *path = path_of(names[i]);
        for (int draws = 0; draws < 20; draws++) {
            double t = 0.01 + 0.98 * trial_uniform();
            fcl_path_point found = fcl_path_value(path, t), wanted = expected_point(names[i], t);
            const double *a = &found.alpha, *b = &wanted.alpha;
            for (int k = 0; k < 6; k++)
                assert_near(a[k], b[k], 1e-11, names[i]);
        }
        fcl_path_destroy(&path);
    }
}

static void slopes_are_difference_quotients(void **state)
{
    const double step = 1e-4;
    (void)state;
    for (int i = 0; i < ALL; i++) {
        fcl_path *path = path_of(all[i]);
        for (int draws = 0; draws < 20; draws++) {
            double t = 0.02 + 0.96 * trial_uniform();
            fcl_path_point at = fcl_path_value(path, t), side[4];
            for (int j = 0; j < 4; j++)
                side[j] = fcl_path_value(path, t + step * (double[]){-2, -1, 1, 2}[j]);
            for (int k = 0; k < 3; k++) {
                double f[4];
                for (int j = 0; j < 4; j++)
                    f[j] = (&side[j].alpha)[k];
                assert_near((&at.alpha_dot)[k], (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step), 1e-7,
                            all[i]);
            }
        }
        fcl_path_destroy(&path);
    }
}

/* From noise to data, and finite up to the ends, whatever time is asked for. */
static void ends_are_noise_and_data(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        fcl_path *path = path_of(all[i]);
        fcl_path_point from = fcl_path_value(path, 0), to = fcl_path_value(path, 1);
        bool variance_preserving = !strncmp(all[i], "vp", 2);
        assert_near(from.alpha, 0, variance_preserving ? 0.03 : 2e-4, all[i]);
        assert_near(from.sigma, 1, 1e-3, all[i]);
        assert_near(to.alpha, 1, 1e-3, all[i]);
        assert_near(to.sigma, !strcmp(all[i], "lipman(0.1)") ? 0.1 : 0, 0.02, all[i]);
        for (int k = 0; k < 6; k++)
            assert_true(isfinite((&from.alpha)[k]) && isfinite((&to.alpha)[k]));
        fcl_path_destroy(&path);
    }
}

static void what_is_no_path_is_told_why(void **state)
{
    static const struct {
        const char *text;
        double width;
        const char *words;
    } cases[] = {
        {"liner", 0, "did you mean \"linear\"?"},
        {"polynomial(0.5)", 0, "n between 1 and 100, not 0.5"},
        {"polynomial(2, 0.1, 3)", 0, "takes two parameters"},
        {"polynomial(2", 0, "its ) is missing"},
        {"polynomial(2)x", 0, "\"x\" stands behind its )"},
        {"polynomial(two)", 0, "\"two\" is not known here"},
        {"bridge", 0, "needs its parameter s"},
        {"bridge(0)", 0, "takes s between"},
        {"bridge", -1, "takes s between"},
        {"linear(0.1)", 0.2, "given s twice, as 0.1 and as 0.2"},
        {"vp", 0.1, "has no s"},
        {"lipman", 2, "takes s between 0 and 0.9, not 2"},
        {"alpha=t^^2, sigma=1-t", 0, "column 9"},
        {"alpha=t", 0, "lacks \"sigma = ...\""},
        {"alpha=2*t, sigma=1-t", 0, "alpha(1) is 2, not 1"},
        {"alpha=t, sigma=1-t/2", 0, "sigma(1) is 0.5, not 0"},
        {"alpha=t, sigma=2*(1-t)", 0, "sigma(0) is 2, not 1"},
        {"alpha=t+(1-t)/9, sigma=1-t", 0, "alpha(0) is 0.111111, not 0"},
        {"alpha=t, sigma=1-t+sin(2*pi*t)", 0, "alpha/sigma must grow"},
        {"alpha=t, sigma=(1-t)*(1-2*t)^2*sqrt(t-0.5)/sqrt(t-0.5)", 0, "not"},
        {"alpha=t^0.5/t^0.5*t, sigma=1-t", 0, "alpha(0) is nan, not 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fcl_path *path;
        assert_int_equal(fcl_path_create(cases[i].text, cases[i].width, &path), FCL_ERR_ARGUMENT);
        assert_null(path);
        if (!strstr(fcl_error(), cases[i].words))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].text, fcl_error(), cases[i].words);
    }
}

/* --- x0 ~ N(0, 1), x1 ~ N(m, c^2) ---
 *
 * x_t ~ N(alpha m, P) with P = alpha^2 c^2 + sigma^2, and with r = (x - alpha m)/P what a perfect network
 * predicts is x1: m + alpha c^2 r,   eps: sigma r,   score: -r,   v = alpha' x1 + sigma' eps. */

static const double mean = 0.7, deviation = 1.6;

static double predicted(const char *prediction, fcl_path_point p, double x)
{
    double c2 = deviation * deviation,
           r = (x - p.alpha * mean) / (p.alpha * p.alpha * c2 + p.sigma * p.sigma);
    double x1 = mean + p.alpha * c2 * r, eps = p.sigma * r;
    if (!strcmp(prediction, "x1"))
        return x1;
    if (!strcmp(prediction, "eps"))
        return eps;
    return !strcmp(prediction, "score") ? -r : p.alpha_dot * x1 + p.sigma_dot * eps;
}

static const char *const smooth[] = {
    "linear", "lipman(0.1)", "polynomial(1.5)", "cosine", "linear-vp", "vp", "alpha = t^2, sigma = 1 - t^2"};
enum { SMOOTH_PATHS = sizeof smooth / sizeof *smooth };

static void each_prediction_gives_the_velocity(void **state)
{
    (void)state;
    for (int i = 0; i < SMOOTH_PATHS; i++)
        for (int k = 0; fcl_prediction_name(k); k++) {
            const char *prediction = fcl_prediction_name(k);
            fcl_path *path = path_of(smooth[i]);
            for (int draws = 0; draws < 20; draws++) {
                double p, q, t = 0.13 + 0.85 * trial_uniform(), x = 2 * trial_normal();
                fcl_path_point at = fcl_path_value(path, t);
                assert_ok(fcl_prediction_value(prediction, path, t, &p, &q));
                assert_near(p * x + q * predicted(prediction, at, x), predicted("v", at, x), 1e-9, smooth[i]);
            }
            fcl_path_destroy(&path);
        }
}

/* The perfect network in a graph. */
typedef struct oracle {
    const fcl_path *path;
    const char *prediction;
} oracle;

static fcl_tensor *perfect(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    const oracle *to = data;
    fcl_path_at at = fcl_path_build(to->path, in->t);
    fcl_tensor *m = fcl_constant(graph, (float)mean),
               *c2 = fcl_constant(graph, (float)(deviation * deviation));
    fcl_tensor *variance = fcl_add(fcl_mul(fcl_square(at.alpha), c2), fcl_square(at.sigma));
    fcl_tensor *r = fcl_div(fcl_sub(in->x, fcl_mul(at.alpha, m)), variance);
    fcl_tensor *x1 = fcl_add(m, fcl_mul(fcl_mul(at.alpha, c2), r)), *eps = fcl_mul(at.sigma, r);
    if (!strcmp(to->prediction, "x1"))
        return x1;
    if (!strcmp(to->prediction, "eps"))
        return eps;
    if (!strcmp(to->prediction, "score"))
        return fcl_neg(r);
    return fcl_add(fcl_mul(at.alpha_dot, x1), fcl_mul(at.sigma_dot, eps));
}

/* Kernels compile slowly on a simulator. */
static int few(int count)
{
    return trial_tiny() ? 1 : count;
}

static void the_predictor_gives_it_too(void **state)
{
    enum { MOST = SMOOTH_PATHS * 4, ROWS = 37 };
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, 2)), *found[MOST];
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1));
    fcl_path *paths[SMOOTH_PATHS];
    float xs[2 * ROWS], ts[ROWS], v[2 * ROWS];
    for (int i = 0; i < few(SMOOTH_PATHS); i++) {
        paths[i] = path_of(smooth[i]);
        for (int k = 0; k < 4; k++) {
            oracle network = {paths[i], fcl_prediction_name(k)};
            fcl_predictor *predictor;
            assert_ok(
                fcl_predictor_create(network.prediction, paths[i], NULL, perfect, &network, &predictor));
            const fcl_velocity_inputs in = {.x = x, .t = t};
            found[4 * i + k] = fcl_output(fcl_predictor_velocity(predictor, graph, &in));
            fcl_predictor_destroy(&predictor);
        }
    }
    for (int i = 0; i < 2 * ROWS; i++)
        xs[i] = (float)(2 * trial_normal());
    for (int i = 0; i < ROWS; i++)
        ts[i] = (float)(0.13 + 0.84 * trial_uniform());
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_tensor_write(x, xs));
    assert_ok(fcl_tensor_write(t, ts));
    assert_ok(fcl_graph_run(graph));
    for (int i = 0; i < few(SMOOTH_PATHS); i++) {
        for (int k = 0; k < 4; k++) {
            assert_ok(fcl_tensor_read(found[4 * i + k], v));
            for (int j = 0; j < 2 * ROWS; j++) {
                fcl_path_point at = fcl_path_value(paths[i], (double)ts[j / 2]);
                assert_near((double)v[j], predicted("v", at, (double)xs[j]), 5e-4, smooth[i]);
            }
        }
        fcl_path_destroy(&paths[i]);
    }
    fcl_graph_destroy(&graph);
}

/* Along whatever path it is sampled, a network's velocity is that of the Gaussian's flow there, at the ends
 * too. */
static void a_changed_path_has_its_own_velocity(void **state)
{
    enum { PAIRS = 8, ROWS = 41 };
    static const char *const pairs[PAIRS][2] = {{"linear", "linear"},        {"linear", "cosine"},
                                                {"cosine", "polynomial(2)"}, {"polynomial(1.5)", "linear"},
                                                {"linear", "linear-vp"},     {"cosine", "alpha = t^2, sigma = 1 - t^2"},
                                                {"polynomial(3)", "linear"},
                                                {"sigma = cos(pi*t/2)^2, alpha = sin(pi*t/2)^2", "cosine"}};
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x = fcl_input(graph, "x", FCL_F32, FCL_SHAPE(ROWS, 1)), *found[PAIRS];
    fcl_tensor *t = fcl_input(graph, "t", FCL_F32, FCL_SHAPE(ROWS, 1));
    fcl_path *from[PAIRS], *to[PAIRS];
    float xs[ROWS], ts[ROWS], v[ROWS];
    for (int i = 0; i < few(PAIRS); i++) {
        from[i] = path_of(pairs[i][0]);
        to[i] = path_of(pairs[i][1]);
        oracle network = {from[i], "v"};
        fcl_predictor *predictor;
        assert_ok(fcl_predictor_create("v", from[i], to[i], perfect, &network, &predictor));
        found[i] = fcl_output(fcl_predictor_velocity(predictor, graph, &(fcl_velocity_inputs){.x = x, .t = t}));
        fcl_predictor_destroy(&predictor);
    }
    for (int i = 0; i < ROWS; i++) {
        xs[i] = (float)trial_normal();
        ts[i] = (float)trial_uniform();
        if (i < 12) /* the ends, and where a table of times has its first and last rows */
            ts[i] = (float)fabs((i % 2) - (i < 2 ? 0 : 1e-6 * pow(4, i / 2) * trial_uniform()));
    }
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_tensor_write(x, xs));
    assert_ok(fcl_tensor_write(t, ts));
    assert_ok(fcl_graph_run(graph));
    for (int i = 0; i < few(PAIRS); i++) {
        assert_ok(fcl_tensor_read(found[i], v));
        for (int k = 0; k < ROWS;
             k++) /* where sigma' is steep, between two rows of the table it is not straight */
            if (strcmp(pairs[i][1], "linear-vp") || ts[k] < 0.98f)
                assert_near((double)v[k], predicted("v", fcl_path_value(to[i], (double)ts[k]), (double)xs[k]),
                            2e-3, pairs[i][1]);
        fcl_path_destroy(&from[i]);
        fcl_path_destroy(&to[i]);
    }
    fcl_graph_destroy(&graph);
}

/* The flow carries x0 to m + c x0 along any path: whatever the network was trained on, and is sampled along.
 */
static void check_transport(fcl_device *device, const char *trained, const char *sampled,
                            const char *prediction, double bound)
{
    enum { ROWS = 16 };
    fcl_path *from = path_of(trained), *to = sampled ? path_of(sampled) : NULL;
    oracle network = {from, prediction};
    fcl_predictor *predictor;
    fcl_solver *solver = NULL;
    char what[100];
    float x0[ROWS], x1[ROWS];
    snprintf(what, sizeof what, "%s on %s along %s", prediction, trained, sampled ? sampled : "the same");
    assert_ok(fcl_predictor_create(prediction, from, to, perfect, &network, &predictor));
    fcl_solver_options options = {.solver = "midpoint", .steps = trial_tiny() ? 4 : 400};
    assert_ok(fcl_solver_create(device, fcl_predictor_velocity, predictor, &options, ROWS, 1, &solver));
    for (int i = 0; i < ROWS; i++)
        x0[i] = (float)trial_normal();
    assert_ok(fcl_solver_run(solver, x0, x1, NULL));
    for (int i = 0; i < ROWS && !trial_tiny(); i++)
        assert_near((double)x1[i], mean + deviation * (double)x0[i], bound, what);
    fcl_solver_destroy(&solver);
    fcl_predictor_destroy(&predictor);
    fcl_path_destroy(&from);
    fcl_path_destroy(&to);
}

static void samples_do_not_depend_on_the_path(void **state)
{
    static const struct {
        const char *trained, *sampled, *prediction;
        double bound;
    } cases[] = {
        {"linear", "cosine", "v", 2e-3},         {"linear", NULL, "x1", 2e-3},
        {"polynomial(2)", NULL, "eps", 2e-3},    {"cosine", NULL, "score", 2e-3},
        {"cosine", "polynomial(2)", "x1", 2e-3}, {"linear", "linear-vp", "v", 2e-3},
        {"linear-vp", "linear", "v", 3e-2},      {"lipman(1e-3)", "cosine", "v", 4e-3},
        {"vp", "linear", "eps", 4e-2},           {"linear", "vp", "v", 4e-2},
    };
    for (int i = 0; i < few((int)(sizeof cases / sizeof *cases)); i++)
        check_transport(*state, cases[i].trained, cases[i].sampled, cases[i].prediction, cases[i].bound);
}

/* Down to an alpha of a thousandth, or from what it was trained at; up to a sigma of a hundredth. */
static void a_network_is_asked_where_it_was_trained(void **state)
{
    static const struct {
        const char *path, *prediction;
        double least_alpha, begin, end;
    } cases[] = {
        {"linear", "v", 0, 0, 1},
        {"linear", "x1", 0, 0, 0.99},
        {"linear", "eps", 0, 1e-3, 1},
        {"linear", "score", 0, 1e-3, 0.99},
        {"linear", "eps", 0.01, 0.01, 1},
        {"linear", "x1", 0.01, 0, 0.99},
        {"polynomial(2)", "eps", 0, 0.0316227766, 1},
        {"linear-vp", "v", 0, 0, 1 - 1e-4},
        {"vp", "eps", 0, 0, 1 - 1e-4},
        {"lipman(0.1)", "x1", 0, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double begin, end;
        fcl_predictor *predictor;
        fcl_path *path = path_of(cases[i].path);
        assert_ok(fcl_predictor_create(cases[i].prediction, path, NULL, perfect, NULL, &predictor));
        if (cases[i].least_alpha > 0)
            fcl_predictor_trained_from(predictor, cases[i].least_alpha);
        fcl_predictor_range(predictor, &begin, &end);
        assert_near(begin, cases[i].begin, 1e-9, cases[i].path);
        assert_near(end, cases[i].end, 1e-9, cases[i].path);
        fcl_predictor_destroy(&predictor);
        fcl_path_destroy(&path);
    }
}

static void a_tube_forbids_other_predictions_and_paths(void **state)
{
    fcl_path *tube = path_of("linear(0.1)"), *plain = path_of("cosine");
    fcl_predictor *predictor;
    (void)state;
    assert_int_equal(fcl_predictor_create("x1", tube, NULL, perfect, NULL, &predictor), FCL_ERR_ARGUMENT);
    assert_non_null(strstr(fcl_error(), "tube"));
    assert_int_equal(fcl_predictor_create("v", tube, plain, perfect, NULL, &predictor), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_predictor_create("v", plain, tube, perfect, NULL, &predictor), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_predictor_create("w", plain, NULL, perfect, NULL, &predictor), FCL_ERR_ARGUMENT);
    assert_ok(fcl_predictor_create(NULL, tube, NULL, perfect, NULL, &predictor));
    fcl_predictor_destroy(&predictor);
    fcl_path_destroy(&tube);
    fcl_path_destroy(&plain);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_tested),
        cmocka_unit_test(coefficients_are_those_of_the_papers),
        cmocka_unit_test(slopes_are_difference_quotients),
        cmocka_unit_test(ends_are_noise_and_data),
        cmocka_unit_test(what_is_no_path_is_told_why),
        cmocka_unit_test(each_prediction_gives_the_velocity),
        cmocka_unit_test(the_predictor_gives_it_too),
        cmocka_unit_test(a_changed_path_has_its_own_velocity),
        cmocka_unit_test(samples_do_not_depend_on_the_path),
        cmocka_unit_test(a_network_is_asked_where_it_was_trained),
        cmocka_unit_test(a_tube_forbids_other_predictions_and_paths),
    };
    return cmocka_run_group_tests_name("path", tests, open_device, close_device);
}
