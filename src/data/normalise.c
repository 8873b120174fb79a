/* Which numbers data are normalised by. */
#include <flowcl/normalise.h>

#include "base/array.h"
#include "base/error.h"
#include "base/memory.h"
#include "data/statistics.h"

#include <flowcl/text.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is known while numbers are chosen. */
typedef struct choice {
    const fcl_dataset *data;
    const char *text;
    int64_t columns; /* 1: all numbers of a sample are alike, those of a picture */
    bool ranged;     /* low and high are known, not only what there is */
    fcl_survey survey; /* of the data, once something asked for it */
    fcl_normalisation *made;
} choice;

/* --- numbers --- */

/* Single precision, as the device subtracts and multiplies: what comes back is then what went in. What cannot
 * be divided by stays. */
static void set_pair(fcl_normalisation *made, int64_t at, double centre, double scale)
{
    made->centre[at] = (double)(float)centre;
    made->scale[at] = scale > (double)FLT_MIN ? (double)(float)fmin(scale, (double)FLT_MAX) : 1;
}

static void allocate(fcl_normalisation *made, int64_t count)
{
    made->count = count;
    made->centre = fcl_zalloc((size_t)count * sizeof *made->centre);
    made->scale = fcl_zalloc((size_t)count * sizeof *made->scale);
}

/* Of all the data, once. */
static int look(choice *of)
{
    return of->survey.mean ? FCL_OK : fcl_survey_make(of->data, &of->survey);
}

static int measure(choice *of)
{
    FCL_TRY(look(of));
    allocate(of->made, of->columns);
    fcl_survey_columns(&of->survey, of->columns, of->made->centre, of->made->scale);
    return FCL_OK;
}

static void set_own(fcl_normalisation *made)
{
    for (int64_t k = 0; k < made->count; k++)
        set_pair(made, k, made->centre[k], made->scale[k]);
}

static int use_columns(choice *of)
{
    of->columns = fcl_shape_size(of->data->shape);
    FCL_TRY(measure(of));
    set_own(of->made);
    return FCL_OK;
}

/* The root mean square of the deviations that are not 0. */
static void share_scale(fcl_normalisation *made)
{
    double squares = 0, largest = 0, varying = 0;
    for (int64_t k = 0; k < made->count; k++)
        largest = fmax(largest, made->scale[k]);
    for (int64_t k = 0; k < made->count; k++) {
        squares += largest > 0 ? pow(made->scale[k] / largest, 2) : 0;
        varying += made->scale[k] > 0;
    }
    double scale = varying > 0 ? largest * sqrt(squares / varying) : 1;
    for (int64_t k = 0; k < made->count; k++)
        set_pair(made, k, made->centre[k], scale);
}

static int use_all(choice *of)
{
    FCL_TRY(measure(of));
    share_scale(of->made);
    return FCL_OK;
}

static int use_none(choice *of)
{
    (void)of;
    return FCL_OK;
}

static int use_range(choice *of)
{
    double low = of->made->low, high = of->made->high;
    if (fabs(low + 1) < 1e-6 && fabs(high - 1) < 1e-6)
        return FCL_OK;
    allocate(of->made, 1);
    set_pair(of->made, 0, (low + high) / 2, (high - low) / 2);
    return FCL_OK;
}

static bool is_off_scale(double mean, double deviation)
{
    return fabs(mean) > 10 || deviation < 0.1 || deviation > 10;
}

static int use_what_fits(choice *of)
{
    fcl_normalisation *made = of->made;
    double least = INFINITY, most = 0;
    bool off_scale = false;
    if (of->data->builtin)
        return FCL_OK;
    if (of->ranged)
        return use_range(of);
    FCL_TRY(measure(of));
    for (int64_t k = 0; k < made->count; k++) {
        off_scale |= is_off_scale(made->centre[k], made->scale[k]);
        most = fmax(most, made->scale[k]);
        least = made->scale[k] > 0 ? fmin(least, made->scale[k]) : least;
    }
    if (!off_scale)
        made->count = 0;
    else if (most == 0 || most <= 10 * least)
        share_scale(made);
    else
        set_own(made);
    return FCL_OK;
}

static const struct row {
    const char *name, *help;
    int (*use)(choice *of);
} rows[] = {
    {"auto", "moved where numbers are far from those of noise; built-in sets are not", use_what_fits},
    {"off", "as they are", use_none},
    {"columns", "each number of a sample by its mean and deviation", use_columns},
    {"all", "each by its mean, all by one deviation", use_all},
};

enum { ROWS = sizeof rows / sizeof *rows };

const char *fcl_normalise_name(int index)
{
    return index >= 0 && index < ROWS ? rows[index].name : NULL;
}

const char *fcl_normalise_help(int index)
{
    return index >= 0 && index < ROWS ? rows[index].help : NULL;
}

/* --- texts --- */

/* How many numbers with commas between the text is, 0: it is none such. The first `most` go to `numbers`. */
static int64_t read_numbers(const char *text, int64_t most, double *numbers)
{
    for (int64_t count = 0;; text++) {
        char *end;
        double number = fcl_strtod(text, &end);
        if (end == text || !isfinite(number) || (*end && *end != ','))
            return 0;
        if (count < most)
            numbers[count] = number;
        count++;
        text = end;
        if (!*text)
            return count;
    }
}

