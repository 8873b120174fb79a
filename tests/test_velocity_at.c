/* The velocity of checkpoints at given points and times: it is what Euler's steps go along. */
#include "rig.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

enum { STEPS = 5, N = 7, ROWS = STEPS * N };

/* A network that has learned little, of pairs of numbers. */
static const char *train(const char *name, fcl_train_options options)
{
    options.data = options.data ? options.data : "moons";
    options.data_count = 500;
    options.out = scratch_path(name);
    options.model = (fcl_model_options){.width = 16, .depth = 2};
    options.batch = 32;
    options.steps = 20;
    assert_ok(fcl_train(&options, NULL));
    return options.out;
}

/* The points where Euler's steps begin, neighbours at different times, and the differences that follow. */
typedef struct steps {
    fcl_checkpoint *checkpoint;
    fcl_array *x, *t, *ways; /* (ROWS, 2), (ROWS), (STEPS + 1, N, 2) */
    int32_t *label;          /* (ROWS), or NULL */
} steps;

static void take_steps(const char *path, const fcl_sample_options *how, steps *taken)
{
    int32_t *label;
    fcl_sample_options options = *how;
    options.n = N;
    options.solver = "euler";
    options.steps = STEPS;
    options.times = "steps";
    assert_ok(fcl_checkpoint_open(path, &taken->checkpoint));
    assert_ok(fcl_sample(device, taken->checkpoint, &options, &taken->ways, NULL));
    assert_ok(fcl_sample_labels(taken->checkpoint, &options, &label));
    assert_ok(fcl_array_create(FCL_SHAPE(ROWS, 2), &taken->x));
    assert_ok(fcl_array_create(FCL_SHAPE(ROWS), &taken->t));
    taken->label = label ? calloc(ROWS, sizeof *taken->label) : NULL;
    for (int i = 0; i < ROWS; i++) {
        int k = i % STEPS, of = i / STEPS;
        taken->x->data[2 * i] = taken->ways->data[2 * (k * N + of)];
        taken->x->data[2 * i + 1] = taken->ways->data[2 * (k * N + of) + 1];
        taken->t->data[i] = (float)k / STEPS;
        if (label)
            taken->label[i] = label[of];
    }
    fcl_free(label);
}

static void drop(steps *taken)
{
    fcl_array_destroy(&taken->x);
    fcl_array_destroy(&taken->t);
    fcl_array_destroy(&taken->ways);
    free(taken->label);
    fcl_checkpoint_close(&taken->checkpoint);
}

/* Of the first `count` steps; also of more than one part, the last of them not full. */
static void hold_first(int count, const char *path, const fcl_sample_options *how)
{
    steps taken;
    fcl_array *v;
    fcl_sample_options options = *how;
    options.batch = 16;
    take_steps(path, how, &taken);
    assert_ok(fcl_velocity_at(device, taken.checkpoint, &options, taken.x, taken.t, taken.label, &v));
    assert_true(v->shape.rank == 2 && v->shape.dim[0] == ROWS && v->shape.dim[1] == 2);
    for (int i = 0; i < 2 * ROWS; i++) {
        int k = i / 2 % STEPS, of = i / 2 / STEPS;
        double begin = (double)taken.x->data[i], end = (double)taken.ways->data[2 * ((k + 1) * N + of) + i % 2];
        double rounding = 4e-7 * STEPS * (fabs(begin) + fabs(end)) + 1e-5 * fabs(STEPS * (end - begin)) + 1e-5;
        if (k < count)
            assert_true(fabs((double)v->data[i] - STEPS * (end - begin)) <= rounding);
    }
    fcl_array_destroy(&v);
    drop(&taken);
}

static void hold(const char *path, const fcl_sample_options *how)
{
    hold_first(STEPS, path, how);
}

