/* Log densities of checkpoints: of given samples, and of new ones. */
#include "train/sample.h"

#include "base/error.h"
#include "train/checkpoint.h"
#include "train/source.h"

#include <string.h>

static bool is_normal(const char *source)
{
    return !source || !strcmp(source, FCL_SOURCE_NORMAL);
}

static int check_source(const fcl_checkpoint_info *info, const fcl_sample_options *options)
{
    const char *source = options->source ? options->source : info->options->source;
    if (is_normal(source))
        return FCL_OK;
    return fcl_fail(FCL_ERR_ARGUMENT,
                    "the flow begins with samples of '%s', whose density is not known, and so is not that of "
                    "what it makes of them: log densities need the normal source",
                    source);
}

/* The options with their defaults, checked. */
static int fill_options(const fcl_checkpoint_info *info, const fcl_sample_options *options,
                        fcl_sample_options *filled)
{
    *filled = *options;
    FCL_TRY(fcl_edit_refuse(options));
    if (options->times)
        return fcl_fail(FCL_ERR_ARGUMENT, "log densities are of samples at t = 1: no times \"%s\"",
                        options->times);
    fcl_options_defaults(fcl_sample_table, filled);
    FCL_TRY(fcl_sample_check(filled));
    FCL_TRY(fcl_divergence_check(&filled->divergence));
    return check_source(info, filled);
}

static int solve(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                 const int32_t *label, unsigned flags, fcl_array **x, fcl_array **density,
                 fcl_sample_stats *stats)
{
    int status = fcl_array_create(FCL_SHAPE((*x)->shape.dim[0], 2), density);
    if (status != FCL_OK)
        fcl_array_destroy(x);
    else
        status = fcl_sample_run(device, checkpoint, options, label, flags | FCL_SAMPLER_DENSITY, x, *density,
                                stats);
    if (!fcl_sample_is_there(status))
        fcl_array_destroy(density);
    return status;
}

int fcl_log_density(fcl_device *device, const fcl_checkpoint *checkpoint, const fcl_sample_options *options,
                    const fcl_array *x, const int32_t *label, fcl_array **density, fcl_sample_stats *stats)
{
    fcl_sample_options filled;
    fcl_array *path = NULL;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    *density = NULL;
    FCL_TRY(fill_options(info, options, &filled));
    FCL_TRY(fcl_sample_take(options->ranks, info, x, &path));
    int status = solve(device, checkpoint, &filled, label, FCL_SAMPLER_BACKWARD, &path, density, stats);
    fcl_array_destroy(&path);
    return status;
}

int fcl_sample_density(fcl_device *device, const fcl_checkpoint *checkpoint,
                       const fcl_sample_options *options, fcl_array **samples, fcl_array **density,
                       fcl_sample_stats *stats)
{
    fcl_sample_options filled;
    const fcl_checkpoint_info *info = fcl_checkpoint_describe(checkpoint);
    *samples = *density = NULL;
    FCL_TRY(fill_options(info, options, &filled));
    FCL_TRY(fcl_samples_create(info->sample, filled.n, samples));
    int status = fcl_sample_start(device, info, &filled, (*samples)->data);
    if (status != FCL_OK)
        fcl_array_destroy(samples);
    return status == FCL_OK ? solve(device, checkpoint, &filled, NULL, 0, samples, density, stats) : status;
}

double fcl_bits_per_dimension(double log_density, int64_t size)
{
    return -log_density / ((double)size * 0.69314718055994530942) + 7;
}
