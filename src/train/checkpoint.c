/* Reading a checkpoint: the file, its metadata, and that its tensors are those of its model. */
#include "train/checkpoint.h"

#include "base/array.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "nn/model.h"
#include "train/classifier.h"
#include "train/normalised.h"
#include "train/options.h"

#include <flowcl/text.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int missing(const char *path, const char *what)
{
    return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its metadata has no usable \"%s\"", path, what);
}

static int read_text(fcl_checkpoint *checkpoint, const char *key, const char **text)
{
    *text = fcl_safetensors_metadata(&checkpoint->file, key);
    return *text ? FCL_OK : missing(checkpoint->path, key);
}

static int read_number(fcl_checkpoint *checkpoint, const char *key, uint64_t limit, uint64_t *number)
{
    const char *text;
    FCL_TRY(read_text(checkpoint, key, &text));
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || value > limit)
        return missing(checkpoint->path, key);
    *number = value;
    return FCL_OK;
}

/* A sample's shape; no larger than the file, so that sizes made of it cannot overflow. */
static int read_sample(fcl_checkpoint *checkpoint)
{
    const char *text;
    FCL_TRY(read_text(checkpoint, "sample", &text));
    json_t *json = fcl_json_read(text, strlen(text), NULL);
    fcl_shape *shape = &checkpoint->info.sample;
    size_t bytes;
    bool usable = fcl_shape_from_json(json, shape) && fcl_shape_bytes(*shape, sizeof(float), &bytes) &&
                  bytes > 0 && bytes <= checkpoint->size;
    json_decref(json);
    return usable ? FCL_OK : missing(checkpoint->path, "sample");
}

/* How many samples each class had. Checkpoints that do not know go on being read. */
static int read_class_counts(fcl_checkpoint *checkpoint)
{
    const char *text = fcl_safetensors_metadata(&checkpoint->file, "class_counts");
    int classes = checkpoint->info.classes;
    if (!text)
        return FCL_OK;
    json_t *list = fcl_json_read(text, strlen(text), NULL);
    bool usable = classes > 0 && json_array_size(list) == (size_t)classes;
    checkpoint->class_counts = fcl_zalloc((size_t)(usable ? classes : 1) * sizeof(int64_t));
    for (int k = 0; k < classes && usable; k++) {
        const json_t *count = json_array_get(list, (size_t)k);
        checkpoint->class_counts[k] = json_integer_value(count);
        usable = json_is_integer(count) && checkpoint->class_counts[k] >= 0 && checkpoint->class_counts[k] <= INT32_MAX;
    }
    json_decref(list);
    checkpoint->info.class_counts = checkpoint->class_counts;
    return usable && fcl_class_existing(classes, checkpoint->class_counts)
               ? FCL_OK
               : missing(checkpoint->path, "class_counts");
}

/* What the classes are called, where they are not called by their numbers. */
static int read_class_names(fcl_checkpoint *checkpoint)
{
    const char *text = fcl_safetensors_metadata(&checkpoint->file, "class_names");
    int classes = checkpoint->info.classes;
    if (!text)
        return FCL_OK;
    checkpoint->class_names = fcl_json_read(text, strlen(text), NULL);
    bool usable = classes > 0 && json_array_size(checkpoint->class_names) == (size_t)classes;
    checkpoint->class_name = fcl_zalloc((size_t)(usable ? classes : 1) * sizeof *checkpoint->class_name);
    for (int k = 0; k < classes && usable; k++) {
        checkpoint->class_name[k] = json_string_value(json_array_get(checkpoint->class_names, (size_t)k));
        usable = checkpoint->class_name[k] && *checkpoint->class_name[k];
    }
    checkpoint->info.class_names = checkpoint->class_name;
    return usable ? FCL_OK : missing(checkpoint->path, "class_names");
}

/* No row of the options: a network is asked as it was trained, which nobody may change. */
static int read_least_alpha(fcl_checkpoint *checkpoint)
{
    const char *text = fcl_safetensors_metadata(&checkpoint->file, FCL_CHECKPOINT_ALPHA);
    char *end = NULL;
    float alpha = text ? fcl_strtof(text, &end) : FCL_CHECKPOINT_OLD_ALPHA;
    if (text && (end == text || *end || !(alpha > 0 && alpha <= 0.1f)))
        return missing(checkpoint->path, FCL_CHECKPOINT_ALPHA);
    checkpoint->options.objective.least_alpha = alpha;
    return FCL_OK;
}

