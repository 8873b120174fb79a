/* A picture in memory. Pixels are 0xRRGGBB, which is also cairo's CAIRO_FORMAT_RGB24. */
#ifndef EVAL_CANVAS_H
#define EVAL_CANVAS_H

#include <flowcl/base.h>

typedef struct fcl_canvas {
    int width, height;
    uint32_t *pixel; /* (height, width) */
} fcl_canvas;

/* A rectangle of the canvas and the range of numbers that it shows; y grows upwards. */
typedef struct fcl_frame {
    int left, top, width, height;
    double x_low, x_high, y_low, y_high;
} fcl_frame;

int fcl_canvas_create(int width, int height, uint32_t color, fcl_canvas *canvas);
void fcl_canvas_destroy(fcl_canvas *canvas);
int fcl_canvas_write(const fcl_canvas *canvas, const char *path);

/* Draws the first two numbers of each of `points` (N, D) as soft discs, clipped to the frame. Where discs lie
 * on each other their color adds up to the full one. Points that are not finite are left out. */
int fcl_canvas_points(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points, uint32_t color,
                      double radius, double opacity);

/* Draws the paths (T, K, 2) of K points, T places each, as thin lines, clipped to the frame. */
int fcl_canvas_paths(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *paths, uint32_t color,
                     double opacity);

/* A frame's words. */
typedef struct fcl_axes {
    const char *title, *x, *y; /* NULL for none */
} fcl_axes;

/* The frame's border with round numbers at its sides, and its words. Without charts: the border alone. */
int fcl_canvas_axes(fcl_canvas *canvas, const fcl_frame *frame, const fcl_axes *axes);

typedef struct fcl_legend_row {
    uint32_t color;
    const char *name;
} fcl_legend_row;

/* What colors stand for, in the frame's upper right corner. Without charts: nothing. */
int fcl_canvas_legend(fcl_canvas *canvas, const fcl_frame *frame, int count, const fcl_legend_row *rows);

/* What a text is set against: its anchor is the middle of one of its sides. */
typedef enum fcl_side { FCL_SIDE_LEFT, FCL_SIDE_RIGHT, FCL_SIDE_TOP, FCL_SIDE_BOTTOM } fcl_side;

/* Without charts: nothing. */
int fcl_canvas_text(fcl_canvas *canvas, double x, double y, fcl_side anchor, double size, const char *text);

/* A color for the index-th of things that are told apart. */
uint32_t fcl_color_of(int index);

#endif
