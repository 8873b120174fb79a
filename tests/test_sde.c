/* Stochastic solvers: the marginals of a Gaussian target against closed forms.
 *
 * Data x1 ~ N(m, C) and x0 ~ N(0, I) give x_t ~ N(alpha m, P), P = alpha^2 C + N with N = sigma^2 + tube^2,
 * and v = alpha' m + (alpha alpha' C + N'/2) P^-1 (x - alpha m),   s = -P^-1 (x - alpha m). C has the
 * variances `variance` along the axes turned by `angle`. */
#include "flow/solver.h"
#include "status.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

static const double angle = 0.6, mean[2] = {1.5, -0.5} /* along the turned axes */, variance[2] = {1.4, 0.2};
enum { D = 2, MOST = 20000 };

static fcl_device *device;
static int rows = MOST;

static int setup(void **state)
{
    (void)state;
    if (fcl_device_open(NULL, NULL, &device) != FCL_OK)
        return print_error("%s\n", fcl_error()), -1;
    if (getenv("FCL_TEST_TINY"))
        rows = 5;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fcl_device_close(&device);
    return 0;
}

static void assert_within(const char *what, double value, double expected, double bound)
{
    if (!(fabs(value - expected) <= bound)) {
        print_error("%s: %.9g is further than %g from %.9g\n", what, value, bound, expected);
        fail();
    }
}

/* --- the exact velocity --- */

static fcl_tensor *along_axis(int axis, fcl_path_at at, fcl_tensor *y)
{
    fcl_tensor *n = fcl_add(fcl_square(at.sigma), fcl_square(at.tube));
    fcl_tensor *half = fcl_add(fcl_mul(at.sigma, at.sigma_dot), fcl_mul(at.tube, at.tube_dot));
    fcl_tensor *c = fcl_constant(fcl_tensor_graph(y), (float)variance[axis]);
    fcl_tensor *p = fcl_add(fcl_mul(fcl_square(at.alpha), c), n);
    fcl_tensor *q = fcl_add(fcl_mul(fcl_mul(at.alpha, at.alpha_dot), c), half);
    fcl_tensor *away = fcl_sub(y, fcl_scale(at.alpha, (float)mean[axis]));
    return fcl_add(fcl_scale(at.alpha_dot, (float)mean[axis]), fcl_mul(fcl_div(q, p), away));
}

static fcl_tensor *turn(fcl_tensor *a, fcl_tensor *b, double cosine, double sine)
{
    return fcl_add(fcl_scale(a, (float)cosine), fcl_scale(b, (float)sine));
}

static fcl_tensor *gaussian_velocity(void *path, fcl_graph *graph, const fcl_velocity_inputs *in)
{
    double c = cos(angle), s = sin(angle);
    fcl_path_at at = fcl_path_build(path, in->t);
    fcl_tensor *x0 = fcl_slice(in->x, 1, 0, 1), *x1 = fcl_slice(in->x, 1, 1, 2);
    fcl_tensor *v0 = along_axis(0, at, turn(x0, x1, c, s)), *v1 = along_axis(1, at, turn(x0, x1, -s, c));
    (void)graph;
    return fcl_concat(2, (fcl_tensor *[]){turn(v0, v1, c, -s), turn(v0, v1, s, c)}, 1);
}

static double score(double alpha, double n, int axis, double y)
{
    return -(y - alpha * mean[axis]) / (alpha * alpha * variance[axis] + n);
}

/* --- the numbers of a stage, on the host --- */

