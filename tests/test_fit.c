/* Memory: what a training needs is known before it takes any, and what is said to make it fit does. */
#include "rig.h"

#include "base/npy.h"
#include "device/opencl.h"
#include "train/fit.h"

#include <flowcl/flowcl.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the library reads of files in pieces comes through here. */
static atomic_llong bytes_read;

ssize_t pread(int file, void *to, size_t size, off_t offset)
{
    ssize_t got = syscall(SYS_pread64, file, to, size, offset);
    bytes_read += got > 0 ? got : 0;
    return got;
}

/* Trainings of every kind of memory: perceptrons, blocks, data on the host, pairs, parts of a step, averages.
 */
static fcl_train_options draw_options(int kind)
{
    fcl_train_options options = {.data = "moons",
                                 .data_count = 500,
                                 .steps = 5,
                                 .batch = 12 * trial_int(1, 8),
                                 .accumulate = trial_int(1, 3),
                                 .ema = trial_int(0, 1) ? "off" : "0.9,0.99",
                                 .labels = trial_int(0, 1),
                                 .stream_data = kind == 1,
                                 .held_out = kind == 2 ? 0.2 : 0,
                                 .source = kind == 1 ? "rings" : NULL,
                                 .recompute = trial_int(0, 1),
                                 .model = {.width = 8 * trial_int(1, 3), .depth = trial_int(1, 2)}};
    if (kind == 2)
        options.objective.coupling = "sinkhorn";
    if (kind == 3) {
        options.coupling_batch = 3 * options.batch;
        options.objective.coupling = "ot";
    }
    return options;
}

static fcl_dataset *open_data(const fcl_train_options *options)
{
    fcl_dataset *data;
    assert_ok(fcl_dataset_open(options->data, &(fcl_dataset_options){.count = options->data_count}, &data));
    return data;
}

/* A device of its own, whose counts begin at nothing. */
static void reopen(void)
{
    fcl_device_close(&device);
    assert_ok(fcl_device_open(NULL, NULL, &device));
}

/* What is counted in a rehearsal is what the training takes; and nothing of it is left, or was on the device.
 */
static void test_rehearsal(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        fcl_train_options options = draw_options(kind);
        fcl_dataset *data = open_data(&options);
        fcl_trainer *trainer;
        fcl_room needs;
        reopen();
        const fcl_device_counts before = fcl_device_count(device);
        assert_ok(fcl_fit_needs(device, data, &options, &needs));
        assert_int_equal(fcl_device_memory_peak(device), 0);
        assert_true(fcl_device_count(device).kernels == before.kernels &&
                    fcl_device_count(device).build_seconds == before.build_seconds);
        assert_ok(fcl_trainer_create(device, data, &options, &trainer));
        assert_int_equal(fcl_device_memory_peak(device), needs.bytes);
        assert_int_equal(device->largest, needs.largest);
        fcl_trainer_destroy(&trainer);
        fcl_room again; /* what products share stays on the device, and is not counted twice */
        if (!device->temporary)
            assert_ok(fcl_buffer_create(device, 1 << 20, &device->temporary));
        assert_ok(fcl_fit_needs(device, data, &options, &again));
        assert_true(again.bytes == needs.bytes && again.largest == needs.largest);
        fcl_dataset_destroy(&data);
    }
}

/* Whether a training starts, and takes a step. */
static bool starts(const fcl_dataset *data, const fcl_train_options *options)
{
    fcl_trainer *trainer;
    double loss;
    int status = fcl_trainer_create(device, data, options, &trainer);
    if (status == FCL_OK) {
        assert_ok(fcl_trainer_step(trainer));
        assert_ok(fcl_trainer_loss(trainer, &loss));
        fcl_trainer_destroy(&trainer);
    }
    assert_true(status == FCL_OK || status == FCL_ERR_MEMORY);
    return status == FCL_OK;
}

/* The number behind an option in the message; 0: it does not stand there. */
static int told_number(const char *sentence, const char *option)
{
    const char *at = strstr(sentence, option);
    return at ? atoi(at + strlen(option)) : 0;
}

static void check_advice(const fcl_dataset *data, const fcl_train_options *options)
{
    char sentence[600];
    assert_false(starts(data, options));
    snprintf(sentence, sizeof sentence, "%s", fcl_error());
    assert_told("the training needs ");
    fcl_train_options other = *options;
    const int batch = told_number(sentence, "--batch "), parts = told_number(sentence, "--accumulate ");
    if (batch) {
        other.batch = batch;
        assert_true(starts(data, &other));
        other.batch = batch + 1;
        assert_true(other.batch == options->batch || !starts(data, &other));
    }
    other = *options;
    if (parts) {
        other.accumulate = parts;
        assert_true(starts(data, &other));
    }
    other.accumulate = options->accumulate;
    other.recompute = true;
    assert_true((strstr(sentence, "--recompute") != NULL) == (starts(data, &other) && !options->recompute));
    other.recompute = options->recompute;
    other.stream_data = true;
    const bool streams = starts(data, &other) && !options->stream_data;
    assert_true((strstr(sentence, "--stream-data") != NULL) == streams);
    assert_true(batch || streams || strstr(sentence, "no smaller batch fits"));
}

