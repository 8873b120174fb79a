/* A classifier's file: its weights, and metadata that say what they are of. */
#include "train/classifier.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "learn/states.h"
#include "train/normalised.h"

#include <errno.h>
#include <flowcl/flowcl.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT  FCL_CLASSIFIER_FORMAT
#define VERSION "1"

/* What the checksum covers. */
static const char *const summed[] = {
    FORMAT,     "library",  "picture", "classes", "class_names", "step",
    "accuracy", "held_out", "data",    "content", "config",      "normalisation",
};

static fcl_sum_text sum_of(uint32_t data_sum, const json_t *metadata)
{
    return fcl_metadata_sum(data_sum, metadata, sizeof summed / sizeof *summed, summed);
}

/* --- writing --- */

static void set_integer(json_t *metadata, const char *key, int64_t value)
{
    json_object_set_new(metadata, key, json_sprintf("%lld", (long long)value));
}

static void set_json(json_t *metadata, const char *key, json_t *value)
{
    char *text = fcl_json_text(value, JSON_COMPACT);
    json_object_set_new(metadata, key, json_string(text));
    free(text);
    json_decref(value);
}

static json_t *describe(const fcl_classifier *classifier)
{
    const fcl_classifier_info *info = &classifier->info;
    json_t *metadata = json_object(), *picture = json_array();
    char accuracy[32];
    for (int i = 0; i < info->picture.rank; i++)
        json_array_append_new(picture, json_integer(info->picture.dim[i]));
    json_object_set_new(metadata, FORMAT, json_string(VERSION));
    json_object_set_new(metadata, "library", json_string(fcl_version()));
    set_json(metadata, "picture", picture);
    set_integer(metadata, "classes", info->classes);
    if (info->class_names)
        set_json(metadata, "class_names", json_deep_copy(json_object_get(classifier->texts, "class_names")));
    set_integer(metadata, "step", info->step);
    set_integer(metadata, "held_out", info->held_out);
    fcl_snprintf(accuracy, sizeof accuracy, "%.6f", info->accuracy);
    json_object_set_new(metadata, "accuracy", json_string(accuracy));
    json_object_set_new(metadata, "data", json_string(info->data));
    json_object_set_new(metadata, "content", json_string(info->content));
    json_object_set_new(metadata, "config", json_string(info->config));
    fcl_normalised_write(classifier->normalisation, metadata);
    return metadata;
}

int fcl_classifier_save(const char *path, const fcl_classifier *classifier)
{
    fcl_states states = {.name = "",
                         .params = classifier->params,
                         .step = classifier->info.step,
                         .buffer = {[FCL_STATE_WEIGHTS] = classifier->weights}};
    fcl_state_tensors *tensors;
    uint32_t sum;
    FCL_TRY(fcl_state_tensors_create(1, &states, &tensors));
    int status = fcl_state_tensors_sum(tensors, &sum);
    if (status == FCL_OK) {
        json_t *metadata = describe(classifier);
        json_object_set_new(metadata, "crc32", json_string(sum_of(sum, metadata).text));
        status = fcl_state_tensors_write(tensors, path, metadata);
        json_decref(metadata);
    }
    fcl_state_tensors_destroy(&tensors);
    return status;
}

/* --- reading --- */

/* A file as it was read. */
typedef struct opened {
    const char *path;
    uint8_t *bytes;
    size_t size;
    fcl_safetensors tensors;
    json_t *names; /* of the classes */
    const char **class_name;
    fcl_normalisation *normalisation;
    fcl_classifier_info info;
} opened;

static void release(opened *file)
{
    fcl_safetensors_free(&file->tensors);
    fcl_normalisation_destroy(&file->normalisation);
    json_decref(file->names);
    free(file->class_name);
    free(file->bytes);
}

static int damaged(const opened *file, const char *key)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its metadata has no usable \"%s\"", file->path, key);
}

static int read_text(const opened *file, const char *key, const char **text)
{
    *text = fcl_safetensors_metadata(&file->tensors, key);
    return *text ? FCL_OK : damaged(file, key);
}

static int read_integer(const opened *file, const char *key, int64_t least, int64_t most, int64_t *number)
{
    const char *text;
    char *end;
    FCL_TRY(read_text(file, key, &text));
    errno = 0;
    *number = strtoll(text, &end, 10);
    return !errno && end != text && !*end && *number >= least && *number <= most ? FCL_OK
                                                                                 : damaged(file, key);
}

static int read_accuracy(opened *file)
{
    const char *text;
    FCL_TRY(read_text(file, "accuracy", &text));
    char *end;
    file->info.accuracy = fcl_strtod(text, &end);
    return end != text && !*end && file->info.accuracy >= 0 && file->info.accuracy <= 1
               ? FCL_OK
               : damaged(file, "accuracy");
}

