/* The loss over the steps, and below it what tells whether a training is well. */
#include <flowcl/eval.h>

#include "base/error.h"
#include "eval/pen.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdlib.h>

enum { WIDTH = 960, LEFT = 76, TOP = 64, RIGHT = 32, BOTTOM = 64, BETWEEN = 38 };
enum { LOSS_HEIGHT = 360, NORM_HEIGHT = 150, RATE_HEIGHT = 84 };
enum { WHITE = 0xffffff, INK = 0x2b303b, BLUE = 0x1f5fbf, PALE = 0xc7d7ef, ORANGE = 0xe69f00 };

enum { FEW = 60 }; /* rows: of fewer none is averaged, and each is a dot */

/* The values that have a place on the chart. */
typedef struct curve {
    double *step, *value, *mean; /* mean: of the values in a window around each step */
    int64_t count;
} curve;

struct drawing;
typedef int draw_panel(cairo_t *pen, const struct drawing *d, int top, unsigned flags);

typedef struct panel {
    draw_panel *draw;
    int top;
} panel;

/* What is drawn: a curve without values is not. */
typedef struct drawing {
    const fcl_loss_chart *chart;
    curve loss, held_out, norm, rate;
    panel panel[3];
    int panels, bottom;
} drawing;

/* --- curves --- */

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
        int64_t reach = least(c->count / FEW, i);
        while (last < c->count && last <= i + reach)
            sum += c->value[last++];
        while (first < i - reach)
            sum -= c->value[first++];
        c->mean[i] = sum / (double)(last - first);
    }
}

/* Of `value` (count), or of none where it is NULL, those larger than `above`. */
static int curve_create(const fcl_loss_chart *chart, const double *value, double above, curve *c)
{
    size_t room = (size_t)chart->count;
    *c = (curve){.step = malloc(3 * room * sizeof *c->step + 1)};
    if (!c->step)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for %zu values", room);
    c->value = c->step + room;
    c->mean = c->value + room;
    for (int64_t i = 0; value && i < chart->count; i++) {
        if (!(value[i] > above && isfinite(value[i]) && isfinite(chart->step[i])))
            continue;
        c->step[c->count] = chart->step[i];
        c->value[c->count++] = value[i];
    }
    smooth(c);
    return FCL_OK;
}

static int take_curves(drawing *d)
{
    const fcl_loss_chart *chart = d->chart;
    FCL_TRY(curve_create(chart, chart->loss, 0, &d->loss));
    FCL_TRY(curve_create(chart, chart->held_out_loss, 0, &d->held_out));
    FCL_TRY(curve_create(chart, chart->gradient_norm, 0, &d->norm));
    FCL_TRY(curve_create(chart, chart->lr, -INFINITY, &d->rate));
    return d->loss.count > 0 ? FCL_OK
                             : fcl_fail(FCL_ERR_NUMERIC, "none of %lld losses is positive and finite",
                                        (long long)chart->count);
}

static void release_curves(drawing *d)
{
    free(d->loss.step);
    free(d->held_out.step);
    free(d->norm.step);
    free(d->rate.step);
}

/* --- frames --- */

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Widens the range so that it holds the whole mean and the values without their outermost hundredths. */
static int include_curve(const curve *c, double *low, double *high)
{
    double *sorted = malloc((size_t)c->count * sizeof *sorted + 1);
    if (!sorted)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw %lld values", (long long)c->count);
    for (int64_t i = 0; i < c->count; i++)
        sorted[i] = c->value[i];
    qsort(sorted, (size_t)c->count, sizeof *sorted, compare);
    if (c->count > 0) {
        *low = fmin(*low, sorted[c->count / 100]);
        *high = fmax(*high, sorted[c->count - 1 - c->count / 100]);
    }
    free(sorted);
    for (int64_t i = 0; i < c->count; i++) {
        *low = fmin(*low, c->mean[i]);
        *high = fmax(*high, c->mean[i]);
    }
    return FCL_OK;
}

/* Every panel shows the steps of the loss. */
static fcl_frame frame_of(const drawing *d, int top, int height, double low, double high)
{
    const curve *c = &d->loss;
    double last = c->step[c->count - 1], first = c->step[0] < 0.05 * last ? fmin(0, c->step[0]) : c->step[0];
    return (fcl_frame){LEFT, top, WIDTH - LEFT - RIGHT, height, first, last > first ? last : first + 1, low, high};
}