static void limit(uint64_t bytes, uint64_t largest)
{
    reopen();
    device->info.memory = bytes;
    device->info.max_allocation = largest;
}

/* Each option that the message names makes it fit, and a batch larger than the largest does not. */
static void test_advice(void **state)
{
    (void)state;
    fcl_train_options options = {.data = "moons", .data_count = 100, .steps = 2, .batch = 96};
    fcl_dataset *data = open_data(&options);
    fcl_room needs;
    options.model = (fcl_model_options){.width = 40, .depth = 2};
    assert_ok(fcl_fit_needs(device, data, &options, &needs));
    limit(needs.bytes, needs.largest);
    assert_true(starts(data, &options));
    limit(needs.bytes - 1, needs.largest);
    check_advice(data, &options);
    assert_told("the training needs ");
    limit(needs.bytes * 3 / 4, needs.largest);
    check_advice(data, &options);
    limit(needs.bytes, needs.largest - 1);
    assert_false(starts(data, &options));
    assert_told("the training needs a buffer of ");
    check_advice(data, &options);
    limit(needs.bytes / 50, needs.largest);
    assert_false(starts(data, &options));
    assert_told("no smaller batch fits: choose a smaller model, or another device");
    fcl_dataset_destroy(&data);
    reopen();
}

/* Data may be what does not fit. */
static void test_data_in_the_way(void **state)
{
    (void)state;
    fcl_train_options options = {.data = "moons", .data_count = 100, .steps = 2, .batch = 96};
    options.model = (fcl_model_options){.width = 8, .depth = 1};
    options.objective.coupling = "sinkhorn"; /* its plan takes the most */
    fcl_dataset *data = open_data(&options);
    fcl_room needs;
    reopen();
    assert_ok(fcl_fit_needs(device, data, &options, &needs));
    fcl_dataset_destroy(&data);
    options.data_count = (int64_t)needs.bytes / 32; /* a quarter of the rest, which may lie on the device */
    data = open_data(&options);
    assert_ok(fcl_fit_needs(device, data, &options, &needs));
    limit(needs.bytes - 1, needs.largest);
    check_advice(data, &options);
    assert_false(starts(data, &options));
    assert_told(": it fits with the data on the host, --stream-data");
    fcl_dataset_destroy(&data);
    reopen();
}

/* Of a set on the disk all is read once, to be measured, however many trainings are rehearsed. */
static void test_looked_at_once(void **state)
{
    (void)state;
    enum { ROWS = 2000, SIZE = 64 };
    float *x = malloc(ROWS * SIZE * sizeof *x);
    for (int i = 0; i < ROWS * SIZE; i++)
        x[i] = (float)(100 + trial_normal());
    const fcl_array array = {.data = x, .shape = FCL_SHAPE(ROWS, SIZE)};
    assert_ok(fcl_npy_write(scratch_path("rows.npy"), &array));
    free(x);
    fcl_dataset *data;
    assert_ok(fcl_dataset_open(scratch_path("rows.npy"), &(fcl_dataset_options){.from_disk = true}, &data));
    fcl_train_options options = {.data = data->name, .steps = 2, .batch = 512};
    options.model = (fcl_model_options){.width = 64, .depth = 2};
    fcl_room needs;
    reopen();
    assert_ok(fcl_fit_needs(device, data, &options, &needs));
    limit(needs.bytes - 1, needs.largest);
    bytes_read = 0;
    assert_false(starts(data, &options));
    assert_told(": the largest batch that fits is --batch ");
    assert_true(bytes_read >= ROWS * SIZE * 4 && bytes_read < 3 * ROWS * SIZE * 4 / 2);
    fcl_dataset_destroy(&data);
    reopen();
}

/* As many samples at once as fit; another number of them is refused. */
static void test_samples(void **state)
{
    (void)state;
    enum { ROWS = 1000 };
    fcl_train_options options = {
        .data = "moons", .data_count = 100, .steps = 1, .batch = 8, .out = scratch_path("run")};
    options.model = (fcl_model_options){.width = 16, .depth = 2};
    assert_ok(fcl_train(&options, NULL));
    fcl_checkpoint *checkpoint;
    fcl_array *whole, *parts;
    assert_ok(fcl_checkpoint_open(scratch_path("run"), &checkpoint));
    const fcl_sample_options few = {.n = ROWS, .steps = 3}, all = {.n = ROWS, .steps = 3, .batch = ROWS};
    reopen();
    assert_ok(fcl_sample(device, checkpoint, &few, &whole, NULL));
    limit(fcl_device_memory_peak(device) - 1, SIZE_MAX);
    assert_status(FCL_ERR_MEMORY, fcl_sample(device, checkpoint, &all, &parts, NULL));
    assert_told("without --batch (the option batch)");
    assert_ok(fcl_sample(device, checkpoint, &few, &parts, NULL));
    for (int i = 0; i < 2 * ROWS; i++)
        assert_float_equal(whole->data[i], parts->data[i], 1e-4);
    fcl_array_destroy(&whole);
    fcl_array_destroy(&parts);
    fcl_checkpoint_close(&checkpoint);
    reopen();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rehearsal),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_data_in_the_way),
        cmocka_unit_test(test_looked_at_once),
        cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
