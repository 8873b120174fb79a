/* A contact sheet of what was drawn while a model was trained.
 *
 * It is cut out of the drawings themselves, so that it can be made whenever they are there, in whichever parts a run
 * was trained. Where a grid has its pictures follows from their shape, number and classes (fcl_grid_plan), and a
 * drawing of another size is none of theirs; each pixel of a picture is a square there, of which one is taken. Of a
 * scatter picture the frame is taken, made smaller. */
#include "eval/plot.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHITE = 0xffffff, BORDER = 0x9aa3af };
enum { WIDTH_AIM = 960, MOST_COLUMNS = 16, SMALL = 64, LARGE = 128, LARGEST_SCALE = 8, GAP = 2 }; /* of pictures */
enum { SHRINK = 3, POINT_COLUMNS = 6, POINT_GAP = 16 };                                           /* of points */
enum { MARGIN = 16, HEADING = 30, NUMBERS = 84, TEXT = 13 };

struct fcl_history {
    fcl_grid grid;                        /* of pictures; count 0: points */
    int width, height;                    /* of a drawing */
    int cell_width, cell_height, columns; /* of the sheet; columns: cells that each drawing has on it */
    int scale, shrink;           /* a picture's pixel is scale by scale of them, or shrink by shrink pixels are one */
    int64_t shown[MOST_COLUMNS]; /* which picture each column is of */
    int count;
    int64_t step[FCL_HISTORY_MOST];
    uint32_t *cells[FCL_HISTORY_MOST]; /* (columns, cell_height, cell_width) of each drawing */
};

/* --- what a drawing shows --- */

static int64_t place_of(const fcl_grid *g, int64_t picture)
{
    return g->place ? g->place[picture] : picture;
}

/* The first pictures, in the order of the grid: those of a class stand together. */
static void choose_pictures(fcl_history *h)
{
    for (int i = 0; i < h->columns; i++) {
        int at = i;
        for (; at > 0 && place_of(&h->grid, h->shown[at - 1]) > place_of(&h->grid, i); at--)
            h->shown[at] = h->shown[at - 1];
        h->shown[at] = i;
    }
}

static void plan_pictures(fcl_history *h, fcl_shape pictures, const int32_t *label)
{
    fcl_grid_plan(pictures, 0, label, &h->grid);
    const fcl_grid *g = &h->grid;
    int side = (int)fmin((double)(g->width > g->height ? g->width : g->height), 1 << 20);
    h->shrink = side > LARGE ? (side + LARGE - 1) / LARGE : 1;
    h->scale = side > SMALL ? 1 : SMALL / side > LARGEST_SCALE ? LARGEST_SCALE : SMALL / side;
    h->cell_width = ((int)g->width * h->scale + h->shrink - 1) / h->shrink;
    h->cell_height = ((int)g->height * h->scale + h->shrink - 1) / h->shrink;
    int fit = WIDTH_AIM / (h->cell_width + GAP), most = fit > MOST_COLUMNS ? MOST_COLUMNS : fit;
    h->columns = g->count < most ? (int)g->count : most;
    choose_pictures(h);
    h->width = (int)g->pixel_width;
    h->height = (int)g->pixel_height;
}

static void plan_points(fcl_history *h)
{
    fcl_frame frame;
    fcl_scatter_canvas(&h->width, &h->height, &frame);
    h->shrink = SHRINK;
    h->scale = h->columns = 1;
    h->cell_width = frame.width / SHRINK;
    h->cell_height = frame.height / SHRINK;
}

int fcl_history_create(fcl_shape sample, int64_t n, const int32_t *label, fcl_history **history)
{
    fcl_shape all = {.rank = sample.rank + 1, .dim = {n}};
    bool points = sample.rank == 1 && sample.dim[0] >= 2;
    *history = NULL;
    if (n < 1 || (!points && !fcl_samples_are_pictures(sample)))
        return fcl_fail(FCL_ERR_SHAPE, "%lld samples of rank %d are neither pictures nor points of a history",
                        (long long)n, sample.rank);
    for (int i = 0; i < sample.rank; i++)
        all.dim[i + 1] = sample.dim[i];
    *history = fcl_zalloc(sizeof **history);
    if (points)
        plan_points(*history);
    else
        plan_pictures(*history, all, label);
    return FCL_OK;
}

