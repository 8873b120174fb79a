/* Which class each sample is of. */
#include "train/sample.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* As the options say. */
static int choose(const fcl_checkpoint_info *info, const char *text, int64_t n, int32_t *label)
{
    if (!text) {
        fcl_class_draw(info->classes, info->class_counts, n, label);
        return FCL_OK;
    }
    FCL_TRY(read_label(info, text, &label[0]));
    for (int64_t i = 1; i < n; i++)
        label[i] = label[0];
    return FCL_OK;
}

static int copy(const fcl_checkpoint_info *info, const int32_t *given, int64_t n, int32_t *label)
{
    char what[64];
    for (int64_t i = 0; i < n; i++) {
        label[i] = given[i];
        if (is_class(info, given[i]))
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
    int status = given ? copy(info, given, n, *label) : choose(info, options->label, n, *label);
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
