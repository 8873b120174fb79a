/* Time laws against their distributions, and the objective's loss against what it says, for every row. */
#include "flow/objective.h"

#include <flowcl/flowcl.h>

#include "device.h"
#include "trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double value, double expected, double bound, const char *what)
{
    if (!(fabs(value - expected) <= bound))
        fail_msg("%s: %.9g is further than %g from %.9g", what, value, bound, expected);
}

/* --- time laws --- */

static double logit_normal(double t, double m, double s)
{
    return 0.5 * erfc(-(log(t / (1 - t)) - m) / s / sqrt(2));
}

/* The law's quantile falls in u: P(T <= t) is 1 - u where it is t. */
static double mode(double t, double s)
{
    double below = 0, above = 1;
    for (int i = 0; i < 60; i++) {
        double u = (below + above) / 2, c = cos(acos(0) * u);
        *(1 - u - s * (c * c - 1 + u) > t ? &below : &above) = u;
    }
    return 1 - below;
}

/* clang-format off */
static double f_uniform(double t) { return t; }
static double f_logit_normal(double t) { return logit_normal(t, 0, 1); }
static double f_logit_normal2(double t) { return logit_normal(t, 0.5, 0.7); }
static double f_mode(double t) { return mode(t, 1.29); }
static double f_mode2(double t) { return mode(t, -0.5); }
/* half exp(-a t), half exp(-a (1 - t)), each normalised */
static double f_u_shaped(double t) { return (1 - exp(-4 * t) + exp(4 * (t - 1)) - exp(-4)) / (2 * (1 - exp(-4))); }
static double f_edm(double t) { return logit_normal(t, 1.2, 1.2); }
static double f_beta(double t) { return pow(t, 1.5); }
static double f_beta2(double t) { return t * t * (3 - 2 * t); }
static double f_beta3(double t) { return 2 / acos(-1) * asin(sqrt(t)); }
static double f_own(double t) { return sqrt(t); }
/* n = 1 - t is uniform before the shift to 3 n/(1 + 2 n) */
static double f_shifted(double t) { return 1 - (1 - t) / (3 - 2 * (1 - t)); }
/* clang-format on */

static const struct law {
    fcl_cfm_options options;
    double (*cumulative)(double t);
} laws[] = {
    {{.time = "uniform"}, f_uniform},
    {{.time = "logit-normal"}, f_logit_normal},
    {{.time = "logit-normal(0.5, 0.7)"}, f_logit_normal2},
    {{.time = "mode"}, f_mode},
    {{.time = "mode(-1/2)"}, f_mode2},
    {{.time = "u-shaped"}, f_u_shaped},
    {{.time = "edm"}, f_edm},
    {{.time = "beta"}, f_beta},
    {{.time = "beta(2, 2)"}, f_beta2},
    {{.time = "beta(0.5, 0.5)"}, f_beta3},
    {{.time = "u^2"}, f_own},
    {{.time_shift = 3}, f_shifted},
};
enum { LAWS = sizeof laws / sizeof *laws };

static void every_law_is_tested(void **state)
{
    (void)state;
    for (int row = 0; fcl_time_name(row); row++) {
        bool found = false;
        for (int i = 0; i < LAWS && !found; i++)
            found = laws[i].options.time &&
                    !strncmp(laws[i].options.time, fcl_time_name(row), strlen(fcl_time_name(row)));
        assert_true(found);
    }
}

/* Times of `rows` samples, those of the step's from `first` on; released by free. */
static void draw_times(fcl_device *device, int count, const fcl_cfm_options *const *options, int64_t rows,
                       uint64_t first, float **times)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *t[LAWS];
    for (int i = 0; i < count; i++) {
        fcl_objective *objective;
        assert_ok(fcl_objective_create(options[i], &objective));
        t[i] = fcl_output(fcl_time_draw(objective, graph, rows));
        fcl_objective_destroy(&objective);
    }
    fcl_graph_random(graph, 7, 3, first);
    assert_ok(fcl_graph_compile(graph, device, NULL));
    assert_ok(fcl_graph_run(graph));
    for (int i = 0; i < count; i++) {
        times[i] = malloc((size_t)rows * sizeof(float));
        assert_ok(fcl_tensor_read(t[i], times[i]));
    }
    fcl_graph_destroy(&graph);
}

/* The largest distance of the cumulative counts from F, by Kolmogorov's bound: beyond 2.2/sqrt(n) once in
 * 10^4. */
