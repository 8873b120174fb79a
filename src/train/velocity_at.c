/* The velocity of checkpoints at given points and times. */
#include "train/sample.h"

#include "base/error.h"
#include "train/checkpoint.h"
#include "train/guidance.h"

#include <math.h>
#include <stdlib.h>

static int check_times(const fcl_array *x, const fcl_array *t)
{
    int64_t n = x->shape.dim[0];
    if (fcl_shape_size(t->shape) != n)
        return fcl_fail(FCL_ERR_SHAPE, "%lld times are given for %lld samples", (long long)fcl_shape_size(t->shape), (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (!(t->data[i] >= 0 && t->data[i] <= 1))
            return fcl_fail(FCL_ERR_ARGUMENT, "the time of sample %lld is %g, and not from 0 to 1", (long long)i + 1,
                            (double)t->data[i]);
    return FCL_OK;
}

/* Of normalised points to those of the data's units: these are `scale` times as far apart. */
static void scale_velocity(const fcl_normalisation *by, int64_t size, fcl_array *v)
{
    for (int64_t i = 0; by->count && i < fcl_shape_size(v->shape); i++)
        v->data[i] = (float)((double)v->data[i] * by->scale[i % size % by->count]);
}

static int check_finite(const fcl_array *v)
{
    long long count = 0, n = v->shape.dim[0];
    int64_t size = fcl_shape_size(v->shape) / n;
    for (int64_t i = 0; i < n; i++) {
        bool finite = true;
        for (int64_t k = 0; k < size; k++)
            finite &= isfinite(v->data[i * size + k]);
        count += !finite;
    }
    return count ? fcl_fail(FCL_ERR_NUMERIC, "%lld of %lld velocities are not finite", count, n) : FCL_OK;
}

static int ask(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options, const float *t,
               const int32_t *label, fcl_array *v)
{
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_sampled of = {.model = info->model, .objective = &info->options->objective};
    fcl_sampler *sampler = NULL;
    int64_t n = v->shape.dim[0], size = fcl_shape_size(info->sample);
    int status = fcl_sample_weights(device, checkpoint, options, &of.weights);
    if (status == FCL_OK)
        status = fcl_sampler_create(device, &of, options, FCL_SAMPLER_VELOCITY, n, &sampler);
    if (status == FCL_OK) {
        fcl_normalisation_apply(info->normalisation, n, size, v->data);
        fcl_sampler_at(sampler, t);
        status = fcl_sampler_run(sampler, v->data, label, n, NULL, NULL);
        scale_velocity(info->normalisation, size, v);
    }
    fcl_sampler_destroy(&sampler);
    fcl_buffer_destroy(&of.weights);
    return status == FCL_OK ? check_finite(v) : status;
}

int fcl_velocity_at(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                    const fcl_array *x, const fcl_array *t, const int32_t *label, fcl_array **v)
{
    static const fcl_sample_options defaults = {0};
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    fcl_sample_options filled = options ? *options : defaults;
    int32_t *labels = NULL;
    *v = NULL;
    filled.times = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    FCL_TRY(fcl_guidance_check(info, &filled));
    FCL_TRY(fcl_sample_take(filled.ranks, info, x, v));
    int status = check_times(*v, t);
    if (status == FCL_OK)
        status = fcl_sample_make_labels(info, &filled, label, (*v)->shape.dim[0], &labels);
    if (status == FCL_OK)
        status = ask(device, checkpoint, &filled, t->data, labels, *v);
    free(labels);
    if (!fcl_sample_is_there(status))
        fcl_array_destroy(v);
    return status;
}
