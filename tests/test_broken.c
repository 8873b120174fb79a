/* Steps that are not finite: what broke is named, and the training stops as it was, or skips them. */
#include "opencl_calls.h"
#include "rig.h"

#include "train/trainer.h"

#include <flowcl/flowcl.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 60, BATCH = 8, WIDTH = 16 };

/* Points of which one, or all, became NaN after they were checked. */
static fcl_dataset *make_data(int64_t broken)
{
    float x[SAMPLES][2];
    for (int i = 0; i < SAMPLES; i++)
        for (int k = 0; k < 2; k++)
            x[i][k] = (float)trial_normal();
    const fcl_dataset given = {.name = "mine", .count = SAMPLES, .shape = FCL_SHAPE(2), .values = x[0]};
    fcl_dataset *data;
    assert_ok(fcl_dataset_from(&given, &data));
    float *values = (float *)data->values;
    for (int64_t i = 0; i < SAMPLES; i++)
        if (i == broken || broken == SAMPLES)
            values[2 * i + trial_int(0, 1)] = NAN;
    return data;
}

static fcl_train_options small(const char *on_nan)
{
    return (fcl_train_options){.normalise = "off",
                               .steps = 200,
                               .batch = BATCH,
                               .accumulate = trial_int(1, 2),
                               .seed = (uint64_t)trial_int(0, 1 << 20),
                               .clip = 0.5f,
                               .ema = "0.9,0.99",
                               .on_nan = on_nan,
                               .model = {.width = WIDTH, .depth = 2}};
}

static fcl_trainer *make_trainer(const fcl_dataset *data, const fcl_train_options *options)
{
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    return trainer;
}

/* Whether a step draws the sample. */
static bool draws(const fcl_trainer *trainer, int64_t step, int64_t sample)
{
    bool drawn = false;
    for (int64_t row = 0; row < BATCH; row++)
        drawn |= fcl_batch_sample(&trainer->feed.data, step, row) == sample;
    return drawn;
}

/* Weights, averages and moments, one after the other. */
static char *read_states(const fcl_trainer *trainer, size_t *bytes)
{
    const fcl_learner *learner = trainer->learner;
    size_t one = fcl_params_bytes(learner->params);
    char *all = malloc(one * FCL_ALL_STATES);
    *bytes = 0;
    for (int i = 0; i < FCL_ALL_STATES; i++)
        if (learner->state[i]) {
            assert_ok(fcl_buffer_read(learner->state[i], 0, one, all + *bytes));
            *bytes += one;
        }
    return all;
}

/* The buffers as the first bad step finds them; returns which it is. */
static int64_t step_to_bad(fcl_trainer *trainer, int64_t sample, char **before)
{
    size_t bytes;
    while (!draws(trainer, fcl_trainer_steps(trainer), sample))
        assert_ok(fcl_trainer_step(trainer));
    *before = read_states(trainer, &bytes);
    return fcl_trainer_steps(trainer);
}

/* Of the first part of a step that has the sample: which of its rows, in words. */
static void tell_rows(const fcl_trainer *trainer, int64_t step, int64_t sample, size_t size, char *text)
{
    int64_t rows = BATCH / trainer->options.accumulate, hits = 0;
    for (int64_t first = 0; first < BATCH && !hits; first += rows)
        for (int64_t row = first; row < first + rows; row++)
            hits += fcl_batch_sample(&trainer->feed.data, step, row) == sample;
    snprintf(text, size, ", in %lld of the %lld rows of %s, of which the first is sample %lld of mine (from 0)", (long long)hits,
             (long long)rows, rows == BATCH ? "the batch" : "this part of the batch", (long long)sample);
}