/* No larger than what could be trained: sizes made of it cannot overflow. */
static int read_picture(opened *file)
{
    enum { MOST_NUMBERS = 1 << 26 };
    const char *text;
    FCL_TRY(read_text(file, "picture", &text));
    json_t *value = fcl_json_read(text, strlen(text), NULL);
    fcl_shape *shape = &file->info.picture;
    size_t bytes;
    bool usable = fcl_shape_from_json(value, shape) && fcl_shape_bytes(*shape, sizeof(float), &bytes) &&
                  bytes > 0 && bytes <= MOST_NUMBERS * sizeof(float) && fcl_shape_is_picture(*shape);
    json_decref(value);
    return usable ? FCL_OK : damaged(file, "picture");
}

static int read_names(opened *file)
{
    const char *text = fcl_safetensors_metadata(&file->tensors, "class_names");
    size_t classes = (size_t)file->info.classes;
    if (!text)
        return FCL_OK;
    file->names = fcl_json_read(text, strlen(text), NULL);
    bool usable = json_array_size(file->names) == classes;
    file->class_name = fcl_zalloc(classes * sizeof *file->class_name);
    for (size_t k = 0; usable && k < classes; k++) {
        file->class_name[k] = json_string_value(json_array_get(file->names, k));
        usable = file->class_name[k] && *file->class_name[k];
    }
    file->info.class_names = file->class_name;
    return usable ? FCL_OK : damaged(file, "class_names");
}

static int read_metadata(opened *file)
{
    enum { MOST_CLASSES = 65536 };
    int64_t classes;
    const char *version = fcl_safetensors_metadata(&file->tensors, FORMAT);
    if (!version)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is a safetensors file, but not of a classifier: flowcl classify makes one",
                        file->path);
    if (strcmp(version, VERSION) != 0)
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s has version %.20s of the classifiers' format; this flowcl reads %s", file->path,
                        version, VERSION);
    FCL_TRY(read_picture(file));
    FCL_TRY(read_integer(file, "classes", 2, MOST_CLASSES, &classes));
    file->info.classes = (int)classes;
    FCL_TRY(read_names(file));
    FCL_TRY(read_integer(file, "step", 0, INT64_MAX, &file->info.step));
    FCL_TRY(read_integer(file, "held_out", 1, INT64_MAX, &file->info.held_out));
    FCL_TRY(read_accuracy(file));
    FCL_TRY(read_text(file, "data", &file->info.data));
    FCL_TRY(read_text(file, "content", &file->info.content));
    FCL_TRY(read_text(file, "config", &file->info.config));
    bool usable =
        fcl_normalised_read(&file->tensors, fcl_shape_size(file->info.picture), &file->normalisation);
    file->info.normalisation = file->normalisation;
    return usable ? FCL_OK : damaged(file, "normalisation");
}

static int check_tensors(const opened *file, const fcl_states *states)
{
    int found = 0;
    const char *text;
    for (int i = 0; i < file->tensors.count; i++)
        if (file->tensors.tensors[i].type != &fcl_safetensor_f32)
            return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: tensor \"%s\" is not of F32", file->path,
                            file->tensors.tensors[i].name);
    FCL_TRY(fcl_states_check(&file->tensors, file->path, "is damaged", states, FCL_STATE_WEIGHTS, &found));
    if (found != file->tensors.count)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: it holds %d tensors where a classifier has %d",
                        file->path, file->tensors.count, found);
    FCL_TRY(read_text(file, "crc32", &text));
    const json_t *metadata = json_object_get(file->tensors.header, "__metadata__");
    return strcmp(text, sum_of(fcl_states_sum(&file->tensors, 1, states), metadata).text) == 0
               ? FCL_OK
               : fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its content does not have the checksum %.8s",
                          file->path, text);
}

static int load(fcl_device *device, opened *file, fcl_classifier **classifier)
{
    FCL_TRY(fcl_file_read(file->path, &file->bytes, &file->size));
    FCL_TRY(fcl_safetensors_parse(file->bytes, file->size, file->path, &file->tensors));
    FCL_TRY(read_metadata(file));
    FCL_TRY(fcl_classifier_make(device, &file->info, NULL, classifier));
    (*classifier)->path = fcl_strdup(file->path);
    (*classifier)->info.path = (*classifier)->path;
    fcl_states states = {.name = "", .params = (*classifier)->params};
    FCL_TRY(check_tensors(file, &states));
    return fcl_states_load(&file->tensors, &states, FCL_STATE_WEIGHTS, (*classifier)->weights);
}

int fcl_classifier_load(fcl_device *device, const char *path, fcl_classifier **classifier)
{
    opened file = {.path = path};
    *classifier = NULL;
    int status = load(device, &file, classifier);
    release(&file);
    if (status != FCL_OK)
        fcl_classifier_close(classifier);
    return status;
}
