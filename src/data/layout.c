#include "data/layout.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/pictures.h"
#include "data/statistics.h"

#include <math.h>
#include <string.h>

enum {
    RGBA = 4,
    LEAST_SIDE = 8,         /* of what numbers tell to be a picture */
    MOST_ASKED = 64,        /* samples */
    MOST_NUMBERS = 1 << 20, /* of all of these, or one sample */
};

/* --- by shape and type --- */

static bool is_channels(int64_t dim)
{
    return dim == 1 || dim == 3;
}

bool fcl_layout_keeps_bytes(const fcl_npy *array)
{
    return array->kind == 'u' && array->item_size == 1 && (array->shape.rank == 3 || array->shape.rank == 4);
}

/* Whether channels are last, as a picture. */
static bool is_turned(fcl_shape shape)
{
    const int64_t *dim = shape.dim;
    return shape.rank == 4 && !is_channels(dim[1]) && (is_channels(dim[3]) || dim[3] == RGBA);
}

static fcl_shape as_it_lies(fcl_shape shape)
{
    fcl_shape sample = {.rank = shape.rank > 1 ? shape.rank - 1 : 1, .dim = {1}};
    for (int i = 1; i < shape.rank; i++)
        sample.dim[i - 1] = shape.dim[i];
    return sample;
}

static void take_as_pictures(fcl_shape shape, fcl_layout *layout)
{
    const int64_t *dim = shape.dim;
    layout->turned = is_turned(shape);
    layout->clear = layout->turned && dim[3] == RGBA;
    if (shape.rank == 3)
        layout->sample = FCL_SHAPE(1, dim[1], dim[2]);
    else if (layout->turned)
        layout->sample = FCL_SHAPE(layout->clear ? 3 : dim[3], dim[1], dim[2]);
}

/* Which of its dimensions are taken for what. */
static char *describe(fcl_shape shape, const fcl_layout *layout, const fcl_dataset_options *options)
{
    char text[FCL_SHAPE_TEXT];
    fcl_text note = {0};
    bool first = is_channels(shape.dim[1]);
    fcl_text_format(&note, "its shape %s is read as %s", fcl_shape_format(shape, text),
                    shape.rank == 3  ? "(N, H, W)"
                    : layout->turned ? "(N, H, W, C)"
                                     : "(N, C, H, W)");
    if (layout->clear)
        fcl_text_format(&note, ", RGBA over %s", fcl_image_below(options));
    else if (shape.rank == 4 && first && is_channels(shape.dim[3]))
        fcl_text_add(&note, ", and could be (N, H, W, C)");
    else if (shape.rank == 4 && !first && !layout->turned)
        fcl_text_add(&note, ", though these are neither 1 nor 3 channels");
    return note.data;
}

static int check_background(const fcl_dataset_options *options, const char *where, fcl_layout *layout)
{
    if (layout->clear)
        return fcl_image_background(fcl_image_below(options), layout->below);
    return options->image.background
               ? fcl_fail(FCL_ERR_ARGUMENT, "background has no use with %s: none of its samples are RGBA, (H, W, 4)", where)
               : FCL_OK;
}

int fcl_layout_begin(const fcl_npy *array, const fcl_dataset_options *options, const char *where, fcl_layout *layout,
                     char **note)
{
    const fcl_shape shape = array->shape;
    *layout = (fcl_layout){.bytes = fcl_layout_keeps_bytes(array), .sample = as_it_lies(shape), .white = 255};
    *note = NULL;
    if (layout->bytes)
        take_as_pictures(shape, layout);
    FCL_TRY(fcl_layout_asks(array) ? FCL_OK : check_background(options, where, layout));
    if (layout->bytes && shape.rank == 4)
        *note = describe(shape, layout, options);
    return FCL_OK;
}

/* --- by numbers --- */

bool fcl_layout_asks(const fcl_npy *array)
{
    const int64_t *dim = array->shape.dim;
    bool table = array->shape.rank == 3 && dim[1] >= LEAST_SIDE && dim[2] >= LEAST_SIDE;
    return !fcl_layout_keeps_bytes(array) && (table || is_turned(array->shape));
}

int64_t fcl_layout_asked(fcl_shape sample, int64_t count)
{
    int64_t most = MOST_NUMBERS / fcl_shape_size(sample), n = count < MOST_ASKED ? count : MOST_ASKED;
    return n <= most ? n : most > 0 ? most : 1;
}

static bool are_same(fcl_shape a, fcl_shape b)
{
    return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof *a.dim) == 0;
}

static fcl_extent extent_of(int64_t count, const float *values)
{
    fcl_extent extent = {values[0], values[0], true};
    for (int64_t i = 0; i < count; i++) {
        extent.least = fmin(extent.least, (double)values[i]);
        extent.most = fmax(extent.most, (double)values[i]);
        extent.whole &= values[i] == floorf(values[i]);
    }
    return extent;
}

