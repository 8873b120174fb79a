/* Training as a whole: parts of a batch, where the data lies, resuming, stopping, failing. */
#include "opencl_calls.h"
#include "rig.h"

#include <flowcl/flowcl.h>

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* A small run, for a simulator a tiny one: a fresh folder for each name. */
static fcl_train_options small(const char *folder)
{
    const bool tiny = trial_tiny();
    return (fcl_train_options){.data = "moons",
                               .data_count = 300,
                               .out = folder ? scratch_path(folder) : NULL,
                               .steps = 30,
                               .batch = tiny ? 16 : 64,
                               .seed = 3,
                               .lr = 0.01f,
                               .model = {.width = tiny ? 4 : 16, .depth = 2},
                               .objective = {.sigma = 0.1f}};
}

/* What asks nothing of kernels: folders, disks, what is enqueued. */
static void skip_in_a_simulator(void)
{
    if (trial_tiny())
        skip();
}

static void read_file(const char *path, char **bytes, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    *bytes = malloc(*size + 1);
    assert_int_equal(fread(*bytes, 1, *size, stream), *size);
    fclose(stream);
}

static const char *newest(const char *folder)
{
    static char kept[2][4096];
    static int turn;
    char *path;
    assert_ok(fcl_checkpoint_newest(scratch_path(folder), &path));
    turn = !turn;
    snprintf(kept[turn], sizeof kept[turn], "%s", path);
    fcl_free(path);
    return kept[turn];
}

static void assert_same_file(const char *a, const char *b)
{
    char *left, *right;
    size_t left_size, right_size;
    read_file(a, &left, &left_size);
    read_file(b, &right, &right_size);
    assert_int_equal(left_size, right_size);
    assert_memory_equal(left, right, left_size);
    free(left);
    free(right);
}

/* The weights after the run, with `data` already opened. */
static float *train_weights(const fcl_train_options *options, size_t *count)
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    assert_ok(fcl_dataset_open(options->data, &(fcl_dataset_options){.count = options->data_count}, &data));
    assert_ok(fcl_trainer_create(device, data, options, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    size_t bytes = fcl_params_bytes(fcl_model_params(fcl_trainer_model(trainer)));
    float *weights = malloc(bytes);
    assert_ok(fcl_buffer_read(fcl_trainer_weights(trainer), 0, bytes, weights));
    *count = bytes / sizeof *weights;
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    return weights;
}

static double largest_difference(const fcl_train_options *a, const fcl_train_options *b)
{
    size_t count;
    float *left = train_weights(a, &count), *right = train_weights(b, &count);
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)left[i] - right[i]));
    free(left);
    free(right);
    return largest;
}

/* --- the same numbers another way --- */

static void test_accumulate(void **state)
{
    (void)state;
    fcl_train_options whole = small(NULL), parts = small(NULL), other = small(NULL);
    parts.accumulate = 4;
    other.seed = 4;
    /* Adam divides by the root of v: rounding grows, but stays far below what another draw makes. */
    assert_true(largest_difference(&whole, &parts) < 2e-4);
    assert_true(largest_difference(&whole, &other) > 1e-2);
    parts.accumulate = 5;
    fcl_trainer *trainer;
    fcl_dataset *data;
    assert_ok(fcl_dataset_open("moons", NULL, &data));
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_create(device, data, &parts, &trainer));
    assert_told("5 equal parts");
    fcl_dataset_destroy(&data);
}

/* Data that are handed over need no name; the checkpoint has theirs, and opens. */
static void test_data_of_memory(void **state)
{
    (void)state;
    float x[] = {0, 1, 2, 3, 4, 5, 6, 7};
    fcl_dataset given = {.name = "mine", .count = 4, .shape = FCL_SHAPE(2), .values = x}, *data,
                nothing = {0};
    fcl_train_options options = small(NULL);
    fcl_trainer *trainer;
    fcl_checkpoint *checkpoint;
    options.data = NULL;
    options.batch = 4;
    options.steps = 2;
    assert_ok(fcl_dataset_from(&given, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    assert_ok(fcl_trainer_save(trainer, scratch_path("mine.safetensors")));
    assert_ok(fcl_checkpoint_open(scratch_path("mine.safetensors"), &checkpoint));
    assert_string_equal(fcl_checkpoint_describe(checkpoint)->options->data, "mine");
    fcl_checkpoint_close(&checkpoint);
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    assert_status(FCL_ERR_ARGUMENT, fcl_trainer_create(device, &nothing, &options, &trainer));
    assert_told("fcl_dataset_from");
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&options, NULL));
    assert_told("the name of its data");
}

static void test_data_on_host(void **state)
{
    (void)state;
    fcl_train_options there = small(NULL), here = small(NULL);
    there.labels = here.labels = true;
    there.accumulate = here.accumulate = 2;
    here.stream_data = true;
    assert_true(largest_difference(&there, &here) == 0);
}

