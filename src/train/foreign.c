/* Weights of another program as a checkpoint: what it lacks is said by a configuration, and by its tensors'
 * shapes. */
#include "train/checkpoint.h"

#include "base/array.h"
#include "base/error.h"
#include "graph/graph.h"
#include "nn/model.h"
#include "train/naming.h"
#include "train/options.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
const fcl_option fcl_foreign_table[] = {
    {"config", FCL_OPTION(fcl_foreign_options, config), .flags = FCL_OPTION_COMMAND_LINE, .placeholder = "FILE",
     .group = "Weights of another program",
     .help = "YAML file of train's options: what the weights of a safetensors file without flowcl's metadata are of"},
    {"names", FCL_OPTION(fcl_foreign_options, names), .flags = FCL_OPTION_COMMAND_LINE, .placeholder = "FILE",
     .help = "YAML file of lines \"layers.0.weight: net.0.weight\", the model's tensor and the file's; without it by their "
             "names, or by order"},
    {0},
};
/* clang-format on */

/* --- the tensors --- */

static bool is_used(const fcl_pairing *pairing, const fcl_safetensor_type *type)
{
    const fcl_safetensors *file = pairing->naming->file;
    for (int i = 0; i < file->count; i++)
        if (pairing->used[i] && file->tensors[i].type == type)
            return true;
    return false;
}

/* "; F16, BF16 to F32" */
static void add_types(const fcl_pairing *pairing, fcl_text *text)
{
    const fcl_safetensors *file = pairing->naming->file;
    const fcl_safetensor_type *told[8];
    int count = 0;
    for (int i = 0; i < file->count && count < 8; i++) {
        const fcl_safetensor_type *type = file->tensors[i].type;
        bool known = type == &fcl_safetensor_f32 || !is_used(pairing, type);
        for (int k = 0; k < count && !known; k++)
            known = told[k] == type;
        if (!known)
            told[count++] = type;
    }
    for (int k = 0; k < count; k++)
        fcl_text_format(text, "%s%s%s", k ? ", " : "; ", told[k]->name,
                        k == count - 1 ? " turned into F32" : "");
}

/* The tensor in place of the model's slice, by our name. */
static int add_tensor(fcl_checkpoint *checkpoint, const char *prefix, const fcl_param *slice,
                      const fcl_safetensor *theirs, fcl_safetensors *taken)
{
    fcl_array **numbers = &checkpoint->numbers[taken->count];
    FCL_TRY(fcl_safetensor_floats(theirs, checkpoint->path, numbers));
    taken->tensors[taken->count++] = (fcl_safetensor){
        .name = fcl_arena_format(&checkpoint->strings, "%s%s", prefix, slice->name),
        .type = &fcl_safetensor_f32,
        .shape = fcl_param_file_shape(slice),
        .data = (*numbers)->data,
        .bytes = (size_t)fcl_shape_size(slice->shape) * sizeof(float),
    };
    return FCL_OK;
}

static int add_tensors(fcl_checkpoint *checkpoint, const fcl_pairing *pairing, fcl_safetensors *taken)
{
    for (fcl_state state = 0; state < FCL_STATES; state++)
        for (int i = 0; pairing->tensor[state] && i < fcl_state_slices(pairing->params, state); i++)
            FCL_TRY(add_tensor(checkpoint, fcl_state_prefix[state], fcl_params_at(pairing->params, i),
                               &checkpoint->file.tensors[pairing->tensor[state][i]], taken));
    return FCL_OK;
}

/* From here on the file has our tensors and no other. */
static int adopt(fcl_checkpoint *checkpoint, const fcl_pairing *pairing)
{
    size_t most = FCL_STATES * (size_t)fcl_params_count(pairing->params);
    fcl_safetensors taken = {.tensors = fcl_zalloc(most * sizeof *taken.tensors)};
    fcl_text text = {0};
    checkpoint->numbers = fcl_zalloc(most * sizeof(fcl_array *));
    char *words = fcl_pairing_text(pairing);
    fcl_text_add(&text, words);
    add_types(pairing, &text);
    if (checkpoint->halved)
        fcl_text_format(&text, "; half of %s left out, which tells a variance", checkpoint->halved);
    int status = add_tensors(checkpoint, pairing, &taken);
    checkpoint->info.foreign = fcl_arena_format(&checkpoint->strings, "%s", text.data);
    checkpoint->averages = (fcl_averages){.count = pairing->tensor[FCL_STATE_EMA] != NULL};
    fcl_checkpoint_tell_averages(checkpoint);
    fcl_safetensors_free(&checkpoint->file);
    free(checkpoint->bytes);
    checkpoint->bytes = NULL;
    checkpoint->file = taken;
    fcl_text_free(&text);
    free(words);
    return status;
}

