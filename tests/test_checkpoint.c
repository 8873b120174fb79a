/* Checkpoints: what is written comes back bit for bit, and nothing damaged is taken for sound. */
#include "rig.h"

#include "train/checkpoint.h"

#include <flowcl/flowcl.h>

#include <stdlib.h>

static uint8_t *good; /* the bytes of a small, sound checkpoint */
static size_t good_size;

/* Three steps of a model with every kind of slice. */
static int train(const char *path)
{
    fcl_dataset *data;
    fcl_trainer *trainer;
    fcl_train_options options = {.data = "moons",
                                 .labels = true,
                                 .seed = 18446744073709551615u,
                                 .steps = 3,
                                 .batch = 8,
                                 .ema = "0.05,0.125",
                                 .model = {.width = 3, .depth = 1, .time_features = 2}};
    assert_ok(fcl_dataset_open("moons", &(fcl_dataset_options){.count = 20}, &data));
    assert_ok(fcl_trainer_create(device, data, &options, &trainer));
    assert_ok(fcl_trainer_run(trainer, NULL));
    assert_ok(fcl_trainer_save(trainer, path));
    fcl_trainer_destroy(&trainer);
    fcl_dataset_destroy(&data);
    return 0;
}

static void read_file(const char *path, uint8_t **bytes, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    *bytes = malloc(*size);
    assert_int_equal(fread(*bytes, 1, *size, stream), *size);
    fclose(stream);
}

static int setup(void **state)
{
    if (rig_up(state) != 0)
        return -1;
    train(scratch_path("good.safetensors"));
    read_file(scratch_path("good.safetensors"), &good, &good_size);
    return 0;
}

static int teardown(void **state)
{
    free(good);
    return rig_down(state);
}

/* --- what comes back --- */

static void test_describes_itself(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path("good.safetensors"), &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    assert_int_equal(info->step, 3);
    assert_true(info->seed == 18446744073709551615u);
    assert_true(info->options->seed == info->seed);
    assert_int_equal(info->classes, 2);
    assert_int_equal(info->sample.rank, 1);
    assert_int_equal(info->sample.dim[0], 2);
    assert_false(info->pictures);
    assert_true(info->has_ema && info->average_count == 2);
    assert_string_equal(info->averages[0], "0.05");
    assert_string_equal(info->averages[1], "0.125");
    int in = 2 + 1 + 2 * 2 + 32;
    assert_int_equal(info->parameters, in * 3 + 3 + 3 * 2 + 2 + 2 * 32);
    assert_int_equal(info->tensor_count, 5 * 5 + 1); /* the frequencies once */
    assert_int_equal(info->options->model.width, 3);
    assert_string_equal(info->options->data, "moons");
    assert_string_equal(info->library, fcl_version());
    assert_non_null(strstr(info->data_content, "20 samples of (2,), checksum "));
    assert_null(info->source_content);
    assert_null(info->condition_content);
    fcl_checkpoint_close(&checkpoint);
}

/* Loading into a trainer and saving again gives the same tensors; the step and all else stay. */
static void test_round_trip(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path("good.safetensors"), &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_snapshot snapshot = {.options = info->options,
                             .data_content = info->data_content,
                             .class_counts = info->class_counts,
                             .normalisation = info->normalisation,
                             .model = info->model,
                             .device = info->device,
                             .step = info->step};
    for (fcl_state kind = 0; kind <= FCL_STATE_FURTHER; kind++) {
        size_t bytes = fcl_params_bytes(fcl_model_params(info->model));
        assert_ok(fcl_buffer_create(device, bytes, &snapshot.state[kind]));
        assert_ok(fcl_checkpoint_load(checkpoint, kind, snapshot.state[kind]));
    }
    assert_ok(fcl_checkpoint_save(scratch_path("again.safetensors"), &snapshot));
    for (int i = 0; i <= FCL_STATE_FURTHER; i++)
        fcl_buffer_destroy(&snapshot.state[i]);
    fcl_checkpoint_close(&checkpoint);

    uint8_t *again;
    size_t size;
    read_file(scratch_path("again.safetensors"), &again, &size);
    assert_int_equal(size, good_size);
    assert_memory_equal(again, good, size);
    free(again);
}