static fcl_frame log_frame(const drawing *d, int top, int height, double low, double high)
{
    double air = fmax(0.05 * log10(high / low), 0.01);
    return frame_of(d, top, height, log10(low) - air, log10(high) + air);
}

/* --- lines --- */

static double place(const fcl_frame *frame, bool logarithm, double value)
{
    return fcl_frame_y(frame, logarithm ? log10(value) : value);
}

/* Of the values that share a column of pixels the first, the least, the largest and the last: the line covers what that
 * through all of them does, however many there are. */
static void trace(cairo_t *pen, const fcl_frame *frame, const curve *c, const double *value, bool logarithm)
{
    for (int64_t i = 0, next; i < c->count; i = next) {
        int64_t low = i, high = i;
        double column = floor(fcl_frame_x(frame, c->step[i]));
        for (next = i + 1; next < c->count && floor(fcl_frame_x(frame, c->step[next])) == column; next++) {
            low = value[next] < value[low] ? next : low;
            high = value[next] > value[high] ? next : high;
        }
        const int64_t at[] = {i, least(low, high), low > high ? low : high, next - 1};
        for (int k = 0; k < 4; k++)
            if (k == 0 || at[k] != at[k - 1])
                cairo_line_to(pen, fcl_frame_x(frame, c->step[at[k]]), place(frame, logarithm, value[at[k]]));
    }
    if (c->count == 1) /* a single value shows as a dot */
        cairo_close_path(pen);
}

static void stroke(cairo_t *pen, uint32_t color, double width, double opacity)
{
    cairo_set_line_width(pen, width);
    fcl_pen_color(pen, color, opacity);
    cairo_stroke(pen);
}

static void draw_noisy(cairo_t *pen, const fcl_frame *frame, const curve *c)
{
    trace(pen, frame, c, c->value, true);
    stroke(pen, BLUE, 1, 0.25);
    trace(pen, frame, c, c->mean, true);
    stroke(pen, BLUE, 2.5, 1);
}

