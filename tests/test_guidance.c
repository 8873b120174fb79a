/* Classifier-free guidance of a model that is affine in x, v = a x + b t with a row (a, b) of a table for each label: what is
 * guided is held against the same formula in double, and against a label whose row is the guided one. */
#include "affine.h"
#include "rig.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

static const fcl_model_row affine = {.name = "affine", .declare = declare_affine, .velocity = affine_velocity};

enum { LED, MIXED, NONE, LABELS }; /* of class 0; class 1, whose row is the guided one of class 0; of no class */
enum { N = 19, SIZE = 3 };

typedef struct rows {
    double of[LABELS][2];
} rows;

/* Single precision's own numbers, as the model has them. */
static rows draw_rows(double weight)
{
    rows made;
    for (int k = 0; k < 2; k++) {
        made.of[LED][k] = rint(64 * (trial_uniform() - 0.5)) / 64;
        made.of[NONE][k] = rint(64 * (trial_uniform() - 0.5)) / 64;
        made.of[MIXED][k] = made.of[NONE][k] + weight * (made.of[LED][k] - made.of[NONE][k]);
    }
    return made;
}

static fcl_checkpoint *make(const rows *of, const fcl_train_options *how)
{
    float table[LABELS * 2];
    float values[4 * SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    int32_t label[4] = {0, 1, 0, 1};
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_checkpoint *checkpoint;
    fcl_train_options options = *how;
    options.steps = options.batch = 1;
    options.labels = true;
    options.normalise = "off";
    options.ema = "off";
    options.model.own = &affine;
    const fcl_dataset given = {.count = 4, .shape = FCL_SHAPE(SIZE), .values = values, .label = label};
    assert_ok(fcl_dataset_from(&given, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    for (int i = 0; i < LABELS * 2; i++)
        table[i] = (float)of->of[i / 2][i % 2];
    size_t bytes = (how->label_drop > 0 ? LABELS : LABELS - 1) * 2 * sizeof(float);
    assert_ok(fcl_buffer_write(fcl_trainer_weights(trainer), 0, bytes, table));
    assert_ok(fcl_trainer_save(trainer, scratch_path("affine.safetensors")));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    assert_ok(fcl_checkpoint_open_with(scratch_path("affine.safetensors"), &(fcl_foreign_options){.own = &affine},
                                       &checkpoint));
    return checkpoint;
}

static const fcl_train_options plain = {.label_drop = 0.1f};

static fcl_array *draw_noise(void)
{
    fcl_array *x;
    assert_ok(fcl_array_create(FCL_SHAPE(N, SIZE), &x));
    for (int i = 0; i < N * SIZE; i++)
        x->data[i] = (float)trial_normal();
    return x;
}

static fcl_array *move(const fcl_checkpoint *checkpoint, const fcl_sample_options *options, const fcl_array *x, int label)
{
    fcl_array *result;
    int32_t labels[N];
    for (int i = 0; i < N; i++)
        labels[i] = label;
    assert_ok(fcl_transport(device, checkpoint, options, x, labels, false, &result, NULL));
    return result;
}

/* --- in double --- */

typedef struct guided {
    const rows *of;
    double weight, low, high;
} guided;

static double slope(const guided *by, double x, double t)
{
    bool inside = t >= by->low && t <= by->high;
    double of_class = by->of->of[LED][0] * x + by->of->of[LED][1] * t;
    double of_none = by->of->of[NONE][0] * x + by->of->of[NONE][1] * t;
    return inside ? of_none + by->weight * (of_class - of_none) : of_class;
}

static double euler(const guided *by, double x, int steps)
{
    for (int i = 0; i < steps; i++)
        x += slope(by, x, (double)(float)((double)i / steps)) / steps;
    return x;
}

static double midpoint(const guided *by, double x, int steps)
{
    for (int i = 0; i < steps; i++) {
        double t = (double)i / steps, h = 1.0 / steps;
        x += h * slope(by, x + h / 2 * slope(by, x, t), t + h / 2);
    }
    return x;
}

/* So fine that it is the solution, up to the steps of the interval's ends. */
static double solution(const guided *by, double x)
{
    enum { FINE = 200000 };
    return midpoint(by, x, FINE);
}

/* `to` are the numbers of the last time. */
static void assert_moved(const guided *by, const fcl_array *x, const float *to,
                         double (*by_steps)(const guided *, double, int), int steps, double tolerance)
{
    for (int i = 0; i < N * SIZE; i++) {
        double wanted = steps ? by_steps(by, (double)x->data[i], steps) : solution(by, (double)x->data[i]);
        if (fabs((double)to[i] - wanted) > tolerance)
            fail_msg("number %d is %.9g, not %.9g", i, (double)to[i], wanted);
    }
}

static void check_interval(const char *solver, const char *interval, double low, double high, int steps,
                           double (*by_steps)(const guided *, double, int), double tolerance)
{
    double weight = 0.5 + 3 * trial_uniform();
    weight = (double)(float)weight;
    rows of = draw_rows(weight);
    fcl_checkpoint *checkpoint = make(&of, &plain);
    fcl_array *x = draw_noise();
    const guided by = {&of, weight, low, high};
    fcl_sample_options options = {.solver = solver, .steps = steps, .guidance = (float)weight, .guidance_interval = interval};
    char times[64];
    fcl_snprintf(times, sizeof times, "%.9g,%.9g,1", low, high);
    if (!steps) {
        options.rtol = options.atol = 1e-6;
        options.times = interval ? times : NULL;
    }
    fcl_array *to = move(checkpoint, &options, x, LED);
    assert_moved(&by, x, to->data + fcl_shape_size(to->shape) - N * SIZE, by_steps, steps, tolerance);
    fcl_array_destroy(&to);
    fcl_array_destroy(&x);
    fcl_checkpoint_close(&checkpoint);
}

/* Ten steps of Euler ask at 0, 0.1, ..., 0.9: an interval's ends belong to it. */
static void test_fixed_steps(void **state)
{
    (void)state;
    check_interval("euler", NULL, 0, 1, 10, euler, 1e-5);
    check_interval("euler", "0.2,0.5", (double)0.2f, 0.5, 10, euler, 1e-5);
    check_interval("euler", "0.21,0.49", 0.21, 0.49, 10, euler, 1e-5);
    check_interval("euler", "0,0", 0, 0, 10, euler, 1e-5);
    check_interval("euler", "0.9,1", (double)0.9f, 1, 10, euler, 1e-5);
    check_interval("midpoint", "0.12,0.77", 0.12, 0.77, 7, midpoint, 1e-5);
}

/* Each row is at a time of its own. The ends of the interval are jumps of the slope: steps end there. */
static void test_adaptive_steps(void **state)
{
    (void)state;
    check_interval("dopri5", NULL, 0, 1, 0, NULL, 3e-5);
    check_interval("dopri5", "0.3,0.6", (double)0.3f, (double)0.6f, 0, NULL, 4e-3);
}

/* --- a guided label is the label whose row is the guided one --- */

static void assert_alike(const fcl_array *a, const fcl_array *b, double tolerance)
{
    assert_int_equal(fcl_shape_size(a->shape), fcl_shape_size(b->shape));
    for (int64_t i = 0; i < fcl_shape_size(a->shape); i++)
        if (fabs((double)a->data[i] - (double)b->data[i]) > tolerance * (1 + fabs((double)b->data[i])))
            fail_msg("number %d is %.9g, not %.9g", (int)i, (double)a->data[i], (double)b->data[i]);
}

static void check_solver(const fcl_train_options *how, fcl_sample_options options, double tolerance)
{
    const double weight = 2.5;
    rows of = draw_rows(weight);
    fcl_checkpoint *checkpoint = make(&of, how);
    fcl_array *x = draw_noise();
    options.seed = trial_int(0, 1000);
    options.rtol = options.atol = fcl_solver_is_adaptive(options.solver) ? 1e-6 : 0;
    fcl_array *wanted = move(checkpoint, &options, x, MIXED);
    options.guidance = (float)weight;
    fcl_array *got = move(checkpoint, &options, x, LED);
    assert_alike(got, wanted, tolerance);
    options.batch = 4; /* the last part is filled up */
    fcl_array *parts = move(checkpoint, &options, x, LED);
    assert_alike(parts, wanted, tolerance);
    fcl_array **all[] = {&x, &wanted, &got, &parts};
    for (int i = 0; i < 4; i++)
        fcl_array_destroy(all[i]);
    fcl_checkpoint_close(&checkpoint);
}

static void test_solvers(void **state)
{
    (void)state;
    static const char *const solvers[] = {"heun2", "ab2", "euler-maruyama", "dopri5"};
    for (int i = 0; i < 4; i++)
        check_solver(&plain, (fcl_sample_options){.solver = solvers[i]}, 1e-4);
    check_solver(&plain, (fcl_sample_options){.solver = "euler", .path = "cosine", .steps = 20}, 1e-4);
    const fcl_train_options x1 = {.label_drop = 0.1f, .objective = {.prediction = "x1"}};
    const fcl_train_options eps = {.label_drop = 0.1f, .objective = {.prediction = "eps", .path = "cosine"}};
    check_solver(&x1, (fcl_sample_options){.solver = "euler", .steps = 20}, 1e-4);
    check_solver(&eps, (fcl_sample_options){.solver = "heun2", .steps = 20}, 1e-3);
}

/* --- densities --- */

/* v = a x: x(1) = x0 exp(A), A the integral of a, and log p = log N(x0) - D A. */
static void check_density(const char *interval, double low, double high, double tolerance)
{
    const double weight = 2;
    rows of = draw_rows(weight);
    for (int label = 0; label < LABELS; label++)
        of.of[label][1] = 0;
    double inside = high - low, total = inside * of.of[MIXED][0] + (1 - inside) * of.of[LED][0];
    fcl_checkpoint *checkpoint = make(&of, &plain);
    fcl_array *x = draw_noise(), *density;
    int32_t labels[N] = {0};
    fcl_sample_options options = {.guidance = (float)weight, .guidance_interval = interval};
    options.solver = interval ? "midpoint" : "dopri5";
    options.rtol = options.atol = interval ? 0 : 1e-6;
    options.steps = interval ? 100 : 0;
    assert_ok(fcl_log_density(device, checkpoint, &options, x, labels, &density, NULL));
    for (int i = 0; i < N; i++) {
        double wanted = -SIZE * total - SIZE * 0.5 * log(2 * 3.14159265358979323846);
        for (int d = 0; d < SIZE; d++)
            wanted -= 0.5 * pow((double)x->data[i * SIZE + d] * exp(-total), 2);
        assert_true(fabs((double)density->data[2 * i] - wanted) < tolerance * (1 + fabs(wanted)));
    }
    fcl_array_destroy(&density);
    fcl_array_destroy(&x);
    fcl_checkpoint_close(&checkpoint);
}

static void test_density_is_of_the_guided_flow(void **state)
{
    (void)state;
    check_density(NULL, 0, 1, 2e-5);
    check_density("0.25,0.75", 0.25, 0.75, 2e-4);
}

/* --- what is the same, and what is refused --- */

static void test_weight_one_is_the_class(void **state)
{
    (void)state;
    rows of = draw_rows(2);
    fcl_checkpoint *checkpoint = make(&of, &plain);
    fcl_array *a, *b;
    fcl_sample_stats one, none;
    assert_ok(fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 9, .label = "0"}, &a, &none));
    assert_ok(fcl_sample(device, checkpoint, &(fcl_sample_options){.n = 9, .label = "0", .guidance = 1}, &b, &one));
    assert_memory_equal(a->data, b->data, 9 * SIZE * sizeof(float));
    assert_int_equal(one.nfe_maximum, none.nfe_maximum);
    fcl_array_destroy(&a);
    fcl_array_destroy(&b);
    fcl_checkpoint_close(&checkpoint);
}

static void test_labels(void **state)
{
    (void)state;
    rows of = draw_rows(2);
    fcl_checkpoint *checkpoint = make(&of, &plain);
    int32_t *label;
    assert_ok(fcl_sample_labels(checkpoint, &(fcl_sample_options){.n = 7, .label = "1,0"}, &label));
    for (int i = 0; i < 7; i++)
        assert_int_equal(label[i], i < 4 ? 1 : 0);
    fcl_free(label);
    assert_ok(fcl_sample_labels(checkpoint, &(fcl_sample_options){.n = 3, .label = "none"}, &label));
    assert_int_equal(label[2], NONE);
    fcl_free(label);
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_labels(checkpoint, &(fcl_sample_options){.n = 3, .label = "1,,0"}, &label));
    assert_told("label '' is not one of");
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_labels(checkpoint, &(fcl_sample_options){.n = 3, .label = "0,0"}, &label));
    assert_told("label '0' is given twice");
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_labels(checkpoint, &(fcl_sample_options){.n = 1, .label = "0,1"}, &label));
    assert_told("label names 2 classes, more than there are samples: 1");
    fcl_checkpoint_close(&checkpoint);
}