/* Of a caller's model the file has the name alone. */
static int check_own_model(const fcl_checkpoint *checkpoint)
{
    const fcl_model_row *own = checkpoint->options.model.own;
    const char *name = fcl_safetensors_metadata(&checkpoint->file, FCL_CHECKPOINT_OWN_MODEL);
    if (name && !own)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s is of the model %.80s of the program that trained it: that program opens it, by "
                        "fcl_checkpoint_open_with",
                        checkpoint->path, name);
    if (own && (!name || strcmp(name, own->name) != 0))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is of the model %.80s, not of the caller's %s", checkpoint->path,
                        name ? name : "that its configuration names", own->name);
    return FCL_OK;
}

static int read_config(fcl_checkpoint *checkpoint)
{
    FCL_TRY(check_own_model(checkpoint));
    checkpoint->bound = fcl_options_create();
    FCL_TRY(fcl_train_options_bind(checkpoint->bound, &checkpoint->options));
    int status = fcl_options_read_json(checkpoint->bound, checkpoint->info.config);
    if (status == FCL_OK)
        status = fcl_options_finish(checkpoint->bound);
    if (status == FCL_OK && !fcl_model_is_chosen(&checkpoint->options.model))
        status = fcl_fail(FCL_ERR_FORMAT, "it names no model");
    fcl_train_options_settle(&checkpoint->options);
    checkpoint->info.options = &checkpoint->options;
    if (status == FCL_OK)
        status = fcl_averages_read(checkpoint->options.ema, &checkpoint->averages);
    if (status == FCL_OK)
        FCL_TRY(read_least_alpha(checkpoint));
    return status == FCL_OK
               ? status
               : fcl_fail_within(FCL_ERR_FORMAT, "%s is damaged: its configuration", checkpoint->path);
}

static int check_format(fcl_checkpoint *checkpoint)
{
    const char *version = fcl_safetensors_metadata(&checkpoint->file, FCL_CHECKPOINT_FORMAT);
    if (strcmp(version, FCL_CHECKPOINT_VERSION) != 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s has version %.20s of the checkpoint format; this flowcl reads %s",
                        checkpoint->path, version, FCL_CHECKPOINT_VERSION);
    for (int i = 0; i < checkpoint->file.count; i++)
        if (checkpoint->file.tensors[i].type != &fcl_safetensor_f32)
            return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: tensor \"%s\" has dtype %s, where it has F32",
                            checkpoint->path, checkpoint->file.tensors[i].name, checkpoint->file.tensors[i].type->name);
    return FCL_OK;
}

/* What a set held, of a checkpoint that tells it: a sentence repeats it, so it is plain text. */
static int read_content(fcl_checkpoint *checkpoint, const char *key, const char **text)
{
    *text = fcl_safetensors_metadata(&checkpoint->file, key);
    for (const char *c = *text; c && *c; c++)
        if (*c < ' ' || *c > '~')
            return missing(checkpoint->path, key);
    return FCL_OK;
}

static int read_metadata(fcl_checkpoint *checkpoint)
{
    fcl_checkpoint_info *info = &checkpoint->info;
    uint64_t step, classes;
    FCL_TRY(check_format(checkpoint));
    FCL_TRY(read_text(checkpoint, "library", &info->library));
    FCL_TRY(read_text(checkpoint, "device", &info->device));
    FCL_TRY(read_text(checkpoint, "config", &info->config));
    FCL_TRY(read_number(checkpoint, "step", INT64_MAX, &step));
    FCL_TRY(read_number(checkpoint, "seed", UINT64_MAX, &info->seed));
    FCL_TRY(read_number(checkpoint, "classes", 1000000, &classes));
    FCL_TRY(read_content(checkpoint, "data_content", &info->data_content));
    FCL_TRY(read_content(checkpoint, "source_content", &info->source_content));
    FCL_TRY(read_content(checkpoint, "condition_content", &info->condition_content));
    info->step = (int64_t)step;
    info->classes = (int)classes;
    FCL_TRY(read_sample(checkpoint));
    FCL_TRY(read_class_counts(checkpoint));
    FCL_TRY(read_class_names(checkpoint));
    bool usable = fcl_normalised_read(&checkpoint->file, fcl_shape_size(info->sample), &checkpoint->normalisation);
    info->normalisation = checkpoint->normalisation;
    if (!usable)
        return missing(checkpoint->path, "normalisation");
    info->pictures = fcl_shape_is_picture(info->sample);
    return read_config(checkpoint);
}

/* --- the tensors --- */

static fcl_states states_of(const fcl_checkpoint *checkpoint)
{
    return (fcl_states){.name = "", .params = fcl_model_params(checkpoint->model), .averages = checkpoint->averages};
}