void fcl_history_destroy(fcl_history **history)
{
    fcl_history *dying = *history;
    if (!dying)
        return;
    fcl_grid_destroy(&dying->grid);
    for (int i = 0; i < dying->count; i++)
        free(dying->cells[i]);
    free(dying);
    *history = NULL;
}

int fcl_history_count(const fcl_history *history)
{
    return history->count;
}

/* --- taking it --- */

/* A part of a drawing: every stride-th pixel of it each way, from a corner on. */
typedef struct part {
    const uint8_t *corner;
    int64_t row, plane; /* from one row, or channel, of the drawing to the next */
    int64_t stride, width, height;
    int channels;
} part;

/* The mean of the square of `side` by `side` pixels at (x, y), of which some lie beyond the edge. */
static uint32_t mean(const part *p, int64_t x, int64_t y, int64_t side)
{
    int64_t right = x + side < p->width ? x + side : p->width, bottom = y + side < p->height ? y + side : p->height;
    uint32_t color = 0;
    for (int c = 0; c < 3; c++) {
        const uint8_t *plane = p->corner + (c < p->channels ? c : 0) * p->plane;
        int64_t sum = 0, area = (right - x) * (bottom - y);
        for (int64_t v = y; v < bottom; v++)
            for (int64_t u = x; u < right; u++)
                sum += plane[v * p->stride * p->row + u * p->stride];
        color = color << 8 | (uint32_t)((sum + area / 2) / area);
    }
    return color;
}

static void take_cell(const fcl_history *h, const part *p, uint32_t *cell)
{
    for (int y = 0; y < h->cell_height; y++)
        for (int x = 0; x < h->cell_width; x++)
            *cell++ = mean(p, x / h->scale * h->shrink, y / h->scale * h->shrink, h->shrink);
}

static void take_pictures(const fcl_history *h, part whole, uint32_t *cells)
{
    const uint8_t *pixels = whole.corner;
    whole.stride = h->grid.scale;
    whole.width = h->grid.width;
    whole.height = h->grid.height;
    for (int i = 0; i < h->columns; i++) {
        int64_t left, top;
        fcl_grid_corner(&h->grid, h->shown[i], &left, &top);
        whole.corner = pixels + top * whole.row + left;
        take_cell(h, &whole, cells + i * h->cell_width * h->cell_height);
    }
}

static void take_points(const fcl_history *h, part whole, uint32_t *cells)
{
    int width, height;
    fcl_frame frame;
    fcl_scatter_canvas(&width, &height, &frame);
    whole.corner += frame.top * whole.row + frame.left;
    whole.width = frame.width;
    whole.height = frame.height;
    take_cell(h, &whole, cells);
}

int fcl_history_add(fcl_history *h, int64_t step, fcl_shape shape, const uint8_t *pixels)
{
    int64_t channels = h->grid.count ? h->grid.channels : 3;
    if (h->count == FCL_HISTORY_MOST)
        return fcl_fail(FCL_ERR_ARGUMENT, "a history has at most %d drawings", FCL_HISTORY_MOST);
    if (shape.rank != 3 || shape.dim[0] != channels || shape.dim[1] != h->height || shape.dim[2] != h->width)
        return fcl_fail(FCL_ERR_SHAPE, "it is not a drawing of this run, which has %d x %d pixels of %d channels",
                        h->width, h->height, (int)channels);
    uint32_t *cells = malloc((size_t)h->columns * (size_t)(h->cell_width * h->cell_height) * sizeof *cells);
    if (!cells)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a history's pictures");
    part whole = {.corner = pixels,
                  .row = h->width,
                  .plane = (int64_t)h->width * h->height,
                  .stride = 1,
                  .channels = (int)channels};
    if (h->grid.count)
        take_pictures(h, whole, cells);
    else
        take_points(h, whole, cells);
    h->step[h->count] = step;
    h->cells[h->count++] = cells;
    return FCL_OK;
}

