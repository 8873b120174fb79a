/* Data in NumPy's archives, .npz. */
#include "data/reader.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/npz.h"

#include <flowcl/options.h>
#include <stdlib.h>
#include <string.h>

/* What arrays are called that hold samples, the likeliest first, and what their labels are then called. */
/* clang-format off */
static const struct {
    const char *samples, *labels[6];
} usual[] = {
    {"x", {"y", "labels", "label"}},
    {"X", {"y", "Y", "labels", "label", "target"}},
    {"data", {"y", "labels", "label", "target", "targets"}},
    {"x_train", {"y_train", "labels_train"}},
    {"X_train", {"y_train", "Y_train", "labels_train"}},
    {"train_x", {"train_y", "train_labels"}},
    {"train_X", {"train_y", "train_Y", "train_labels"}},
    {"train_images", {"train_labels"}},
    {"train_data", {"train_labels", "train_targets"}},
    {"train", {"train_labels"}},
    {"images", {"labels", "label", "y", "target", "targets"}},
    {"samples", {"labels", "label", "y"}},
    {"features", {"labels", "label", "y", "target", "targets"}},
    {"inputs", {"targets", "target", "labels", "y"}},
    {"points", {"labels", "label", "y"}},
    {"x_test", {"y_test", "labels_test"}},
    {"X_test", {"y_test", "Y_test", "labels_test"}},
    {"x_val", {"y_val", "labels_val"}},
    {"X_val", {"y_val", "Y_val", "labels_val"}},
    {"x_valid", {"y_valid"}},
    {"X_valid", {"y_valid"}},
    {"test_x", {"test_y", "test_labels"}},
    {"test_images", {"test_labels"}},
    {"test_data", {"test_labels", "test_targets"}},
    {"test", {"test_labels"}},
    {"val_images", {"val_labels"}},
    {"arr_0", {"arr_1"}},
};
/* clang-format on */
enum { USUAL = sizeof usual / sizeof *usual };

/* What labels are called beside an array of any other name. */
static const char *const label_names[] = {"y", "labels", "label", "target", "targets", "Y", NULL};

static bool is_among(const char *name, const char *const *names)
{
    while (*names && strcmp(*names, name) != 0)
        names++;
    return *names;
}

/* Names that are labels' alone; arr_1 is not. */
static bool is_label(const char *name)
{
    for (int i = 0; i < USUAL - 1; i++)
        if (is_among(name, usual[i].labels))
            return true;
    return is_among(name, label_names);
}

static const char *first_held(const fcl_npz *npz, const char *const *names)
{
    while (*names && !fcl_npz_holds(npz, *names))
        names++;
    return *names;
}

static int no_such_array(const fcl_npz *npz, const char *path, const char *name)
{
    const char **names = NULL;
    fcl_text list = {0};
    int count = 0;
    for (const char *held; (held = fcl_npz_name_at(npz, count)); count++) {
        names = fcl_grow(names, ((size_t)count + 1) * sizeof *names);
        names[count] = held;
        if (count < 20)
            fcl_text_format(&list, "%s%s", count ? ", " : "", held);
    }
    const char *nearest = fcl_nearest(name, names, count);
    int status = nearest ? fcl_fail(FCL_ERR_ARGUMENT, "%s holds no array '%s'; did you mean '%s'?", path,
                                    name, nearest)
                         : fcl_fail(FCL_ERR_ARGUMENT, "%s holds no array '%s'; its arrays are %s%s", path,
                                    name, list.data, count > 20 ? ", ..." : "");
    fcl_text_free(&list);
    free(names);
    return status;
}

static int choose_samples(const fcl_npz *npz, const fcl_reading *reading, const char **samples)
{
    *samples = reading->array;
    if (reading->array)
        return fcl_npz_holds(npz, reading->array) ? FCL_OK
                                                  : no_such_array(npz, reading->path, reading->array);
    for (int i = 0; i < USUAL && !*samples; i++)
        *samples = fcl_npz_holds(npz, usual[i].samples) ? usual[i].samples : NULL;
    for (int i = 0; !*samples && fcl_npz_name_at(npz, i); i++)
        *samples = is_label(fcl_npz_name_at(npz, i)) ? NULL : fcl_npz_name_at(npz, i);
    return *samples ? FCL_OK
                    : fcl_fail(FCL_ERR_FORMAT, "%s holds labels (%s) but no samples", reading->path,
                               fcl_npz_name_at(npz, 0));
}

