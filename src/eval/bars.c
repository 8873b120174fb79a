/* Bars in panels, two panels beside each other; each panel has a scale of its own, from zero. */
#include <flowcl/text.h>
#include <flowcl/eval.h>

#include "base/error.h"
#include "eval/pen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 1200, MARGIN = 40, GAP = 56, TITLE = 40, LEGEND_LINE = 26, NAME = 30, BAR = 22, BETWEEN = 6 };
enum { PANEL_AIR = 26, NUMBER_ROOM = 96, COLUMNS = 2, PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / COLUMNS };
enum { WHITE = 0xffffff, INK = 0x2b303b, TRACK = 0xeef1f5, FAINT = 0x6b7280 };

static void round_box(cairo_t *pen, double x, double y, double width, double height, double radius)
{
    radius = fmin(radius, width / 2);
    cairo_new_sub_path(pen);
    cairo_line_to(pen, x, y);
    cairo_arc(pen, x + width - radius, y + radius, radius, -M_PI / 2, 0);
    cairo_arc(pen, x + width - radius, y + height - radius, radius, 0, M_PI / 2);
    cairo_line_to(pen, x, y + height);
    cairo_close_path(pen);
}

/* "0.0123", "4.32", "187.2", "81 300", "1.23e+08" */
static void format_value(double value, char text[32])
{
    double whole = round(value);
    if (value >= 1e8 || (value > 0 && value < 1e-3))
        fcl_snprintf(text, 32, "%.3g", value);
    else if (value >= 1e6)
        fcl_snprintf(text, 32, "%.0f %03.0f %03.0f", floor(whole / 1e6), floor(fmod(whole, 1e6) / 1e3),
                     fmod(whole, 1e3));
    else if (value >= 1e4)
        fcl_snprintf(text, 32, "%.0f %03.0f", floor(whole / 1e3), fmod(whole, 1e3));
    else
        fcl_snprintf(text, 32, "%.*f", value >= 1000 ? 0 : value >= 100 ? 1 : value >= 1 ? 2 : 4, value);
}

/* A whisker from the low to the high value, through the bar's end. */
static void draw_spread(cairo_t *pen, double left, double middle, double scale, const fcl_bar *bar)
{
    double low = left + bar->low * scale, high = left + bar->high * scale;
    if (!(high - low >= 2))
        return;
    cairo_set_line_width(pen, 1.5);
    fcl_pen_color(pen, INK, 0.8);
    cairo_move_to(pen, low, middle);
    cairo_line_to(pen, high, middle);
    cairo_move_to(pen, low, middle - 4);
    cairo_line_to(pen, low, middle + 4);
    cairo_move_to(pen, high, middle - 4);
    cairo_line_to(pen, high, middle + 4);
    cairo_stroke(pen);
}

static void draw_bar(cairo_t *pen, double left, double top, double largest, const fcl_bar *bar,
                     uint32_t color)
{
    double room = PANEL_WIDTH - NUMBER_ROOM, scale = room / largest, middle = top + BAR / 2.0;
    char text[32] = "not measured";
    fcl_pen_color(pen, TRACK, 1);
    round_box(pen, left, top, room, BAR, 4);
    cairo_fill(pen);
    if (isfinite(bar->value)) {
        fcl_pen_color(pen, color, 1);
        round_box(pen, left, top, fmax(bar->value * scale, 2), BAR, 4);
        cairo_fill(pen);
        draw_spread(pen, left, middle, scale, bar);
        format_value(bar->value, text);
    }
    fcl_pen_color(pen, isfinite(bar->value) ? INK : FAINT, 1);
    fcl_pen_text(pen, left + room + 10, middle, FCL_SIDE_LEFT, 14, text);
}

static void draw_panel(cairo_t *pen, double left, double top, const fcl_bar_panel *panel, int count)
{
    double largest = 0;
    for (int i = 0; i < count; i++) {
        const fcl_bar *bar = &panel->bar[i];
        if (isfinite(bar->value))
            largest = fmax(largest, fmax(bar->value, isfinite(bar->high) ? bar->high : 0));
    }
    fcl_pen_color(pen, INK, 1);
    fcl_pen_text(pen, left, top, FCL_SIDE_LEFT, 15, panel->title);
    for (int i = 0; i < count; i++)
        draw_bar(pen, left, top + NAME / 2.0 + i * (BAR + BETWEEN), largest > 0 ? largest : 1, &panel->bar[i],
                 fcl_color_of(i));
}

static void draw_legend(cairo_t *pen, const fcl_bar_chart *chart)
{
    for (int i = 0; i < chart->bar_count; i++) {
        double middle = MARGIN + TITLE + LEGEND_LINE * (i + 0.5);
        fcl_pen_color(pen, fcl_color_of(i), 1);
        cairo_rectangle(pen, MARGIN, middle - 7, 14, 14);
        cairo_fill(pen);
        fcl_pen_color(pen, INK, 1);
        fcl_pen_text(pen, MARGIN + 24, middle, FCL_SIDE_LEFT, 15, chart->bar[i]);
    }
}

static int panel_height(const fcl_bar_chart *chart)
{
    return NAME + chart->bar_count * (BAR + BETWEEN) + PANEL_AIR;
}

static int head_height(const fcl_bar_chart *chart)
{
    return MARGIN + TITLE + chart->bar_count * LEGEND_LINE + PANEL_AIR + NAME / 2;
}

static int draw(const fcl_bar_chart *chart, fcl_canvas *canvas)
{
    cairo_t *pen;
    FCL_TRY(fcl_pen_create(canvas, &pen));
    fcl_pen_color(pen, INK, 1);
    if (chart->title)
        fcl_pen_text(pen, MARGIN, MARGIN + 4, FCL_SIDE_LEFT, 22, chart->title);
    draw_legend(pen, chart);
    for (int i = 0; i < chart->panel_count; i++) {
        double left = MARGIN + i % COLUMNS * (PANEL_WIDTH + GAP);
        double top = head_height(chart) + i / COLUMNS * panel_height(chart);
        draw_panel(pen, left, top, &chart->panel[i], chart->bar_count);
    }
    return fcl_pen_destroy(&pen);
}

int fcl_bar_chart_write(const char *path, const fcl_bar_chart *chart)
{
    fcl_canvas canvas;
    if (chart->panel_count < 1 || chart->bar_count < 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "cannot draw %s: there are no bars", path);
    int rows = (chart->panel_count + COLUMNS - 1) / COLUMNS;
    FCL_TRY(fcl_canvas_create(WIDTH, head_height(chart) + rows * panel_height(chart) + MARGIN / 2, WHITE,
                              &canvas));
    int status = draw(chart, &canvas);
    if (status == FCL_OK)
        status = fcl_canvas_write(&canvas, path);
    fcl_canvas_destroy(&canvas);
    return status;
}
