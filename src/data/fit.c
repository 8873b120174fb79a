/* Pictures of other sizes: cropped, then resampled along each side by itself. */
#include "data/picture.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* Which pixels of a line an output pixel is made of: those from first[i] on, by weight[i * most ...]. */
typedef struct taps {
    int count, most;
    int *first, *number;
    float *weight;
} taps;

enum { LOBES = 3 };

static double sinc(double x)
{
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double lanczos(double x)
{
    return fabs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

/* Of the input's pixel k: how much of it lies below the output's pixel i, or the kernel around its centre. */
static double weigh(int i, int k, double step)
{
    if (step < 1)
        return lanczos((i + 0.5) * step - 0.5 - k);
    return fmax(0, fmin(k + 1, (i + 1) * step) - fmax(k, i * step));
}

/* From `from` pixels to `to`; beyond the ends there is nothing, and weights add up to 1. */
static taps plan(int from, int to)
{
    double step = (double)from / to;
    taps t = {.count = to, .most = (step < 1 ? 2 * LOBES : (int)step) + 2};
    t.first = fcl_zalloc((size_t)to * sizeof *t.first);
    t.number = fcl_zalloc((size_t)to * sizeof *t.number);
    t.weight = fcl_zalloc((size_t)to * (size_t)t.most * sizeof *t.weight);
    for (int i = 0; i < to; i++) {
        double least = step < 1 ? (i + 0.5) * step - 0.5 - LOBES : i * step, sum = 0;
        int first = least > 0 ? (int)least : 0, last = first + t.most < from ? first + t.most : from;
        for (int k = first; k < last; k++)
            sum += weigh(i, k, step);
        t.first[i] = first;
        t.number[i] = last - first;
        for (int k = first; k < last; k++)
            t.weight[i * t.most + k - first] = (float)(weigh(i, k, step) / sum);
    }
    return t;
}

static void release(taps *t)
{
    free(t->first);
    free(t->number);
    free(t->weight);
}

fcl_crop fcl_picture_crop(int width, int height, int to_width, int to_height)
{
    fcl_crop crop = {.width = width, .height = height};
    if ((double)width * to_height > (double)height * to_width)
        crop.width = (int)fmax(1, rint((double)height * to_width / to_height));
    else
        crop.height = (int)fmax(1, rint((double)width * to_height / to_width));
    crop.x = (width - crop.width) / 2;
    crop.y = (height - crop.height) / 2;
    return crop;
}

/* One line of one channel, `step` numbers from pixel to pixel. */
static void shrink_line(const taps *t, const uint8_t *from, int step, float *to)
{
    for (int i = 0; i < t->count; i++) {
        const float *weight = t->weight + (size_t)i * (size_t)t->most;
        const uint8_t *pixel = from + (size_t)t->first[i] * (size_t)step;
        float sum = 0;
        for (int k = 0; k < t->number[i]; k++)
            sum += weight[k] * (float)pixel[k * step];
        to[i] = sum;
    }
}

static uint8_t to_byte(float value)
{
    return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)(value + 0.5f);
}

/* lines (crop.height, width) to a plane (height, width). */
static void mix_lines(const taps *t, const float *lines, int width, uint8_t *plane)
{
    for (int i = 0; i < t->count; i++) {
        const float *weight = t->weight + (size_t)i * (size_t)t->most;
        for (int x = 0; x < width; x++) {
            const float *pixel = lines + (size_t)t->first[i] * (size_t)width + x;
            float sum = 0;
            for (int k = 0; k < t->number[i]; k++)
                sum += weight[k] * pixel[(size_t)k * (size_t)width];
            plane[(size_t)i * (size_t)width + (size_t)x] = to_byte(sum);
        }
    }
}

/* What is grey already stays as it is. */
static void make_grey(fcl_picture *picture)
{
    int64_t pixels = (int64_t)picture->width * picture->height;
    for (int64_t p = 0; p < pixels; p++) {
        const uint8_t *rgb = picture->pixels + 3 * p;
        picture->pixels[p] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
    picture->channels = 1;
}

/* The pixels of a line that one of a mask's is made of, [first, end): all that it covers, or the one that its centre lies in.
 */
static void cover(int64_t i, int64_t from, int64_t to, int *first, int *end)
{
    bool smaller = to < from;
    *first = (int)(smaller ? i * from / to : (2 * i + 1) * from / (2 * to));
    *end = smaller ? (int)(((i + 1) * from + to - 1) / to) : *first + 1;
}

static uint8_t largest(const fcl_picture *picture, int channel, const fcl_crop *part)
{
    uint8_t most = 0;
    for (int y = part->y; y < part->y + part->height; y++) {
        for (int x = part->x; x < part->x + part->width; x++) {
            size_t pixel = (size_t)y * (size_t)picture->width + (size_t)x;
            uint8_t value = picture->pixels[pixel * (size_t)picture->channels + (size_t)channel];
            most = value > most ? value : most;
        }
    }
    return most;
}

void fcl_picture_fit_mask(fcl_picture *picture, int channels, int height, int width, uint8_t *planes)
{
    const fcl_crop crop = fcl_picture_crop(picture->width, picture->height, width, height);
    if (channels < picture->channels)
        make_grey(picture);
    for (int c = 0; c < channels; c++) {
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int left, right, top, bottom;
                cover(x, crop.width, width, &left, &right);
                cover(y, crop.height, height, &top, &bottom);
                const fcl_crop part = {crop.x + left, crop.y + top, right - left, bottom - top};
                *planes++ = largest(picture, c < picture->channels ? c : 0, &part);
            }
        }
    }
}

int fcl_picture_fit(fcl_picture *picture, int channels, int height, int width, uint8_t *planes)
{
    fcl_crop crop = fcl_picture_crop(picture->width, picture->height, width, height);
    float *lines = malloc((size_t)crop.height * (size_t)width * sizeof *lines);
    if (!lines)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to bring %d x %d pixels to %d x %d", picture->width,
                        picture->height, width, height);
    if (channels < picture->channels)
        make_grey(picture);
    taps along = plan(crop.width, width), down = plan(crop.height, height);
    size_t row = (size_t)picture->width * (size_t)picture->channels;
    for (int c = 0; c < channels; c++, planes += (size_t)height * (size_t)width) {
        int channel = c < picture->channels ? c : 0;
        const uint8_t *corner =
            picture->pixels + (size_t)crop.y * row + (size_t)(crop.x * picture->channels + channel);
        for (int y = 0; y < crop.height; y++)
            shrink_line(&along, corner + (size_t)y * row, picture->channels,
                        lines + (size_t)y * (size_t)width);
        mix_lines(&down, lines, width, planes);
    }
    release(&along);
    release(&down);
    free(lines);
    return FCL_OK;
}