static void test_is_what_euler_goes_along(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)rand();
    hold(train("plain", (fcl_train_options){0}), &(fcl_sample_options){.seed = seed});
    hold(scratch_path("plain"), &(fcl_sample_options){.seed = seed, .ema = "no"});
    /* Where what the network predicts is turned into the velocity a solver's last step ends on the data that it predicts. */
    hold_first(STEPS - 1, scratch_path("plain"), &(fcl_sample_options){.seed = seed, .path = "cosine"});
    hold_first(STEPS - 1, train("x1", (fcl_train_options){.objective.prediction = "x1"}), &(fcl_sample_options){.seed = seed});
    hold(train("labels", (fcl_train_options){.labels = true, .label_drop = 0.2f}), &(fcl_sample_options){.seed = seed});
    hold(scratch_path("labels"), &(fcl_sample_options){.seed = seed, .label = "1", .guidance = 2.5f});
    hold(scratch_path("labels"), &(fcl_sample_options){.seed = seed, .guidance = 2, .guidance_interval = "0.3,0.7"});
}

/* Points and velocities are in the data's units, which differ by column. */
static void test_units(void **state)
{
    fcl_array *data;
    (void)state;
    assert_ok(fcl_array_create(FCL_SHAPE(600, 2), &data));
    for (int i = 0; i < 1200; i++)
        data->data[i] = i % 2 ? 300 + 50 * (float)rand() / (float)RAND_MAX : 0.01f * (float)rand() / (float)RAND_MAX;
    char path[600];
    snprintf(path, sizeof path, "%s", scratch_path("units.npy"));
    assert_ok(fcl_samples_write(path, data, NULL));
    fcl_array_destroy(&data);
    steps taken;
    fcl_array *v;
    take_steps(train("units", (fcl_train_options){.data = path, .normalise = "columns"}), &(fcl_sample_options){0}, &taken);
    assert_ok(fcl_velocity_at(device, taken.checkpoint, NULL, taken.x, taken.t, NULL, &v));
    for (int i = 0; i < 2 * ROWS; i++) {
        int k = i / 2 % STEPS, of = i / 2 / STEPS;
        double unit = i % 2 ? 50 : 0.01, begin = (double)taken.x->data[i];
        double step = STEPS * ((double)taken.ways->data[2 * ((k + 1) * N + of) + i % 2] - begin);
        assert_true(fabs(step) < 100 * unit && fabs((double)v->data[i] - step) <= 1e-4 * (unit + fabs(step)));
    }
    fcl_array_destroy(&v);
    drop(&taken);
}

static void test_refuses(void **state)
{
    (void)state;
    steps taken;
    fcl_array *v;
    take_steps(train("refuses", (fcl_train_options){0}), &(fcl_sample_options){0}, &taken);
    taken.t->data[3] = 1.5f;
    assert_status(FCL_ERR_ARGUMENT, fcl_velocity_at(device, taken.checkpoint, NULL, taken.x, taken.t, NULL, &v));
    assert_told("the time of sample 4 is 1.5, and not from 0 to 1");
    assert_null(v);
    taken.t->data[3] = 1;
    taken.t->shape.dim[0]--;
    assert_status(FCL_ERR_SHAPE, fcl_velocity_at(device, taken.checkpoint, NULL, taken.x, taken.t, NULL, &v));
    assert_told("34 times are given for 35 samples");
    taken.t->shape.dim[0]++;
    assert_status(FCL_ERR_ARGUMENT, fcl_velocity_at(device, taken.checkpoint, &(fcl_sample_options){.guidance = 2}, taken.x,
                                                    taken.t, NULL, &v));
    taken.x->data[5] = NAN;
    assert_status(FCL_ERR_NUMERIC, fcl_velocity_at(device, taken.checkpoint, NULL, taken.x, taken.t, NULL, &v));
    assert_told("1 of 35 velocities are not finite");
    assert_true(isfinite(v->data[0]) && isnan(v->data[4]));
    fcl_array_destroy(&v);
    drop(&taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_what_euler_goes_along),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