/* The labels' array, NULL where there is none; *sure where it is meant for these samples and nothing else. */
static int choose_labels(const fcl_npz *npz, const fcl_reading *reading, const char *samples,
                         const char **labels, bool *sure)
{
    const fcl_dataset_options *options = reading->options;
    *labels = options->label_column;
    *sure = true;
    if (options->label_column && fcl_npz_holds(npz, options->label_column))
        return FCL_OK;
    if (options->label_column) {
        *labels = NULL;
        return strcmp(options->label_column, FCL_NO_LABEL) == 0
                   ? FCL_OK
                   : no_such_array(npz, reading->path, options->label_column);
    }
    if (options->label_guess && fcl_npz_holds(npz, options->label_guess) &&
        strcmp(options->label_guess, samples) != 0)
        *labels = options->label_guess;
    for (int i = 0; i < USUAL && !*labels; i++)
        if (strcmp(samples, usual[i].samples) == 0)
            *labels = first_held(npz, usual[i].labels);
    *sure = *labels && strcmp(*labels, usual[USUAL - 1].labels[0]) != 0;
    if (*labels || strncmp(samples, "arr_", 4) == 0)
        return FCL_OK;
    *labels = first_held(npz, label_names);
    *sure = !reading->array;
    if (*labels && strcmp(*labels, samples) == 0)
        *labels = NULL;
    return FCL_OK;
}

static int load(const fcl_npz *npz, const char *path, const char *name, fcl_dataset_setter *set,
                const fcl_dataset_options *options, fcl_dataset *dataset)
{
    fcl_npy array;
    uint8_t *bytes;
    FCL_TRY(fcl_npz_load(npz, name, &array, &bytes));
    char *where = fcl_format("%s, array %s", path, name);
    int status = set(dataset, &array, options, where);
    free(where);
    free(bytes);
    return status;
}

/* Labels by guess are labels only where there is one for each sample, and it is no measurement. */
static int set_guessed(fcl_dataset *dataset, fcl_npy *array, const fcl_dataset_options *options, const char *where)
{
    bool fits = fcl_shape_size(array->shape) == dataset->count && array->kind != 'f';
    return fits ? fcl_dataset_set_labels(dataset, array, options, where) : FCL_OK;
}

static int read_arrays(const fcl_npz *npz, const fcl_reading *reading, fcl_dataset *dataset)
{
    const char *samples, *labels = NULL;
    bool sure;
    FCL_TRY(choose_samples(npz, reading, &samples));
    FCL_TRY(choose_labels(npz, reading, samples, &labels, &sure));
    if (labels && strcmp(labels, samples) == 0)
        return fcl_fail(FCL_ERR_ARGUMENT, "%s: its array %s cannot be both samples and labels", reading->path,
                        labels);
    FCL_TRY(load(npz, reading->path, samples, fcl_dataset_set_samples, reading->options, dataset));
    if (labels && !reading->options->unlabeled)
        FCL_TRY(load(npz, reading->path, labels, sure ? fcl_dataset_set_labels : set_guessed, reading->options, dataset));
    char *shape = dataset->note;
    dataset->note = fcl_format("the samples are array %s%s%s%s%s", samples, dataset->label ? ", the labels " : "",
                               dataset->label ? labels : "", shape ? "; " : "", shape ? shape : "");
    free(shape);
    return FCL_OK;
}

int fcl_dataset_read_npz(const fcl_reading *reading, fcl_dataset *dataset)
{
    fcl_npz *npz;
    FCL_TRY(fcl_npz_open(reading->path, &npz));
    int status = read_arrays(npz, reading, dataset);
    fcl_npz_close(&npz);
    return status;
}

int fcl_dataset_read_npz_labels(const char *path, const char *column, fcl_dataset *dataset)
{
    fcl_npz *npz;
    FCL_TRY(fcl_npz_open(path, &npz));
    const char *name = column ? column : first_held(npz, label_names);
    if (!name && !fcl_npz_name_at(npz, 1))
        name = fcl_npz_name_at(npz, 0);
    int status = !name ? fcl_fail(FCL_ERR_FORMAT, "%s holds no array that is called as labels are: label-column names it", path)
                 : fcl_npz_holds(npz, name) ? load(npz, path, name, fcl_dataset_set_labels, NULL, dataset)
                                            : no_such_array(npz, path, name);
    fcl_npz_close(&npz);
    return status;
}
