/* flowcl/eval.h: what came out: sample files, pictures, charts and distances. Host arrays only, no device.
 *
 *     fcl_samples_write("samples.png", samples, NULL);            // or .npy, .npz, .csv
 *     fcl_w2_squared(samples, fresh, &w2);
 *
 * Every file is written aside, synced and renamed: it is there complete or not at all. */
#ifndef FLOWCL_EVAL_H
#define FLOWCL_EVAL_H

#include <flowcl/options.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fcl_picture_options {
    const fcl_array *reference; /* points (M, D) drawn in grey underneath, such as the data; NULL for none */
    const char *title;          /* above a scatter picture, where charts are built in; NULL for none */
    double low, high;           /* of pictures: what is drawn black and white; both 0: -1 and 1 */
    const int32_t *label;       /* (N) from 0: points are coloured by class, and a legend tells which; pictures of a
                                   class stand in rows of their own, see fcl_picture_rows; or NULL */
    const char *const *class_names; /* for the legend, by label; NULL: numbers */
} fcl_picture_options;

/* Writes samples (N, ...) in the format that the path's ending names:
 *     .npy .npz   float32; the .npz holds one array, "x"
 *     .csv        a sample a line
 *     .png        pictures (N, C, H, W) with C 1 or 3, or (N, H, W), values from low to high: a grid of the first
 *                 1024; points (N, D) with D at least 2: a scatter picture of the first two numbers of each.
 *                 The frame holds all but the outermost 0.2 % of the points on each side.
 *     folder      pictures, as fcl_pictures_write writes them
 * `options` may be NULL; they concern pictures only. FCL_ERR_ARGUMENT for another ending, FCL_ERR_SHAPE for
 * samples that cannot be drawn, FCL_ERR_NUMERIC where no point is finite, FCL_ERR_FILE, FCL_ERR_MEMORY. */
FCL_API int fcl_samples_write(const char *path, const fcl_array *samples, const fcl_picture_options *options);

/* To be asked before a long computation: FCL_ERR_ARGUMENT where fcl_samples_write does not know the path's
 * ending, FCL_ERR_FILE where no file can be written there. */
FCL_API int fcl_samples_check_path(const char *path);
/* The same, once the shape of one sample is known: FCL_ERR_SHAPE where the path is a picture's and such samples cannot
 * be drawn. */
FCL_API int fcl_samples_check_shape(const char *path, fcl_shape sample);

/* Whether pictures of these classes (n) are drawn with a row for each class, in the order of their numbers: a class of
 * more than 32 pictures has several. Not where most of the grid would be empty, nor with one picture a class. */
FCL_API bool fcl_picture_rows(int64_t n, const int32_t *label);

/* Whether samples of that shape are drawn as pictures: (H, W), or (C, H, W) with C 1 or 3. */
FCL_API bool fcl_samples_are_pictures(fcl_shape sample);

/* What a model was shown, what it draws, and the ways its samples come. */
typedef struct fcl_flow_picture {
    const fcl_array *data;    /* (N, ...) */
    const fcl_array *samples; /* (M, ...) of the same sample shape */
    const fcl_array *paths;   /* (T, K, ...): K samples at T times, in order; NULL for none */
    double low, high;         /* of pictures: what is drawn black and white; both 0: -1 and 1 */
} fcl_flow_picture;

/* Writes it as .png.
 *   points (N, D)   data, samples and paths beside each other, data and samples on one scale. D = 2: as they
 *                   are; more: along the first two principal components of the data, as the title says; 1:
 *                   against even heights, and the paths against the time
 *   pictures        (N, H, W) or (N, 1 or 3, H, W): 64 samples, beside them the nearest of the data to each
 *
 * FCL_ERR_SHAPE where shapes do not fit, else as fcl_samples_write. */
FCL_API int fcl_flow_picture_write(const char *path, const fcl_flow_picture *picture);

/* A number of each sample: its log density, its weight; or its class. */
typedef struct fcl_column {
    const char *name;
    const float *values;            /* n; NULL: classes */
    const int32_t *label;           /* n, where `values` is NULL */
    const char *const *class_names; /* of these, by label; NULL: numbers are written */
} fcl_column;