/* A step of data on the host is only enqueued, as that of data on the device is: rows of floats and of bytes, with labels
 * and without, with a source; once its kernels are compiled. */
static void check_streamed(const fcl_dataset *data, fcl_train_options options)
{
    fcl_trainer *trainer;
    int waits[4];
    options.stream_data = true;
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    for (int step = 0; step < 4; step++) {
        calls = (opencl_calls){0};
        assert_ok(fcl_trainer_step(trainer));
        assert_int_equal(calls.writes, (options.accumulate ? options.accumulate : 1) * (options.source ? 2 : 1));
        waits[step] = calls.waits;
    }
    /* The fence of every 256 commands is not in both of the last steps, which have fewer. */
    assert_true(waits[2] == 0 || waits[3] == 0);
    fcl_trainer_destroy(&trainer);
}

static void test_data_on_host_is_not_waited_for(void **state)
{
    (void)state;
    skip_in_a_simulator();
    static const fcl_dataset_options options = {.count = 300};
    static const uint8_t bytes[300 * 5];
    fcl_dataset *moons, *pictures;
    assert_ok(fcl_dataset_open("moons", &options, &moons));
    const fcl_dataset given = {.name = "bytes", .count = 300, .shape = FCL_SHAPE(5), .bytes = (uint8_t *)bytes, .scale = 1};
    assert_ok(fcl_dataset_from(&given, &pictures));
    fcl_train_options parts = small(NULL), labels = small(NULL), source = small(NULL);
    parts.accumulate = 2;
    labels.labels = true;
    source.source = "rings";
    check_streamed(moons, parts);
    check_streamed(moons, labels);
    check_streamed(moons, source);
    parts.data = NULL;
    check_streamed(pictures, parts);
    fcl_dataset_destroy(&moons);
    fcl_dataset_destroy(&pictures);
}

/* --- stopping and resuming --- */

typedef struct watch {
    int64_t steps, stop_at, last_metrics, checkpoints, first_step;
    double loss, shown;
    int64_t samples;
} watch;

static bool stop_hook(void *data)
{
    watch *seen = data;
    return ++seen->steps == seen->stop_at;
}

static int start_hook(void *data, const fcl_train_start *start)
{
    ((watch *)data)->first_step = start->first_step;
    return FCL_OK;
}

static int metrics_hook(void *data, const fcl_train_metrics *metrics)
{
    watch *seen = data;
    seen->last_metrics = metrics->step;
    seen->loss = metrics->loss;
    return FCL_OK;
}

static void progress_hook(void *data, const fcl_train_progress *progress)
{
    ((watch *)data)->shown = progress->loss;
}

static int checkpoint_hook(void *data, int64_t step, const char *path)
{
    (void)step;
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    ((watch *)data)->checkpoints++;
    return FCL_OK;
}

static int sampled_hook(void *data, int64_t step, const fcl_array *samples)
{
    (void)step;
    ((watch *)data)->samples = samples->shape.dim[0];
    assert_true(isfinite(samples->data[0]));
    return FCL_OK;
}

static fcl_train_hooks hooks_of(watch *seen)
{
    return (fcl_train_hooks){.data = seen,
                             .stop = stop_hook,
                             .start = start_hook,
                             .progress = progress_hook,
                             .metrics = metrics_hook,
                             .checkpoint = checkpoint_hook,
                             .samples = 10,
                             .sampled = sampled_hook};
}

static void test_resume_is_not_stopping(void **state)
{
    (void)state;
    fcl_train_options once = small("once"), twice = small("twice");
    assert_ok(fcl_train(&once, NULL));

    watch seen = {.stop_at = 13};
    fcl_train_hooks hooks = hooks_of(&seen);
    assert_status(FCL_ERR_STOPPED, fcl_train(&twice, &hooks));
    assert_told("step 13 of 30");
    assert_int_equal(seen.samples, 0);
    assert_int_equal(seen.last_metrics, 13);
    twice.resume = true;
    seen = (watch){0};
    assert_ok(fcl_train(&twice, &hooks));
    assert_int_equal(seen.first_step, 13);
    assert_int_equal(seen.samples, 10);
    assert_float_equal(seen.loss, seen.shown, 1e-6); /* both are the mean of steps 14 to 30 */
    assert_int_equal(seen.steps, 16);                /* the last step needs no question */
    assert_same_file(newest("once"), newest("twice"));
}