static int check_pairs(const char *text)
{
    int64_t count = read_numbers(text, 0, NULL);
    double *numbers = fcl_zalloc((size_t)(count + 1) * sizeof *numbers);
    read_numbers(text, count, numbers);
    bool usable = count > 0 && count % 2 == 0;
    for (int64_t i = 0; i < count; i++)
        usable =
            usable && fabs(numbers[i]) <= (double)FLT_MAX && (i % 2 == 0 || numbers[i] > (double)FLT_MIN);
    free(numbers);
    return usable ? FCL_OK
                  : fcl_fail(FCL_ERR_ARGUMENT,
                             "normalise: \"%s\" is not usable: expected auto, off, columns, all, or pairs of "
                             "numbers, a "
                             "centre and a scale above 0, with commas between",
                             text);
}

static int read_range(const char *text, double *low, double *high)
{
    double ends[2];
    bool usable = read_numbers(text, 2, ends) == 2 && (float)ends[0] < (float)ends[1] &&
                  fmax(fabs(ends[0]), fabs(ends[1])) <= (double)FLT_MAX / 4;
    if (!usable)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "range: \"%s\" is not usable: expected two numbers, black and white, the first "
                        "one smaller: 0,255",
                        text);
    *low = ends[0];
    *high = ends[1];
    return FCL_OK;
}

static const struct row *find(const char *text)
{
    for (int i = 0; i < ROWS; i++)
        if (!text || strcmp(rows[i].name, text) == 0)
            return &rows[i];
    return NULL;
}

int fcl_normalise_check(const char *normalise, const char *range)
{
    double low, high;
    FCL_TRY(find(normalise) ? FCL_OK : check_pairs(normalise));
    return range ? read_range(range, &low, &high) : FCL_OK;
}

static int use_pairs(choice *of)
{
    int64_t size = fcl_shape_size(of->data->shape), count = read_numbers(of->text, 0, NULL);
    if (count != 2 && count != 2 * size)
        return fcl_fail(
            FCL_ERR_ARGUMENT,
            "normalise: %lld numbers are neither a centre and a scale for all, nor a pair for each of the "
            "%lld numbers of a sample of %s",
            (long long)count, (long long)size, of->data->name);
    double *numbers = fcl_zalloc((size_t)count * sizeof *numbers);
    read_numbers(of->text, count, numbers);
    allocate(of->made, count / 2);
    for (int64_t k = 0; k < count / 2; k++)
        set_pair(of->made, k, numbers[2 * k], numbers[2 * k + 1]);
    free(numbers);
    return FCL_OK;
}

/* --- the range of pictures --- */

/* A byte as the value that it stands for. */
static double value_of(const fcl_dataset *data, double byte)
{
    return byte * (double)data->scale + (double)data->shift;
}

static int set_range(choice *of, const char *range)
{
    const fcl_dataset *data = of->data;
    fcl_normalisation *made = of->made;
    if (range)
        FCL_TRY(read_range(range, &made->low, &made->high));
    if (!range && data->full_range)
        made->high = 255;
    of->ranged = range || data->full_range;
    if (!of->ranged) {
        FCL_TRY(look(of));
        of->ranged = fcl_extent_range(of->survey.extent, &made->low, &made->high);
    }
    if (fcl_dataset_has_bytes(data)) {
        made->low = value_of(data, made->low);
        made->high = value_of(data, made->high);
    }
    return FCL_OK;
}

static int choose(choice *of, const char *range)
{
    const fcl_dataset *data = of->data;
    const struct row *row = find(of->text);
    bool picture = fcl_shape_is_picture(data->shape);
    if (data->builtin && (range || !row || row->use == use_columns || row->use == use_all))
        return fcl_fail(FCL_ERR_ARGUMENT, "%s %s has no use with %s: built-in sets are not normalised",
                        range ? "range" : "normalise", range ? range : of->text, data->name);
    if (range && !picture)
        return fcl_fail(FCL_ERR_ARGUMENT, "range %s is for pictures, and those of %s are none; see normalise",
                        range, data->name);
    if (picture)
        FCL_TRY(set_range(of, range));
    of->columns = picture && (of->ranged || data->shape.rank == 3) ? 1 : fcl_shape_size(data->shape);
    if (data->pictures && row && (row->use == use_columns || row->use == use_all))
        return fcl_fail(FCL_ERR_UNSUPPORTED,
                        "normalise %s looks at all numbers, and %s is read a batch at a time: give a centre and a scale",
                        of->text, data->name);
    return row ? row->use(of) : use_pairs(of);
}

int fcl_normalisation_create(const fcl_dataset *data, const char *normalise, const char *range,
                             fcl_normalisation **normalisation)
{
    *normalisation = NULL;
    FCL_TRY(fcl_normalise_check(normalise, range));
    choice of = {.data = data, .text = normalise, .made = fcl_zalloc(sizeof *of.made)};
    int status = choose(&of, range);
    fcl_survey_free(&of.survey);
    if (status != FCL_OK)
        fcl_normalisation_destroy(&of.made);
    *normalisation = of.made;
    return status;
}