/* Writes columns beside samples (n, ...), or alone where these are NULL:
 *     .npz   the samples as "x", each column as an array (n) of its name; classes are whole numbers or text
 *     .csv   a heading x1, x2, ..., NAME, ..., then a sample a line with its columns last, classes behind numbers
 *     .npy   alone: (n, count); else, as .png, the samples alone, and each column in a file beside it,
 *            "samples.NAME.npy" for "samples.npy"
 * Classes in a column "label" are read back as labels by fcl_dataset_open. At most one column is of classes.
 * Errors as fcl_samples_write. */
FCL_API int fcl_columns_write(const char *path, int64_t n, const fcl_array *samples, int count,
                              const fcl_column *columns);
/* Where fcl_columns_write puts a column that stands beside samples. Released by fcl_free. */
FCL_API char *fcl_columns_path(const char *path, const char *name);

/* Writes pictures (N, H, W), or (N, C, H, W) with C 1 or 3, as bytes, from options->low, 0, to options->high, 255, rounded;
 * what lies outside is cut off. Columns stand beside them, `count` may be 0.
 *     .npz     "arr_0", uint8 (N, H, W, C), the classes as "arr_1", other columns by their names: what programs read that
 *              judge pictures, as ADM's evaluator (Dhariwal, Nichol 2021)
 *     folder   a path that ends in '/', or is one without such an ending: 00000.png, 00001.png, ...; and with columns "pictures.csv", a table of
 *              "file" and these, which fcl_dataset_options.label_file reads
 * Both are read back by fcl_dataset_open. `options` may be NULL. Errors as fcl_samples_write. */
FCL_API int fcl_pictures_write(const char *path, const fcl_array *pictures, const fcl_picture_options *options, int count,
                               const fcl_column *columns);
/* Whether that path is a folder's. */
FCL_API bool fcl_pictures_in_folder(const char *path);
/* To be asked before a long computation: FCL_ERR_ARGUMENT where the path is neither's, FCL_ERR_FILE where nothing can be
 * written there; a folder is made by fcl_pictures_write, and refused where it holds pictures already. */
FCL_API int fcl_pictures_check_path(const char *path);

/* A chart of a training over its steps, a panel below the other: the loss, and with it the held-out loss where there is
 * any; the gradient's norm and the learning rate where they are given. Loss and norm are faint, their moving mean strong, on
 * logarithmic scales; the rate is on a linear one, from zero. However many rows there are, each shows: of those that share a
 * column of pixels the first, least, largest and last are drawn. */
typedef struct fcl_loss_chart {
    const double *step, *loss; /* `count` of each, steps ascending */
    int64_t count;
    const char *title;           /* NULL for none */
    const double *held_out_loss; /* (count), NaN where a row has none; NULL: none has */
    const double *gradient_norm; /* (count); NULL: no panel */
    double clip;                 /* the norm that gradients are clipped to, a line in their panel; 0: they are not */
    const double *lr;            /* (count); NULL: no panel */
} fcl_loss_chart;

/* Writes it as .png. Values that are not finite, or on a logarithmic scale not positive, have no place on it and are left
 * out, and a panel without any; with no loss left, FCL_ERR_NUMERIC. FCL_ERR_UNSUPPORTED where the library was built without
 * charts. */
FCL_API int fcl_loss_chart_write(const char *path, const fcl_loss_chart *chart);

/* A contact sheet of what was drawn while a model was trained, by fcl_samples_write as .png, of as many samples from the
 * same noise each time. Of pictures: a row for each drawing, with the number of its step, and in it the first of them,
 * those of a class beside each other, so that a column shows how one picture grows; large ones are made smaller. Of
 * points: the drawings, small, beside each other.
 *
 *     fcl_history *history;
 *     fcl_history_create(FCL_SHAPE(1, 28, 28), 64, NULL, &history);
 *     fcl_dataset_open("samples-0000001000.png", NULL, &drawing);    // for each of some steps, oldest first
 *     fcl_history_add(history, 1000, drawing->shape, drawing->bytes);
 *     fcl_history_write("history.png", history);
 *     fcl_history_destroy(&history);
 */
typedef struct fcl_history fcl_history;

enum { FCL_HISTORY_MOST = 12 }; /* drawings on a sheet */

