/* Classes: how many samples each has, which there are, and how many of each are drawn. */
#include <flowcl/data.h>

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int fcl_class_counts(const fcl_dataset *dataset, int64_t **counts)
{
    *counts = NULL;
    if (!dataset->label)
        return FCL_OK;
    int64_t *count = fcl_zalloc(((size_t)dataset->classes + 1) * sizeof *count);
    for (int64_t i = 0; i < dataset->count; i++) {
        if (dataset->label[i] < 0 || dataset->label[i] >= dataset->classes) {
            free(count);
            return fcl_fail(FCL_ERR_ARGUMENT,
                            "%s: the label of sample %lld is %d, and its classes are 0 to %d", dataset->name,
                            (long long)i, dataset->label[i], dataset->classes - 1);
        }
        count[dataset->label[i]]++;
    }
    *counts = count;
    return FCL_OK;
}

static bool is_there(const int64_t *counts, int label)
{
    return !counts || counts[label] > 0;
}

int fcl_class_existing(int classes, const int64_t *counts)
{
    int existing = 0;
    for (int k = 0; k < classes; k++)
        existing += is_there(counts, k);
    return existing;
}

static char *list_names(int classes, const char *const *names, const int64_t *counts, bool empty)
{
    fcl_text text = {0};
    fcl_text_add(&text, "");
    for (int k = 0; k < classes; k++)
        if (is_there(counts, k) != empty)
            fcl_text_format(&text, "%s%s", text.length ? ", " : "", names[k]);
    return text.data;
}

char *fcl_class_list(int classes, const char *const *names, const int64_t *counts, bool empty)
{
    if (names)
        return list_names(classes, names, counts, empty);
    fcl_text text = {0};
    fcl_text_add(&text, "");
    for (int first = 0, last; first < classes; first = last + 1) {
        last = first;
        if (is_there(counts, first) == empty)
            continue;
        while (last + 1 < classes && is_there(counts, last + 1) != empty)
            last++;
        fcl_text_format(&text, last > first ? "%s%d to %d" : "%s%d", text.length ? ", " : "", first, last);
    }
    return text.data;
}

int32_t fcl_class_find(int classes, const char *const *names, const char *text)
{
    for (int k = 0; names && k < classes; k++)
        if (strcmp(names[k], text) == 0)
            return k;
    char *end;
    long number = strtol(text, &end, 10);
    return *text && !*end && number >= 0 && number < classes ? (int32_t)number : -1;
}

static int unknown_class(const fcl_dataset *dataset, const char *name, int classes, const char *const *names)
{
    char *list = fcl_class_list(classes, names, NULL, false);
    int status = fcl_fail(FCL_ERR_ARGUMENT, "%s has the class '%s', and the model's are %.300s%s",
                          dataset->name, name, list, strlen(list) > 300 ? "..." : "");
    fcl_free(list);
    return status;
}

int fcl_dataset_match_classes(fcl_dataset *dataset, int classes, const char *const *names)
{
    if (!dataset->label || !dataset->class_name || !classes)
        return FCL_OK;
    if (!names)
        return fcl_fail(FCL_ERR_ARGUMENT,
                        "the labels of %s have names ('%s'), and the model's classes are numbers",
                        dataset->name, dataset->class_name[0]);
    int32_t *place = fcl_zalloc((size_t)dataset->classes * sizeof *place);
    for (int k = 0; k < dataset->classes; k++) {
        place[k] = fcl_class_find(classes, names, dataset->class_name[k]);
        if (place[k] >= 0 && strcmp(names[place[k]], dataset->class_name[k]) == 0)
            continue;
        free(place);
        return unknown_class(dataset, dataset->class_name[k], classes, names);
    }
    for (int64_t i = 0; i < dataset->count; i++)
        dataset->label[i] = place[dataset->label[i]];
    free(place);
    for (int k = 0; k < dataset->classes; k++)
        free(dataset->class_name[k]);
    dataset->class_name = fcl_grow(dataset->class_name, (size_t)classes * sizeof *dataset->class_name);
    for (int k = 0; k < classes; k++)
        dataset->class_name[k] = fcl_strdup(names[k]);
    dataset->classes = classes;
    return FCL_OK;
}

/* The class whose turn it is: of those that lack at least `least` of a row the one that would first lack a
 * whole one, were it passed over. lack[k] is total times the rows that class k lacks. */
static int next_class(int classes, const int64_t *counts, const int64_t *lack, double total, double least)
{
    int chosen = 0;
    double soonest = 0;
    bool any = false;
    for (int k = 0; k < classes; k++) {
        if (!is_there(counts, k) || (double)lack[k] < least * total)
            continue;
        double left = ((1 - least) * total - (double)lack[k]) / (double)(counts ? counts[k] : 1);
        if (!any || left < soonest) {
            soonest = left;
            chosen = k;
        }
        any = true;
    }
    return chosen;
}

void fcl_class_draw(int classes, const int64_t *counts, int64_t n, int32_t *label)
{
    int64_t *lack = fcl_zalloc((size_t)classes * sizeof *lack), total = 0;
    int existing = fcl_class_existing(classes, counts);
    double least = existing > 1 ? 1.0 / (2 * existing - 2) : 0;
    for (int k = 0; k < classes; k++)
        total += counts ? counts[k] : 1;
    for (int64_t i = 0; i < n; i++) {
        for (int k = 0; k < classes; k++)
            lack[k] += counts ? counts[k] : 1;
        label[i] = next_class(classes, counts, lack, (double)total, least);
        lack[label[i]] -= total;
    }
    free(lack);
}