/* Equal runs write equal files. */
static void test_repeats(void **state)
{
    (void)state;
    uint8_t *again;
    size_t size;
    train(scratch_path("repeat.safetensors"));
    read_file(scratch_path("repeat.safetensors"), &again, &size);
    assert_int_equal(size, good_size);
    assert_memory_equal(again, good, size);
    free(again);
}

/* --- damage --- */

static void assert_refused(const uint8_t *bytes, size_t size)
{
    fcl_checkpoint *checkpoint;
    int status = fcl_checkpoint_parse(bytes, size, NULL, &checkpoint);
    assert_int_equal(status, FCL_ERR_FORMAT);
    assert_null(checkpoint);
    assert_told("bytes");
}

static void test_every_length(void **state)
{
    (void)state;
    for (size_t size = 0; size < good_size; size++)
        assert_refused(good, size);
    uint8_t *longer = malloc(good_size + 1);
    memcpy(longer, good, good_size);
    longer[good_size] = 0;
    assert_refused(longer, good_size + 1);
    free(longer);
}

static void test_every_bit(void **state)
{
    (void)state;
    uint8_t *bytes = malloc(good_size);
    memcpy(bytes, good, good_size);
    for (size_t i = 0; i < good_size; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            assert_refused(bytes, good_size);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    free(bytes);
}

/* The data choose a training's model, but a checkpoint names its own: what follows from the choice would be missing. */
static void test_without_a_model(void **state)
{
    (void)state;
    static const char named[] = "model\\\": \\\"mlp\\\"", none[] = "model\\\": null   ";
    fcl_checkpoint *checkpoint;
    uint8_t *bytes = malloc(good_size);
    memcpy(bytes, good, good_size);
    uint8_t *place = memmem(bytes, good_size, named, sizeof named - 1);
    assert_non_null(place);
    memcpy(place, none, sizeof none - 1);
    assert_status(FCL_ERR_FORMAT, fcl_checkpoint_parse(bytes, good_size, NULL, &checkpoint));
    assert_told("is damaged: its configuration: it names no model");
    free(bytes);
}

static void test_foreign(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint;
    static const char plain[] = "\x36\0\0\0\0\0\0\0"
                                "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
                                "\0\0\0\0";
    const struct {
        const char *content;
        size_t size;
        const char *told;
    } files[] = {
        {"", 0, "empty"},
        {"PK\3\4 a zip archive, for instance of PyTorch", 44, "header is longer"},
        {"\2\0\0\0\0\0\0\0[]", 10, "no JSON object"},
        {"\2\0\0\0\0\0\0\0{}", 10, "not written by flowcl"},
        {plain, sizeof plain - 1, "not written by flowcl"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = scratch_write("foreign.safetensors", files[i].content, files[i].size);
        assert_status(FCL_ERR_FORMAT, fcl_checkpoint_open(path, &checkpoint));
        assert_told(path);
        assert_told(files[i].told);
    }
    assert_status(FCL_ERR_FILE, fcl_checkpoint_open(scratch_path("none.safetensors"), &checkpoint));
    assert_told("none.safetensors");
    assert_status(FCL_ERR_FILE, fcl_checkpoint_open("/", &checkpoint));
    assert_told("holds no checkpoint");
}

/* A number that is not finite is not written. */
static void test_nan_is_not_saved(void **state)
{
    (void)state;
    fcl_checkpoint *checkpoint;
    assert_ok(fcl_checkpoint_open(scratch_path("good.safetensors"), &checkpoint));
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_snapshot snapshot = {
        .options = info->options, .model = info->model, .device = info->device, .step = 7};
    fcl_buffer *weights;
    assert_ok(fcl_buffer_create(device, fcl_params_bytes(fcl_model_params(info->model)), &weights));
    const float nan = __builtin_nanf("");
    assert_ok(fcl_buffer_write(weights, 4, sizeof nan, &nan));
    for (int i = 0; i < FCL_STATES; i++)
        snapshot.state[i] = weights;
    assert_status(FCL_ERR_NUMERIC, fcl_checkpoint_save(scratch_path("nan.safetensors"), &snapshot));
    assert_told("layers.0.weight");
    assert_int_equal(scratch_count("nan.safetensors"), 0);
    fcl_buffer_destroy(&weights);
    fcl_checkpoint_close(&checkpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describes_itself), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_repeats),          cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_every_bit),        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_without_a_model),
        cmocka_unit_test(test_nan_is_not_saved),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