/* Of drawings of n samples of that shape, with `label` (n) where these were fcl_picture_options.label; else NULL.
 * FCL_ERR_SHAPE where they are neither pictures nor points. */
FCL_API int fcl_history_create(fcl_shape sample, int64_t n, const int32_t *label, fcl_history **history);
FCL_API void fcl_history_destroy(fcl_history **history);
/* A drawing's pixels, (C, H, W) as `shape` says: what is shown of it is copied. FCL_ERR_SHAPE where no drawing of such
 * samples has that size, FCL_ERR_ARGUMENT where the sheet is full. */
FCL_API int fcl_history_add(fcl_history *history, int64_t step, fcl_shape shape, const uint8_t *pixels);
FCL_API int fcl_history_count(const fcl_history *history); /* drawings on it */
/* FCL_ERR_ARGUMENT where it has no drawing. Where the library was built without charts steps have no numbers. */
FCL_API int fcl_history_write(const char *path, const fcl_history *history);

/* Which of `count` drawings, at even distances of steps, tell most of a training: the first, the last, and between them
 * each about as many times later than the one before, since what changes at first in a hundred steps takes thousands
 * later. All of FCL_HISTORY_MOST or fewer. Returns how many; which[k] ascend, from 0. */
FCL_API int fcl_history_choose(int count, int which[FCL_HISTORY_MOST]);

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

/* --- distances between two sets of points ---
 *
 *     fcl_distance w2;
 *     fcl_distance_measure("w2", samples, data, NULL, &w2);
 *     printf("W2 = %g (%s)\n", w2.value, w2.how);
 *
 * Sets are arrays (N, ...) and (M, ...) of the same sample shape; a sample counts as one point of D numbers.
 * The rows of the table:
 *
 *     w1       the 1-Wasserstein distance: least mean |x - y| over all pairings
 *     w2       the 2-Wasserstein distance: root of the least mean |x - y|^2 over all pairings
 *     sliced   sliced W2: root of the mean over random directions of the squared W2 of what both sets project
 *              to there (Bonneel et al. 2015)
 *     energy   the energy distance 2 E|x - y| - E|x - x'| - E|y - y'| over all pairs, 0 for equal sets
 *              (Szekely and Rizzo 2013); some define its root
 *     mmd      the squared maximum mean discrepancy, unbiased, so that it may be below 0 (Gretton et al.
 *              2012, eq. 3); k(x, y) = exp(-|x - y|^2 / (2 h^2)), averaged over the bandwidths h
 *
 * and of features, what a network makes of a picture (classify.h), or any other numbers, of which more than a few hundred
 * take minutes; a are those of what is judged, b those of the data:
 *
 *     frechet    |m_a - m_b|^2 + tr S_a + tr S_b - 2 tr (S_a^1/2 S_b S_a^1/2)^1/2 of means and covariances, divided by
 *                N - 1, in double precision (Dowson and Landau 1982; Heusel et al. 2017). It falls with the number of
 *                points, by about 1/N: compare at one N, and with the floor
 *     kid        the squared maximum mean discrepancy by the kernel (x y / D + 1)^3, unbiased: the mean of 100 pairs of
 *                subsets of 1000 points (fewer where a set has fewer), and `error` its standard error, which is not
 *                known where both sets are no larger than that (Binkowski et al. 2018)
 *     precision  share of a inside a ball around a point of b that reaches to its third neighbour in b; and
 *     recall     share of b inside such a ball of a (Kynkaanniemi et al. 2019)
 *     density    mean number of such balls of b, to the fifth neighbour, that a point of a is inside of, over 5; about 1
 *                for two draws of one distribution, 6/5 for equal sets
 *     coverage   share of the balls of b, to the fifth neighbour, that have a point of a (both Naeem et al. 2020)
 *
 * The last four take time with the product of the points, some seconds for 10 000 of each, and memory with their sum.
 * Points on the surface of a ball are inside.
 *
 * In one dimension w1 and w2 are exact for any N and M, by sorting. Else a pairing takes equally many points
 * of both sets, and w1, w2, energy and mmd take time and memory with the square of the points: of a set that
 * has more than options.points so many are drawn without replacement. `how` says what was done. */