int fcl_history_choose(int count, int which[FCL_HISTORY_MOST])
{
    int chosen = count < FCL_HISTORY_MOST ? count : FCL_HISTORY_MOST;
    for (int k = 0; k < chosen; k++) {
        double wanted = chosen > 1 ? pow(count, (double)k / (chosen - 1)) : 1;
        int at = (int)lround(wanted) - 1;
        which[k] = k > 0 && at <= which[k - 1] ? which[k - 1] + 1 : at;
    }
    return chosen;
}

/* --- the sheet --- */

static void put_cell(fcl_canvas *canvas, const fcl_history *h, const uint32_t *cell, int left, int top)
{
    for (int y = 0; y < h->cell_height; y++)
        for (int x = 0; x < h->cell_width; x++)
            canvas->pixel[(top + y) * canvas->width + left + x] = *cell++;
}

static int draw_pictures(const fcl_history *h, fcl_canvas *canvas)
{
    int width = NUMBERS + h->columns * (h->cell_width + GAP) + MARGIN, pitch = h->cell_height + GAP;
    FCL_TRY(fcl_canvas_create(width < 360 ? 360 : width, HEADING + h->count * pitch + MARGIN, WHITE, canvas));
    FCL_TRY(fcl_canvas_text(canvas, NUMBERS - 12, HEADING / 2, FCL_SIDE_RIGHT, TEXT, "step"));
    FCL_TRY(fcl_canvas_text(canvas, NUMBERS, HEADING / 2, FCL_SIDE_LEFT, TEXT, "the same noise in each column"));
    for (int row = 0; row < h->count; row++) {
        char text[24];
        int top = HEADING + row * pitch;
        snprintf(text, sizeof text, "%" PRId64, h->step[row]);
        FCL_TRY(fcl_canvas_text(canvas, NUMBERS - 12, top + h->cell_height / 2.0, FCL_SIDE_RIGHT, TEXT, text));
        for (int i = 0; i < h->columns; i++)
            put_cell(canvas, h, h->cells[row] + i * h->cell_width * h->cell_height,
                     NUMBERS + i * (h->cell_width + GAP), top);
    }
    return FCL_OK;
}

static void draw_border(fcl_canvas *canvas, int left, int top, int width, int height)
{
    for (int x = -1; x <= width; x++)
        canvas->pixel[(top - 1) * canvas->width + left + x] =
            canvas->pixel[(top + height) * canvas->width + left + x] = BORDER;
    for (int y = -1; y <= height; y++)
        canvas->pixel[(top + y) * canvas->width + left - 1] =
            canvas->pixel[(top + y) * canvas->width + left + width] = BORDER;
}

static int draw_points(const fcl_history *h, fcl_canvas *canvas)
{
    int columns = h->count < POINT_COLUMNS ? h->count : POINT_COLUMNS, lines = (h->count + columns - 1) / columns;
    int across = h->cell_width + POINT_GAP, down = HEADING + h->cell_height + POINT_GAP / 2;
    FCL_TRY(fcl_canvas_create(2 * MARGIN + columns * across - POINT_GAP, lines * down + MARGIN / 2, WHITE, canvas));
    for (int i = 0; i < h->count; i++) {
        char text[32];
        int left = MARGIN + i % columns * across, top = HEADING + i / columns * down;
        snprintf(text, sizeof text, "step %" PRId64, h->step[i]);
        FCL_TRY(fcl_canvas_text(canvas, left, top - HEADING / 2, FCL_SIDE_LEFT, TEXT, text));
        put_cell(canvas, h, h->cells[i], left, top);
        draw_border(canvas, left, top, h->cell_width, h->cell_height);
    }
    return FCL_OK;
}

int fcl_history_write(const char *path, const fcl_history *h)
{
    fcl_canvas canvas = {0};
    if (h->count < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot draw %s: the history has no drawing", path);
    int status = h->grid.count ? draw_pictures(h, &canvas) : draw_points(h, &canvas);
    status = status == FCL_OK ? fcl_canvas_write(&canvas, path) : fcl_fail_within(status, "cannot draw %s", path);
    fcl_canvas_destroy(&canvas);
    return status;
}
