/* Writing a checkpoint. */
#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/normalised.h"
#include "train/options.h"

#include <flowcl/flowcl.h>
#include <stdlib.h>
#include <string.h>

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
    FCL_CHECKPOINT_OWN_MODEL,
};
/* clang-format on */

fcl_sum_text fcl_checkpoint_sum(uint32_t data_sum, const json_t *metadata)
{
    return fcl_metadata_sum(data_sum, metadata, sizeof summed / sizeof *summed, summed);
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
    if (snapshot->options->model.own)
        set_text(metadata, FCL_CHECKPOINT_OWN_MODEL, snapshot->options->model.own->name);
    if (snapshot->class_names)
        set_names(metadata, "class_names", fcl_model_classes(snapshot->model), snapshot->class_names);
    json_object_set_new(metadata, "crc32", json_string(fcl_checkpoint_sum(data_sum, metadata).text));
    fcl_free(config);
    return metadata;
}

int fcl_checkpoint_save(const char *path, const fcl_snapshot *snapshot)
{
    fcl_states states = {.name = "", .params = fcl_model_params(snapshot->model), .step = snapshot->step};
    fcl_state_tensors *tensors;
    uint32_t sum = 0;
    memcpy(states.buffer, snapshot->state, sizeof states.buffer);
    FCL_TRY(fcl_averages_read(snapshot->options->ema, &states.averages));
    FCL_TRY(fcl_state_tensors_create(1, &states, &tensors));
    int status = fcl_state_tensors_sum(tensors, &sum);
    if (status == FCL_OK) {
        json_t *metadata = describe(snapshot, sum);
        status = fcl_state_tensors_write(tensors, path, metadata);
        json_decref(metadata);
    }
    fcl_state_tensors_destroy(&tensors);
    return status;
}
