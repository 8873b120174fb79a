/* Pictures of samples. */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include <flowcl/eval.h>

#include "eval/canvas.h"

/* The shape (...) of one of samples (N, ...). */
fcl_shape fcl_sample_shape(fcl_shape samples);

/* Points (N, D), D at least 2. */
int fcl_scatter_write(const char *path, const fcl_array *points, const fcl_picture_options *options);

/* Sets the frame's ranges, of one scale, so that it holds `count` sets of points but for their outermost
 * 0.2 %; a set may be NULL. FCL_ERR_NUMERIC where no point of a set is finite. */
int fcl_scatter_fit(int count, const fcl_array *const *sets, fcl_frame *frame);

/* Points (N, D) as discs; many points are drawn smaller and fainter, so that density shows. */
int fcl_scatter_draw(fcl_canvas *canvas, const fcl_frame *frame, const fcl_array *points, uint32_t color);

/* The canvas of a scatter picture, and where on it the points are. */
void fcl_scatter_canvas(int *width, int *height, fcl_frame *frame);

/* Pictures (N, C, H, W) with C 1 or 3, or (N, H, W). `columns` of two grids beside each other; 0: of
 * one, about as many as rows, or with `label` (N) as fcl_picture_rows says. From `low`, black, to `high`, white; both 0: -1
 * and 1. */
int fcl_grid_write(const char *path, const fcl_array *pictures, int64_t columns, double low, double high,
                   const int32_t *label);

/* Where such a grid has its pictures. */
typedef struct fcl_grid {
    int64_t count, channels, height, width; /* of the pictures that it shows */
    int64_t columns, rows, scale;           /* each pixel is a square of scale by scale */
    int64_t pixel_width, pixel_height;      /* of the whole */
    int64_t *place; /* (count) of each picture in the grid; NULL: as they come */
} fcl_grid;

/* `pictures` is their shape. What it takes is released by fcl_grid_destroy. */
void fcl_grid_plan(fcl_shape pictures, int64_t columns, const int32_t *label, fcl_grid *grid);
void fcl_grid_destroy(fcl_grid *grid);
/* The upper left pixel of picture i. */
void fcl_grid_corner(const fcl_grid *grid, int64_t i, int64_t *left, int64_t *top);

/* low to high as a byte; what lies outside is cut off, NaN is 0. */
uint8_t fcl_picture_byte(double low, double high, float value);

/* Of a folder that pictures are to be written into: see fcl_pictures_check_path. */
int fcl_folder_check(const char *path);

enum { FCL_MOST_COLUMNS = 16 }; /* beside samples */

/* What is drawn of points (N, ...) that are not in the plane: their coordinates along the two principal axes
 * of the data. FCL_ERR_MEMORY. */
typedef struct fcl_plane {
    int64_t size;           /* D */
    double *mean, *axis[2]; /* (D) each, axes of length 1 */
} fcl_plane;

int fcl_plane_create(const fcl_array *data, fcl_plane *plane);
void fcl_plane_destroy(fcl_plane *plane);
/* Points (..., D) become (..., 2). */
void fcl_plane_project(const fcl_plane *plane, const float *points, int64_t count, float *projected);

#endif
