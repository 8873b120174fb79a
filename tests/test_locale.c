/* What a device computes, and what files say of it, in locales with another decimal point: bit for bit as in
 * C's. */
#include "foreign.h"
#include "scratch.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <string.h>

static fcl_device *device;

/* With a table of products of the test's own. */
static int setup(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    setenv("XDG_CACHE_HOME", scratch_path("cache"), 1);
    if (fcl_device_open(NULL, NULL, &device) == FCL_OK)
        return 0;
    print_error("%s\n", fcl_error());
    return -1;
}

static int teardown(void **state)
{
    foreign_leave();
    fcl_device_close(&device);
    return scratch_teardown(state);
}

/* --- constants in kernels --- */

static void kernels_have_a_point(void **state)
{
    (void)state;
    static const float content[] = {-3, -0.5f, 0.0625f, 2};
    for (int i = 0; i < FOREIGN_LOCALES; i++) {
        foreign_enter(i);
        float result[4];
        fcl_graph *graph = fcl_graph_create();
        fcl_tensor *x = fcl_input_filled(graph, "x", FCL_SHAPE(4), content);
        fcl_tensor *y = fcl_output(fcl_shift(fcl_scale(fcl_sub(x, fcl_constant(graph, 0.3f)), 1.7f), 40.6f));
        assert_ok(fcl_graph_compile(graph, device, NULL));
        assert_ok(fcl_graph_run(graph));
        assert_ok(fcl_tensor_read(y, result));
        for (int k = 0; k < 4; k++)
            assert_true(fabs(result[k] - ((content[k] - 0.3) * 1.7 + 40.6)) < 1e-5);
        fcl_graph_destroy(&graph);
        foreign_leave();
    }
}

/* --- a run: training, what is kept of it, samples, densities --- */

typedef struct outcome {
    fcl_array *samples, *density;
    char *config, *explanation;
} outcome;

static void outcome_free(outcome *o)
{
    fcl_array_destroy(&o->samples);
    fcl_array_destroy(&o->density);
    free(o->config);
    fcl_free(o->explanation);
}

static void train(const char *folder)
{
    fcl_train_options options = {
        .data = "moons",
        .data_count = 200,
        .out = scratch_path(folder),
        .steps = 8,
        .batch = 32,
        .lr = 0.0125f,
        .weight_decay = 0.03f,
        .model = {.width = 8, .depth = 2, .time_features = 2, .time_frequency = 1.5f},
        .objective = {.path = "alpha = t^1.25, sigma = 1 - t^1.25",
                      .coupling = "sinkhorn",
                      .reg = 0.375f,
                      .time = "logit-normal(0.25, 1.5)",
                      .time_shift = 1.75f,
                      .weight = "1/(0.5 + t)",
                      .loss = "huber(0.625)"}};
    assert_ok(fcl_train(&options, NULL));
}

static outcome run(const char *folder)
{
    outcome o = {0};
    fcl_checkpoint *checkpoint;
    train(folder);
    assert_ok(fcl_checkpoint_open(scratch_path(folder), &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    o.config = strdup(info->config);
    assert_ok(fcl_cfm_explain(&info->options->objective, &o.explanation));
    fcl_sample_options how = {.n = 20, .solver = "heun2", .steps = 4, .grid = "edm:6.5"};
    assert_ok(fcl_sample_density(device, checkpoint, &how, &o.samples, &o.density, NULL));
    fcl_checkpoint_close(&checkpoint);
    return o;
}

static void assert_same(const fcl_array *a, const fcl_array *b)
{
    assert_int_equal(fcl_shape_size(a->shape), fcl_shape_size(b->shape));
    assert_memory_equal(a->data, b->data, (size_t)fcl_shape_size(a->shape) * sizeof *a->data);
}

static void runs_are_the_same(void **state)
{
    (void)state;
    outcome here = run("C");
    assert_non_null(strstr(here.config, "\"lr\": 0.0125,"));
    for (int i = 0; i < FOREIGN_LOCALES; i++) {
        foreign_enter(i);
        outcome there = run(foreign_locales[i]);
        foreign_leave();
        assert_same(there.samples, here.samples);
        assert_same(there.density, here.density);
        assert_string_equal(there.config, here.config);
        assert_string_equal(there.explanation, here.explanation);
        outcome_free(&there);
    }
    outcome_free(&here);
}

/* --- the table of tuned products --- */

static void tables_are_read_again(void **state)
{
    (void)state;
    static const fcl_product product = {.m = 40, .n = 24, .k = 20};
    char text[4096];
    for (int i = 0; i < FOREIGN_LOCALES; i++) {
        foreign_enter(i);
        char *path;
        fcl_device *again;
        fcl_tune_keep(device, &product, 0, 0.0078125, 0.25);
        assert_ok(fcl_tune_save(device, &path));
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        fcl_free(path);
        assert_non_null(strstr(text, "\"seconds\": 0.0078125, \"rule_seconds\": 0.25}"));
        assert_ok(fcl_device_open(NULL, NULL, &again));
        assert_string_equal(fcl_device_describe(again)->tuning, "");
        fcl_device_close(&again);
        foreign_leave();
    }
}

int main(void)
{
    if (!setlocale(LC_ALL, foreign_locales[0]))
        return 77; /* localedef, or its sources, are not installed */
    foreign_leave();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_have_a_point),
        cmocka_unit_test(runs_are_the_same),
        cmocka_unit_test(tables_are_read_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
