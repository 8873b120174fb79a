/* Writing a checkpoint. */
#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "nn/params.h"
#include "train/normalised.h"
#include "train/options.h"
#include "train/safetensors.h"

#include <flowcl/flowcl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *const fcl_state_prefix[FCL_STATES] = {
    [FCL_STATE_WEIGHTS] = "",
    [FCL_STATE_EMA] = "ema.",
    [FCL_STATE_M] = "adam.m.",
    [FCL_STATE_V] = "adam.v.",
};

int fcl_state_slices(const fcl_params *params, fcl_state state)
{
    return state == FCL_STATE_WEIGHTS ? fcl_params_count(params) : fcl_params_trained(params);
}

/* --- one file --- */

/* Where a tensor's values are on the device. */
typedef struct place {
    fcl_buffer *buffer;
    const fcl_param *slice;
} place;

typedef struct contents {
    fcl_arena names;
    fcl_safetensor *tensors;
    place *places; /* one each */
    int count;
    float *values, *placed; /* of one tensor, as in the file and as on the device: a whole state need not fit into the host */
} contents;

static void free_contents(contents *held)
{
    free(held->values);
    free(held->placed);
    free(held->places);
    free(held->tensors);
    fcl_arena_free(&held->names);
}

static void add_state(contents *held, const fcl_snapshot *snapshot, fcl_state state)
{
    const fcl_params *params = fcl_model_params(snapshot->model);
    for (int i = 0; snapshot->state[state] && i < fcl_state_slices(params, state); i++) {
        const fcl_param *slice = fcl_params_at(params, i);
        held->places[held->count] = (place){snapshot->state[state], slice};
        held->tensors[held->count++] = (fcl_safetensor){
            .name = fcl_arena_format(&held->names, "%s%s", fcl_state_prefix[state], slice->name),
            .shape = fcl_param_file_shape(slice),
            .bytes = (size_t)fcl_shape_size(slice->shape) * sizeof(float),
        };
    }
}

static int collect(contents *held, const fcl_snapshot *snapshot)
{
    size_t most = FCL_STATES * (size_t)fcl_params_count(fcl_model_params(snapshot->model)), largest = 1;
    held->tensors = fcl_zalloc(most * sizeof *held->tensors);
    held->places = fcl_zalloc(most * sizeof *held->places);
    for (fcl_state state = 0; state < FCL_STATES; state++)
        add_state(held, snapshot, state);
    for (int i = 0; i < held->count; i++)
        largest = held->tensors[i].bytes > largest ? held->tensors[i].bytes : largest;
    held->values = malloc(largest);
    held->placed = malloc(largest);
    return held->values && held->placed
               ? FCL_OK
               : fcl_fail(FCL_ERR_MEMORY, "no memory for the %zu bytes of a model's largest tensor", largest);
}

static int read_tensor(void *from, int index, const void **values)
{
    contents *held = from;
    const place *at = &held->places[index];
    FCL_TRY(fcl_buffer_read(at->buffer, at->slice->offset, held->tensors[index].bytes, held->placed));
    fcl_param_to_file(at->slice, held->placed, held->values);
    *values = held->values;
    return FCL_OK;
}

/* Looks at every number, before anything is written: the header holds their checksum. */
static int sum_values(contents *held, const fcl_snapshot *snapshot, uint32_t *sum)
{
    uLong running = crc32(0, NULL, 0);
    for (int i = 0; i < held->count; i++) {
        const fcl_safetensor *tensor = &held->tensors[i];
        const void *bytes;
        FCL_TRY(read_tensor(held, i, &bytes));
        for (size_t e = 0; e < tensor->bytes / sizeof(float); e++)
            if (!isfinite(held->values[e]))
                return fcl_fail(FCL_ERR_NUMERIC, "%s became %g by step %lld; nothing was saved", tensor->name,
                                (double)held->values[e], (long long)snapshot->step);
        running = crc32_z(running, bytes, tensor->bytes);
    }
    *sum = (uint32_t)running;
    return FCL_OK;
}

static void set_number(json_t *metadata, const char *key, unsigned long long value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", value);
    json_object_set_new(metadata, key, json_string(text));
}