static void times_follow_their_laws(void **state)
{
    int64_t rows = trial_tiny() ? 8 : 20000;
    const fcl_cfm_options *options[LAWS];
    float *times[LAWS];
    for (int i = 0; i < LAWS; i++)
        options[i] = &laws[i].options;
    draw_times(*state, LAWS, options, rows, 0, times);
    for (int i = 0; i < LAWS; i++) {
        const char *what = laws[i].options.time ? laws[i].options.time : "shifted";
        for (double t = 0.02; t < 1; t += 0.02) {
            int64_t below = 0;
            for (int64_t row = 0; row < rows; row++) {
                assert_true(times[i][row] >= 0 && times[i][row] <= 1);
                below += (double)times[i][row] <= t;
            }
            assert_near((double)below / (double)rows, laws[i].cumulative(t), 2.2 / sqrt((double)rows), what);
        }
        free(times[i]);
    }
}

/* One u a share of 1/total, in whatever parts the step is computed; the law goes on top of it. */
static void strata_have_one_time_each(void **state)
{
    enum { TOTAL = 70, PART = 35 };
    const fcl_cfm_options whole = {.time_draw = "stratified"},
                          part = {.time_draw = "stratified", .time = "u^2", .batch_total = TOTAL};
    float *times, *second[2];
    draw_times(*state, 1, (const fcl_cfm_options *[]){&whole}, TOTAL, 0, &times);
    for (int k = 0; k < 2; k++)
        draw_times(*state, 1, (const fcl_cfm_options *[]){&part}, PART, (uint64_t)(PART * k), &second[k]);
    for (int i = 0; i < TOTAL; i++) {
        double t = (double)times[i];
        assert_true(t >= (i - 1e-5) / TOTAL && t <= (i + 1 + 1e-5) / TOTAL);
        assert_near((double)second[i / PART][i % PART], t * t, 1e-6, "a part's times");
    }
    free(times);
    free(second[0]);
    free(second[1]);
}

static void antithetic_times_sum_to_one(void **state)
{
    enum { ROWS = 33 };
    const fcl_cfm_options options = {.time_draw = "antithetic"};
    float *t;
    draw_times(*state, 1, (const fcl_cfm_options *[]){&options}, ROWS, 0, &t);
    for (int i = 0; i + 1 < ROWS; i += 2)
        assert_near((double)t[i] + (double)t[i + 1], 1, 1e-6, "a pair");
    for (int i = 2; i < ROWS; i += 2)
        assert_true(t[i] != t[0]);
    free(t);
}

/* --- the loss --- */

enum { ROWS = 64, SIZE = 3 };

/* The network answers with theta, whatever it is asked; it lets see what it was asked. */
typedef struct witness {
    fcl_tensor *theta, *x, *t;
} witness;

static fcl_tensor *answer(void *data, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    witness *to = data;
    (void)graph;
    to->x = fcl_output(fcl_add(in->x, fcl_constant(graph, 0)));
    to->t = fcl_output(fcl_add(in->t, fcl_constant(graph, 0)));
    return fcl_add(fcl_mul(in->x, fcl_constant(graph, 0)), to->theta);
}

/* Every weight, loss, prediction and path is here. */
static const fcl_cfm_options objectives[] = {
    {0},
    {.path = "cosine", .weight = "inverse-variance"},
    {.path = "polynomial(3)", .weight = "cosmap", .loss = "huber"},
    {.path = "linear-vp", .weight = "min-snr"},
    {.path = "linear", .weight = "min-snr(2)", .prediction = "x1"},
    {.path = "vp", .weight = "min-snr", .prediction = "eps"},
    {.path = "cosine", .weight = "min-snr", .prediction = "score"},
    {.path = "linear", .weight = "adaptive", .loss = "huber(0.3)"},
    {.path = "lipman(0.1)", .weight = "adaptive(0.75, 0.1)", .prediction = "x1"},
    {.path = "alpha=t^2, sigma=1-t^2", .weight = "t + 0.5*sigma/(alpha + 1) + l", .prediction = "eps"},
    {.path = "linear", .prediction = "score", .time = "logit-normal", .time_draw = "stratified"},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives };
static const double theta = 0.4;

/* min(snr, g) of the loss of x1, in terms of the prediction's. */
static double min_snr(const char *prediction, fcl_path_point p, double g)
{
    double snr = p.alpha * p.alpha / (p.sigma * p.sigma), least = fmin(snr, g),
           cross = p.alpha_dot * p.sigma - p.sigma_dot * p.alpha;
    if (!strcmp(prediction, "x1"))
        return least;
    if (!strcmp(prediction, "eps"))
        return least / snr;
    return !strcmp(prediction, "score") ? least / snr * p.sigma * p.sigma : least * pow(p.sigma / cross, 2);
}

