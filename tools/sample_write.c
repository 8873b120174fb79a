/* The files of flowcl sample. */
#include "sample.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool sample_has_ending(const char *path, const char *ending)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ending);
}

bool sample_holds_arrays(const char *path)
{
    return sample_has_ending(path, ".npy") || sample_has_ending(path, ".npz");
}

bool sample_as_bytes(const sampling *work)
{
    const sample_settings *settings = work->settings;
    bool pictures = work->info->pictures && !settings->encode && !settings->sample.times;
    return pictures && (sample_has_ending(settings->out, ".npz") || fcl_pictures_in_folder(settings->out));
}

int64_t sample_count(const sampling *work)
{
    return work->samples->shape.dim[work->settings->sample.times ? 1 : 0];
}

/* The classes of drawn samples; NULL where they have none. */
static int drawn_labels(const sampling *work, const fcl_sample_options *options, int32_t **labels)
{
    int status = fcl_sample_labels(work->checkpoint, options, labels);
    if (status == FCL_OK && *labels && (*labels)[0] == work->info->classes) {
        fcl_free(*labels);
        *labels = NULL;
    }
    return status;
}

/* The class of each sample, where they have one and the file has a place for it; else NULL. */
static int make_labels(const sampling *work, int32_t **labels)
{
    const sample_settings *settings = work->settings;
    const int32_t *given = work->start ? sample_start_labels(work) : NULL;
    fcl_sample_options drawn = settings->sample;
    *labels = NULL;
    drawn.n = sample_count(work);
    if (!work->info->classes || settings->sample.times ||
        !(sample_has_ending(settings->out, ".npz") || sample_has_ending(settings->out, ".csv") || fcl_pictures_in_folder(settings->out)))
        return FCL_OK;
    int status = given ? FCL_OK : drawn_labels(work, &drawn, labels);
    if (given && (*labels = calloc((size_t)drawn.n, sizeof **labels)))
        memcpy(*labels, given, (size_t)drawn.n * sizeof **labels);
    return given && !*labels ? FCL_ERR_MEMORY : status;
}

static int make_logp(const sampling *work, fcl_array **logp)
{
    int64_t n = work->density ? work->density->shape.dim[0] : 0;
    *logp = NULL;
    int status = n ? fcl_array_create(FCL_SHAPE(n), logp) : FCL_OK;
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        (*logp)->data[i] = work->density->data[2 * i];
    return status;
}

/* A picture of new samples at the end of their way has a title, and shows their classes. */
static int write_plain(sampling *work, fcl_picture_options *picture)
{
    const sample_settings *settings = work->settings;
    char title[96];
    int32_t *label = NULL;
    int status = FCL_OK;
    snprintf(title, sizeof title, "%" PRId64 " samples at step %" PRId64, work->samples->shape.dim[0],
             work->info->step);
    if (!work->start && !settings->sample.times) {
        status = drawn_labels(work, &settings->sample, &label);
        picture->title = title;
        picture->label = label;
        work->rows_of_classes = label && work->info->pictures && sample_has_ending(settings->out, ".png") &&
                                fcl_picture_rows(sample_count(work), label);
    }
    if (status == FCL_OK)
        status = fcl_samples_write(settings->out, work->samples, picture);
    fcl_free(label);
    return status;
}

/* Beside the samples: logp, logw with an energy, and the labels. */
int sample_write(sampling *work)
{
    const sample_settings *settings = work->settings;
    fcl_array *logp;
    int32_t *labels = NULL;
    const fcl_normalisation *by = work->info->normalisation;
    fcl_picture_options picture = {.low = by->low, .high = by->high};
    bool numbers = sample_holds_arrays(settings->out) || sample_has_ending(settings->out, ".csv");
    fcl_column columns[3];
    int count = 0, status = make_logp(work, &logp);
    if (status == FCL_OK)
        status = make_labels(work, &labels);
    if (logp)
        columns[count++] = (fcl_column){"logp", logp->data};
    if (logp && settings->energy)
        columns[count++] = (fcl_column){"logw", work->weights.column};
    if (labels)
        columns[count++] = (fcl_column){"label", .label = labels, .class_names = work->info->class_names};
    if (status == FCL_OK && sample_as_bytes(work))
        status = fcl_pictures_write(settings->out, work->samples, &picture, count, columns);
    else if (status == FCL_OK && count)
        status = fcl_columns_write(settings->out, sample_count(work), work->samples, count, columns);
    if (status == FCL_OK && !sample_as_bytes(work) && !(count && numbers)) /* a picture in its own range */
        status = write_plain(work, &picture);
    fcl_free(labels);
    fcl_array_destroy(&logp);
    return status;
}