static void set_decimal(json_t *metadata, const char *key, double value)
{
    char text[32];
    fcl_snprintf(text, sizeof text, "%.6g", value);
    json_object_set_new(metadata, key, json_string(text));
}

static void set_list(json_t *metadata, const char *key, int count, const int64_t *numbers)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    char *text = fcl_json_text(list, 0);
    json_object_set_new(metadata, key, json_string(text));
    free(text);
    json_decref(list);
}

static void set_names(json_t *metadata, const char *key, int count, const char *const *names)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    char *text = fcl_json_text(list, 0);
    json_object_set_new(metadata, key, json_string(text));
    free(text);
    json_decref(list);
}

/* In the order of the sum, that of the files of all versions. */
/* clang-format off */
static const char *const summed[] = {
    FCL_CHECKPOINT_FORMAT, "library", "device", "config", "step", "seed", "classes", FCL_CHECKPOINT_ALPHA, "sample",
    "class_counts", "data_content", "source_content", "condition_content", "normalisation", "class_names",
};
/* clang-format on */

fcl_sum_text fcl_checkpoint_sum(uint32_t data_sum, const json_t *metadata)
{
    uLong sum = data_sum;
    for (size_t i = 0; i < sizeof summed / sizeof *summed; i++) {
        const char *key = summed[i], *text = json_string_value(json_object_get(metadata, key));
        if (text) {
            sum = crc32_z(sum, (const Bytef *)key, strlen(key) + 1);
            sum = crc32_z(sum, (const Bytef *)text, strlen(text) + 1);
        }
    }
    fcl_sum_text result;
    snprintf(result.text, sizeof result.text, "%08" PRIx32, (uint32_t)sum);
    return result;
}

static void set_text(json_t *metadata, const char *key, const char *text)
{
    if (text)
        json_object_set_new(metadata, key, json_string(text));
}

/* Nothing here depends on the time or the place: equal runs write equal files. */
static json_t *describe(const fcl_snapshot *snapshot, uint32_t data_sum)
{
    json_t *metadata = json_object();
    double alpha = (double)snapshot->options->objective.least_alpha;
    char *config = fcl_train_options_json(snapshot->options);
    json_object_set_new(metadata, FCL_CHECKPOINT_FORMAT, json_string(FCL_CHECKPOINT_VERSION));
    json_object_set_new(metadata, "library", json_string(fcl_version()));
    json_object_set_new(metadata, "device", json_string(snapshot->device));
    json_object_set_new(metadata, "config", json_string(config));
    set_number(metadata, "step", (unsigned long long)snapshot->step);
    set_number(metadata, "seed", snapshot->options->seed);
    set_number(metadata, "classes", (unsigned long long)fcl_model_classes(snapshot->model));
    set_decimal(metadata, FCL_CHECKPOINT_ALPHA, alpha > 0 ? alpha : FCL_PREDICTION_ALPHA);
    fcl_shape sample = fcl_model_sample(snapshot->model);
    set_list(metadata, "sample", sample.rank, sample.dim);
    if (snapshot->class_counts)
        set_list(metadata, "class_counts", fcl_model_classes(snapshot->model), snapshot->class_counts);
    set_text(metadata, "data_content", snapshot->data_content);
    set_text(metadata, "source_content", snapshot->source_content);
    set_text(metadata, "condition_content", snapshot->condition_content);
    if (snapshot->normalisation)
        fcl_normalised_write(snapshot->normalisation, metadata);
    if (snapshot->class_names)
        set_names(metadata, "class_names", fcl_model_classes(snapshot->model), snapshot->class_names);
    json_object_set_new(metadata, "crc32", json_string(fcl_checkpoint_sum(data_sum, metadata).text));
    fcl_free(config);
    return metadata;
}

int fcl_checkpoint_save(const char *path, const fcl_snapshot *snapshot)
{
    contents held = {0};
    uint32_t sum = 0;
    int status = collect(&held, snapshot);
    if (status == FCL_OK)
        status = sum_values(&held, snapshot, &sum);
    if (status == FCL_OK) {
        json_t *metadata = describe(snapshot, sum);
        status = fcl_safetensors_write(path, metadata, held.count, held.tensors, read_tensor, &held);
        json_decref(metadata);
    }
    free_contents(&held);
    return status;
}
