#include "data/pictures.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

/* What threads share while they decode. */
typedef struct decoding {
    const fcl_pictures *pictures;
    const int64_t *which;
    uint8_t *to;
    int *status;
    char **fault; /* of each: NULL, or its sentence */
} decoding;

void fcl_pictures_destroy(fcl_pictures **pictures)
{
    fcl_pictures *dying = *pictures;
    if (!dying)
        return;
    fcl_pool_destroy(&dying->pool);
    for (int64_t i = 0; i < dying->count; i++)
        free(dying->name[i]);
    free(dying->name);
    free(dying->folder);
    free(dying);
    *pictures = NULL;
}

static int bring(fcl_picture *picture, bool mask, int channels, int height, int width, uint8_t *to)
{
    if (!mask)
        return fcl_picture_fit(picture, channels, height, width, to);
    fcl_picture_fit_mask(picture, channels, height, width, to);
    return FCL_OK;
}

static int decode(const fcl_pictures *of, const char *name, uint8_t *to)
{
    fcl_picture picture;
    char *path = fcl_format("%s/%s", of->folder, name);
    int status = fcl_picture_read(path, of->background, &picture);
    if (status == FCL_OK && !picture.pixels)
        status = fcl_fail(FCL_ERR_FORMAT, "%s is no longer the picture that it was", path);
    if (status == FCL_OK)
        status = bring(&picture, of->mask, of->channels, of->height, of->width, to);
    free(picture.pixels);
    free(path);
    return status;
}

static void decode_one(void *data, int64_t i)
{
    decoding *d = data;
    const fcl_pictures *of = d->pictures;
    size_t size = (size_t)of->channels * (size_t)of->height * (size_t)of->width;
    d->status[i] = decode(of, of->name[d->which[i]], d->to + (size_t)i * size);
    if (d->status[i] != FCL_OK)
        d->fault[i] = fcl_strdup(fcl_error());
}

int fcl_pictures_read(const fcl_pictures *pictures, int64_t n, const int64_t *which, uint8_t *to, int *status)
{
    decoding d = {.pictures = pictures, .which = which, .to = to, .status = status};
    int first = FCL_OK;
    d.fault = fcl_zalloc((size_t)n * sizeof *d.fault);
    d.status = status ? status : fcl_zalloc((size_t)n * sizeof *d.status);
    fcl_pool_run(pictures->pool, n, decode_one, &d);
    for (int64_t i = 0; i < n; i++) {
        if (d.status[i] != FCL_OK && first == FCL_OK)
            first = fcl_fail(d.status[i], "%s", d.fault[i]);
        free(d.fault[i]);
    }
    free(d.fault);
    if (!status)
        free(d.status);
    return status ? FCL_OK : first;
}

/* --- one picture as a set --- */

static int fit(const fcl_reading *reading, fcl_picture *picture, fcl_dataset *dataset)
{
    const fcl_dataset_options *options = reading->options;
    bool like = options->like.rank == 3;
    int height, width, channels = fcl_image_channels(options, picture->channels);
    FCL_TRY(fcl_image_size(options->image.size, &height, &width));
    if (!height) {
        height = like ? (int)options->like.dim[1] : picture->height;
        width = like ? (int)options->like.dim[2] : picture->width;
    }
    dataset->count = 1;
    dataset->shape = FCL_SHAPE(channels, height, width);
    dataset->scale = FCL_PICTURE_SCALE;
    dataset->shift = FCL_PICTURE_SHIFT;
    dataset->full_range = true;
    dataset->bytes = malloc((size_t)fcl_shape_size(dataset->shape));
    if (!dataset->bytes)
        return fcl_fail(FCL_ERR_MEMORY, "%s: no memory for its pixels", reading->path);
    if (height != picture->height || width != picture->width)
        dataset->note =
            fcl_format("brought from %d x %d to %d x %d, height by width: cropped around the centre, then %s",
                       picture->height, picture->width, height, width, fcl_image_way(options));
    return bring(picture, options->mask, channels, height, width, dataset->bytes);
}

int fcl_dataset_read_picture(const fcl_reading *reading, fcl_dataset *dataset)
{
    uint8_t background[3];
    fcl_picture picture;
    FCL_TRY(fcl_image_background(fcl_image_below(reading->options), background));
    FCL_TRY(fcl_picture_read(reading->path, background, &picture));
    int status = picture.pixels ? fit(reading, &picture, dataset)
                                : fcl_fail(FCL_ERR_FORMAT, "%s is no picture: unpack it, if it is gzipped",
                                           reading->path);
    free(picture.pixels);
    return status;
}