/* a v + b x is v + w s at the exact v, on any path, with a tube as well; w as far as a step bears it. */
static void the_drift_is_the_scores(void **state)
{
    static const struct {
        const char *path;
        double width;
    } paths[] = {
        {"linear", 0},    {"linear", 0.3}, {"lipman", 0},   {"polynomial(3)", 0},       {"cosine", 0.1},
        {"linear-vp", 0}, {"vp", 0},       {"bridge", 0.8}, {"alpha=t^2, sigma=1-t", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        fcl_solver_options options = {
            .w = "sigma^2 + t", .path = paths[i].path, .path_width = paths[i].width, .t_end = 1};
        fcl_diffusion *diffusion;
        fcl_path *path;
        assert_ok(fcl_diffusion_create(&options, (const double[]){0, 0.5, 1}, 2, &diffusion));
        assert_ok(fcl_path_create(paths[i].path, paths[i].width, &path));
        for (double t = 0.05; t < 1; t += 0.09) {
            float number[FCL_DIFFUSION_NUMBERS];
            fcl_path_point p = fcl_path_value(path, t);
            double n = p.sigma * p.sigma + p.tube * p.tube, y = 0.7 - t;
            double w = fmin(p.sigma * p.sigma + t, n / 0.25);
            double total = p.alpha * p.alpha * variance[1] + n;
            double q = p.alpha * p.alpha_dot * variance[1] + p.sigma * p.sigma_dot + p.tube * p.tube_dot;
            double v = p.alpha_dot * mean[1] + q / total * (y - p.alpha * mean[1]);
            fcl_diffusion_numbers(diffusion, t, 0.25, number);
            double drift = (double)number[0] * v + (double)number[1] * y;
            assert_within(paths[i].path, drift, v + w * score(p.alpha, n, 1, y),
                          3e-6 * (1 + fabs(number[0] * v)));
            assert_within(paths[i].path, number[2], sqrt(2 * w / 0.25), 1e-5);
        }
        fcl_path_destroy(&path);
        fcl_diffusion_destroy(&diffusion);
    }
}

/* --- marginals on the device --- */

/* x ~ N(alpha m, P): independent normals from equally likely parts are as good as drawn ones. */
static void draw(float *x, double alpha, double n)
{
    double c = cos(angle), s = sin(angle);
    for (int i = 0; i < rows; i++) {
        double u = (i + 0.5) / rows, turns = fmod(i * 0.6180339887498949, 1) * 2 * acos(-1);
        double radius = sqrt(-2 * log(u)), y[2];
        for (int k = 0; k < 2; k++)
            y[k] = alpha * mean[k] +
                   sqrt(alpha * alpha * variance[k] + n) * radius * (k ? sin(turns) : cos(turns));
        x[2 * i] = (float)(c * y[0] - s * y[1]);
        x[2 * i + 1] = (float)(s * y[0] + c * y[1]);
    }
}

/* Moments along the turned axes; five standard errors, and `slack` of the standard deviation for the steps.
 */
static void check_moments(const char *what, const float *x, double alpha, double n, double slack)
{
    double c = cos(angle), s = sin(angle), first[2] = {0}, second[3] = {0}, p[2];
    for (int k = 0; k < 2; k++)
        p[k] = alpha * alpha * variance[k] + n;
    for (int i = 0; i < rows; i++) {
        double y[2] = {c * x[2 * i] + s * x[2 * i + 1], -s * x[2 * i] + c * x[2 * i + 1]};
        for (int k = 0; k < 2; k++) {
            y[k] -= alpha * mean[k];
            first[k] += y[k] / rows;
        }
        for (int k = 0; k < 3; k++)
            second[k] += (k < 2 ? y[k] * y[k] : y[0] * y[1]) / rows;
    }
    double error = 5 / sqrt(rows);
    if (rows < 1000)
        return; /* a simulator checks accesses */
    for (int k = 0; k < 2; k++) {
        assert_within(what, first[k] / sqrt(p[k]), 0, error + slack);
        assert_within(what, second[k] / p[k], 1, sqrt(2) * error + 2 * slack);
    }
    assert_within(what, second[2] / sqrt(p[0] * p[1]), 0, error + slack);
}

static void check_marginals(fcl_solver_options options, double slack)
{
    static float x[MOST * D], way[MOST * D];
    const double middle = 0.5;
    bool back = options.t_begin > 0;
    fcl_path *path;
    fcl_solver *solver;
    assert_ok(fcl_path_create(options.path, options.path_width, &path));
    fcl_path_point begin = fcl_path_value(path, back), half = fcl_path_value(path, middle),
                   end = fcl_path_value(path, !back);
    assert_ok(fcl_solver_create(device, gaussian_velocity, path, &options, rows, D, &solver));
    fcl_solver_random(solver, 7, 0);
    draw(x, begin.alpha, begin.sigma * begin.sigma + begin.tube * begin.tube);
    assert_ok(fcl_solver_run_times(solver, x, 1, &middle, way, x, NULL));
    check_moments(options.w, way, half.alpha, half.sigma * half.sigma + half.tube * half.tube, slack);
    check_moments(options.w, x, end.alpha, end.sigma * end.sigma + end.tube * end.tube, slack);
    fcl_solver_destroy(&solver);
    fcl_path_destroy(&path);
}

static void any_noise_keeps_the_marginals(void **state)
{
    static const char *const w[] = {
        "0", "1", "sigma", "2*sigma^2", "3*sin(pi*t)^2", "where(greater(t, 0.5), 1, 0.2)"};
    int few = rows < 1000 ? 4 : 0;
    (void)state;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++) {
        fcl_solver_options options = {.solver = "euler-maruyama", .steps = few ? few : 200, .w = w[i]};
        check_marginals(options, 0.02);
        options.solver = "stochastic-heun";
        options.steps = few ? few : 50;
        check_marginals(options, 0.01);
    }
}

static void every_path_keeps_the_marginals(void **state)
{
    static const struct {
        const char *path;
        double width;
    } paths[] = {{"polynomial", 0}, {"cosine", 0.2}, {"linear-vp", 0}};
    (void)state;
    for (int i = 0; i < (rows < 1000 ? 1 : 3); i++)
        check_marginals((fcl_solver_options){.solver = "stochastic-heun",
                                             .steps = rows < 1000 ? 3 : 100,
                                             .w = "sigma",
                                             .path = paths[i].path,
                                             .path_width = paths[i].width},
                        0.02);
}

