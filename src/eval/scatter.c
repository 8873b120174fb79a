#include "eval/plot.h"

#include "base/array.h"
#include "base/error.h"
#include "eval/canvas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 720, MARGIN_LEFT = 68, MARGIN_BOTTOM = 48, MARGIN_TOP = 52, MARGIN_RIGHT = 28 };
enum { WHITE = 0xffffff, GREY = 0xa8b0ba, BLUE = 0x1f5fbf };

static int compare(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

typedef struct range {
    double low, high;
} range;

/* Widens `span` to a coordinate's extent without the outermost 0.2 % at each end: one stray point must not
 * shrink all others to a dot. */
static int include_points(const fcl_array *points, int axis, range *span)
{
    int64_t n = points->shape.dim[0], count = 0;
    float *sorted = malloc((size_t)n * sizeof *sorted + 1);
    if (!sorted)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw %lld points", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        float value = points->data[i * points->shape.dim[1] + axis];
        if (isfinite(value))
            sorted[count++] = value;
    }
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    if (count > 0) {
        span->low = fmin(span->low, sorted[count / 500]);
        span->high = fmax(span->high, sorted[count - 1 - count / 500]);
    }
    free(sorted);
    return count > 0 ? FCL_OK
                     : fcl_fail(FCL_ERR_NUMERIC, "none of the %lld points to draw is finite", (long long)n);
}

int fcl_scatter_fit(int count, const fcl_array *const *sets, fcl_frame *frame)
{
    range axis[2];
    for (int i = 0; i < 2; i++) {
        axis[i] = (range){INFINITY, -INFINITY};
        for (int k = 0; k < count; k++) {
            if (sets[k])
                FCL_TRY(include_points(sets[k], i, &axis[i]));
        }
    }
    double span = fmax(axis[0].high - axis[0].low, axis[1].high - axis[1].low);
    double half = span > 0 ? 0.55 * span : fmax(1e-3 * fabs(axis[0].low), 1); /* 5 % of air on each side */
    double x = (axis[0].low + axis[0].high) / 2, y = (axis[1].low + axis[1].high) / 2;
    frame->x_low = x - half;
    frame->x_high = x + half;
    frame->y_low = y - half;
    frame->y_high = y + half;
    return FCL_OK;
}

int fcl_scatter_draw(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points, uint32_t color)
{
    double crowd = fmax(1, (double)points->shape.dim[0] / 1000);
    double radius = fmax(1.2, 3 / pow(crowd, 0.25)), opacity = fmax(0.08, 0.65 / pow(crowd, 0.25));
    return fcl_canvas_points(canvas, frame, points, color, radius, opacity);
}

/* --- by class --- */

enum { MOST_ROWS = 24 }; /* of a legend */

static int class_count(const int32_t *label, int64_t n)
{
    int32_t largest = -1;
    for (int64_t i = 0; i < n; i++)
        largest = label[i] > largest ? label[i] : largest;
    return largest + 1;
}

/* Those of one class; NULL where there are none. */
static int take_class(const fcl_array *points, const int32_t *label, int32_t which, fcl_array **taken)
{
    int64_t n = points->shape.dim[0], size = points->shape.dim[1], count = 0;
    for (int64_t i = 0; i < n; i++)
        count += label[i] == which;
    *taken = NULL;
    if (!count)
        return FCL_OK;
    FCL_TRY(fcl_array_create(FCL_SHAPE(count, size), taken));
    float *to = (*taken)->data;
    for (int64_t i = 0; i < n; i++)
        if (label[i] == which) {
            memcpy(to, points->data + i * size, (size_t)size * sizeof *to);
            to += size;
        }
    return FCL_OK;
}

/* A legend and what its rows are named. */
typedef struct legend {
    fcl_legend_row row[MOST_ROWS];
    char text[MOST_ROWS][24];
    int count;
} legend;

static void add_row(legend *l, uint32_t color, const char *name)
{
    if (l->count < MOST_ROWS)
        l->row[l->count++] = (fcl_legend_row){color, name};
    else
        l->row[MOST_ROWS - 1].name = "...";
}

static void add_class(legend *l, int which, const char *const *names)
{
    if (l->count < MOST_ROWS && !names)
        snprintf(l->text[l->count], sizeof l->text[0], "class %d", which);
    add_row(l, fcl_color_of(which), names ? names[which] : l->count < MOST_ROWS ? l->text[l->count] : "");
}

static int draw_classes(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points,
                        const fcl_picture_options *options, legend *l)
{
    int classes = class_count(options->label, points->shape.dim[0]), status = FCL_OK;
    for (int which = 0; which < classes && status == FCL_OK; which++) {
        fcl_array *taken;
        status = take_class(points, options->label, which, &taken);
        if (status == FCL_OK && taken) {
            status = fcl_scatter_draw(canvas, frame, taken, fcl_color_of(which));
            add_class(l, which, options->class_names);
        }
        fcl_array_destroy(&taken);
    }
    return status;
}

/* Axes first: their lines lie under the points. */
static int draw(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points,
                const fcl_picture_options *options)
{
    legend l = {0};
    FCL_TRY(fcl_canvas_axes(canvas, frame, &(fcl_axes){options->title, "x1", "x2"}));
    if (options->reference) {
        FCL_TRY(fcl_scatter_draw(canvas, frame, options->reference, GREY));
        add_row(&l, GREY, "data");
    }
    if (options->label) {
        FCL_TRY(draw_classes(canvas, frame, points, options, &l));
    } else {
        FCL_TRY(fcl_scatter_draw(canvas, frame, points, BLUE));
        add_row(&l, BLUE, "samples");
    }
    return l.count > 1 || options->label ? fcl_canvas_legend(canvas, frame, l.count, l.row) : FCL_OK;
}

void fcl_scatter_canvas(int *width, int *height, fcl_frame *frame)
{
    *width = MARGIN_LEFT + SIDE + MARGIN_RIGHT;
    *height = MARGIN_TOP + SIDE + MARGIN_BOTTOM;
    *frame = (fcl_frame){MARGIN_LEFT, MARGIN_TOP, SIDE, SIDE};
}

int fcl_scatter_write(const char *path, const fcl_array *points, const fcl_picture_options *options)
{
    const fcl_array *reference = options->reference;
    if (reference && (reference->shape.rank != 2 || reference->shape.dim[1] < 2))
        return fcl_fail(FCL_ERR_SHAPE, "cannot draw %s: the reference is not a set of points (N, D)", path);
    int width, height;
    fcl_frame frame;
    fcl_canvas canvas;
    fcl_scatter_canvas(&width, &height, &frame);
    int status = fcl_scatter_fit(2, (const fcl_array *const[]){points, reference}, &frame);
    if (status != FCL_OK)
        return fcl_fail_within(status, "cannot draw %s", path);
    FCL_TRY(fcl_canvas_create(width, height, WHITE, &canvas));
    status = draw(&canvas, &frame, points, options);
    if (status == FCL_OK)
        status = fcl_canvas_write(&canvas, path);
    fcl_canvas_destroy(&canvas);
    return status;
}