void fcl_checkpoint_tell_averages(fcl_checkpoint *checkpoint)
{
    const fcl_averages *averages = &checkpoint->averages;
    for (int i = 0; i < averages->count; i++) {
        checkpoint->average_text[i] = fcl_average_text(averages->decay[i]);
        checkpoint->average_name[i] = averages->decay[i] > 0 ? checkpoint->average_text[i].text : "unknown";
    }
    checkpoint->info.has_ema = averages->count > 0;
    checkpoint->info.average_count = averages->count;
    checkpoint->info.averages = checkpoint->average_name;
}

/* The configuration tells the decays; whether there are averages, the tensors do. */
static void find_averages(fcl_checkpoint *checkpoint)
{
    fcl_states states = states_of(checkpoint);
    bool any = fcl_states_find(&checkpoint->file, &states, FCL_STATE_EMA, fcl_params_at(states.params, 0));
    if (!any || !checkpoint->averages.count)
        checkpoint->averages = (fcl_averages){.count = any};
    fcl_checkpoint_tell_averages(checkpoint);
}

static int check_tensors(fcl_checkpoint *checkpoint)
{
    fcl_checkpoint_info *info = &checkpoint->info;
    FCL_TRY(fcl_model_create(&checkpoint->options.model, info->sample, info->classes, &checkpoint->model));
    const fcl_params *params = fcl_model_params(checkpoint->model);
    info->model = checkpoint->model;
    info->parameters = fcl_params_numbers(params);
    find_averages(checkpoint);
    fcl_states states = states_of(checkpoint);
    int found = 0;
    FCL_TRY(fcl_states_check_all(&checkpoint->file, checkpoint->path, "is damaged", &states, &found));
    if (found != checkpoint->file.count)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: it holds %d tensors where its model has %d",
                        checkpoint->path, checkpoint->file.count, found);
    return FCL_OK;
}

static int check_sum(fcl_checkpoint *checkpoint)
{
    const char *text;
    FCL_TRY(read_text(checkpoint, "crc32", &text));
    const json_t *metadata = json_object_get(checkpoint->file.header, "__metadata__");
    fcl_states states = states_of(checkpoint);
    if (strcmp(text, fcl_checkpoint_sum(fcl_states_sum(&checkpoint->file, 1, &states), metadata).text) != 0)
        return fcl_fail(FCL_ERR_FORMAT, "%s is damaged: its content does not have the checksum %.8s",
                        checkpoint->path, text);
    return FCL_OK;
}

static void list_tensors(fcl_checkpoint *checkpoint)
{
    int count = checkpoint->file.count;
    checkpoint->tensors = fcl_zalloc((size_t)count * sizeof *checkpoint->tensors);
    for (int i = 0; i < count; i++) {
        const fcl_safetensor *tensor = &checkpoint->file.tensors[i];
        checkpoint->tensors[i] = (fcl_checkpoint_tensor){tensor->name, tensor->shape};
    }
    checkpoint->info.tensors = checkpoint->tensors;
    checkpoint->info.tensor_count = count;
}

int fcl_checkpoint_load(const fcl_checkpoint *checkpoint, fcl_state state, fcl_buffer *flat)
{
    fcl_states states = states_of(checkpoint);
    return fcl_states_load(&checkpoint->file, &states, state, flat);
}

/* --- open and close --- */

static int open_file(const char *path, fcl_checkpoint *checkpoint)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        FCL_TRY(fcl_checkpoint_newest(path, &checkpoint->path));
    else
        checkpoint->path = fcl_strdup(path);
    checkpoint->info.path = checkpoint->path;
    return fcl_file_read(checkpoint->path, &checkpoint->bytes, &checkpoint->size);
}

static int read_own(fcl_checkpoint *checkpoint)
{
    FCL_TRY(read_metadata(checkpoint));
    FCL_TRY(check_tensors(checkpoint));
    return check_sum(checkpoint);
}

static bool is_own(const fcl_checkpoint *checkpoint)
{
    return fcl_safetensors_metadata(&checkpoint->file, FCL_CHECKPOINT_FORMAT);
}

