#include "eval/plot.h"

#include "base/error.h"
#include "eval/canvas.h"

#include <math.h>
#include <stdlib.h>

enum { SIDE = 720, MARGIN_LEFT = 64, MARGIN_BOTTOM = 48, MARGIN_TOP = 52, MARGIN_RIGHT = 28 };
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

int fcl_scatter_write(const char *path, const fcl_array *points, const fcl_picture_options *options)
{
    const fcl_array *reference = options->reference;
    if (reference && (reference->shape.rank != 2 || reference->shape.dim[1] < 2))
        return fcl_fail(FCL_ERR_SHAPE, "cannot draw %s: the reference is not a set of points (N, D)", path);
    fcl_frame frame = {MARGIN_LEFT, MARGIN_TOP, SIDE, SIDE};
    fcl_canvas canvas;
    int status = fcl_scatter_fit(2, (const fcl_array *const[]){points, reference}, &frame);
    if (status != FCL_OK)
        return fcl_fail_within(status, "cannot draw %s", path);
    FCL_TRY(fcl_canvas_create(MARGIN_LEFT + SIDE + MARGIN_RIGHT, MARGIN_TOP + SIDE + MARGIN_BOTTOM, WHITE,
                              &canvas));
    status = fcl_canvas_axes(&canvas, &frame, options->title); /* first: its lines lie under the points */
    if (status == FCL_OK && reference)
        status = fcl_scatter_draw(&canvas, &frame, reference, GREY);
    if (status == FCL_OK)
        status = fcl_scatter_draw(&canvas, &frame, points, BLUE);
    if (status == FCL_OK)
        status = fcl_canvas_write(&canvas, path);
    fcl_canvas_destroy(&canvas);
    return status;
}