/* The sample that broke a step is named, however late the loss is read, and nothing has changed since. */
static void test_sample_is_named(void **state)
{
    (void)state;
    int64_t sample = trial_int(0, SAMPLES - 1);
    fcl_dataset *data = make_data(sample);
    fcl_train_options options = small(NULL);
    fcl_trainer *trainer = make_trainer(data, &options);
    char *before, named[160], step[64];
    size_t bytes;
    double loss;
    int64_t bad = step_to_bad(trainer, sample, &before);
    for (int i = 0; i < 5; i++)
        assert_ok(fcl_trainer_step(trainer));
    tell_rows(trainer, bad, sample, sizeof named, named);
    snprintf(step, sizeof step, "the loss became nan at step %lld (", (long long)bad + 1);
    for (int time = 0; time < 2; time++) {
        assert_status(FCL_ERR_NUMERIC, fcl_trainer_loss(trainer, &loss));
        assert_told(step);
        assert_told("what broke first is ");
        assert_told("'x1' of shape (");
        assert_told(named);
    }
    char *after = read_states(trainer, &bytes);
    assert_memory_equal(before, after, bytes);
    free(before);
    free(after);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

static void set_slice(fcl_trainer *trainer, const char *name, float value)
{
    const fcl_params *params = fcl_model_params(fcl_trainer_model(trainer));
    for (int i = 0; i < fcl_params_count(params); i++) {
        const fcl_param *slice = fcl_params_at(params, i);
        int64_t count = fcl_shape_size(slice->shape);
        if (strcmp(slice->name, name) != 0)
            continue;
        float *values = malloc((size_t)count * sizeof *values);
        for (int64_t k = 0; k < count; k++)
            values[k] = value;
        assert_ok(fcl_buffer_write(fcl_trainer_weights(trainer), slice->offset,
                                   (size_t)count * sizeof *values, values));
        free(values);
        return;
    }
    fail_msg("no slice is called %s", name);
}

/* Trains a step and holds the message against what broke. */
static void check_step_told(fcl_trainer *trainer, const char *what)
{
    double loss;
    assert_ok(fcl_trainer_step(trainer));
    assert_status(FCL_ERR_NUMERIC, fcl_trainer_loss(trainer, &loss));
    assert_told(what);
    fcl_trainer_destroy(&trainer);
}

/* Of sixteen finite activations the sum overflows; of a gradient its squares; and a weight is broken by
 * itself. */
static void test_tensor_is_named(void **state)
{
    (void)state;
    fcl_dataset *data = make_data(-1);
    fcl_train_options options = small(NULL);
    fcl_trainer *layer = make_trainer(data, &options);
    set_slice(layer, "layers.0.weight", 0);
    set_slice(layer, "layers.0.bias", FLT_MAX / 4);
    set_slice(layer, "layers.1.weight", 1);
    check_step_told(layer, "what broke first is matmul of 'layers.1.weight' of shape (");
    fcl_trainer *squares = make_trainer(data, &options);
    set_slice(squares, "layers.2.bias", 1e15f);
    set_slice(squares, "layers.1.bias", 1e10f);
    check_step_told(squares, "what broke first is the sum of the gradient's squares: each value of the step "
                             "itself is finite, and the "
                             "gradient of layers.");
    fcl_trainer *weight = make_trainer(data, &options);
    set_slice(weight, "layers.1.weight", INFINITY);
    check_step_told(weight, "what broke first is layers.1.weight became inf");
    fcl_dataset_destroy(&data);
}

/* Every bit stays in a step that is skipped, and changes in the others; the device is asked for as much. */
static void test_skip(void **state)
{
    (void)state;
    enum { STEPS = 24 };
    int64_t sample = trial_int(0, SAMPLES - 1), skipped = 0;
    fcl_dataset *data = make_data(sample), *sound = make_data(-1);
    fcl_train_options options = small("skip"), stop = options;
    stop.on_nan = "stop";
    fcl_trainer *trainer = make_trainer(data, &options), *plain = make_trainer(sound, &stop);
    size_t bytes;
    double loss;
    char *before = read_states(trainer, &bytes);
    for (int64_t step = 0; step < STEPS; step++) {
        bool bad = draws(trainer, step, sample);
        calls = (opencl_calls){0};
        assert_ok(fcl_trainer_step(plain));
        opencl_calls wanted = calls;
        calls = (opencl_calls){0};
        assert_ok(fcl_trainer_step(trainer));
        assert_true(calls.launches == wanted.launches && calls.writes == wanted.writes);
        char *after = read_states(trainer, &bytes);
        assert_true((memcmp(before, after, bytes) == 0) == bad);
        free(before);
        before = after;
        skipped += bad;
    }
    assert_ok(fcl_trainer_loss(trainer, &loss));
    assert_true(isfinite(loss) && fcl_trainer_steps(trainer) == STEPS);
    assert_int_equal(fcl_learner_skipped(trainer->learner), skipped);
    free(before);
    fcl_trainer_destroy(&trainer);
    fcl_trainer_destroy(&plain);
    fcl_dataset_destroy(&data);
    fcl_dataset_destroy(&sound);
}

/* A run that is resumed between skipped steps goes on bit for bit. */
static void test_skip_resumes(void **state)
{
    (void)state;
    enum { STEPS = 20 };
    fcl_dataset *data = make_data(trial_int(0, SAMPLES - 1));
    fcl_train_options options = small("skip");
    const int turn = trial_int(1, STEPS - 1);
    fcl_trainer *whole = make_trainer(data, &options), *first = make_trainer(data, &options),
                *second = make_trainer(data, &options);
    for (int step = 0; step < STEPS; step++)
        assert_ok(fcl_trainer_step(whole));
    for (int step = 0; step < turn; step++)
        assert_ok(fcl_trainer_step(first));
    assert_ok(fcl_trainer_save(first, scratch_path("turn.safetensors")));
    assert_ok(fcl_trainer_resume(second, scratch_path("turn.safetensors")));
    for (int step = turn; step < STEPS; step++)
        assert_ok(fcl_trainer_step(second));
    size_t bytes;
    char *a = read_states(whole, &bytes), *b = read_states(second, &bytes);
    assert_memory_equal(a, b, bytes);
    free(a);
    free(b);
    fcl_trainer_destroy(&whole);
    fcl_trainer_destroy(&first);
    fcl_trainer_destroy(&second);
    fcl_dataset_destroy(&data);
}

/* What is left does not mend itself. */
static void test_too_many_skips(void **state)
{
    (void)state;
    fcl_dataset *data = make_data(SAMPLES);
    fcl_train_options options = small("skip");
    fcl_trainer *trainer = make_trainer(data, &options);
    double loss;
    for (int step = 0; step < FCL_MOST_SKIPS - 1; step++)
        assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_trainer_loss(trainer, &loss));
    assert_true(isnan(loss));
    assert_ok(fcl_trainer_step(trainer));
    assert_status(FCL_ERR_NUMERIC, fcl_trainer_loss(trainer, &loss));
    assert_told("at step 50, the last of 50 in a row");
    assert_told("'x1'");
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

/* A trainer whose step was explained goes on from a checkpoint as if nothing had been. */
static void test_goes_on(void **state)
{
    (void)state;
    int64_t sample = trial_int(0, SAMPLES - 1);
    fcl_dataset *data = make_data(sample);
    fcl_train_options options = small(NULL);
    fcl_trainer *trainer = make_trainer(data, &options);
    size_t bytes;
    double loss;
    assert_ok(fcl_trainer_save(trainer, scratch_path("begin.safetensors")));
    char *wanted, *found;
    int64_t bad = step_to_bad(trainer, sample, &wanted);
    assert_ok(fcl_trainer_step(trainer));
    assert_status(FCL_ERR_NUMERIC, fcl_trainer_loss(trainer, &loss));
    assert_ok(fcl_trainer_resume(trainer, scratch_path("begin.safetensors")));
    for (int64_t step = 0; step < bad; step++)
        assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_trainer_loss(trainer, &loss));
    found = read_states(trainer, &bytes);
    assert_memory_equal(wanted, found, bytes);
    free(wanted);
    free(found);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

/* Steps go back, to be explained and on from a checkpoint, while the pairs of a later one are still being sought. */
static void test_pairs_go_back(void **state)
{
    (void)state;
    enum { MANY = 1200, STEPS = 2 };
    float *x = malloc(2 * MANY * sizeof *x);
    for (int i = 0; i < 2 * MANY; i++)
        x[i] = (float)trial_normal();
    const fcl_dataset given = {.name = "mine", .count = MANY, .shape = FCL_SHAPE(2), .values = x};
    fcl_dataset *data;
    assert_ok(fcl_dataset_from(&given, &data));
    fcl_train_options options = small(NULL);
    options.batch = MANY / 2;
    options.accumulate = 1;
    options.objective.coupling = "ot";
    fcl_trainer *trainer = make_trainer(data, &options);
    char *wanted = NULL, *found;
    size_t bytes;
    double loss;
    assert_ok(fcl_trainer_save(trainer, scratch_path("begin.safetensors")));
    for (int time = 0; time < 2; time++) {
        for (int step = 0; step < STEPS; step++)
            assert_ok(fcl_trainer_step(trainer));
        found = read_states(trainer, &bytes);
        if (wanted)
            assert_memory_equal(wanted, found, bytes);
        free(wanted);
        wanted = found;
        if (time % 2)
            set_slice(trainer, "layers.1.weight", INFINITY);
        assert_ok(fcl_trainer_step(trainer)); /* asks for the pairs of the next, and waits for nothing */
        if (time % 2) {
            assert_status(FCL_ERR_NUMERIC, fcl_trainer_loss(trainer, &loss));
            assert_told("what broke first is layers.1.weight became inf");
        }
        assert_ok(fcl_trainer_resume(trainer, scratch_path("begin.safetensors")));
    }
    free(wanted);
    free(x);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_is_named),
        cmocka_unit_test(test_tensor_is_named),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_resumes),
        cmocka_unit_test(test_too_many_skips),
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_pairs_go_back),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
