#include "data/statistics.h"

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/watch.h"
#include "data/rows.h"
#include "data/stored.h"

#include <math.h>
#include <stdlib.h>

enum {
    PIECE = 1 << 16,   /* numbers that are added at once, or one sample */
    AT_ONCE = 1 << 20, /* numbers that are read at once, or one piece */
    WIDTH = 256,       /* columns that one thread takes at a time */
};

/* Samples that are read: (n, size), pieces of `rows`. */
typedef struct reading {
    fcl_survey *survey;
    const float *values;
    int64_t n, rows;
} reading;

/* One piece's mean and squares of the columns [first, first + width), added to what is there of `before`
 * samples. Around the first row: an offset far larger than the deviation takes nothing away from it, and what
 * is constant stays exact. */
static void add_piece(fcl_survey *to, int64_t before, const float *x, int64_t n, int64_t first, int64_t width)
{
    double mean[WIDTH] = {0}, squares[WIDTH] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < width; k++)
            mean[k] += (double)x[i * to->columns + first + k] - (double)x[first + k];
    for (int64_t k = 0; k < width; k++)
        mean[k] = (double)x[first + k] + mean[k] / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < width; k++) {
            double distance = (double)x[i * to->columns + first + k] - mean[k];
            squares[k] += distance * distance;
        }
    double share = (double)n / (double)(before + n);
    for (int64_t k = 0; k < width; k++) {
        double apart = mean[k] - to->mean[first + k];
        to->mean[first + k] += before ? apart * share : apart;
        to->squares[first + k] += squares[k] + (before ? apart * apart * (double)before * share : 0);
    }
}

static void add_columns(void *data, int64_t i)
{
    const reading *of = data;
    int64_t columns = of->survey->columns, first = i * WIDTH,
            width = columns - first < WIDTH ? columns - first : WIDTH;
    for (int64_t done = 0; done < of->n; done += of->rows) {
        int64_t n = of->n - done < of->rows ? of->n - done : of->rows;
        add_piece(of->survey, of->survey->count + done, of->values + done * columns, n, first, width);
    }
}

static void add(const fcl_dataset *dataset, reading *of)
{
    int64_t parts = (of->survey->columns + WIDTH - 1) / WIDTH;
    if (dataset->stored)
        fcl_pool_run(dataset->stored->pool, parts, add_columns, of);
    else
        for (int64_t i = 0; i < parts; i++)
            add_columns(of, i);
    of->survey->count += of->n;
}

/* Bytes as bytes: what they stand for, back again. */
static void extend(const fcl_dataset *dataset, const reading *of, fcl_extent *extent)
{
    bool bytes = fcl_dataset_has_bytes(dataset), whole = extent->whole;
    float least = INFINITY, most = -INFINITY;
    for (int64_t i = 0; i < of->n * of->survey->columns; i++) {
        float x = of->values[i];
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    for (int64_t i = 0; whole && !bytes && i < of->n * of->survey->columns; i++)
        whole = of->values[i] == floorf(of->values[i]);
    double scale = bytes ? (double)dataset->scale : 1, shift = bytes ? (double)dataset->shift : 0;
    double low = ((double)least - shift) / scale, high = ((double)most - shift) / scale;
    extent->least = fmin(extent->least, bytes ? rint(low) : low);
    extent->most = fmax(extent->most, bytes ? rint(high) : high);
    extent->whole = whole;
}

/* `most` samples at once, pieces of `rows`. */
static int read_all(const fcl_dataset *dataset, int64_t most, int64_t rows, int64_t *which, float *values,
                    fcl_survey *survey)
{
    for (int64_t first = 0; first < dataset->count; first += most) {
        int64_t left = dataset->count - first, n = left < most ? left : most;
        reading of = {survey, values, n, rows};
        for (int64_t i = 0; i < n; i++)
            which[i] = first + i;
        FCL_TRY(fcl_watch_at("measuring the data", first, dataset->count));
        FCL_TRY(fcl_dataset_values(dataset, n, which, values));
        add(dataset, &of);
        extend(dataset, &of, &survey->extent);
    }
    return FCL_OK;
}

int fcl_survey_make(const fcl_dataset *dataset, fcl_survey *survey)
{
    int64_t columns = fcl_shape_size(dataset->shape), rows = PIECE / columns < 1 ? 1 : PIECE / columns;
    *survey = (fcl_survey){.columns = columns, .extent = {INFINITY, -INFINITY, true}};
    survey->mean = fcl_zalloc((size_t)columns * sizeof *survey->mean);
    survey->squares = fcl_zalloc((size_t)columns * sizeof *survey->squares);
    int64_t pieces = AT_ONCE / (rows * columns) < 1 ? 1 : AT_ONCE / (rows * columns);
    int64_t most = rows * pieces < dataset->count ? rows * pieces : dataset->count;
    int64_t *which = malloc((size_t)most * sizeof *which);
    float *values = malloc((size_t)(most * columns) * sizeof *values);
    int status = which && values
                     ? read_all(dataset, most, rows, which, values, survey)
                     : fcl_fail(FCL_ERR_MEMORY, "%s: no memory to measure its numbers", dataset->name);
    free(which);
    free(values);
    if (status != FCL_OK)
        fcl_survey_free(survey);
    return status;
}

void fcl_survey_free(fcl_survey *survey)
{
    free(survey->mean);
    free(survey->squares);
    *survey = (fcl_survey){0};
}

void fcl_survey_columns(const fcl_survey *survey, int64_t columns, double *mean, double *deviation)
{
    bool together = columns < survey->columns;
    double all = 0, squares = 0, count = (double)survey->count;
    for (int64_t k = 0; k < survey->columns; k++) {
        double apart = survey->mean[k] - all, before = (double)k;
        all += apart / (before + 1);
        squares += survey->squares[k] + apart * apart * count * before / (before + 1);
        if (!together) {
            mean[k] = survey->mean[k];
            deviation[k] = sqrt(survey->squares[k] / count);
        }
    }
    if (!together)
        return;
    *mean = all;
    *deviation = sqrt(squares / count / (double)survey->columns);
}

bool fcl_extent_range(fcl_extent extent, double *low, double *high)
{
    static const struct {
        double low, high;
        bool whole;
    } ranges[] = {{0, 1, false}, {-1, 1, false}, {0, 255, false}, {0, 65535, true}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        *low = ranges[i].low;
        *high = ranges[i].high;
        if (extent.least >= *low && extent.most <= *high && (extent.whole || !ranges[i].whole) &&
            fmax(extent.most, -extent.least) >= *high / 4)
            return true;
    }
    *low = extent.least;
    *high = extent.most > extent.least ? extent.most : extent.least + 1;
    bool counted = extent.whole && extent.least >= 0 && extent.most > 0;
    if (counted)
        *low = 0;
    return counted;
}