static double weight_of(const fcl_cfm_options *o, fcl_path_point p, double t, double l)
{
    const char *weight = o->weight ? o->weight : "one", *prediction = o->prediction ? o->prediction : "v";
    if (!strcmp(weight, "inverse-variance"))
        return 1 / (p.sigma * p.sigma);
    if (!strcmp(weight, "cosmap"))
        return 2 / (acos(-1) * (1 - 2 * p.sigma + 2 * p.sigma * p.sigma));
    if (!strncmp(weight, "min-snr", 7))
        return min_snr(prediction, p, strchr(weight, '(') ? 2 : 5);
    if (!strcmp(weight, "adaptive"))
        return 1 / (l + 0.01);
    if (!strncmp(weight, "adaptive", 8))
        return pow(l + 0.1, -0.75);
    return !strcmp(weight, "one") ? 1 : t + 0.5 * p.sigma / (p.alpha + 1) + l;
}

static double delta_of(const fcl_cfm_options *o)
{
    return !o->loss ? INFINITY : strchr(o->loss, '(') ? 0.3 : 1;
}

static double target(const fcl_cfm_options *o, fcl_path_point p, double x0, double x1)
{
    const char *prediction = o->prediction ? o->prediction : "v";
    if (!strcmp(prediction, "x1"))
        return x1;
    if (!strcmp(prediction, "eps"))
        return x0;
    return !strcmp(prediction, "score") ? -x0 / p.sigma : p.alpha_dot * x1 + p.sigma_dot * x0;
}

/* The objective and its derivative in theta, from x0, x1 and t. The weight is a number to the derivative. */
static void expect(const fcl_cfm_options *o, const float *x0, const float *x1, const float *t, double *value,
                   double *slope)
{
    fcl_path *path;
    assert_ok(fcl_path_create(o->path, 0, &path));
    *value = *slope = 0;
    for (int row = 0; row < ROWS; row++) {
        fcl_path_point p = fcl_path_value(path, (double)t[row]);
        double l = 0, dl = 0, delta = delta_of(o);
        for (int i = row * SIZE; i < row * SIZE + SIZE; i++) {
            double d = theta - target(o, p, (double)x0[i], (double)x1[i]), size = fabs(d);
            l += (size < delta ? d * d : 2 * delta * size - delta * delta) / SIZE;
            dl += 2 * (size < delta ? d : copysign(delta, d)) / SIZE;
        }
        double w = weight_of(o, p, (double)t[row], l);
        *value += w * l / ROWS;
        *slope += w * dl / ROWS;
    }
    fcl_path_destroy(&path);
}

static void every_row_is_in_an_objective(void **state)
{
    (void)state;
    for (int row = 0; fcl_weight_name(row); row++) {
        bool found = row == 0;
        for (int i = 0; i < OBJECTIVES; i++)
            found |= objectives[i].weight &&
                     !strncmp(objectives[i].weight, fcl_weight_name(row), strlen(fcl_weight_name(row)));
        assert_true(found);
    }
    for (int row = 0; fcl_prediction_name(row); row++) {
        bool found = row == 0;
        for (int i = 0; i < OBJECTIVES; i++)
            found |= objectives[i].prediction && !strcmp(objectives[i].prediction, fcl_prediction_name(row));
        assert_true(found);
    }
}

