/* Samples that begin with data (SDEdit, Meng et al. 2022), and that keep a part of it. */
#include "train/edit.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/sample.h"
#include "train/source.h"

#include <stdlib.h>
#include <string.h>

bool fcl_edit_is_asked(const fcl_sample_options *options)
{
    return options->from_time != 0 || options->mask;
}

int fcl_edit_refuse(const fcl_sample_options *options)
{
    if (!fcl_edit_is_asked(options))
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "%s is for data that is carried forward, by fcl_transport",
                    options->mask ? "mask" : "from_time");
}

int fcl_edit_check(const fcl_sample_options *options)
{
    if (options->from_time >= 0 && options->from_time < 1)
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT, "from-time %g is not from 0, noise, to less than 1, data", options->from_time);
}

/* --- making --- */

static int create_paths(const fcl_cfm_options *objective, const fcl_sample_options *options, fcl_edit *edit)
{
    edit->prediction = objective->prediction;
    FCL_TRY(fcl_path_create(objective->path, (double)objective->sigma, &edit->trained));
    if (options->path)
        FCL_TRY(fcl_path_create(options->path, 0, &edit->sampled));
    if (fcl_path_has_tube(edit->trained))
        return fcl_fail(FCL_ERR_ARGUMENT, "from-time and mask need points of the path that follow from noise and data: the "
                                          "model was trained on one with a tube");
    return FCL_OK;
}

/* A mask of one sample is that of all. */
static int take_mask(const fcl_array *mask, fcl_edit *edit)
{
    if (!mask)
        return FCL_OK;
    int64_t given = fcl_shape_size(mask->shape);
    if (given != edit->size && given != edit->n * edit->size)
        return fcl_fail(FCL_ERR_SHAPE, "a mask of %lld numbers is neither of one sample, %lld, nor of all %lld samples", (long long)given,
                        (long long)edit->size, (long long)edit->n);
    edit->mask = fcl_zalloc((size_t)(edit->n * edit->size) * sizeof(float));
    for (int64_t i = 0; i < edit->n * edit->size; i++)
        edit->mask[i] = mask->data[i % given] != 0;
    return FCL_OK;
}

static int draw_noise(fcl_device *device, const fcl_checkpoint_info *info, const fcl_sample_options *options, fcl_edit *edit)
{
    fcl_sample_options drawn = *options;
    const char *source = options->source ? options->source : info->options->source;
    drawn.n = edit->n;
    edit->noise = fcl_zalloc((size_t)(edit->n * edit->size) * sizeof(float));
    FCL_TRY(fcl_sample_start(device, info, &drawn, edit->noise));
    if (fcl_source_is_moved(source))
        fcl_normalisation_apply(info->normalisation, edit->n, edit->size, edit->noise);
    return FCL_OK;
}

static int create(fcl_device *device, const fcl_checkpoint_info *info, const fcl_sample_options *options, const fcl_array *x,
                  fcl_edit *edit)
{
    edit->n = x->shape.dim[0];
    edit->size = fcl_shape_size(info->sample);
    edit->last = 1;
    FCL_TRY(create_paths(&info->options->objective, options, edit));
    FCL_TRY(take_mask(options->mask, edit));
    size_t bytes = (size_t)(edit->n * edit->size) * sizeof(float);
    edit->data = memcpy(fcl_zalloc(bytes), x->data, bytes);
    fcl_normalisation_apply(info->normalisation, edit->n, edit->size, edit->data);
    return draw_noise(device, info, options, edit);
}

static void destroy(fcl_edit *edit)
{
    fcl_path_destroy(&edit->sampled);
    fcl_path_destroy(&edit->trained);
    free(edit->data);
    free(edit->noise);
    free(edit->mask);
}

/* --- running --- */

static fcl_path_point point_at(const fcl_edit *edit, double t)
{
    return fcl_path_value(edit->sampled ? edit->sampled : edit->trained, t);
}

/* Of element i, on the path. */
static float placed(const fcl_edit *edit, fcl_path_point at, int64_t i)
{
    return (float)(at.alpha * (double)edit->data[i] + at.sigma * (double)edit->noise[i]);
}

void fcl_edit_keep(fcl_edit *edit, int count, const double *times, float *x)
{
    int64_t size = edit->n * edit->size;
    edit->last = count ? times[count - 1] : 1;
    for (int k = 0; edit->mask && k < (count ? count : 1); k++) {
        fcl_path_point at = point_at(edit, count ? times[k] : 1);
        for (int64_t i = 0; i < size; i++)
            if (edit->mask[i] == 0)
                x[k * size + i] = placed(edit, at, i);
    }
}

/* At the end what is kept is the data, to the last bit. */
static void keep_data(const fcl_edit *edit, const fcl_array *data, fcl_array *result)
{
    int64_t size = edit->n * edit->size;
    float *last = result->data + fcl_shape_size(result->shape) - size;
    for (int64_t i = 0; edit->mask && edit->last == 1 && i < size; i++)
        if (edit->mask[i] == 0)
            last[i] = data->data[i];
}

static int run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options, const fcl_array *x,
               const int32_t *label, fcl_edit *edit, fcl_array **result, fcl_sample_stats *stats)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    FCL_TRY(create(device, info, options, x, edit));
    FCL_TRY(fcl_samples_create(info->sample, edit->n, result));
    fcl_path_point at = point_at(edit, options->from_time);
    for (int64_t i = 0; i < edit->n * edit->size; i++)
        (*result)->data[i] = options->from_time > 0 ? placed(edit, at, i) : edit->noise[i];
    int status = fcl_sample_move(device, checkpoint, options, label, 0, edit, result, NULL, stats);
    if (!fcl_sample_is_there(status))
        return status;
    fcl_normalisation_undo(info->normalisation, fcl_shape_size((*result)->shape) / edit->size, edit->size, (*result)->data);
    keep_data(edit, x, *result);
    return status;
}

int fcl_edit_run(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options, const fcl_array *x,
                 const int32_t *label, fcl_array **result, fcl_sample_stats *stats)
{
    fcl_edit edit = {0};
    fcl_array *copy = NULL;
    int status = fcl_sample_take(options->ranks, fcl_checkpoint_describe(checkpoint), x, &copy);
    if (status == FCL_OK)
        status = run(device, checkpoint, options, copy, label, &edit, result, stats);
    destroy(&edit);
    fcl_array_destroy(&copy);
    return status;
}
