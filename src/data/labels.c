/* Labels: from what a file holds to numbers from 0. */
#include "data/reader.h"

#include "base/error.h"
#include "base/memory.h"

#include <flowcl/text.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int create(fcl_dataset *dataset, const char *where)
{
    dataset->label = malloc((size_t)dataset->count * sizeof *dataset->label);
    return dataset->label
               ? FCL_OK
               : fcl_fail(FCL_ERR_MEMORY, "%s: no memory for %lld labels", where, (long long)dataset->count);
}

/* --- words --- */

/* A class that is counted or called `name`. */
typedef struct class {
    const char *name;
    double number;
    int word; /* its index among the words */
} class;

static bool is_whole(double value)
{
    return fabs(value) < 1e15 && value == floor(value);
}

static int by_number(const void *left, const void *right)
{
    const class *a = left, *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

/* Whether all of them are numbers. */
static int read_numbers(int count, class *classes, const char *where, bool *numbers)
{
    const class *fraction = NULL;
    *numbers = true;
    for (int i = 0; i < count; i++) {
        char *end;
        classes[i].number = fcl_strtod(classes[i].name, &end);
        *numbers &= end != classes[i].name && !*end && isfinite(classes[i].number);
        fraction = is_whole(classes[i].number) || fraction ? fraction : &classes[i];
    }
    return *numbers && fraction
               ? fcl_fail(FCL_ERR_FORMAT, "%s: a label is %s; labels are whole numbers or words", where,
                          fraction->name)
               : FCL_OK;
}

/* Numbers that are classes as they are: from 0, and not too many. */
static bool are_classes(int count, const class *sorted)
{
    return sorted[0].number >= 0 && sorted[count - 1].number < FCL_LABEL_LIMIT;
}

/* class_of[word] is its class. Equal numbers (1 and 1.0) are one. */
static void number_classes(fcl_dataset *dataset, int count, const class *sorted, bool numbers,
                           int32_t *class_of)
{
    bool plain = numbers && are_classes(count, sorted);
    if (!plain)
        dataset->class_name = fcl_zalloc((size_t)count * sizeof *dataset->class_name);
    for (int i = 0; i < count; i++) {
        bool again = numbers && i > 0 && sorted[i].number == sorted[i - 1].number;
        if (plain)
            dataset->classes = (int)sorted[i].number + 1;
        else if (!again)
            dataset->class_name[dataset->classes++] =
                numbers ? fcl_format("%.0f", sorted[i].number) : fcl_strdup(sorted[i].name);
        class_of[sorted[i].word] = dataset->classes - 1;
    }
}

int fcl_dataset_set_words(fcl_dataset *dataset, const fcl_words *words, const char *where)
{
    bool numbers;
    int count = words->count;
    if (words->size != dataset->count)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds %lld labels for %lld samples", where,
                        (long long)words->size, (long long)dataset->count);
    if (!*words->word[0])
        return fcl_fail(FCL_ERR_FORMAT, "%s: a label is empty", where);
    FCL_TRY(create(dataset, where));
    class *classes = fcl_zalloc((size_t)count * sizeof *classes);
    int32_t *class_of = fcl_zalloc((size_t)count * sizeof *class_of);
    for (int i = 0; i < count; i++)
        classes[i] = (class){.name = words->word[i], .word = words->first[i]};
    int status = read_numbers(count, classes, where, &numbers);
    if (status == FCL_OK) {
        if (numbers)
            qsort(classes, (size_t)count, sizeof *classes, by_number);
        number_classes(dataset, count, classes, numbers, class_of);
        for (int64_t i = 0; i < dataset->count; i++)
            dataset->label[i] = class_of[words->number[i]];
    }
    free(classes);
    free(class_of);
    return status;
}

/* --- numbers --- */

static int take_numbers(fcl_dataset *dataset, const float *values, const char *where)
{
    FCL_TRY(create(dataset, where));
    for (int64_t i = 0; i < dataset->count; i++) {
        dataset->label[i] = (int32_t)values[i];
        if (dataset->label[i] >= dataset->classes)
            dataset->classes = dataset->label[i] + 1;
    }
    return FCL_OK;
}

static int number_anew(fcl_dataset *dataset, const float *values, const char *where)
{
    fcl_words words = {0};
    int status = FCL_OK;
    char text[64];
    for (int64_t i = 0; i < dataset->count && status == FCL_OK; i++) {
        int length = fcl_snprintf(text, sizeof text, "%.0f", (double)values[i]);
        status = fcl_words_add(&words, text, (size_t)length, FCL_LABEL_LIMIT);
    }
    status = status == FCL_OK ? fcl_dataset_set_words(dataset, &words, where)
                              : fcl_fail_within(status, "%s", where);
    fcl_words_free(&words);
    return status;
}

enum { FLOAT_COUNTS = 1 << 24 }; /* up to here a float knows each whole number */

static int set_numbers(fcl_dataset *dataset, const float *values, const char *where)
{
    bool classes = true;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (!is_whole((double)values[i]) || fabsf(values[i]) > FLOAT_COUNTS)
            return fcl_fail(FCL_ERR_FORMAT,
                            "%s: the label of sample %lld is %g; labels are whole numbers, or words", where,
                            (long long)i, (double)values[i]);
        classes &= values[i] >= 0 && values[i] < FCL_LABEL_LIMIT;
    }
    return classes ? take_numbers(dataset, values, where) : number_anew(dataset, values, where);
}

int fcl_dataset_set_labels(fcl_dataset *dataset, fcl_npy *array, const fcl_dataset_options *options, const char *where)
{
    (void)options;
    int64_t count = fcl_shape_size(array->shape);
    if (count != dataset->count)
        return fcl_fail(FCL_ERR_FORMAT, "%s holds %lld labels for %lld samples", where, (long long)count,
                        (long long)dataset->count);
    if (array->kind == 'U' || array->kind == 'S') {
        fcl_words words = {0};
        int status = fcl_npy_words(array, where, FCL_LABEL_LIMIT, &words);
        if (status == FCL_OK)
            status = fcl_dataset_set_words(dataset, &words, where);
        fcl_words_free(&words);
        return status;
    }
    fcl_array *values;
    FCL_TRY(fcl_npy_floats(array, where, &values));
    int status = set_numbers(dataset, values->data, where);
    fcl_array_destroy(&values);
    return status;
}