static void the_loss_is_what_its_rows_say(void **state)
{
    fcl_graph *graph = fcl_graph_create();
    fcl_tensor *x0 = fcl_input(graph, "x0", FCL_F32, FCL_SHAPE(ROWS, SIZE));
    fcl_tensor *x1 = fcl_input(graph, "x1", FCL_F32, FCL_SHAPE(ROWS, SIZE));
    fcl_tensor *loss[OBJECTIVES], *slope[OBJECTIVES],
        *leaf = fcl_input(graph, "theta", FCL_F32, FCL_SHAPE(1, 1));
    witness seen[OBJECTIVES];
    float noise[ROWS * SIZE], data[ROWS * SIZE], point[ROWS * SIZE], t[ROWS], found, derivative,
        start = (float)theta;
    int count = trial_tiny() ? 4 : OBJECTIVES;
    for (int i = 0; i < count; i++) {
        seen[i].theta = leaf;
        loss[i] = fcl_output(fcl_cfm_objective_of(graph, &objectives[i], x0, x1, answer, &seen[i]));
        fcl_vjp(loss[i], NULL, 1, &leaf, &slope[i]);
        fcl_output(slope[i]);
    }
    for (int i = 0; i < ROWS * SIZE; i++) {
        noise[i] = (float)trial_normal();
        data[i] = (float)(2 * trial_normal() + 1);
    }
    assert_ok(fcl_graph_compile(graph, *state, NULL));
    assert_ok(fcl_tensor_write(x0, noise));
    assert_ok(fcl_tensor_write(x1, data));
    assert_ok(fcl_tensor_write(leaf, &start));
    fcl_graph_random(graph, 5, 1, 0);
    assert_ok(fcl_graph_run(graph));
    for (int i = 0; i < count; i++) {
        const char *what = objectives[i].weight ? objectives[i].weight : "no weight";
        double value, expected_slope;
        fcl_path *path;
        assert_ok(fcl_tensor_read(seen[i].t, t));
        assert_ok(fcl_tensor_read(seen[i].x, point));
        assert_ok(fcl_tensor_read(loss[i], &found));
        assert_ok(fcl_tensor_read(slope[i], &derivative));
        assert_ok(fcl_path_create(objectives[i].path, 0, &path));
        for (int k = 0; k < ROWS * SIZE; k++) {
            fcl_path_point p = fcl_path_value(path, (double)t[k / SIZE]);
            assert_near((double)point[k], p.alpha * (double)data[k] + p.sigma * (double)noise[k], 1e-5,
                        "x_t");
        }
        fcl_path_destroy(&path);
        expect(&objectives[i], noise, data, t, &value, &expected_slope);
        assert_near((double)found, value, 2e-4 * fmax(1, fabs(value)), what);
        assert_near((double)derivative, expected_slope, 2e-4 * fmax(1, fabs(value)), what);
    }
    fcl_graph_destroy(&graph);
}

/* --- what does not go together --- */

static void what_does_not_fit_is_told_why(void **state)
{
    static const struct {
        fcl_cfm_options options;
        const char *words;
    } cases[] = {
        {{.path = "liner"}, "did you mean \"linear\"?"},
        {{.path = "alpha=t, sigma=1-t^"}, "column 20"},
        {{.path = "bridge", .sigma = 0}, "needs its parameter s"},
        {{.path = "vp", .sigma = 0.1f}, "has no s"},
        {{.sigma = 0.1f, .prediction = "x1"}, "without a tube"},
        {{.path = "bridge(1)", .prediction = "eps"}, "without a tube"},
        {{.coupling = "ot", .prediction = "score"}, "needs the coupling independent, not ot"},
        {{.prediction = "x0"}, "did you mean \"x1\"?"},
        {{.time = "logit-normal(0, 0)"}, "takes s between"},
        {{.time = "uniform(1)"}, "takes no parameter"},
        {{.time = "2*u"}, "it must lie between 0 and 1"},
        {{.time = "u*x"}, "\"x\" is not known here"},
        {{.time_draw = "stratifid"}, "did you mean \"stratified\"?"},
        {{.time_shift = -1}, "time-shift"},
        {{.weight = "cosmop"}, "did you mean \"cosmap\"?"},
        {{.weight = "t - 0.5"}, "must be finite and not below 0"},
        {{.loss = "huber(-1)"}, "takes delta between"},
        {{.loss = "abs(d)"}, "loss"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fcl_cfm_check(&cases[i].options), FCL_ERR_ARGUMENT);
        if (!strstr(fcl_error(), cases[i].words))
            fail_msg("%d: \"%s\" lacks \"%s\"", (int)i, fcl_error(), cases[i].words);
    }
    assert_ok(fcl_cfm_check_source(&(fcl_cfm_options){.path = "cosine"}));
    assert_int_equal(fcl_cfm_check_source(&(fcl_cfm_options){.path = "vp"}), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_cfm_check_source(&(fcl_cfm_options){.path = "lipman"}), FCL_ERR_ARGUMENT);
    assert_int_equal(fcl_cfm_check_source(&(fcl_cfm_options){.prediction = "score"}), FCL_ERR_ARGUMENT);
}

int main(void)
{
    trial_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_law_is_tested),           cmocka_unit_test(times_follow_their_laws),
        cmocka_unit_test(strata_have_one_time_each),     cmocka_unit_test(antithetic_times_sum_to_one),
        cmocka_unit_test(every_row_is_in_an_objective),  cmocka_unit_test(the_loss_is_what_its_rows_say),
        cmocka_unit_test(what_does_not_fit_is_told_why),
    };
    return cmocka_run_group_tests_name("objective", tests, open_device, close_device);
}
