#include "eval/pen.h"

#include "base/error.h"
#include "eval/ticks.h"

#include <flowcl/text.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>

enum { INK = 0x2b303b, RULE = 0xd9dde3, BORDER = 0x9aa3af };

int fcl_pen_create(fcl_canvas *canvas, cairo_t **pen)
{
    cairo_surface_t *surface = cairo_image_surface_create_for_data(
        (unsigned char *)canvas->pixel, CAIRO_FORMAT_RGB24, canvas->width, canvas->height, canvas->width * 4);
    *pen = cairo_create(surface);
    cairo_surface_destroy(surface); /* the pen keeps it */
    if (cairo_status(*pen) == CAIRO_STATUS_SUCCESS)
        return FCL_OK;
    return fcl_pen_destroy(pen);
}

int fcl_pen_destroy(cairo_t **pen)
{
    cairo_surface_flush(cairo_get_target(*pen));
    cairo_status_t status = cairo_status(*pen);
    cairo_destroy(*pen);
    *pen = NULL;
    if (status == CAIRO_STATUS_SUCCESS)
        return FCL_OK;
    return fcl_fail(status == CAIRO_STATUS_NO_MEMORY ? FCL_ERR_MEMORY : FCL_ERR_UNSUPPORTED,
                    "cairo cannot draw: %s", cairo_status_to_string(status));
}

void fcl_pen_color(cairo_t *pen, uint32_t color, double opacity)
{
    cairo_set_source_rgba(pen, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0, (color & 255) / 255.0,
                          opacity);
}

void fcl_pen_text(cairo_t *pen, double x, double y, fcl_side anchor, double size, const char *text)
{
    PangoLayout *layout = pango_cairo_create_layout(pen);
    PangoFontDescription *font = pango_font_description_from_string("Sans");
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    pango_layout_set_font_description(layout, font);
    pango_layout_set_text(layout, text, -1);
    int width, height;
    pango_layout_get_pixel_size(layout, &width, &height);
    double left = anchor == FCL_SIDE_LEFT ? x : anchor == FCL_SIDE_RIGHT ? x - width : x - width / 2.0;
    double top = anchor == FCL_SIDE_TOP ? y : anchor == FCL_SIDE_BOTTOM ? y - height : y - height / 2.0;
    cairo_move_to(pen, left, top);
    pango_cairo_show_layout(pen, layout);
    cairo_new_path(pen);
    pango_font_description_free(font);
    g_object_unref(layout);
}

double fcl_frame_x(const fcl_frame *frame, double x)
{
    return frame->left + (x - frame->x_low) / (frame->x_high - frame->x_low) * frame->width;
}

double fcl_frame_y(const fcl_frame *frame, double y)
{
    return frame->top + (frame->y_high - y) / (frame->y_high - frame->y_low) * frame->height;
}

/* A line one pixel wide lies in the middle of its pixels. */
static void rule(cairo_t *pen, double x0, double y0, double x1, double y1)
{
    cairo_move_to(pen, floor(x0) + 0.5, floor(y0) + 0.5);
    cairo_line_to(pen, floor(x1) + 0.5, floor(y1) + 0.5);
    fcl_pen_color(pen, RULE, 0.6);
    cairo_stroke(pen);
}

static void label_x(cairo_t *pen, const fcl_frame *frame, double tick, bool bare)
{
    char text[32];
    fcl_snprintf(text, sizeof text, "%.9g", tick); /* steps are not written as powers of ten */
    double x = fcl_frame_x(frame, tick);
    rule(pen, x, frame->top, x, frame->top + frame->height);
    if (bare)
        return;
    fcl_pen_color(pen, INK, 1);
    fcl_pen_text(pen, x, frame->top + frame->height + 8, FCL_SIDE_TOP, 13, text);
}

static void label_y(cairo_t *pen, const fcl_frame *frame, double tick, double at)
{
    char text[32];
    fcl_snprintf(text, sizeof text, "%.6g", tick);
    double y = fcl_frame_y(frame, at);
    rule(pen, frame->left, y, frame->left + frame->width, y);
    fcl_pen_color(pen, INK, 1);
    fcl_pen_text(pen, frame->left - 8, y, FCL_SIDE_RIGHT, 13, text);
}