static int refuse(const fcl_checkpoint *checkpoint, const fcl_pairing *pairing)
{
    char shape[FCL_SHAPE_TEXT];
    char *faults = fcl_pairing_faults(pairing), *model = fcl_model_text(&checkpoint->options.model);
    fcl_fail(FCL_ERR_FORMAT,
             "%s does not fit the model, %s for samples of %s: %s; another model is told by its configuration, other "
             "names by --names FILE (the option names)",
             checkpoint->path, model, fcl_shape_format(fcl_model_sample(checkpoint->model), shape), faults);
    free(model);
    free(faults);
    return FCL_ERR_FORMAT;
}

static bool is_doubled(const fcl_param *slice, fcl_shape there)
{
    fcl_shape doubled = fcl_param_file_shape(slice);
    doubled.dim[0] *= 2;
    return slice->half > 0 && doubled.rank > 0 && doubled.dim[0] % (2 * slice->half) == 0 && fcl_shape_equal(doubled, there);
}

/* Of each 2 half rows the first half, moved together where they lie. */
static void take_half(fcl_safetensor *tensor, int64_t half)
{
    size_t block = tensor->bytes / (size_t)tensor->shape.dim[0] * (size_t)half;
    uint8_t *rows = (uint8_t *)(uintptr_t)tensor->data; /* inside the checkpoint's own bytes */
    for (size_t i = 1; i < (size_t)(tensor->shape.dim[0] / 2 / half); i++)
        memmove(rows + i * block, rows + 2 * i * block, block);
    tensor->shape.dim[0] /= 2;
    tensor->bytes /= 2;
}

/* A name's tensor that has twice the slice's rows, of weights or their average. */
static void take_half_of(fcl_checkpoint *checkpoint, fcl_naming *naming, const fcl_param *slice, fcl_state state)
{
    char *name = fcl_format("%s%s", fcl_state_prefix[state], slice->name);
    const fcl_named *there = fcl_naming_find(naming, name);
    if (there && is_doubled(slice, there->shape)) {
        fcl_safetensor *tensor = &checkpoint->file.tensors[there->index];
        take_half(tensor, slice->half);
        naming->tensor[there - naming->tensor].shape = tensor->shape;
        const char *before = checkpoint->halved ? checkpoint->halved : "";
        checkpoint->halved = fcl_arena_format(&checkpoint->strings, "%s%s%s", before, *before ? ", " : "", tensor->name);
    }
    free(name);
}

static void take_halves(fcl_checkpoint *checkpoint, fcl_naming *naming)
{
    const fcl_params *params = fcl_model_params(checkpoint->model);
    for (int i = 0; i < fcl_params_count(params); i++)
        for (fcl_state state = FCL_STATE_WEIGHTS; state <= FCL_STATE_EMA; state++)
            take_half_of(checkpoint, naming, fcl_params_at(params, i), state);
}

static int pair(fcl_checkpoint *checkpoint, fcl_naming *naming)
{
    fcl_pairing pairing;
    take_halves(checkpoint, naming);
    fcl_pairing_make(naming, fcl_model_params(checkpoint->model), &pairing);
    int status = fcl_pairing_is_whole(&pairing) ? adopt(checkpoint, &pairing) : refuse(checkpoint, &pairing);
    fcl_pairing_free(&pairing);
    return status;
}

int fcl_foreign_take(fcl_checkpoint *checkpoint, const char *names)
{
    fcl_naming naming;
    FCL_TRY(fcl_naming_create(&checkpoint->file, names, checkpoint->path, fcl_model_params(checkpoint->model),
                              &naming));
    int status = pair(checkpoint, &naming);
    fcl_naming_free(&naming);
    return status;
}

static int take_unseen(fcl_checkpoint *checkpoint, const char *names)
{
    fcl_naming naming;
    FCL_TRY(fcl_guess_samples(checkpoint, names, &naming));
    int status = pair(checkpoint, &naming);
    fcl_naming_free(&naming);
    return status;
}

/* Numbers without data: given, or as they are. */
static int normalise_unseen(fcl_checkpoint *checkpoint)
{
    const fcl_train_options *options = &checkpoint->options;
    const char *how = options->normalise;
    fcl_dataset unseen = {.count = 0, .shape = checkpoint->info.sample};
    snprintf(unseen.name, sizeof unseen.name, "%.63s", checkpoint->path);
    if (!strcmp(how, "columns") || !strcmp(how, "all"))
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "normalise %s is by the training's data, which the configuration of %s does not name: name it as "
            "data, or give the numbers, a centre and a scale",
            how, checkpoint->path);
    return fcl_normalisation_create(&unseen, strcmp(how, "auto") ? how : "off", options->range,
                                    &checkpoint->normalisation);
}

