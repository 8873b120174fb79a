/* What flowcl sample begins with: data that --encode or --decode names, and a mask of what is kept of them. */
#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const int32_t *sample_start_labels(const sampling *work)
{
    const int32_t *own = work->start_label ? work->start_label : work->data->label;
    return work->info->classes && !work->settings->sample.label ? own : NULL;
}

bool sample_begins_with_data(const sample_settings *settings)
{
    return settings->mask || settings->sample.from_time > 0;
}

/* Few data that are begun with are repeated. */
static int64_t count_taken(const sampling *work)
{
    bool limited = work->limited && !sample_begins_with_data(work->settings);
    return limited ? work->settings->sample.n : work->data->count;
}

static int32_t *repeated_labels(const fcl_dataset *data, const fcl_array *start)
{
    int64_t n = start->shape.dim[0];
    int32_t *label = malloc((size_t)n * sizeof *label);
    for (int64_t i = 0; label && i < n; i++)
        label[i] = data->label[i % data->count];
    return label;
}

/* As many as --n says, from few data in turn: each has noise of its own. */
static int repeat_start(sampling *work)
{
    int64_t n = work->settings->sample.n, size = fcl_shape_size(work->data->shape), there = work->data->count;
    fcl_array *repeated;
    fcl_shape shape = work->start->shape;
    if (!work->limited || n == there)
        return FCL_OK;
    shape.dim[0] = n;
    int status = fcl_array_create(shape, &repeated);
    if (status != FCL_OK)
        return status;
    for (int64_t i = 0; i < n; i++)
        memcpy(repeated->data + i * size, work->start->data + i % there * size, (size_t)size * sizeof(float));
    fcl_array_destroy(&work->start);
    work->start = repeated;
    if (!work->data->label)
        return FCL_OK;
    work->start_label = repeated_labels(work->data, work->start);
    return work->start_label ? FCL_OK : FCL_ERR_MEMORY;
}

/* One for all samples or one each, 1 where they are painted anew; one without channels is that of each channel. Of bytes 0 is
 * what is kept. */
static int make_mask(sampling *work, const fcl_array *read)
{
    const fcl_dataset *file = work->mask_data;
    fcl_shape sample = work->info->sample;
    int64_t size = fcl_shape_size(sample), given = fcl_shape_size(read->shape), n = work->start->shape.dim[0];
    int64_t plane = sample.rank == 3 ? size / sample.dim[0] : size, all = given == plane ? size : given;
    float black = fcl_dataset_has_bytes(file) ? file->shift : 0;
    if (all != size && all != n * size) {
        snprintf(work->fault, sizeof work->fault,
                 "%s has %lld numbers: a mask has those of one sample, %lld, or of all %lld samples", file->name,
                 (long long)given, (long long)size, (long long)n);
        return FCL_ERR_ARGUMENT;
    }
    int status = fcl_array_create(FCL_SHAPE(all), &work->mask);
    for (int64_t i = 0; i < all && status == FCL_OK; i++)
        work->mask->data[i] = fabsf(read->data[i % given] - black) > 1e-6f;
    return status;
}

static int read_mask(sampling *work)
{
    const fcl_dataset_options options = {.unlabeled = true, .mask = true, .like = work->info->sample};
    fcl_array *read = NULL;
    if (!work->settings->mask)
        return FCL_OK;
    int status = fcl_dataset_open(work->settings->mask, &options, &work->mask_data);
    if (status == FCL_OK)
        status = fcl_dataset_take(work->mask_data, 0, work->mask_data->count, &read);
    if (status == FCL_OK)
        status = make_mask(work, read);
    fcl_array_destroy(&read);
    return status;
}

/* Whether the start is noise, which no picture is; the source of a training can be pictures. */
static bool begins_with_noise(const sampling *work)
{
    const char *source = work->info->options->source;
    return work->settings->decode && !sample_begins_with_data(work->settings) && (!source || strcmp(source, "normal") == 0);
}

static int check_kind(sampling *work)
{
    const fcl_dataset *data = work->data;
    if (begins_with_noise(work) && fcl_dataset_has_bytes(data))
        snprintf(work->fault, sizeof work->fault,
                 "%s is %s, and --decode begins with noise: --from-time 0.5 would begin with %s, noise laid over, and --mask "
                 "paint parts anew",
                 data->name, data->count > 1 ? "pictures" : "a picture", data->count > 1 ? "the pictures" : "the picture");
    else if (count_taken(work) > data->count)
        snprintf(work->fault, sizeof work->fault, "%s holds %lld samples, not the %lld that were asked for", data->name,
                 (long long)data->count, (long long)count_taken(work));
    return work->fault[0] ? FCL_ERR_ARGUMENT : FCL_OK;
}

/* The samples that --encode or --decode names: all of them, or as many as --n says. */
static int read_start(sampling *work)
{
    const sample_settings *settings = work->settings;
    const char *path = settings->encode ? settings->encode : settings->decode;
    bool all = sample_begins_with_data(settings) || begins_with_noise(work);
    fcl_dataset_options options = {.count = work->limited && !all ? settings->sample.n : 0,
                                   .label_column = settings->label_column,
                                   .label_guess = work->info->options->label_column,
                                   .image = settings->image,
                                   .background_guess = work->info->options->image.background,
                                   .like = work->info->sample};
    int status = fcl_dataset_open(path, &options, &work->data);
    if (status == FCL_OK && sample_start_labels(work))
        status = fcl_dataset_match_classes(work->data, work->info->classes, work->info->class_names);
    if (status == FCL_OK)
        status = check_kind(work);
    return status == FCL_OK ? fcl_dataset_take(work->data, 0, count_taken(work), &work->start) : status;
}

static int check_start(sampling *work)
{
    const fcl_dataset *data = work->data;
    long long given = fcl_shape_size(data->shape), wanted = fcl_shape_size(work->info->sample);
    if (given != wanted)
        snprintf(work->fault, sizeof work->fault,
                 "%s: its samples have %lld numbers each, the model's have %lld", data->name, given, wanted);
    else if (work->info->classes && !work->settings->sample.label && !data->label)
        snprintf(work->fault, sizeof work->fault,
                 "%s has no labels, and the model has %d classes: give --label", data->name,
                 fcl_class_existing(work->info->classes, work->info->class_counts));
    if (work->fault[0])
        return FCL_ERR_ARGUMENT;
    int status = sample_begins_with_data(work->settings) ? repeat_start(work) : FCL_OK;
    return status == FCL_OK ? read_mask(work) : status;
}

int sample_start(sampling *work)
{
    const sample_settings *settings = work->settings;
    if (!settings->encode && !settings->decode)
        return FCL_OK;
    int status = read_start(work);
    return status == FCL_OK ? check_start(work) : status;
}
