/* Which class each sample is of. */
#include "train/sample.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_class[] = "none";

static bool knows_no_class(const fcl_checkpoint_info *info)
{
    return fcl_model_labels(info->model) > info->classes;
}

static bool is_class(const fcl_checkpoint_info *info, long label)
{
    return label >= 0 && label < info->classes && (!info->class_counts || info->class_counts[label] > 0);
}

static int refuse(const fcl_checkpoint_info *info, const char *what)
{
    char *classes = fcl_class_list(info->classes, info->class_names, info->class_counts, false);
    int status = fcl_fail(FCL_ERR_ARGUMENT, "%s is not one of the model's classes, %s", what, classes);
    fcl_free(classes);
    return status;
}

static int read_label(const fcl_checkpoint_info *info, const char *text, int32_t *label)
{
    char what[64];
    snprintf(what, sizeof what, "label '%.40s'", text);
    *label = fcl_class_find(info->classes, info->class_names, text);
    return is_class(info, *label) ? FCL_OK : refuse(info, what);
}

/* The classes between the commas of `text`, which is cut up, into `list`. */
static int read_list(const fcl_checkpoint_info *info, char *text, int32_t *list, int64_t *count)
{
    char *next = text;
    for (*count = 0; next; (*count)++) {
        const char *item = next;
        char *comma = strchr(next, ',');
        next = comma ? comma + 1 : NULL;
        if (comma)
            *comma = 0;
        FCL_TRY(read_label(info, item, &list[*count]));
        for (int64_t k = 0; k < *count; k++)
            if (list[k] == list[*count])
                return fcl_fail(FCL_ERR_ARGUMENT, "label '%.40s' is given twice", item);
    }
    return FCL_OK;
}

/* Those of a class stand together. */
static int share(const fcl_checkpoint_info *info, const char *text, int64_t n, int32_t *label)
{
    char *items = fcl_strdup(text);
    int32_t *list = fcl_zalloc((strlen(text) + 1) * sizeof *list);
    int64_t count = 0;
    int status = read_list(info, items, list, &count);
    if (status == FCL_OK && count > n)
        status = fcl_fail(FCL_ERR_ARGUMENT, "label names %lld classes, more than there are samples: %lld",
                          (long long)count, (long long)n);
    for (int64_t i = 0; i < n && status == FCL_OK; i++)
        label[i] = list[i * count / n];
    free(list);
    free(items);
    return status;
}

static int fill(int64_t n, int32_t with, int32_t *label)
{
    for (int64_t i = 0; i < n; i++)
        label[i] = with;
    return FCL_OK;
}

static int choose_none(const fcl_checkpoint_info *info, const fcl_sample_options *options, int64_t n, int32_t *label)
{
    if (!knows_no_class(info))
        return fcl_fail(FCL_ERR_ARGUMENT, "label none asks for samples of no class, which the model does not know: it was "
                                          "trained without label-drop");
    if (options->guidance != 0 && options->guidance != 1)
        return fcl_fail(FCL_ERR_ARGUMENT, "guidance %g has no use with label none: it is towards a class",
                        (double)options->guidance);
    return fill(n, info->classes, label);
}

/* As the options say. A name that is whole, commas and all, is one class, also one that is called none. */
static int choose(const fcl_checkpoint_info *info, const fcl_sample_options *options, int64_t n, int32_t *label)
{
    const char *text = options->label;
    if (!text) {
        fcl_class_draw(info->classes, info->class_counts, n, label);
        return FCL_OK;
    }
    int32_t whole = fcl_class_find(info->classes, info->class_names, text);
    if (whole >= 0)
        return is_class(info, whole) ? fill(n, whole, label) : read_label(info, text, label);
    return strcmp(text, no_class) == 0 ? choose_none(info, options, n, label) : share(info, text, n, label);
}

static int copy(const fcl_checkpoint_info *info, const int32_t *given, int64_t n, int32_t *label)
{
    char what[64];
    for (int64_t i = 0; i < n; i++) {
        label[i] = given[i];
        if (is_class(info, given[i]) || (given[i] == info->classes && knows_no_class(info)))
            continue;
        snprintf(what, sizeof what, "label %d of sample %lld", given[i], (long long)i);
        return refuse(info, what);
    }
    return FCL_OK;
}

int fcl_sample_make_labels(const fcl_checkpoint_info *info, const fcl_sample_options *options,
                           const int32_t *given, int64_t n, int32_t **label)
{
    *label = NULL;
    if (!info->classes && options->label)
        return fcl_fail(FCL_ERR_ARGUMENT, "the model was trained without labels: it takes no label '%s'",
                        options->label);
    if (!info->classes)
        return given ? fcl_fail(FCL_ERR_ARGUMENT, "the model was trained without labels: it takes none")
                     : FCL_OK;
    *label = malloc((size_t)n * sizeof **label);
    if (!*label)
        return fcl_fail(FCL_ERR_MEMORY, "no memory for the classes of %lld samples", (long long)n);
    int status = given ? copy(info, given, n, *label) : choose(info, options, n, *label);
    if (status != FCL_OK) {
        free(*label);
        *label = NULL;
    }
    return status;
}

int fcl_sample_labels(const fcl_checkpoint *checkpoint, const fcl_sample_options *options, int32_t **label)
{
    fcl_sample_options filled = *options;
    *label = NULL;
    fcl_options_defaults(fcl_sample_table, &filled);
    FCL_TRY(fcl_sample_check(&filled));
    return fcl_sample_make_labels(fcl_checkpoint_describe(checkpoint), &filled, NULL, filled.n, label);
}