static void back_to_noise_as_well(void **state)
{
    (void)state;
    check_marginals((fcl_solver_options){.solver = "stochastic-heun",
                                         .steps = rows < 1000 ? 3 : 50,
                                         .w = "0.5",
                                         .grid = "shifted",
                                         .t_begin = 1},
                    0.02);
}

/* --- noise --- */

enum { FEW = 6 };

static void run_few(const char *name, const char *w, uint64_t seed, uint64_t first_row, int count,
                    const float *x, float *out)
{
    fcl_path *path;
    fcl_solver *solver;
    fcl_solver_options options = {.solver = name, .steps = 8, .w = w};
    assert_ok(fcl_path_create(NULL, 0, &path));
    assert_ok(fcl_solver_create(device, gaussian_velocity, path, &options, count, D, &solver));
    fcl_solver_random(solver, seed, first_row);
    assert_ok(fcl_solver_run(solver, x, out, NULL));
    fcl_solver_destroy(&solver);
    fcl_path_destroy(&path);
}

static void without_noise_it_is_the_flow(void **state)
{
    static const char *const pairs[][2] = {{"euler-maruyama", "euler"}, {"stochastic-heun", "heun2"}};
    const float x[FEW * D] = {0.1f, -0.4f, 1, 2, -2, 0.3f, 0.7f, 0, -1, 0.5f, 0.2f, 0.9f};
    (void)state;
    for (int i = 0; i < 2; i++) {
        float a[FEW * D], b[FEW * D];
        run_few(pairs[i][0], "0", 1, 0, FEW, x, a);
        run_few(pairs[i][1], NULL, 1, 0, FEW, x, b);
        for (int k = 0; k < FEW * D; k++)
            assert_within(pairs[i][0], a[k], b[k], 2e-6);
    }
}

static void noise_repeats_and_follows_its_row(void **state)
{
    const float x[FEW * D] = {0.1f, -0.4f, 1, 2, -2, 0.3f, 0.7f, 0, -1, 0.5f, 0.2f, 0.9f};
    float a[FEW * D], b[FEW * D];
    (void)state;
    run_few("euler-maruyama", NULL, 3, 0, FEW, x, a);
    run_few("euler-maruyama", NULL, 3, 0, FEW, x, b);
    assert_memory_equal(a, b, sizeof a);
    run_few("euler-maruyama", NULL, 3, 4, 2, x + 4 * D, b);
    for (int k = 0; k < 2 * D; k++)
        assert_within("a later part", b[k], a[4 * D + k], 1e-5);
    run_few("euler-maruyama", NULL, 4, 0, FEW, x, b);
    for (int k = 0; k < FEW * D; k++)
        assert_true(fabsf(a[k] - b[k]) > 1e-4f);
}

/* --- refusals --- */

static void unusable_noise_is_refused(void **state)
{
    static const struct {
        fcl_solver_options options;
        const char *words;
    } wrong[] = {
        {{.solver = "euler-maruyama", .w = "cos(pi*t)"}, "is -"},
        {{.solver = "euler-maruyama", .w = "log(t - 0.5)"}, "finite w(t) >= 0"},
        {{.solver = "euler-maruyama", .w = "1/t"}, "not finite"},
        {{.solver = "euler-maruyama", .w = "sigma +"}, "w:"},
        {{.solver = "euler-maruyama", .w = "beta"}, "beta"},
        {{.solver = "euler-maruyama", .path = "linaer"}, "linear"},
        {{.solver = "euler-maruyama", .t_end = 2}, "from 0 to 1"},
        {{.solver = "stochastic-heun", .rtol = 1e-3}, "no error estimate"},
        {{.solver = "heun2", .w = "sigma"}, "adds no noise"},
        {{.solver = "dopri5", .w = "sigma"}, "adds no noise"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_status(FCL_ERR_ARGUMENT, fcl_solver_check(&wrong[i].options));
        assert_told(wrong[i].words);
    }
    assert_ok(fcl_solver_check(&(fcl_solver_options){.solver = "euler-maruyama", .w = "1/sigma"}));
    fcl_likelihood *likelihood;
    fcl_likelihood_options options = {.solver = {.solver = "stochastic-heun"}};
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_likelihood_create(device, gaussian_velocity, NULL, &options, 2, 2, &likelihood));
    assert_told("adds noise");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_drift_is_the_scores),        cmocka_unit_test(any_noise_keeps_the_marginals),
        cmocka_unit_test(every_path_keeps_the_marginals), cmocka_unit_test(back_to_noise_as_well),
        cmocka_unit_test(without_noise_it_is_the_flow),   cmocka_unit_test(noise_repeats_and_follows_its_row),
        cmocka_unit_test(unusable_noise_is_refused),
    };
    return cmocka_run_group_tests_name("sde", tests, setup, teardown);
}
