/* Classes of data and of samples: their shares, those without samples, and checkpoints that do not know them.
 */
#include "rig.h"

#include "train/checkpoint.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <stdlib.h>

/* --- how many of each --- */

/* After each number of draws, each class has been drawn as often as its share says, to less than one. */
static void assert_in_shares(int classes, const int64_t *counts, int n, const int32_t *label)
{
    double total = 0;
    int *drawn = calloc((size_t)classes, sizeof *drawn);
    for (int k = 0; k < classes; k++)
        total += (double)counts[k];
    for (int i = 0; i < n; i++) {
        assert_in_range(label[i], 0, classes - 1);
        drawn[label[i]]++;
        for (int k = 0; k < classes; k++)
            assert_true(fabs(drawn[k] - (i + 1) * (double)counts[k] / total) < 1);
    }
    free(drawn);
}

static void test_draws_in_shares(void **state)
{
    (void)state;
    enum { MOST = 60, N = 700 };
    int32_t label[N];
    for (int round = 0; round < 40; round++) {
        int64_t counts[MOST];
        int classes = trial_int(1, MOST), largest = trial_int(0, 1) ? 3 : 1000000;
        for (int k = 0; k < classes; k++)
            counts[k] = trial_int(0, 2) ? trial_int(1, largest) : 0;
        counts[trial_int(0, classes - 1)] = 1; /* one at least */
        fcl_class_draw(classes, counts, N, label);
        assert_in_shares(classes, counts, N, label);
    }
}

static void test_equal_shares_take_turns(void **state)
{
    (void)state;
    int32_t label[30];
    fcl_class_draw(7, NULL, 30, label);
    for (int i = 0; i < 30; i++)
        assert_int_equal(label[i], i % 7);
    fcl_class_draw(6, (const int64_t[]){0, 9, 9, 0, 9, 0}, 30, label);
    for (int i = 0; i < 30; i++)
        assert_int_equal(label[i], ((const int[]){1, 2, 4})[i % 3]);
    fcl_class_draw(3, (const int64_t[]){0, 5, 0}, 30, label);
    for (int i = 0; i < 30; i++)
        assert_int_equal(label[i], 1);
}

static void assert_list(const char *expected, int classes, const int64_t *counts, bool empty)
{
    char *list = fcl_class_list(classes, NULL, counts, empty);
    assert_string_equal(list, expected);
    fcl_free(list);
}

static void test_lists(void **state)
{
    (void)state;
    const int64_t counts[] = {0, 3, 1, 4, 0, 0, 2};
    assert_list("1 to 3, 6", 7, counts, false);
    assert_list("0, 4 to 5", 7, counts, true);
    assert_list("0 to 4", 5, NULL, false);
    assert_list("", 5, NULL, true);
    assert_int_equal(fcl_class_existing(7, counts), 4);
}

/* --- from data to a checkpoint --- */

enum { COUNT = 100, CLASSES = 6 };
static const int64_t own[CLASSES] = {0, 70, 0, 25, 5, 0}; /* samples of each class */

static fcl_dataset make_data(float *values, int32_t *label)
{
    int n = 0;
    for (int k = 0; k < CLASSES; k++)
        for (int i = 0; i < own[k]; i++)
            label[n++] = k;
    for (int i = 0; i < 2 * COUNT; i++)
        values[i] = (float)trial_normal();
    return (fcl_dataset){.name = "own",
                         .count = COUNT,
                         .shape = FCL_SHAPE(2),
                         .values = values,
                         .label = label,
                         .classes = CLASSES};
}

static const fcl_train_options small = {
    .data = "own", .labels = true, .steps = 2, .batch = 16, .model = {.width = 8, .depth = 1}};

static int keep_samples(void *data, int64_t step, const fcl_array *samples)
{
    (void)step;
    fcl_array **kept = data;
    assert_ok(fcl_array_create(samples->shape, kept));
    memcpy((*kept)->data, samples->data, sizeof(float) * (size_t)fcl_shape_size(samples->shape));
    return FCL_OK;
}

/* Trains, saves, and keeps what the hook was shown. */
static fcl_checkpoint *train(const char *name, fcl_array **shown)
{
    float values[2 * COUNT];
    int32_t label[COUNT];
    fcl_dataset data = make_data(values, label);
    fcl_trainer *trainer;
    fcl_train_hooks hooks = {.data = shown, .samples = 40, .sampled = keep_samples};
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_trainer_create(device, &data, &small, &trainer));
    assert_ok(fcl_trainer_run(trainer, &hooks));
    assert_ok(fcl_trainer_save(trainer, scratch_path(name)));
    fcl_trainer_destroy(&trainer);
    assert_ok(fcl_checkpoint_open(scratch_path(name), &checkpoint));
    return checkpoint;
}