static void assert_refused(const fcl_checkpoint *checkpoint, fcl_sample_options options, const char *sentence)
{
    fcl_array *samples;
    options.n = 2;
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, checkpoint, &options, &samples, NULL));
    assert_told(sentence);
    assert_null(samples);
}

static void test_refusals(void **state)
{
    (void)state;
    rows of = draw_rows(2);
    const fcl_train_options without = {.label_drop = 0};
    fcl_checkpoint *checkpoint = make(&of, &plain), *never = make(&of, &without);
    assert_refused(never, (fcl_sample_options){.guidance = 2}, "it was trained without label-drop");
    assert_refused(never, (fcl_sample_options){.label = "none"}, "it was trained without label-drop");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = 2, .label = "none"}, "has no use with label none");
    assert_refused(checkpoint, (fcl_sample_options){.guidance_interval = "0,1"}, "has no use without guidance");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = 2, .guidance_interval = "0.5"}, "expected two times");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = 2, .guidance_interval = "0.5,0.4"}, "expected two times");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = 2, .guidance_interval = "0,1.5"}, "expected two times");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = 2, .guidance_interval = "0,nan"}, "expected two times");
    assert_refused(checkpoint, (fcl_sample_options){.guidance = -2}, "guidance");
    fcl_checkpoint_close(&never);
    fcl_checkpoint_close(&checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixed_steps),
        cmocka_unit_test(test_adaptive_steps),
        cmocka_unit_test(test_solvers),
        cmocka_unit_test(test_density_is_of_the_guided_flow),
        cmocka_unit_test(test_weight_one_is_the_class),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