/* The name stands above the panel, where it is read without turning the head. */
static void begin_panel(cairo_t *pen, const fcl_frame *frame, const char *name, unsigned flags)
{
    fcl_pen_axes(pen, frame, flags);
    fcl_pen_color(pen, INK, 1);
    fcl_pen_text(pen, frame->left, frame->top - 15, FCL_SIDE_LEFT, 13, name);
    cairo_save(pen);
    cairo_rectangle(pen, frame->left, frame->top, frame->width, frame->height);
    cairo_clip(pen);
    cairo_set_line_join(pen, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(pen, CAIRO_LINE_CAP_ROUND);
}

/* --- panels --- */

/* Measured now and then, it shows where. */
static void draw_held_out(cairo_t *pen, const fcl_frame *frame, const curve *c)
{
    trace(pen, frame, c, c->value, true);
    stroke(pen, ORANGE, 2, 1);
    for (int64_t i = 0; c->count <= FEW && i < c->count; i++) {
        cairo_arc(pen, fcl_frame_x(frame, c->step[i]), place(frame, true, c->value[i]), 3.2, 0, 2 * M_PI);
        cairo_fill(pen);
    }
}

static int draw_loss(cairo_t *pen, const drawing *d, int top, unsigned flags)
{
    double low = INFINITY, high = 0;
    FCL_TRY(include_curve(&d->loss, &low, &high));
    FCL_TRY(include_curve(&d->held_out, &low, &high));
    fcl_frame frame = log_frame(d, top, LOSS_HEIGHT, low, high);
    begin_panel(pen, &frame, "loss", flags | FCL_AXES_LOG_Y);
    draw_noisy(pen, &frame, &d->loss);
    draw_held_out(pen, &frame, &d->held_out);
    const fcl_legend_row legend[] = {{PALE, "mean of a row of metrics"}, {BLUE, "moving mean"}, {ORANGE, "held out"}};
    const fcl_legend_row of_few[] = {{BLUE, "mean of a row of metrics"}, {ORANGE, "held out"}};
    bool few = d->loss.count < FEW; /* the moving mean is of one */
    fcl_pen_legend(pen, &frame, 2 - few + (d->held_out.count > 0), few ? of_few : legend);
    cairo_restore(pen);
    return FCL_OK;
}

static void draw_clip(cairo_t *pen, const fcl_frame *frame, double clip)
{
    static const double dashes[] = {6, 5};
    double y = place(frame, true, clip);
    cairo_set_dash(pen, dashes, 2, 0);
    cairo_move_to(pen, frame->left, y);
    cairo_line_to(pen, frame->left + frame->width, y);
    stroke(pen, INK, 1.2, 1);
    cairo_set_dash(pen, NULL, 0, 0);
}

/* A threshold that is far from every norm would press these flat: it is not drawn. */
static int draw_norm(cairo_t *pen, const drawing *d, int top, unsigned flags)
{
    const double far = 5, clip = d->chart->clip;
    double low = INFINITY, high = 0;
    char name[80] = "gradient norm";
    FCL_TRY(include_curve(&d->norm, &low, &high));
    bool near = clip > low / far && clip < high * far;
    fcl_frame frame = log_frame(d, top, NORM_HEIGHT, near ? fmin(low, clip) : low, near ? fmax(high, clip) : high);
    if (near)
        fcl_snprintf(name, sizeof name, "gradient norm, before it is clipped to %.4g (dashed)", clip);
    begin_panel(pen, &frame, name, flags | FCL_AXES_LOG_Y);
    draw_noisy(pen, &frame, &d->norm);
    if (near)
        draw_clip(pen, &frame, clip);
    cairo_restore(pen);
    return FCL_OK;
}

static int draw_rate(cairo_t *pen, const drawing *d, int top, unsigned flags)
{
    double low = 0, high = 0;
    for (int64_t i = 0; i < d->rate.count; i++) {
        low = fmin(low, d->rate.value[i]);
        high = fmax(high, d->rate.value[i]);
    }
    fcl_frame frame = frame_of(d, top, RATE_HEIGHT, 1.08 * low, high > low ? 1.08 * high : 1);
    begin_panel(pen, &frame, "learning rate", flags);
    trace(pen, &frame, &d->rate, d->rate.value, false);
    stroke(pen, BLUE, 1.6, 1);
    cairo_restore(pen);
    return FCL_OK;
}

/* --- the whole --- */

static void add_panel(drawing *d, draw_panel *draw, int height, const curve *c)
{
    if (!c->count)
        return;
    d->panel[d->panels++] = (panel){draw, d->bottom + (d->bottom ? BETWEEN : TOP)};
    d->bottom = d->panel[d->panels - 1].top + height;
}

static int draw(const drawing *d, fcl_canvas *canvas)
{
    cairo_t *pen;
    int status = FCL_OK;
    FCL_TRY(fcl_pen_create(canvas, &pen));
    for (int i = 0; i < d->panels && status == FCL_OK; i++)
        status = d->panel[i].draw(pen, d, d->panel[i].top, i < d->panels - 1 ? FCL_AXES_BARE_X : 0);
    fcl_pen_color(pen, INK, 1);
    if (d->chart->title)
        fcl_pen_text(pen, WIDTH / 2.0, TOP - 26, FCL_SIDE_BOTTOM, 17, d->chart->title);
    fcl_pen_text(pen, LEFT + (WIDTH - LEFT - RIGHT) / 2.0, d->bottom + 28, FCL_SIDE_TOP, 13, "step");
    int drawn = fcl_pen_destroy(&pen);
    return status == FCL_OK ? drawn : status;
}

int fcl_loss_chart_write(const char *path, const fcl_loss_chart *chart)
{
    drawing d = {.chart = chart};
    fcl_canvas canvas = {0};
    int status = take_curves(&d);
    add_panel(&d, draw_loss, LOSS_HEIGHT, &d.loss);
    add_panel(&d, draw_norm, NORM_HEIGHT, &d.norm);
    add_panel(&d, draw_rate, RATE_HEIGHT, &d.rate);
    if (status == FCL_OK)
        status = fcl_canvas_create(WIDTH, d.bottom + BOTTOM, WHITE, &canvas);
    if (status == FCL_OK)
        status = draw(&d, &canvas);
    status = status == FCL_OK ? fcl_canvas_write(&canvas, path) : fcl_fail_within(status, "cannot draw %s", path);
    fcl_canvas_destroy(&canvas);
    release_curves(&d);
    return status;
}