/* Most pixels of pictures that can be seen through are either there or not; what else comes by fours is not so. */
static bool is_alpha(int64_t pixels, const float *values, double white)
{
    int64_t ends = 0;
    for (int64_t p = 0; p < pixels; p++) {
        double alpha = values[RGBA * p + 3];
        ends += alpha == 0 || alpha == white;
    }
    return (white == 1 || white == 255 || white == 65535) && 2 * ends >= pixels;
}

/* Why numbers of such a shape are no pictures, where that may be unexpected. */
static char *describe_none(fcl_shape shape, const fcl_layout *as_pictures)
{
    char text[FCL_SHAPE_TEXT];
    const char *numbers = "numbers from 0 to 1, from 0 to 255 or whole ones from 0 on";
    fcl_shape_format(shape, text);
    if (shape.rank == 3)
        return fcl_format("its shape %s may be that of tables, and has a model of these by default: (N, 1, H, W) is of pictures, "
                          "and (N, H, W) where it is square, with sides from %d on and %s",
                          text, LEAST_SIDE, numbers);
    return fcl_format("its shape %s is not read as pictures (N, H, W, C), which have sides from %d on, %s%s; (N, C, H, W) says "
                      "that they are",
                      text, LEAST_SIDE, numbers,
                      as_pictures->clear ? " and, where they are RGBA, an alpha that is mostly 0 or the largest" : "");
}

/* Whether they are, by what they are to be like or else by `count` numbers in a known range. */
static bool are_pictures(fcl_shape shape, fcl_shape like, const fcl_layout *as_pictures, int64_t count, const float *values,
                         bool ranged, double black)
{
    const int64_t *dim = shape.dim;
    if (!as_pictures->clear && are_same(like, as_pictures->sample))
        return true;
    bool sides = dim[1] >= LEAST_SIDE && dim[2] >= LEAST_SIDE && (shape.rank == 4 || dim[1] == dim[2]);
    bool seen = !as_pictures->clear || is_alpha(count / RGBA, values, (double)as_pictures->white);
    return ranged && black == 0 && sides && seen && !are_same(like, as_it_lies(shape));
}

int fcl_layout_decide(const fcl_npy *array, int64_t n, const float *values, const fcl_dataset_options *options,
                      const char *where, fcl_layout *layout, char **note)
{
    const fcl_shape shape = array->shape;
    double black, white;
    int64_t count = n * fcl_shape_size(layout->sample);
    bool ranged = fcl_extent_range(extent_of(count, values), &black, &white);
    fcl_layout pictures = *layout;
    take_as_pictures(shape, &pictures);
    pictures.white = (float)white;
    bool taken = are_pictures(shape, options->like, &pictures, count, values, ranged, black);
    *note = NULL;
    if (taken)
        *layout = pictures;
    FCL_TRY(check_background(options, where, layout));
    if (taken)
        *note = describe(shape, layout, options);
    else if ((ranged || shape.rank == 4) && !are_same(options->like, layout->sample))
        *note = describe_none(shape, &pictures);
    return FCL_OK;
}

/* --- samples --- */

/* RGBA to RGB, in place. */
static void lay_bytes(const fcl_layout *layout, int64_t pixels, uint8_t *x)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int c = 0; c < 3; c++) {
            unsigned alpha = x[RGBA * p + 3], seen = x[RGBA * p + c] * alpha + layout->below[c] * (255 - alpha);
            x[3 * p + c] = (uint8_t)((seen + 127) / 255);
        }
}

static void lay_floats(const fcl_layout *layout, int64_t pixels, float *x)
{
    for (int64_t p = 0; p < pixels; p++)
        for (int c = 0; c < 3; c++) {
            float alpha = x[RGBA * p + 3] / layout->white, below = (float)layout->below[c] / 255 * layout->white;
            x[3 * p + c] = x[RGBA * p + c] * alpha + below * (1 - alpha);
        }
}

/* (H, W, C) to (C, H, W). */
static void turn_bytes(int64_t channels, int64_t pixels, const uint8_t *from, uint8_t *to)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++)
            *to++ = from[p * channels + c];
}

static void turn_floats(int64_t channels, int64_t pixels, const float *from, float *to)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t p = 0; p < pixels; p++)
            *to++ = from[p * channels + c];
}

void fcl_layout_arrange(const fcl_layout *layout, int64_t n, void *numbers, void *rows)
{
    int64_t channels = layout->sample.dim[0], pixels = layout->sample.dim[1] * layout->sample.dim[2], size = channels * pixels;
    if (layout->clear && layout->bytes)
        lay_bytes(layout, n * pixels, numbers);
    else if (layout->clear)
        lay_floats(layout, n * pixels, numbers);
    for (int64_t at = 0; at < n * size; at += size) {
        if (layout->bytes)
            turn_bytes(channels, pixels, (uint8_t *)numbers + at, (uint8_t *)rows + at);
        else
            turn_floats(channels, pixels, (float *)numbers + at, (float *)rows + at);
    }
}
