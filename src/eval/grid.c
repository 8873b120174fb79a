#include "eval/plot.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1024, GAP = 2, WIDTH_AIM = 720, LARGEST_SCALE = 8, LARGEST_SIDE = 32768 };

/* --- rows of classes --- */

enum { WIDEST = 32 };

static int largest_class(int64_t n, const int32_t *label)
{
    int32_t largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = label[i] > largest ? label[i] : largest;
    return largest;
}

/* How many pictures each class has. */
static int64_t *count_classes(int64_t n, const int32_t *label, int classes)
{
    int64_t *counts = fcl_zalloc((size_t)classes * sizeof *counts);
    for (int64_t i = 0; i < n; i++)
        counts[label[i]]++;
    return counts;
}

/* Columns of a grid that has rows for each class, and those rows; 0: it would have more gaps than pictures. */
static int64_t class_columns(int64_t n, const int32_t *label, int64_t *rows)
{
    int classes = largest_class(n, label) + 1;
    int64_t *counts = count_classes(n, label, classes), most = 0;
    for (int k = 0; k < classes; k++)
        most = counts[k] > most ? counts[k] : most;
    int64_t columns = most > WIDEST ? WIDEST : most;
    *rows = 0;
    for (int k = 0; k < classes; k++)
        *rows += (counts[k] + columns - 1) / columns;
    free(counts);
    return most > 1 && columns * *rows <= 2 * n ? columns : 0;
}

bool fcl_picture_rows(int64_t n, const int32_t *label)
{
    int64_t rows, shown = n < MOST ? n : MOST;
    return class_columns(shown, label, &rows) > 0;
}

/* A class begins a row of its own. */
static void place_classes(const int32_t *label, fcl_grid *g)
{
    int classes = largest_class(g->count, label) + 1;
    int64_t *next = count_classes(g->count, label, classes), row = 0;
    for (int k = 0; k < classes; k++) {
        int64_t pictures = next[k];
        next[k] = row * g->columns;
        row += (pictures + g->columns - 1) / g->columns;
    }
    g->place = fcl_zalloc((size_t)g->count * sizeof *g->place);
    for (int64_t i = 0; i < g->count; i++)
        g->place[i] = next[label[i]]++;
    free(next);
}

/* --- the grid --- */

void fcl_grid_plan(fcl_shape pictures, int64_t columns, const int32_t *label, fcl_grid *g)
{
    int64_t rows = 0;
    const int64_t *dim = pictures.dim;
    *g = (fcl_grid){.count = dim[0] < MOST ? dim[0] : MOST, .channels = pictures.rank == 4 ? dim[1] : 1};
    g->height = dim[pictures.rank - 2];
    g->width = dim[pictures.rank - 1];
    int64_t of_classes = label ? class_columns(g->count, label, &rows) : 0;
    g->columns = of_classes ? of_classes : columns > 0 ? columns : (int64_t)ceil(sqrt((double)g->count));
    g->rows = of_classes ? rows : (g->count + g->columns - 1) / g->columns;
    if (of_classes)
        place_classes(label, g);
    g->scale = (columns > 0 ? 2 : 1) * WIDTH_AIM / (g->columns * g->width); /* two grids beside each other */
    g->scale = g->scale < 1 ? 1 : g->scale > LARGEST_SCALE ? LARGEST_SCALE : g->scale;
    g->pixel_width = g->columns * (g->width * g->scale + GAP) + GAP;
    g->pixel_height = g->rows * (g->height * g->scale + GAP) + GAP;
}

void fcl_grid_destroy(fcl_grid *g)
{
    free(g->place);
    *g = (fcl_grid){0};
}

void fcl_grid_corner(const fcl_grid *g, int64_t i, int64_t *left, int64_t *top)
{
    int64_t place = g->place ? g->place[i] : i;
    *left = GAP + place % g->columns * (g->width * g->scale + GAP);
    *top = GAP + place / g->columns * (g->height * g->scale + GAP);
}

static void draw_picture(const fcl_grid *g, const float *picture, double low, double high, uint8_t *corner)
{
    for (int64_t y = 0; y < g->height * g->scale; y++) {
        uint8_t *out = corner + y * g->pixel_width * g->channels;
        const float *row = picture + y / g->scale * g->width;
        for (int64_t x = 0; x < g->width * g->scale; x++) {
            for (int64_t c = 0; c < g->channels; c++)
                *out++ = fcl_picture_byte(low, high, row[c * g->height * g->width + x / g->scale]);
        }
    }
}

static int draw(const char *path, const fcl_array *pictures, double low, double high, const fcl_grid *g)
{
    if (g->pixel_width > LARGEST_SIDE || g->pixel_height > LARGEST_SIDE)
        return fcl_fail(FCL_ERR_UNSUPPORTED, "cannot draw %s: a grid of %lld by %lld pixels is too large",
                        path, (long long)g->pixel_width, (long long)g->pixel_height);
    size_t size = (size_t)(g->pixel_width * g->pixel_height * g->channels);
    uint8_t *pixels = malloc(size);
    if (!pixels)
        return fcl_fail(FCL_ERR_MEMORY, "cannot draw %s: no memory for %zu bytes of pixels", path, size);
    memset(pixels, 255, size);
    int64_t picture_size = g->channels * g->height * g->width;
    for (int64_t i = 0; i < g->count; i++) {
        int64_t left, top;
        fcl_grid_corner(g, i, &left, &top);
        draw_picture(g, pictures->data + i * picture_size, low, high,
                     pixels + (top * g->pixel_width + left) * g->channels);
    }
    int status = fcl_png_write(path, pixels, (int)g->pixel_width, (int)g->pixel_height, (int)g->channels);
    free(pixels);
    return status;
}

int fcl_grid_write(const char *path, const fcl_array *pictures, int64_t columns, double low, double high,
                   const int32_t *label)
{
    bool given = low < high;
    fcl_grid g;
    fcl_grid_plan(pictures->shape, columns, label, &g);
    int status = draw(path, pictures, given ? low : -1, given ? high : 1, &g);
    fcl_grid_destroy(&g);
    return status;
}
