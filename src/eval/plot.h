/* Pictures of samples. */
#ifndef EVAL_PLOT_H
#define EVAL_PLOT_H

#include <flowcl/eval.h>

/* Points (N, D), D at least 2. */
int fcl_scatter_write(const char *path, const fcl_array *points, const fcl_picture_options *options);

/* Pictures (N, C, H, W) with C 1 or 3, or (N, H, W). */
int fcl_grid_write(const char *path, const fcl_array *pictures);

#endif
