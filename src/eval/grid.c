#include "eval/plot.h"

#include "base/error.h"
#include "base/png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1024, GAP = 2, WIDTH_AIM = 720, LARGEST_SCALE = 8, LARGEST_SIDE = 32768 };

typedef struct grid {
    int64_t count, channels, height, width; /* of the pictures */
    int64_t columns, rows, scale;
    int64_t pixel_width, pixel_height; /* of the whole */
    double low, high;
} grid;

static void plan(const fcl_array *pictures, int64_t columns, grid *g)
{
    const int64_t *dim = pictures->shape.dim;
    g->count = dim[0] < MOST ? dim[0] : MOST;
    g->channels = pictures->shape.rank == 4 ? dim[1] : 1;
    g->height = dim[pictures->shape.rank - 2];
    g->width = dim[pictures->shape.rank - 1];
    g->columns = columns > 0 ? columns : (int64_t)ceil(sqrt((double)g->count));
    g->rows = (g->count + g->columns - 1) / g->columns;
    g->scale = (columns > 0 ? 2 : 1) * WIDTH_AIM / (g->columns * g->width); /* two grids beside each other */
    g->scale = g->scale < 1 ? 1 : g->scale > LARGEST_SCALE ? LARGEST_SCALE : g->scale;
    g->pixel_width = g->columns * (g->width * g->scale + GAP) + GAP;
    g->pixel_height = g->rows * (g->height * g->scale + GAP) + GAP;
}

/* [low, high] to a byte; what lies outside is cut off, NaN is black. */
static uint8_t byte_of(const grid *g, float value)
{
    double scaled = ((double)value - g->low) * 255 / (g->high - g->low);
    return scaled >= 255 ? 255 : scaled > 0 ? (uint8_t)lrint(scaled) : 0;
}

static void draw_picture(const grid *g, const float *picture, uint8_t *corner)
{
    for (int64_t y = 0; y < g->height * g->scale; y++) {
        uint8_t *out = corner + y * g->pixel_width * g->channels;
        const float *row = picture + y / g->scale * g->width;
        for (int64_t x = 0; x < g->width * g->scale; x++) {
            for (int64_t c = 0; c < g->channels; c++)
                *out++ = byte_of(g, row[c * g->height * g->width + x / g->scale]);
        }
    }
}

int fcl_grid_write(const char *path, const fcl_array *pictures, int64_t columns, double low, double high)
{
    bool given = low < high;
    grid g = {.low = given ? low : -1, .high = given ? high : 1};
    plan(pictures, columns, &g);
    if (g.pixel_width > LARGEST_SIDE || g.pixel_height > LARGEST_SIDE)
        return fcl_fail(FCL_ERR_UNSUPPORTED, "cannot draw %s: a grid of %lld by %lld pixels is too large",
                        path, (long long)g.pixel_width, (long long)g.pixel_height);
    size_t size = (size_t)(g.pixel_width * g.pixel_height * g.channels);
    uint8_t *pixels = malloc(size);
    if (!pixels)
        return fcl_fail(FCL_ERR_MEMORY, "cannot draw %s: no memory for %zu bytes of pixels", path, size);
    memset(pixels, 255, size);
    int64_t picture_size = g.channels * g.height * g.width;
    for (int64_t i = 0; i < g.count; i++) {
        int64_t left = GAP + i % g.columns * (g.width * g.scale + GAP);
        int64_t top = GAP + i / g.columns * (g.height * g.scale + GAP);
        draw_picture(&g, pictures->data + i * picture_size,
                     pixels + (top * g.pixel_width + left) * g.channels);
    }
    int status = fcl_png_write(path, pixels, (int)g.pixel_width, (int)g.pixel_height, (int)g.channels);
    free(pixels);
    return status;
}