/* Everything about bytes that may come from anywhere: also the entrance of the fuzzer. */
static int read_bytes(fcl_checkpoint *checkpoint, const fcl_foreign_options *foreign)
{
    FCL_TRY(fcl_safetensors_parse(checkpoint->bytes, checkpoint->size, checkpoint->path, &checkpoint->file));
    checkpoint->options.model.own = foreign ? foreign->own : NULL;
    if (fcl_safetensors_metadata(&checkpoint->file, FCL_CLASSIFIER_FORMAT))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s is a classifier of pictures, no model that draws any: eval takes it by --features",
                        checkpoint->path);
    if (!is_own(checkpoint) && !(foreign && (foreign->config || foreign->own)))
        return fcl_fail(FCL_ERR_FORMAT,
                        "%s is a safetensors file, but not written by flowcl: it has no metadata that says what the "
                        "weights are of; --config FILE (the option config) does, with model, width, depth, activation, "
                        "path and prediction as train's config.yaml has them",
                        checkpoint->path);
    FCL_TRY(is_own(checkpoint) ? read_own(checkpoint) : fcl_foreign_read(checkpoint, foreign));
    list_tensors(checkpoint);
    return FCL_OK;
}

int fcl_checkpoint_open_with(const char *path, const fcl_foreign_options *foreign, fcl_checkpoint **checkpoint)
{
    *checkpoint = fcl_zalloc(sizeof **checkpoint);
    int status = open_file(path, *checkpoint);
    if (status == FCL_OK)
        status = read_bytes(*checkpoint, foreign);
    if (status == FCL_ERR_FORMAT && strcmp((*checkpoint)->path, path) != 0)
        fcl_fail(status, "%s; without this file the folder's next older checkpoint is taken", fcl_error());
    if (status != FCL_OK)
        fcl_checkpoint_close(checkpoint);
    return status;
}

int fcl_checkpoint_open(const char *path, fcl_checkpoint **checkpoint)
{
    return fcl_checkpoint_open_with(path, NULL, checkpoint);
}

static int take_for(fcl_checkpoint *checkpoint, const char *names, const fcl_train_options *options,
                    const fcl_model *model)
{
    FCL_TRY(fcl_safetensors_parse(checkpoint->bytes, checkpoint->size, checkpoint->path, &checkpoint->file));
    if (is_own(checkpoint) && names)
        return fcl_fail(FCL_ERR_ARGUMENT, "names %s has no use with %s: it is a checkpoint of flowcl, with our names",
                        names, checkpoint->path);
    checkpoint->options.model.own = options->model.own;
    if (is_own(checkpoint))
        return read_own(checkpoint);
    checkpoint->options.model = options->model;
    FCL_TRY(fcl_model_create(&options->model, fcl_model_sample(model), fcl_model_classes(model), &checkpoint->model));
    return fcl_foreign_take(checkpoint, names);
}

int fcl_checkpoint_open_for(const char *path, const char *names, const fcl_train_options *options,
                            const fcl_model *model, fcl_checkpoint **checkpoint)
{
    *checkpoint = fcl_zalloc(sizeof **checkpoint);
    int status = open_file(path, *checkpoint);
    if (status == FCL_OK)
        status = take_for(*checkpoint, names, options, model);
    if (status != FCL_OK)
        fcl_checkpoint_close(checkpoint);
    return status;
}

int fcl_checkpoint_parse(const uint8_t *bytes, size_t size, const fcl_foreign_options *foreign,
                         fcl_checkpoint **checkpoint)
{
    *checkpoint = fcl_zalloc(sizeof **checkpoint);
    fcl_checkpoint *opened = *checkpoint;
    opened->path = fcl_strdup("bytes");
    opened->info.path = opened->path;
    opened->bytes = memcpy(fcl_zalloc(size), bytes, size);
    opened->size = size;
    int status = read_bytes(opened, foreign);
    if (status != FCL_OK)
        fcl_checkpoint_close(checkpoint);
    return status;
}

void fcl_checkpoint_close(fcl_checkpoint **checkpoint)
{
    fcl_checkpoint *closing = *checkpoint;
    if (!closing)
        return;
    fcl_model_destroy(&closing->model);
    fcl_options_destroy(&closing->bound);
    for (int i = 0; closing->numbers && i < closing->file.count; i++)
        fcl_array_destroy(&closing->numbers[i]);
    free(closing->numbers);
    fcl_safetensors_free(&closing->file);
    fcl_arena_free(&closing->strings);
    free(closing->class_counts);
    fcl_normalisation_destroy(&closing->normalisation);
    json_decref(closing->class_names);
    free(closing->class_name);
    free(closing->tensors);
    free(closing->bytes);
    free(closing->path);
    free(closing);
    *checkpoint = NULL;
}

const fcl_checkpoint_info *fcl_checkpoint_describe(const fcl_checkpoint *checkpoint)
{
    return &checkpoint->info;
}