static void assert_same(const fcl_array *a, const fcl_array *b)
{
    assert_int_equal(fcl_shape_size(a->shape), fcl_shape_size(b->shape));
    for (int64_t i = 0; i < fcl_shape_size(a->shape); i++)
        assert_true(fabsf(a->data[i] - b->data[i]) < 1e-5f);
}

/* The samples of a file, of a picture while training, and those in parts are of the classes that are told. */
static void test_checkpoint_knows(void **state)
{
    (void)state;
    fcl_array *shown, *whole, *parts, *given, *noise;
    fcl_checkpoint *checkpoint = train("own.safetensors", &shown);
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_sample_options options = {.n = 40}, in_parts = {.n = 40, .batch = 7};
    int32_t *label;
    assert_int_equal(info->classes, CLASSES);
    assert_memory_equal(info->class_counts, own, sizeof own);
    assert_ok(fcl_sample_labels(checkpoint, &options, &label));
    assert_in_shares(CLASSES, own, 40, label);
    assert_ok(fcl_sample(device, checkpoint, &options, &whole, NULL));
    assert_ok(fcl_sample(device, checkpoint, &in_parts, &parts, NULL));
    assert_same(whole, parts);
    assert_same(whole, shown);
    assert_ok(fcl_transport(device, checkpoint, &options, whole, label, true, &noise, NULL));
    assert_ok(fcl_transport(device, checkpoint, &options, whole, NULL, true, &given, NULL));
    assert_same(noise, given);
    fcl_array **arrays[] = {&shown, &whole, &parts, &given, &noise};
    for (int i = 0; i < 5; i++)
        fcl_array_destroy(arrays[i]);
    fcl_free(label);
    fcl_checkpoint_close(&checkpoint);
}

static void test_empty_classes_are_refused(void **state)
{
    (void)state;
    fcl_array *shown, *samples;
    fcl_checkpoint *checkpoint = train("own.safetensors", &shown);
    int32_t *labels, label[40] = {3};
    label[0] = label[1] = 1;
    label[2] = 2;
    fcl_sample_options options = {.n = 40, .label = "2"};
    assert_status(FCL_ERR_ARGUMENT, fcl_sample(device, checkpoint, &options, &samples, NULL));
    assert_told("'2' is not one of the model's classes, 1, 3 to 4");
    assert_null(samples);
    assert_status(FCL_ERR_ARGUMENT, fcl_sample_labels(checkpoint, &options, &labels));
    options.label = NULL;
    assert_status(FCL_ERR_ARGUMENT,
                  fcl_transport(device, checkpoint, &options, shown, label, true, &samples, NULL));
    assert_told("label 2 of sample 2 is not one of the model's classes, 1, 3 to 4");
    fcl_array_destroy(&shown);
    fcl_checkpoint_close(&checkpoint);
}

/* One that was written before shares stood in it has its classes in turn. */
static void test_checkpoint_without_shares(void **state)
{
    (void)state;
    fcl_array *shown;
    fcl_checkpoint *checkpoint = train("own.safetensors", &shown), *older;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_snapshot snapshot = {
        .options = info->options, .model = info->model, .device = info->device, .step = info->step};
    for (fcl_state kind = 0; kind < FCL_STATES; kind++) {
        assert_ok(fcl_buffer_create(device, fcl_params_bytes(fcl_model_params(info->model)),
                                    &snapshot.state[kind]));
        assert_ok(fcl_checkpoint_load(checkpoint, kind, snapshot.state[kind]));
    }
    assert_ok(fcl_checkpoint_save(scratch_path("older.safetensors"), &snapshot));
    assert_ok(fcl_checkpoint_open(scratch_path("older.safetensors"), &older));
    assert_null(fcl_checkpoint_describe(older)->class_counts);
    int32_t *label;
    assert_ok(fcl_sample_labels(older, &(fcl_sample_options){.n = 20}, &label));
    for (int i = 0; i < 20; i++)
        assert_int_equal(label[i], i % CLASSES);
    fcl_free(label);
    for (int i = 0; i < FCL_STATES; i++)
        fcl_buffer_destroy(&snapshot.state[i]);
    fcl_array_destroy(&shown);
    fcl_checkpoint_close(&older);
    fcl_checkpoint_close(&checkpoint);
}

static void test_labels_outside(void **state)
{
    (void)state;
    float values[2 * COUNT];
    int32_t label[COUNT];
    fcl_dataset data = make_data(values, label);
    fcl_trainer *trainer;
    label[17] = CLASSES;
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_create(device, &data, &small, &trainer));
    assert_told("the label of sample 17 is 6");
    label[17] = -1;
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_create(device, &data, &small, &trainer));
    assert_told("the label of sample 17 is -1");
}

/* --- labels that are left out --- */

static fcl_train_options dropping(float share, int accumulate)
{
    fcl_train_options options = small;
    options.steps = 6;
    options.label_drop = share;
    options.accumulate = accumulate;
    return options;
}

/* The weights after steps `from` to `to`, of a checkpoint gone on from, or, where it is NULL, from the beginning; saved as
 * `name`. */