void fcl_pen_axes(cairo_t *pen, const fcl_frame *frame, unsigned flags)
{
    bool log_y = flags & FCL_AXES_LOG_Y;
    double ticks[FCL_TICKS_MOST];
    cairo_set_line_width(pen, 1);
    int count = fcl_ticks_linear(frame->x_low, frame->x_high, frame->width / 100, ticks);
    for (int i = 0; i < count; i++)
        label_x(pen, frame, ticks[i], flags & FCL_AXES_BARE_X);
    int aim = frame->height < 160 ? 2 : frame->height / 80;
    count = log_y ? fcl_ticks_log(pow(10, frame->y_low), pow(10, frame->y_high), aim, ticks)
                  : fcl_ticks_linear(frame->y_low, frame->y_high, aim, ticks);
    for (int i = 0; i < count; i++)
        label_y(pen, frame, ticks[i], log_y ? log10(ticks[i]) : ticks[i]);
    cairo_rectangle(pen, frame->left - 0.5, frame->top - 0.5, frame->width + 1, frame->height + 1);
    fcl_pen_color(pen, BORDER, 1);
    cairo_stroke(pen);
}

void fcl_pen_names(cairo_t *pen, const fcl_frame *frame, const fcl_axes *axes)
{
    double middle = frame->left + frame->width / 2.0;
    fcl_pen_color(pen, INK, 1);
    if (axes->title)
        fcl_pen_text(pen, middle, frame->top - 14, FCL_SIDE_BOTTOM, 17, axes->title);
    if (axes->x)
        fcl_pen_text(pen, middle, frame->top + frame->height + 26, FCL_SIDE_TOP, 13, axes->x);
    if (!axes->y)
        return;
    cairo_save(pen);
    cairo_translate(pen, frame->left - 56, frame->top + frame->height / 2.0);
    cairo_rotate(pen, -M_PI / 2);
    fcl_pen_text(pen, 0, 0, FCL_SIDE_TOP, 13, axes->y);
    cairo_restore(pen);
}

static double text_width(cairo_t *pen, double size, const char *text)
{
    cairo_select_font_face(pen, "Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(pen, size);
    cairo_text_extents_t extents;
    cairo_text_extents(pen, text, &extents);
    return extents.x_advance;
}

void fcl_pen_legend(cairo_t *pen, const fcl_frame *frame, int count, const fcl_legend_row *rows)
{
    enum { LINE = 20, MARK = 11, AIR = 10, TEXT = 13 };
    double widest = 0;
    for (int i = 0; i < count; i++)
        widest = fmax(widest, text_width(pen, TEXT, rows[i].name));
    double width = widest + MARK + 3 * AIR, left = frame->left + frame->width - width - AIR, top = frame->top + AIR;
    cairo_rectangle(pen, left, top, width, count * LINE + AIR);
    fcl_pen_color(pen, 0xffffff, 0.85);
    cairo_fill(pen);
    for (int i = 0; i < count; i++) {
        double middle = top + AIR / 2.0 + LINE * (i + 0.5);
        cairo_rectangle(pen, left + AIR, middle - MARK / 2.0, MARK, MARK);
        fcl_pen_color(pen, rows[i].color, 1);
        cairo_fill(pen);
        fcl_pen_color(pen, INK, 1);
        fcl_pen_text(pen, left + MARK + 2 * AIR, middle, FCL_SIDE_LEFT, TEXT, rows[i].name);
    }
}

int fcl_canvas_axes(fcl_canvas *canvas, const fcl_frame *frame, const fcl_axes *axes)
{
    cairo_t *pen;
    FCL_TRY(fcl_pen_create(canvas, &pen));
    fcl_pen_axes(pen, frame, 0);
    fcl_pen_names(pen, frame, axes);
    return fcl_pen_destroy(&pen);
}

int fcl_canvas_legend(fcl_canvas *canvas, const fcl_frame *frame, int count, const fcl_legend_row *rows)
{
    cairo_t *pen;
    FCL_TRY(fcl_pen_create(canvas, &pen));
    fcl_pen_legend(pen, frame, count, rows);
    return fcl_pen_destroy(&pen);
}

int fcl_canvas_text(fcl_canvas *canvas, double x, double y, fcl_side anchor, double size, const char *text)
{
    cairo_t *pen;
    FCL_TRY(fcl_pen_create(canvas, &pen));
    fcl_pen_color(pen, INK, 1);
    fcl_pen_text(pen, x, y, anchor, size, text);
    return fcl_pen_destroy(&pen);
}
