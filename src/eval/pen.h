/* Cairo and Pango on a canvas, for files that are built with charts only. */
#ifndef EVAL_PEN_H
#define EVAL_PEN_H

#include "eval/canvas.h"
#include <cairo/cairo.h>

/* A drawing context on the canvas; ended by fcl_pen_destroy, after which the canvas holds what was drawn. */
int fcl_pen_create(fcl_canvas *canvas, cairo_t **pen);
int fcl_pen_destroy(cairo_t **pen);

void fcl_pen_color(cairo_t *pen, uint32_t color, double opacity);
void fcl_pen_text(cairo_t *pen, double x, double y, fcl_side anchor, double size, const char *text);

enum {
    FCL_AXES_LOG_Y = 1,  /* ticks are values, and the frame's y range is their logarithm to the base of ten */
    FCL_AXES_BARE_X = 2 /* no numbers along the lower side */
};

/* Numbers along the frame's lower and left side, with faint lines across it. */
void fcl_pen_axes(cairo_t *pen, const fcl_frame *frame, unsigned flags);
/* The axes' words, where there are any. */
void fcl_pen_names(cairo_t *pen, const fcl_frame *frame, const fcl_axes *axes);
void fcl_pen_legend(cairo_t *pen, const fcl_frame *frame, int count, const fcl_legend_row *rows);

double fcl_frame_x(const fcl_frame *frame, double x);
double fcl_frame_y(const fcl_frame *frame, double y);

#endif