static float *trained_weights(const fcl_train_options *options, const char *before, int to, const char *name, int64_t *count)
{
    float values[2 * COUNT];
    int32_t label[COUNT];
    for (int i = 0; i < 2 * COUNT; i++)
        values[i] = (float)((i * 37) % 101 - 50) / 25;
    fcl_dataset data = make_data((float[2 * COUNT]){0}, label);
    data.values = values;
    fcl_trainer *trainer;
    assert_ok(fcl_trainer_create(device, &data, options, &trainer));
    if (before)
        assert_ok(fcl_trainer_resume(trainer, scratch_path(before)));
    while (fcl_trainer_steps(trainer) < to)
        assert_ok(fcl_trainer_step(trainer));
    assert_ok(fcl_trainer_save(trainer, scratch_path(name)));
    size_t bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *weights = malloc(bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, bytes, weights));
    fcl_trainer_destroy(&trainer);
    *count = (int64_t)(bytes / sizeof *weights);
    return weights;
}

static double largest_difference(const float *a, const float *b, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)a[i] - (double)b[i]));
    return largest;
}

/* Which rows are dropped depends on step and row alone: a resumed run is the same bit for bit, one in parts up to
 * rounding; and dropping others, or none, is neither. */
static void test_drops_are_counted(void **state)
{
    (void)state;
    const fcl_train_options half = dropping(0.5f, 1), parts = dropping(0.5f, 4), less = dropping(0.4f, 1);
    int64_t count, same;
    float *whole = trained_weights(&half, NULL, 6, "whole.safetensors", &count);
    float *begun = trained_weights(&half, NULL, 3, "begun.safetensors", &same);
    float *resumed = trained_weights(&half, "begun.safetensors", 6, "resumed.safetensors", &same);
    float *apart = trained_weights(&parts, NULL, 6, "parts.safetensors", &same);
    float *other = trained_weights(&less, "begun.safetensors", 6, "other.safetensors", &same); /* a rate may change */
    assert_int_equal(count, same);
    assert_memory_equal(whole, resumed, (size_t)count * sizeof *whole);
    assert_true(largest_difference(whole, apart, count) < 2e-4);
    assert_true(largest_difference(whole, other, count) > 2e-3);
    float *all[] = {whole, begun, resumed, apart, other};
    for (int i = 0; i < 5; i++)
        free(all[i]);
}

/* The checkpoint knows the label of no class, samples of it are none of a class's, and it is not one of the classes. */
static void test_checkpoint_knows_no_class(void **state)
{
    (void)state;
    const fcl_train_options half = dropping(0.5f, 1), never = dropping(0, 1);
    int64_t count;
    fcl_checkpoint *checkpoint, *fewer;
    fcl_trainer *trainer;
    float values[2 * COUNT];
    int32_t label[COUNT];
    fcl_dataset data = make_data(values, label);
    free(trained_weights(&half, NULL, 6, "half.safetensors", &count));
    free(trained_weights(&never, NULL, 1, "never.safetensors", &count));
    assert_ok(fcl_checkpoint_open(scratch_path("half.safetensors"), &checkpoint));
    assert_ok(fcl_checkpoint_open(scratch_path("never.safetensors"), &fewer));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    assert_int_equal(info->classes, CLASSES);
    assert_int_equal(fcl_model_classes(info->model), CLASSES);
    assert_int_equal(fcl_model_labels(info->model), CLASSES + 1);
    assert_int_equal(info->parameters - fcl_checkpoint_describe(fewer)->parameters, 32); /* a row of the table */
    fcl_checkpoint_close(&fewer);
    fcl_checkpoint_close(&checkpoint);

    assert_ok(fcl_trainer_create(device, &data, &never, &trainer));
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_resume(trainer, scratch_path("half.safetensors")));
    assert_told("it was trained with label-drop 0.5, not 0");
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_init(trainer, scratch_path("half.safetensors"), NULL));
    assert_told("trained with label-drop, and so has a label of no class");
    fcl_trainer_destroy(&trainer);
    assert_ok(fcl_trainer_create(device, &data, &half, &trainer));
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_init(trainer, scratch_path("never.safetensors"), NULL));
    assert_told("trained without label-drop, and so has no label of no class");
    fcl_trainer_destroy(&trainer);
    fcl_train_options without = dropping(0.5f, 1);
    without.labels = false;
    assert_status(FCL_ERR_ARGUMENT, fcl_train_options_check(&without));
    assert_told("label-drop 0.5 has no use without labels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_in_shares),
        cmocka_unit_test(test_equal_shares_take_turns),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_checkpoint_knows),
        cmocka_unit_test(test_empty_classes_are_refused),
        cmocka_unit_test(test_checkpoint_without_shares),
        cmocka_unit_test(test_labels_outside),
        cmocka_unit_test(test_drops_are_counted),
        cmocka_unit_test(test_checkpoint_knows_no_class),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