static void test_resume_refuses(void **state)
{
    (void)state;
    skip_in_a_simulator();
    fcl_train_options options = small("refuses");
    assert_ok(fcl_train(&options, NULL));
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&options, NULL)); /* no resume, and a checkpoint is there */
    assert_told("resume");

    options.resume = true;
    fcl_train_options wider = options, other = options, longer = options;
    wider.model.width++;
    char told[64];
    snprintf(told, sizeof told, "width %d, not %d", options.model.width, wider.model.width);
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&wider, NULL));
    assert_told(told);
    other.data = "rings";
    assert_status(FCL_ERR_ARGUMENT, fcl_train(&other, NULL));
    assert_told("data moons, not rings");
    longer.steps = 40;
    longer.lr = 0.001f;
    assert_ok(fcl_train(&longer, NULL));
    assert_non_null(strstr(newest("refuses"), "checkpoint-0000000040"));
}

static void test_keeps_the_newest(void **state)
{
    (void)state;
    skip_in_a_simulator();
    fcl_train_options options = small("keeps");
    options.checkpoint_every = 7;
    options.keep = 3;
    watch seen = {0};
    fcl_train_hooks hooks = hooks_of(&seen);
    assert_ok(fcl_train(&options, &hooks));
    assert_int_equal(seen.checkpoints, 5); /* 7, 14, 21, 28, 30 */
    struct stat info;
    char path[4096];
    for (int step = 7; step <= 35; step += 7) {
        int at = step > 30 ? 30 : step;
        snprintf(path, sizeof path, "%s/checkpoint-%010d.safetensors", scratch_path("keeps"), at);
        assert_int_equal(stat(path, &info) == 0, at >= 21);
    }
}

/* --- failing --- */

static void test_loss_becomes_nan(void **state)
{
    (void)state;
    fcl_train_options options = small("nan");
    options.lr = 1e6f;
    options.schedule = "constant";
    options.checkpoint_every = 1;
    assert_status(FCL_ERR_NUMERIC, fcl_train(&options, NULL));
    assert_told("at step ");
    char *path;
    fcl_checkpoint *checkpoint;
    if (fcl_checkpoint_newest(scratch_path("nan"), &path) == FCL_OK) { /* what is there is sound */
        assert_ok(fcl_checkpoint_open(path, &checkpoint));
        fcl_checkpoint_close(&checkpoint);
        fcl_free(path);
    }
}

static void test_nan_is_named(void **state)
{
    (void)state;
    fcl_train_options options = small(NULL);
    options.lr = 1e6f;
    options.check = true;
    assert_status(FCL_ERR_NUMERIC, fcl_train(&options, NULL));
    assert_told("step ");
}

static void test_nan_in_data(void **state)
{
    (void)state;
    scratch_write("nan.csv", "1,2\n3,nan\n", 10);
    fcl_train_options options = small(NULL);
    options.data_count = 0;
    options.data = scratch_path("nan.csv");
    int status = fcl_train(&options, NULL);
    assert_true(status == FCL_ERR_NUMERIC || status == FCL_ERR_FORMAT);
    assert_told("nan.csv");
}

/* A disk that is full from the second checkpoint on, played by a limit on the size of a file. */
static int fill_disk(void *data, int64_t step, const char *path)
{
    (void)data, (void)step, (void)path;
    return setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, RLIM_INFINITY}) == 0 ? FCL_OK : FCL_ERR_FILE;
}

static void test_full_disk(void **state)
{
    (void)state;
    skip_in_a_simulator();
    fcl_train_options options = small("full");
    options.checkpoint_every = 10;
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    int status = fcl_train(&options, &(fcl_train_hooks){.checkpoint = fill_disk});
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, FCL_ERR_FILE);
    assert_told("checkpoint-0000000030"); /* the last one must succeed; that of step 20 was tried */
    assert_told("of step 10");
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path("full"), &checkpoint));
    assert_int_equal(fcl_checkpoint_describe(checkpoint)->step, 10);
    fcl_checkpoint_close(&checkpoint);
}

static void test_bad_folder(void **state)
{
    (void)state;
    scratch_write("file", "x", 1);
    fcl_train_options options = small("file/below");
    assert_status(FCL_ERR_FILE, fcl_train(&options, NULL));
    assert_told("file/below: Not a directory");
    options = small("file");
    assert_status(FCL_ERR_FILE, fcl_train(&options, NULL));
    assert_told("file: Not a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accumulate),
        cmocka_unit_test(test_data_of_memory),
        cmocka_unit_test(test_data_on_host),
        cmocka_unit_test(test_data_on_host_is_not_waited_for),
        cmocka_unit_test(test_resume_is_not_stopping),
        cmocka_unit_test(test_resume_refuses),
        cmocka_unit_test(test_keeps_the_newest),
        cmocka_unit_test(test_loss_becomes_nan),
        cmocka_unit_test(test_nan_is_named),
        cmocka_unit_test(test_nan_in_data),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_bad_folder),
    };
    return cmocka_run_group_tests(tests, rig_up, rig_down);
}
