#include "eval/canvas.h"

#include "base/error.h"
#include "base/png.h"

#include <math.h>
#include <stdlib.h>

/* Colors that stay apart for color-blind eyes, after Okabe and Ito; further ones are as far apart as hues go. */
uint32_t fcl_color_of(int index)
{
    static const uint32_t colors[] = {0x1f5fbf, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0x7a7a7a};
    enum { COUNT = sizeof colors / sizeof *colors };
    if (index < COUNT)
        return colors[index];
    uint32_t color = 0;
    for (int channel = 0; channel < 3; channel++) {
        double turn = 0.6180339887498949 * index + channel / 3.0;
        color = color << 8 | (uint32_t)lround(110 + 90 * cos(6.283185307179586 * turn));
    }
    return color;
}

int fcl_canvas_create(int width, int height, uint32_t color, fcl_canvas *canvas)
{
    size_t size = (size_t)width * (size_t)height;
    *canvas = (fcl_canvas){width, height, malloc(size * sizeof *canvas->pixel)};
    if (!canvas->pixel)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a picture of %d by %d pixels", width, height);
    for (size_t i = 0; i < size; i++)
        canvas->pixel[i] = color;
    return FCL_OK;
}

void fcl_canvas_destroy(fcl_canvas *canvas)
{
    free(canvas->pixel);
    *canvas = (fcl_canvas){0};
}

static uint8_t channel_of(uint32_t color, int channel)
{
    return (uint8_t)(color >> (16 - 8 * channel));
}

int fcl_canvas_write(const fcl_canvas *canvas, const char *path)
{
    size_t size = (size_t)canvas->width * (size_t)canvas->height;
    uint8_t *rgb = malloc(3 * size);
    if (!rgb)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for a picture of %d by %d pixels", canvas->width,
                        canvas->height);
    for (size_t i = 0; i < 3 * size; i++)
        rgb[i] = channel_of(canvas->pixel[i / 3], (int)(i % 3));
    int status = fcl_png_write(path, rgb, canvas->width, canvas->height, 3);
    free(rgb);
    return status;
}

static int clamp(double value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

/* Multiplies what shines through each pixel by what the disc leaves of it; its edge is one pixel soft. */
static void cover_disc(float *clear, const fcl_frame *frame, double x, double y, double radius,
                       double opacity)
{
    int left = clamp(floor(x - radius - 1), 0, frame->width), right = clamp(x + radius + 2, 0, frame->width);
    int top = clamp(floor(y - radius - 1), 0, frame->height),
        bottom = clamp(y + radius + 2, 0, frame->height);
    for (int row = top; row < bottom; row++) {
        for (int column = left; column < right; column++) {
            double inside = radius + 0.5 - hypot(column + 0.5 - x, row + 0.5 - y);
            double covered = inside < 0 ? 0 : inside > 1 ? 1 : inside;
            clear[(size_t)row * (size_t)frame->width + (size_t)column] *= (float)(1 - opacity * covered);
        }
    }
}

static uint32_t blend(uint32_t under, uint32_t over, double clear)
{
    uint32_t mixed = 0;
    for (int channel = 0; channel < 3; channel++) {
        double value = channel_of(under, channel) * clear + channel_of(over, channel) * (1 - clear);
        mixed = mixed << 8 | (uint32_t)lround(value);
    }
    return mixed;
}

/* How much of what lies under each pixel of the frame shines through, (height, width); 1 at first. */
static int create_layer(const fcl_frame *frame, float **clear)
{
    size_t size = (size_t)frame->width * (size_t)frame->height;
    *clear = malloc(size * sizeof **clear);
    if (!*clear)
        return fcl_fail(FCL_ERR_MEMORY, "no memory to draw on %d by %d pixels", frame->width, frame->height);
    for (size_t i = 0; i < size; i++)
        (*clear)[i] = 1;
    return FCL_OK;
}

static void blend_layer(fcl_canvas *canvas, const fcl_frame *frame, const float *clear, uint32_t color)
{
    for (int row = 0; row < frame->height; row++) {
        uint32_t *pixel = canvas->pixel + (size_t)(frame->top + row) * (size_t)canvas->width + frame->left;
        for (int column = 0; column < frame->width; column++)
            pixel[column] =
                blend(pixel[column], color, clear[(size_t)row * (size_t)frame->width + (size_t)column]);
    }
}

/* In pixels from the frame's upper left corner. */
static void place(const fcl_frame *frame, const float *point, double *x, double *y)
{
    *x = (point[0] - frame->x_low) * (frame->width / (frame->x_high - frame->x_low));
    *y = (frame->y_high - point[1]) * (frame->height / (frame->y_high - frame->y_low));
}

int fcl_canvas_points(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points, uint32_t color,
                      double radius, double opacity)
{
    float *clear;
    FCL_TRY(create_layer(frame, &clear));
    int64_t stride = points->shape.dim[1];
    for (int64_t i = 0; i < points->shape.dim[0]; i++) {
        const float *p = points->data + i * stride;
        double x, y;
        place(frame, p, &x, &y);
        if (isfinite(p[0]) && isfinite(p[1]))
            cover_disc(clear, frame, x, y, radius, opacity);
    }
    blend_layer(canvas, frame, clear, color);
    free(clear);
    return FCL_OK;
}

/* Small discs, a pixel apart. */
static void cover_line(float *clear, const fcl_frame *frame, const float *from, const float *to,
                       double opacity)
{
    enum { LONGEST = 4096 };
    double x0, y0, x1, y1;
    place(frame, from, &x0, &y0);
    place(frame, to, &x1, &y1);
    double length = hypot(x1 - x0, y1 - y0);
    if (!(length < LONGEST)) /* also of what is not finite */
        return;
    int count = (int)ceil(length);
    for (int i = 0; i < count; i++)
        cover_disc(clear, frame, x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count, 0.4, opacity);
}

int fcl_canvas_paths(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *paths, uint32_t color,
                     double opacity)
{
    float *clear;
    int64_t times = paths->shape.dim[0], row = paths->shape.dim[1] * 2;
    FCL_TRY(create_layer(frame, &clear));
    for (int64_t i = 0; i < row; i += 2) {
        for (int64_t k = 1; k < times; k++) {
            const float *to = paths->data + k * row + i;
            cover_line(clear, frame, to - row, to, opacity);
        }
    }
    blend_layer(canvas, frame, clear, color);
    free(clear);
    return FCL_OK;
}
