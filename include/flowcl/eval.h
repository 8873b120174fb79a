/* flowcl/eval.h: what came out: sample files, pictures, charts and distances. Host arrays only, no device.
 *
 *     fcl_samples_write("samples.png", samples, NULL);            // or .npy, .npz, .csv
 *     fcl_w2_squared(samples, fresh, &w2);
 *
 * Every file is written aside, synced and renamed: it is there complete or not at all. */
#ifndef FLOWCL_EVAL_H
#define FLOWCL_EVAL_H

#include <flowcl/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_picture_options {
    const fcl_array *reference; /* points (M, D) drawn in grey underneath, such as the data; NULL for none */
    const char *title;          /* above a scatter picture, where charts are built in; NULL for none */
} fcl_picture_options;

/* Writes samples (N, ...) in the format that the path's ending names:
 *     .npy .npz   float32; the .npz holds one array, "x"
 *     .csv        a sample a line
 *     .png        pictures (N, C, H, W) with C 1 or 3, or (N, H, W), values from -1 to 1: a grid of the first
 *                 1024; points (N, D) with D at least 2: a scatter picture of the first two numbers of each.
 *                 The frame holds all but the outermost 0.2 % of the points on each side.
 * `options` may be NULL; they concern pictures only. FCL_ERR_ARGUMENT for another ending, FCL_ERR_SHAPE for
 * samples that cannot be drawn, FCL_ERR_NUMERIC where no point is finite, FCL_ERR_FILE, FCL_ERR_MEMORY. */
FCL_API int fcl_samples_write(const char *path, const fcl_array *samples, const fcl_picture_options *options);

/* To be asked before a long computation: FCL_ERR_ARGUMENT where fcl_samples_write does not know the path's
 * ending, FCL_ERR_FILE where no file can be written there. */
FCL_API int fcl_samples_check_path(const char *path);

/* A chart of the loss over the steps: the values faint, their moving mean strong, on a logarithmic scale. */
typedef struct fcl_loss_chart {
    const double *step, *loss; /* `count` of each, steps ascending */
    int64_t count;
    const char *title; /* NULL for none */
} fcl_loss_chart;

/* Writes it as .png. Values that are not positive and finite have no place on it and are left out; with none
 * left, FCL_ERR_NUMERIC. FCL_ERR_UNSUPPORTED where the library was built without charts. */
FCL_API int fcl_loss_chart_write(const char *path, const fcl_loss_chart *chart);

/* A chart of horizontal bars: a panel for each thing that was measured, in it a bar for each of those that
 * were compared, always in the same order and color. Each panel has a scale of its own, from zero. */
typedef struct fcl_bar {
    double value;     /* not negative; NaN: there is none */
    double low, high; /* what it spreads over; NaN or equal: no whisker */
} fcl_bar;

typedef struct fcl_bar_panel {
    const char *title;
    const fcl_bar *bar; /* bar_count of them */
} fcl_bar_panel;

typedef struct fcl_bar_chart {
    const char *title; /* NULL for none */
    int bar_count, panel_count;
    const char *const *bar; /* what each of a panel's bars stands for */
    const fcl_bar_panel *panel;
} fcl_bar_chart;

/* Writes it as .png. FCL_ERR_ARGUMENT without any bar, FCL_ERR_UNSUPPORTED as above. */
FCL_API int fcl_bar_chart_write(const char *path, const fcl_bar_chart *chart);

/* The squared 2-Wasserstein distance between two sets of equally many points (N, ...), exact: the least mean
 * squared distance over all pairings. Takes O(N^3) time at worst and 8 N^2 bytes; a second for N = 2000
 * is long. FCL_ERR_SHAPE where the shapes differ or are empty, FCL_ERR_NUMERIC where a value is not finite.
 */
FCL_API int fcl_w2_squared(const fcl_array *a, const fcl_array *b, double *distance);

#ifdef __cplusplus
}
#endif

#endif