/* --- the data --- */

static int take_classes(fcl_checkpoint *checkpoint, const fcl_dataset *data)
{
    checkpoint->info.classes = data->classes;
    FCL_TRY(fcl_class_counts(data, &checkpoint->class_counts));
    checkpoint->info.class_counts = checkpoint->class_counts;
    if (!data->class_name)
        return FCL_OK;
    checkpoint->class_name = fcl_zalloc((size_t)data->classes * sizeof *checkpoint->class_name);
    for (int k = 0; k < data->classes; k++)
        checkpoint->class_name[k] = fcl_arena_format(&checkpoint->strings, "%s", data->class_name[k]);
    checkpoint->info.class_names = checkpoint->class_name;
    return FCL_OK;
}

static int take_data(fcl_checkpoint *checkpoint, const fcl_dataset *data)
{
    const fcl_train_options *options = &checkpoint->options;
    checkpoint->info.sample = data->shape;
    if (options->labels && !data->label)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "%s has no labels, and the configuration of %s says that the model is told them",
                        data->name, checkpoint->path);
    if (options->labels)
        FCL_TRY(take_classes(checkpoint, data));
    return fcl_normalisation_create(data, options->normalise, options->range, &checkpoint->normalisation);
}

static int take_seen(fcl_checkpoint *checkpoint, const char *names)
{
    const fcl_train_options *options = &checkpoint->options;
    fcl_dataset_options which = {.count = options->data_count,
                                 .seed = options->seed,
                                 .unlabeled = !options->labels,
                                 .label_column = options->label_column,
                                 .image = options->image,
                                 .stream = options->stream_data,
                                 .from_disk = options->from_disk};
    fcl_dataset *data;
    int status = fcl_dataset_open(options->data, &which, &data);
    if (status != FCL_OK)
        return fcl_fail_within(status, "the data that %s was trained on by its configuration",
                               checkpoint->path);
    status = take_data(checkpoint, data);
    fcl_dataset_destroy(&data);
    if (status == FCL_OK)
        status = fcl_model_create(&options->model, checkpoint->info.sample, checkpoint->info.classes, &checkpoint->model);
    return status == FCL_OK ? fcl_foreign_take(checkpoint, names) : status;
}

/* --- the configuration --- */

static int read_config(fcl_checkpoint *checkpoint, const char *path, bool *seen)
{
    fcl_options *bound = checkpoint->bound = fcl_options_create();
    FCL_TRY(fcl_train_options_bind(bound, &checkpoint->options));
    if (path)
        FCL_TRY(fcl_options_read_yaml(bound, path));
    *seen = checkpoint->options.data;
    if (!*seen)
        FCL_TRY(fcl_options_set(bound, "data", "unknown", FCL_FROM_DEFAULT));
    if (!fcl_model_is_chosen(&checkpoint->options.model)) /* other programs' most common one */
        FCL_TRY(fcl_options_set(bound, "model", fcl_model_name(0), FCL_FROM_DEFAULT));
    int status = fcl_options_finish(bound);
    fcl_train_options_settle(&checkpoint->options);
    if (status == FCL_OK)
        status = fcl_train_options_check(&checkpoint->options);
    return status == FCL_OK ? status : fcl_fail_within(status, "%s", path ? path : "the caller's model");
}

int fcl_foreign_read(fcl_checkpoint *checkpoint, const fcl_foreign_options *foreign)
{
    fcl_checkpoint_info *info = &checkpoint->info;
    bool seen;
    FCL_TRY(read_config(checkpoint, foreign->config, &seen));
    FCL_TRY(seen ? take_seen(checkpoint, foreign->names) : take_unseen(checkpoint, foreign->names));
    if (!seen)
        FCL_TRY(normalise_unseen(checkpoint));
    char *config = fcl_train_options_json(&checkpoint->options);
    info->config = fcl_arena_format(&checkpoint->strings, "%s", config);
    fcl_free(config);
    info->options = &checkpoint->options;
    info->seed = checkpoint->options.seed;
    info->model = checkpoint->model;
    info->parameters = fcl_params_numbers(fcl_model_params(checkpoint->model));
    info->normalisation = checkpoint->normalisation;
    info->pictures = fcl_shape_is_picture(info->sample);
    return FCL_OK;
}
