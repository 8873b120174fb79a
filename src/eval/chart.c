/* The loss over the steps. */
#include <flowcl/eval.h>

#include "base/error.h"
#include "eval/pen.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 960, HEIGHT = 560, LEFT = 84, TOP = 52, RIGHT = 32, BOTTOM = 64 };
enum { WHITE = 0xffffff, BLUE = 0x1f5fbf, PALE = 0xc7d7ef };

/* The values that have a place on the chart. */
typedef struct curve {
    double *step, *loss, *mean; /* mean: of the losses in a window around each step */
    int64_t count;
} curve;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A window reaches a sixtieth of the run to each side. Where the run begins, and falls fastest, it shrinks to
 * stay centred; where it ends, it is what there is of it. */
static void smooth(curve *c)
{
    int64_t first = 0, last = 0; /* the window is [first, last) */
    double sum = 0;
    for (int64_t i = 0; i < c->count; i++) {
        int64_t reach = least(c->count / 60, i);
        while (last < c->count && last <= i + reach)
            sum += c->loss[last++];
        while (first < i - reach)
            sum -= c->loss[first++];
        c->mean[i] = sum / (double)(last - first);
    }
}

static int curve_create(const fcl_loss_chart *chart, const char *path, curve *c)
{
    size_t room = (size_t)chart->count;
    *c = (curve){.step = malloc(3 * room * sizeof *c->step + 1)};
    if (!c->step)
        return fcl_fail(FCL_ERR_MEMORY, "cannot draw %s: no memory for %zu values", path, room);
    c->loss = c->step + room;
    c->mean = c->loss + room;
    for (int64_t i = 0; i < chart->count; i++) {
        if (!(chart->loss[i] > 0 && isfinite(chart->loss[i]) && isfinite(chart->step[i])))
            continue;
        c->step[c->count] = chart->step[i];
        c->loss[c->count++] = chart->loss[i];
    }
    if (c->count == 0) {
        free(c->step);
        return fcl_fail(FCL_ERR_NUMERIC, "cannot draw %s: none of %zu losses is positive and finite", path,
                        room);
    }
    smooth(c);
    return FCL_OK;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The frame holds the whole mean and the values without their outermost hundredths. */
static int fit_frame(const curve *c, fcl_frame *frame)
{
    double *sorted = malloc((size_t)c->count * sizeof *sorted);
    if (!sorted)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw %lld values", (long long)c->count);
    for (int64_t i = 0; i < c->count; i++)
        sorted[i] = c->loss[i];
    qsort(sorted, (size_t)c->count, sizeof *sorted, compare);
    double low = sorted[c->count / 100], high = sorted[c->count - 1 - c->count / 100];
    free(sorted);
    for (int64_t i = 0; i < c->count; i++) {
        low = fmin(low, c->mean[i]);
        high = fmax(high, c->mean[i]);
    }
    double air = fmax(0.05 * log10(high / low), 0.01), last = c->step[c->count - 1];
    double first = c->step[0] < 0.05 * last ? fmin(0, c->step[0]) : c->step[0];
    *frame = (fcl_frame){LEFT,
                         TOP,
                         WIDTH - LEFT - RIGHT,
                         HEIGHT - TOP - BOTTOM,
                         first,
                         last > first ? last : first + 1,
                         log10(low) - air,
                         log10(high) + air};
    return FCL_OK;
}

static void draw_line(cairo_t *pen, const fcl_frame *frame, const curve *c, const double *value, double width,
                      double opacity)
{
    for (int64_t i = 0; i < c->count; i++)
        cairo_line_to(pen, fcl_frame_x(frame, c->step[i]), fcl_frame_y(frame, log10(value[i])));
    if (c->count == 1) /* a single value shows as a dot */
        cairo_close_path(pen);
    cairo_set_line_width(pen, width);
    fcl_pen_color(pen, BLUE, opacity);
    cairo_stroke(pen);
}

static int draw(const curve *c, const char *title, fcl_canvas *canvas)
{
    fcl_frame frame;
    cairo_t *pen;
    FCL_TRY(fit_frame(c, &frame));
    FCL_TRY(fcl_pen_create(canvas, &pen));
    fcl_pen_axes(pen, &frame, true);
    fcl_pen_names(pen, &frame, &(fcl_axes){title, "step", "loss"});
    cairo_rectangle(pen, frame.left, frame.top, frame.width, frame.height);
    cairo_clip(pen);
    cairo_set_line_join(pen, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(pen, CAIRO_LINE_CAP_ROUND);
    draw_line(pen, &frame, c, c->loss, 1, 0.25);
    draw_line(pen, &frame, c, c->mean, 2.5, 1);
    const fcl_legend_row legend[] = {{PALE, "loss of a row of metrics"}, {BLUE, "moving mean"}};
    fcl_pen_legend(pen, &frame, 2, legend);
    return fcl_pen_destroy(&pen);
}

int fcl_loss_chart_write(const char *path, const fcl_loss_chart *chart)
{
    curve c;
    fcl_canvas canvas;
    FCL_TRY(curve_create(chart, path, &c));
    int status = fcl_canvas_create(WIDTH, HEIGHT, WHITE, &canvas);
    if (status == FCL_OK)
        status = draw(&c, chart->title, &canvas);
    if (status == FCL_OK)
        status = fcl_canvas_write(&canvas, path);
    fcl_canvas_destroy(&canvas);
    free(c.step);
    return status;
}