typedef struct fcl_distance_options {
    int64_t points;        /* most points of each set that w1, w2, energy and mmd take; 0: 5000 */
    int projections;       /* random directions of sliced; 0: 200 */
    const char *bandwidth; /* of mmd: numbers above 0 with commas between; NULL or "median": the median
                              distance among 1000 points of both sets */
    uint64_t seed;         /* of the directions and of the points drawn */
} fcl_distance_options;

/* The rows of these options, without the seed. */
FCL_API extern const fcl_option fcl_distance_table[];

typedef struct fcl_distance {
    double value;
    int64_t points[2]; /* taken of each set */
    double bandwidth;  /* of mmd: the median distance, or 0 where bandwidths were given */
    double error;      /* of kid: the value's standard error; NaN: none is known */
    char how[128];     /* "exact, 2000 points each" */
} fcl_distance;

/* The rows by index, NULL past the last. */
FCL_API const char *fcl_distance_name(int index);
FCL_API const char *fcl_distance_help(int index);
FCL_API bool fcl_distance_is_of_features(int index); /* frechet and those behind it */

/* To be asked before a long computation: FCL_ERR_ARGUMENT where an option is not usable. `options` may be NULL. */
FCL_API int fcl_distance_check(const fcl_distance_options *options);

/* `options` may be NULL. FCL_ERR_ARGUMENT: no such row, or an option is not usable; FCL_ERR_SHAPE: the sets
 * are empty, have other sample shapes, or fewer points than the distance needs (mmd, frechet, kid: 2; precision, recall:
 * 4; density, coverage: 6); FCL_ERR_NUMERIC: a
 * value is not finite; FCL_ERR_MEMORY. */
FCL_API int fcl_distance_measure(const char *name, const fcl_array *a, const fcl_array *b,
                                 const fcl_distance_options *options, fcl_distance *distance);

/* The mean of a distance over several draws of points. */
typedef struct fcl_distance_mean {
    double mean, deviation; /* the deviation is that of one draw; NaN where there is one only */
    int64_t points[2];      /* drawn of each set */
    bool disjoint;          /* no point is in two draws */
} fcl_distance_mean;

/* How far apart sets of `points` are that are drawn from a and b without replacement: the mean over `draws` such
 * draws, each with another seed, and the deviation of one.
 *
 * Without b both sets are drawn from a and have no point in common. This is the floor of a distance: what it is
 * between two sets of that size from one distribution, above 0 although nothing is wrong. For the mean to stand
 * beside a value, `points` are that value's: fcl_distance.points. Each draw's pair are independent points of the
 * distribution behind a, so the mean has no bias, however often a point is drawn; drawn with replacement, the sets
 * would share points and be too near. Where a has draws (points[0] + points[1]) points, no point is in two draws
 * (`disjoint`). Else draws overlap and resemble each other: the mean is right all the same, the deviation too small.
 * Where a has fewer than points[0] + points[1], both are made smaller in proportion; the
 * result's points say it, and at these a value has to be measured again, with b, to be compared.
 *
 * Errors as fcl_distance_measure; FCL_ERR_ARGUMENT also without any draw or with more points than b has. */
FCL_API int fcl_distance_draws(const char *name, const fcl_array *a, const fcl_array *b, const int64_t points[2],
                               int draws, const fcl_distance_options *options, fcl_distance_mean *mean);

/* The nearest of the points `among` (M, ...) to each of `points` (N, ...), of as many numbers: its index (N) and how far
 * it is (N), which the caller has. In double precision; time with N times M. FCL_ERR_SHAPE, FCL_ERR_MEMORY. */
FCL_API int fcl_nearest_points(const fcl_array *points, const fcl_array *among, int64_t *index, double *distance);

/* The squared 2-Wasserstein distance between two sets of equally many points (N, ...), exact: the least mean
 * squared distance over all pairings. Takes 4 N^2 bytes and, at worst, O(N^3) time; some seconds for
 * N = 10000. FCL_ERR_SHAPE where the shapes differ or are empty, FCL_ERR_NUMERIC where a value is not
 * finite. */
FCL_API int fcl_w2_squared(const fcl_array *a, const fcl_array *b, double *distance);

#ifdef __cplusplus
}
#endif

#endif
